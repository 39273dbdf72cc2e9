// The interface between a cell and the recurrent driver.
//
// A step of a cell is a matrix product followed by equations for each hidden unit. The driver computes the product in
// tiles that fit into L1. The functions of a Cell apply the equations to a finished tile. The equations do not
// depend on tiles, time, threads or lengths, and the driver does not depend on the gates.
#pragma once

#include "cells/spec.hpp"
#include "product/layout.hpp"
#include "product/tiles.hpp"

namespace fusedlstm {

// The recurrent state that the equations read. (The product reads h_prev in every cell.) Tiles and saved arrays call
// this state c. In a GRU c is h, so that c_prev is h_prev and dc is a part of dL/dh.
enum class RecurrentState {
  none,
  c,  // the cell state of an LSTM
  h   // h of a GRU
};

// A view of one packet per unit group and row. The packet of (group, row) is at
// values + group * by_group + row * by_row.
template <class S>
struct Grid {
  S* values = nullptr;
  Index by_group = 0, by_row = 0;
  S* at(Index group, Index row) const { return values + group * by_group + row * by_row; }
  Grid from(Index group, Index row) const { return {at(group, row), by_group, by_row}; }
  operator Grid<const S>() const { return {values, by_group, by_row}; }
};

// The unit weights: weights that belong to one unit each, such as peepholes. Weight w of a group is at
// values + w * by_weight + group * pack_size.
template <class S>
struct UnitWeights {
  const S* values = nullptr;
  Index by_weight = 0;
  UnitWeights from(Index group) const { return {values + group * pack_size<S>, by_weight}; }
};

// The arrays of some rows and unit groups at one step, for the forward equations.
//
// m = o tanh(c) is the output of the equations. h = m without a projection, otherwise h = W_hr m + b_hr.
template <class S>
struct ForwardTile {
  int groups = 0, rows = 0;
  const CellSpec* spec = nullptr;
  Grid<S> z;  // pre-activations, gates side by side, times the input scale of each gate; may be overwritten
  Grid<const S> c_prev;
  Grid<S> c;
  // h; with a projection m. Before forward_second: the argument of act_output, or the part of z_n that comes from x.
  Grid<S> h;
  UnitWeights<S> unit_weights;  // times the cell's unit_weight_scale
  Grid<S> candidate_mask;       // dropout mask of the candidate; null values: no dropout
  // Null values if they are not kept.
  Grid<S> gates;     // activations, gates side by side
  Grid<S> h_factor;  // tanh(c) where m = o tanh(c), otherwise h
  // Arrays of some cells.
  Grid<S> carried_gates;  // i, f and o, which the next step reads, `by_carried_gate` apart
  Index by_carried_gate = 0;
  Grid<S> h_prev;   // with recurrent dropout
  Grid<S> reset_h;  // r h_prev

  // The same arrays, except z, starting at this group and row.
  FUSEDLSTM_INLINE ForwardTile from(Index group, Index row) const {
    ForwardTile tile;
    tile.spec = spec;
    tile.c_prev = c_prev.from(group, row);
    tile.c = c.from(group, row);
    tile.h = h.from(group, row);
    tile.unit_weights = unit_weights.from(group);
    if (candidate_mask.values) tile.candidate_mask = candidate_mask.from(group, row);
    if (gates.values) {
      tile.gates = gates.from(group, row);
      if (h_factor.values) tile.h_factor = h_factor.from(group, row);
    }
    if (carried_gates.values) tile.carried_gates = carried_gates.from(group, row);
    tile.by_carried_gate = by_carried_gate;
    if (reset_h.values) {
      tile.h_prev = h_prev.from(group, row);
      tile.reset_h = reset_h.from(group, row);
    }
    return tile;
  }
};

// The arrays of some rows and unit groups at one step, for the backward equations.
template <class S>
struct BackwardTile {
  int groups = 0, rows = 0;
  const CellSpec* spec = nullptr;
  Grid<S> dh;  // dL/dh of this step; may be overwritten
  Grid<const S> c_prev;
  UnitWeights<S> unit_weights;  // not scaled
  Grid<S> candidate_mask;       // as in ForwardTile
  Grid<S> dc;                   // in: dL/dc from the next step; out: dL/dc_prev
  Grid<S> gates;                // in: activations; out: gradients of the pre-activations
  Grid<S> h_factor;             // in: as saved by forward; out: m
  // Arrays of some cells.
  Grid<const S> c;               // before zoneout
  Grid<const S> dcarried_gates;  // dL/di, dL/df and dL/do from the next step, `by_carried_gate` apart
  Index by_carried_gate = 0;
  Grid<S> recurrent_mask;  // the mask of recurrent dropout

