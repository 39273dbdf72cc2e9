// What a cell is to the driver.
//
// A cell is a product, which the driver and its tiles compute, followed by pointwise equations on packets of units,
// which stand in cells/<name>.hpp. A struct of those equations becomes a Cell here: loops over the rows and
// groups of finished tiles, which are in L1 when they are handed over. The equations know nothing of tiles,
// time, threads or lengths, the driver nothing of gates.
#pragma once

#include "product/layout.hpp"
#include "product/tiles.hpp"

namespace fusedlstm {

// What a cell carries from step to step beside h.
enum class Carried {
  nothing,
  state,  // a second state, c
  hidden  // h itself, which the equations read: it stands where c stands in other cells
};

// A packet of every unit group of every row: element (group, row) stands at values + group * by_group + row * by_row.
template <class S>
struct Grid {
  S* values = nullptr;
  Index by_group = 0, by_row = 0;
  S* at(Index group, Index row) const { return values + group * by_group + row * by_row; }
  Grid from(Index group, Index row) const { return {at(group, row), by_group, by_row}; }
  operator Grid<const S>() const { return {values, by_group, by_row}; }
};

// The units' own weights: vector v of a group at values + v * by_vector + group * pack_size.
template <class S>
struct UnitVectors {
  const S* values = nullptr;
  Index by_vector = 0;
  UnitVectors from(Index group) const { return {values + group * pack_size<S>, by_vector}; }
};

template <class S>
struct ForwardTile {
  int groups = 0, rows = 0;
  Grid<const S> z;             // pre-activations, blocks side by side, times the cell's factors
  Grid<const S> state_before;  // the carried state
  Grid<S> state;
  Grid<S> hidden;        // h
  UnitVectors<S> units;  // times the cell's vector factor
  Grid<S> mask;          // factors of the candidate; null values: none
  // For training; null values at inference.
  Grid<S> gates;    // activations, blocks side by side
  Grid<S> derived;  // one more number a unit that backward wants

  // The same arrays from this group and row on.
  FUSEDLSTM_INLINE ForwardTile from(Index group, Index row) const {
    ForwardTile tile;
    tile.state_before = state_before.from(group, row);
    tile.state = state.from(group, row);
    tile.hidden = hidden.from(group, row);
    tile.units = units.from(group);
    if (mask.values) tile.mask = mask.from(group, row);
    if (gates.values) {
      tile.gates = gates.from(group, row);
      tile.derived = derived.from(group, row);
    }
    return tile;
  }
};

template <class S>
struct BackwardTile {
  int groups = 0, rows = 0;
  Grid<S> dhidden;             // dL/dh of this step
  Grid<const S> state_before;  // as in forward
  UnitVectors<S> units;        // without factor
  Grid<S> mask;                // as in forward
  Grid<S> dstate;              // in: gradient of the carried state from the step after; out: for the step before
  Grid<S> gates;               // in: activations; out: gradients of the pre-activations
  Grid<S> derived;             // in: as forward left it; out: h

  FUSEDLSTM_INLINE BackwardTile from(Index group, Index row) const {
    BackwardTile tile;
    tile.state_before = state_before.from(group, row);
    tile.units = units.from(group);
    if (mask.values) tile.mask = mask.from(group, row);
    tile.dstate = dstate.from(group, row);
    tile.gates = gates.from(group, row);
    tile.derived = derived.from(group, row);
    return tile;
  }
};

// One row's step for the groups [0, groups): its product and the equations in one go, with no tile in between.
template <class S>
struct RowStep {
  const detail::Product<S>& product;
  const ForwardTile<S>& tile;
};

// The gradients of the units' own weights of one group over some rows, added to sums [vector][unit].
template <class S>
struct VectorSums {
  Grid<const S> dgates, state_before, state;
  Index rows;
  S* sums;
};

// The pre-activations of a packet of units.
template <class S>
struct Gates {
  Pack<S> at[most_blocks];
};

template <class S>
struct Cell {
  const char* name;
  Blocks blocks;
  double factors[most_blocks];  // multiply each block's weights when they are packed
  double vector_factor;         // and the units' own
  Carried carried;
  bool has_candidate;  // that a mask can drop
  void (*forward)(const ForwardTile<S>&);
  void (*forward_row)(const RowStep<S>&);  // may be null: tiles of one row then do it
  void (*backward)(const BackwardTile<S>&);
  void (*sum_vectors)(const VectorSums<S>&);  // null where there are none
};

namespace detail {

// What the equations of a packet of units see beside pre-activations and state: their own weights, the candidate's
// mask, and a place for what training keeps.
template <class S, int Vectors, bool Training, bool Masked>
struct Units {
  Pack<S> vectors[Vectors > 0 ? Vectors : 1];
  S *gates = nullptr, *derived = nullptr;
  const S* mask = nullptr;

