// The functions of a Cell, made from its equations: loops over the rows and unit groups of a tile.
//
// The equations are a struct of static members (cells/lstm.hpp, gru.hpp, rnn.hpp; docs/adding-a-cell.md lists them).
#pragma once

#include "cells/cell.hpp"

namespace fusedlstm {

namespace detail {

// The operands of the equations other than pre-activations and state: the unit weights of a packet, the dropout mask of
// the candidate, and the arrays that save activations for backward.
template <class S, int WeightCount, bool Training, bool Masked>
struct Units {
  Pack<S> weights[WeightCount > 0 ? WeightCount : 1];
  S *gates = nullptr, *h_factor = nullptr;
  const S* mask = nullptr;

  FUSEDLSTM_INLINE void load_weights(const UnitWeights<S>& all, int group) {
    if constexpr (WeightCount > 0) {
      FUSEDLSTM_UNROLL
      for (int w = 0; w < WeightCount; w++) weights[w] = load(all.from(group).values + w * all.by_weight);
    }
  }
  FUSEDLSTM_INLINE void move_to(const ForwardTile<S>& tile, int group, int row) {
    if constexpr (Training) {
      gates = tile.gates.at(group, row);
      h_factor = tile.h_factor.at(group, row);
    }
    if constexpr (Masked) mask = tile.candidate_mask.at(group, row);
  }
  FUSEDLSTM_INLINE void save_gate(int gate, Pack<S> value) const {
    if constexpr (Training) store(gates + gate * pack_size<S>, value);
  }
  FUSEDLSTM_INLINE void save_h_factor(Pack<S> value) const {
    if constexpr (Training) store(h_factor, value);
  }
  FUSEDLSTM_INLINE Pack<S> dropout(Pack<S> candidate) const {
    if constexpr (Masked) return candidate * load(mask);
    else return candidate;
  }
};

template <class S, class Equations>
constexpr bool has_recurrent_state = Equations::recurrent_state != RecurrentState::none;

template <class S, class Equations>
FUSEDLSTM_INLINE Pack<S> load_recurrent_state(const S* c) {
  if constexpr (has_recurrent_state<S, Equations>) return load(c);
  else return zero<S>();
}

template <class S, class Equations>
FUSEDLSTM_INLINE Preactivations<S> load_preactivations(const ForwardTile<S>& tile, int group, int row) {
  Preactivations<S> z;
  FUSEDLSTM_UNROLL
  for (int gate = 0; gate < Equations::gates.count; gate++)
    z.of_gate[gate] = load(tile.z.at(group, row) + gate * pack_size<S>);
  return z;
}

// c of all rows.
template <class S, class Equations, bool Training, bool Masked>
FUSEDLSTM_INLINE void forward_c(const ForwardTile<S>& tile) {
  Units<S, Equations::gates.unit_weights, Training, Masked> units;
  for (int group = 0; group < tile.groups; group++) {
    units.load_weights(tile.unit_weights, group);
    for (int row = 0; row < tile.rows; row++) {
      units.move_to(tile, group, row);
      const Preactivations<S> z = load_preactivations<S, Equations>(tile, group, row);
      store(tile.c.at(group, row), Equations::next_c(z, load(tile.c_prev.at(group, row)), units));
    }
  }
}
// h of all rows from c.
template <class S, class Equations, bool Training, bool Masked>
FUSEDLSTM_INLINE void forward_h(const ForwardTile<S>& tile, Grid<const S> c) {
  Units<S, Equations::gates.unit_weights, Training, Masked> units;
  for (int group = 0; group < tile.groups; group++) {
    units.load_weights(tile.unit_weights, group);
    for (int row = 0; row < tile.rows; row++) {
      units.move_to(tile, group, row);
      const Preactivations<S> z = load_preactivations<S, Equations>(tile, group, row);
      store(tile.h.at(group, row), Equations::next_h(z, load_recurrent_state<S, Equations>(c.at(group, row)), units));
    }
  }
}

// Two passes: c of all rows, then h of all rows. The chains of dependent operations are half as long as in one pass, so
// that the processor works on more rows at a time.
template <class S, class Equations, bool Training, bool Masked>
void forward_tile(const ForwardTile<S>& arrays) {
  const ForwardTile<S> tile = arrays;  // a copy, which the stores cannot alias
  if constexpr (has_recurrent_state<S, Equations>) forward_c<S, Equations, Training, Masked>(tile);
  forward_h<S, Equations, Training, Masked>(tile, tile.c);
}

// Product and equations of one row, for `Side` groups at a time.
template <class S, class Equations, bool Training, int Side>
void forward_row_groups(const RowStep<S>& step, int first) {
  constexpr int gates = Equations::gates.count;
  TileSums<S, Side, 1, gates> sums;
  sum_tile<false, Equations::gates.partly_fed()>(step.product, sums, first);
  FUSEDLSTM_UNROLL
  for (int s = 0; s < Side; s++) {
    const int group = first + s;
    Preactivations<S> z;
    FUSEDLSTM_UNROLL
    for (int gate = 0; gate < gates; gate++) z.of_gate[gate] = sums[s][0][gate];
    Units<S, Equations::gates.unit_weights, Training, false> units;
    units.load_weights(step.tile.unit_weights, group);
    units.move_to(step.tile, group, 0);
    Pack<S> c = zero<S>();
    if constexpr (has_recurrent_state<S, Equations>) {
      c = Equations::next_c(z, load(step.tile.c_prev.at(group, 0)), units);
      store(step.tile.c.at(group, 0), c);
    }
    store(step.tile.h.at(group, 0), Equations::next_h(z, c, units));
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
void backward_tile(const BackwardTile<S>& arrays) {
  const BackwardTile<S> tile = arrays;
  Units<S, Equations::gates.unit_weights, false, Masked> units;
  for (int group = 0; group < tile.groups; group++) {
    units.load_weights(tile.unit_weights, group);
    for (int row = 0; row < tile.rows; row++) {
      if constexpr (Masked) units.mask = tile.candidate_mask.at(group, row);
      Equations::backward(load(tile.dh.at(group, row)), load_recurrent_state<S, Equations>(tile.c_prev.at(group, row)),
                          units, tile.dc.at(group, row), tile.gates.at(group, row), tile.h_factor.at(group, row));
    }
  }
}

}  // namespace detail

// dc, and zero where c is clipped to +-limit.
template <class S>
FUSEDLSTM_INLINE Pack<S> clip_gradient(Pack<S> c, Pack<S> limit, Pack<S> dc) {
  return where_positive(limit - max(c, zero<S>() - c), dc);
}

template <class S, class Equations>
struct CellLoops {
  static void forward(const ForwardTile<S>& tile) {
    if constexpr (Equations::has_candidate)
      if (tile.candidate_mask.values) return detail::forward_tile<S, Equations, true, true>(tile);
    if (tile.gates.values) detail::forward_tile<S, Equations, true, false>(tile);
    else detail::forward_tile<S, Equations, false, false>(tile);
  }
  static void forward_row(const RowStep<S>& step) {
    if (step.tile.gates.values) detail::forward_row<S, Equations, true>(step);
    else detail::forward_row<S, Equations, false>(step);
  }
  static void backward(const BackwardTile<S>& tile) {
    if constexpr (Equations::has_candidate)
      if (tile.candidate_mask.values) return detail::backward_tile<S, Equations, true>(tile);
    detail::backward_tile<S, Equations, false>(tile);
  }
  static void sum_unit_weights(const UnitWeightSums<S>& all, const CellSpec&) {
    constexpr int count = Equations::gates.unit_weights;
    Pack<S> sums[count > 0 ? count : 1];
    for (int w = 0; w < count; w++) sums[w] = load(all.sums + w * pack_size<S>);
    for (Index row = 0; row < all.rows; row++)
      if constexpr (count > 0)
        Equations::add_unit_weight_gradients(all.dgates.at(0, row), load(all.c_prev.at(0, row)), load(all.c.at(0, row)),
                                             sums);
    for (int w = 0; w < count; w++) store(all.sums + w * pack_size<S>, sums[w]);
  }
  // WithRowKernel: compile `forward_row`, which is faster for a batch of one sequence. It takes some kilobytes.
  template <bool WithRowKernel>
  static Cell<S> cell() {
    Cell<S> cell{};
    cell.gates = Equations::gates;
    for (int gate = 0; gate < Equations::gates.count; gate++) cell.input_scale[gate] = Equations::input_scale[gate];
    cell.unit_weight_scale = Equations::unit_weight_scale;
    cell.recurrent_state = Equations::recurrent_state;
    cell.has_candidate = Equations::has_candidate;
    cell.forward = &forward;
    cell.forward_row = WithRowKernel ? &forward_row : nullptr;
    cell.backward = &backward;
    cell.sum_unit_weights = Equations::gates.unit_weights > 0 ? &sum_unit_weights : nullptr;
    return cell;
  }
};

}  // namespace fusedlstm