  // The same arrays, except dh, starting at this group and row.
  FUSEDLSTM_INLINE BackwardTile from(Index group, Index row) const {
    BackwardTile tile;
    tile.spec = spec;
    if (c.values) tile.c = c.from(group, row);
    if (dcarried_gates.values) tile.dcarried_gates = dcarried_gates.from(group, row);
    tile.by_carried_gate = by_carried_gate;
    if (recurrent_mask.values) tile.recurrent_mask = recurrent_mask.from(group, row);
    tile.c_prev = c_prev.from(group, row);
    tile.unit_weights = unit_weights.from(group);
    if (candidate_mask.values) tile.candidate_mask = candidate_mask.from(group, row);
    tile.dc = dc.from(group, row);
    tile.gates = gates.from(group, row);
    tile.h_factor = h_factor.from(group, row);
    return tile;
  }
};

// One step of one row, for the groups [0, tile.groups): the product and the equations. The pre-activations stay in
// registers.
template <class S>
struct RowStep {
  const TileProduct<S>& product;
  const ForwardTile<S>& tile;
};

// The gradients of the unit weights of one group over some rows, added to sums [weight][unit].
template <class S>
struct UnitWeightSums {
  Grid<const S> dgates, c_prev, c;
  Index rows;
  S* sums;
};

// The pre-activations of one packet of units.
template <class S>
struct Preactivations {
  Pack<S> of_gate[max_gates];
  FUSEDLSTM_INLINE Pack<S> operator[](int gate) const { return of_gate[gate]; }
};

// The interface that the driver uses: a cell of the table in cells/list.hpp, for a specification.
template <class S>
struct Cell {
  const char* name;
  CellSpec spec;
  GateLayout gates;
  double input_scale[max_gates];  // multiplies the weights and bias of each gate when they are packed
  double unit_weight_scale;       // multiplies the unit weights
  RecurrentState recurrent_state;
  bool has_candidate;  // dropout of the candidate is possible
  void (*forward)(const ForwardTile<S>&);
  void (*forward_row)(const RowStep<S>&);  // null: a single row uses `forward`
  void (*backward)(const BackwardTile<S>&);
  void (*sum_unit_weights)(const UnitWeightSums<S>&, const CellSpec&);  // null for a cell without unit weights
  // The second part of the equations, which runs after the first part of all units. Null for cells with one part.
  //
  //                              forward             forward_second        backward            backward_second
  //   layer normalization        c                   h from norm(c)        h, to norm(c)       c
  //   reset before the product   r, z and r h_prev   n and h from z_n      h, to z_n and z_z   r, from dL/d(r h_prev)
  //
  // Layer normalization: tile.h holds the argument of act_output before forward_second, and dh holds its gradient after
  // backward.
  void (*forward_second)(const ForwardTile<S>&);
  void (*backward_second)(const BackwardTile<S>&);

  Sizes sizes(Index input_size, Index hidden_size) const {
    Sizes all{input_size, hidden_size, spec.output_size(hidden_size), gates};
    all.reset_before = !spec.reset_after;
    all.layer_norm = spec.layer_norm;
    all.projection = spec.projection > 0;
    all.projection_bias = spec.projection_bias;
    return all;
  }
};

}  // namespace fusedlstm