  FUSEDLSTM_INLINE void read(const UnitVectors<S>& all, int group) {
    if constexpr (Vectors > 0) {
      FUSEDLSTM_UNROLL
      for (int v = 0; v < Vectors; v++) vectors[v] = load(all.from(group).values + v * all.by_vector);
    }
  }
  FUSEDLSTM_INLINE void stand_at(const ForwardTile<S>& tile, int group, int row) {
    if constexpr (Training) {
      gates = tile.gates.at(group, row);
      derived = tile.derived.at(group, row);
    }
    if constexpr (Masked) mask = tile.mask.at(group, row);
  }
  FUSEDLSTM_INLINE void keep_gate(int block, Pack<S> value) const {
    if constexpr (Training) store(gates + block * pack_size<S>, value);
  }
  FUSEDLSTM_INLINE void keep_derived(Pack<S> value) const {
    if constexpr (Training) store(derived, value);
  }
  FUSEDLSTM_INLINE Pack<S> drop(Pack<S> candidate) const {
    if constexpr (Masked) return candidate * load(mask);
    else return candidate;
  }
};

template <class S, class Equations>
constexpr bool carries = Equations::carried != Carried::nothing;

template <class S, class Equations>
FUSEDLSTM_INLINE Pack<S> carried(const S* state) {
  if constexpr (carries<S, Equations>) return load(state);
  else return zero<S>();
}

// Two passes, first all states, then all outputs: their chains of dependent operations are half as long, so that
// more rows overlap.
template <class S, class Equations, bool Training, bool Masked>
void forward_tile(const ForwardTile<S>& tile) {
  Units<S, Equations::blocks.vectors, Training, Masked> units;
  const auto gates_of = [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
    Gates<S> z;
    FUSEDLSTM_UNROLL
    for (int block = 0; block < Equations::blocks.count; block++)
      z.at[block] = load(tile.z.at(group, row) + block * pack_size<S>);
    return z;
  };
  if constexpr (carries<S, Equations>) {
    for (int group = 0; group < tile.groups; group++) {
      units.read(tile.units, group);
      for (int row = 0; row < tile.rows; row++) {
        units.stand_at(tile, group, row);
        store(tile.state.at(group, row),
              Equations::state(gates_of(group, row), load(tile.state_before.at(group, row)), units));
      }
    }
  }
  for (int group = 0; group < tile.groups; group++) {
    units.read(tile.units, group);
    for (int row = 0; row < tile.rows; row++) {
      units.stand_at(tile, group, row);
      store(tile.hidden.at(group, row),
            Equations::hidden(gates_of(group, row), carried<S, Equations>(tile.state.at(group, row)), units));
    }
  }
}

template <class S, class Equations, bool Training, int Side>
void forward_row_groups(const RowStep<S>& step, int first) {
  constexpr int blocks = Equations::blocks.count;
  Sums<S, Side, 1, blocks> sums;
  sum_tile<false, Equations::blocks.divided()>(step.product, sums, first);
  FUSEDLSTM_UNROLL
  for (int s = 0; s < Side; s++) {
    const int group = first + s;
    Gates<S> z;
    FUSEDLSTM_UNROLL
    for (int block = 0; block < blocks; block++) z.at[block] = sums[s][0][block];
    Units<S, Equations::blocks.vectors, Training, false> units;
    units.read(step.tile.units, group);
    units.stand_at(step.tile, group, 0);
    Pack<S> state = zero<S>();
    if constexpr (carries<S, Equations>) {
      state = Equations::state(z, load(step.tile.state_before.at(group, 0)), units);
      store(step.tile.state.at(group, 0), state);
    }
    store(step.tile.hidden.at(group, 0), Equations::hidden(z, state, units));
  }
}
template <class S, class Equations, bool Training>
void forward_row(const RowStep<S>& step) {
  int group = 0;
  if constexpr (vector_registers == 32)
    for (; group + 4 <= step.tile.groups; group += 4) forward_row_groups<S, Equations, Training, 4>(step, group);
  for (; group + 2 <= step.tile.groups; group += 2) forward_row_groups<S, Equations, Training, 2>(step, group);
  if (group < step.tile.groups) forward_row_groups<S, Equations, Training, 1>(step, group);
}

template <class S, class Equations, bool Masked>
void backward_tile(const BackwardTile<S>& tile) {
  Units<S, Equations::blocks.vectors, false, Masked> units;
  for (int group = 0; group < tile.groups; group++) {
    units.read(tile.units, group);
    for (int row = 0; row < tile.rows; row++) {
      if constexpr (Masked) units.mask = tile.mask.at(group, row);
      Equations::backward(load(tile.dhidden.at(group, row)),
                          carried<S, Equations>(tile.state_before.at(group, row)), units, tile.dstate.at(group, row),
                          tile.gates.at(group, row), tile.derived.at(group, row));
    }
  }
}

}  // namespace detail

// The equations of a cell, looped.
template <class S, class Equations>
struct CellLoops {
  static void forward(const ForwardTile<S>& tile) {
    if constexpr (Equations::has_candidate)
      if (tile.mask.values) return detail::forward_tile<S, Equations, true, true>(tile);
    if (tile.gates.values) detail::forward_tile<S, Equations, true, false>(tile);
    else detail::forward_tile<S, Equations, false, false>(tile);
  }
  static void forward_row(const RowStep<S>& step) {
    if (step.tile.gates.values) detail::forward_row<S, Equations, true>(step);
    else detail::forward_row<S, Equations, false>(step);
  }
  static void backward(const BackwardTile<S>& tile) {
    if constexpr (Equations::has_candidate)
      if (tile.mask.values) return detail::backward_tile<S, Equations, true>(tile);
    detail::backward_tile<S, Equations, false>(tile);
  }
  static void sum_vectors(const VectorSums<S>& all) {
    constexpr int vectors = Equations::blocks.vectors;
    Pack<S> sums[vectors > 0 ? vectors : 1];
    for (int v = 0; v < vectors; v++) sums[v] = load(all.sums + v * pack_size<S>);
    for (Index row = 0; row < all.rows; row++)
      if constexpr (vectors > 0)
        Equations::add_vectors(all.dgates.at(0, row), load(all.state_before.at(0, row)), load(all.state.at(0, row)),
                               sums);
    for (int v = 0; v < vectors; v++) store(all.sums + v * pack_size<S>, sums[v]);
  }
  // Of a cell that is used much a row alone has a path of its own, at the price of a few kilobytes.
  template <bool UsedMuch>
  static constexpr Cell<S> cell(const char* name) {
    Cell<S> cell{name,
                 Equations::blocks,
                 {},
                 Equations::vector_factor,
                 Equations::carried,
                 Equations::has_candidate,
                 &forward,
                 UsedMuch ? &forward_row : nullptr,
                 &backward,
                 Equations::blocks.vectors > 0 ? &sum_vectors : nullptr};
    for (int b = 0; b < Equations::blocks.count; b++) cell.factors[b] = Equations::factors[b];
    return cell;
  }
};

}  // namespace fusedlstm
