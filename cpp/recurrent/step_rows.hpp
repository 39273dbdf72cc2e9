// Arrays of the current step, shared by the unit shards of the same rows.
#pragma once

#include <utility>

#include "recurrent/forward_call.hpp"

namespace fusedlstm {

// All arrays at inference. In training only those that are not saved for backward.
template <class S>
struct StepRows {
  S *h_prev = nullptr, *h_next = nullptr;                          // [row][padded outputs]
  S *carried_gates_prev = nullptr, *carried_gates_next = nullptr;  // [row][3][padded units]
  S* c = nullptr;                                                  // [group][row], the current c; h in a GRU
  S* zoned_c = nullptr;                                            // [group][row], the next c with zoneout
  S* raw_c = nullptr;    // [group][row], c before zoneout, which layer normalization reads
  S* gates = nullptr;    // [group][row][gates], from the first part of the equations to the second
  S* m = nullptr;        // [row][padded units], which the projection reads
  S* reset_h = nullptr;  // [row][padded units], r h_prev
  // For layer normalization: W_ih x and W_hh h_prev as gate rows, and the sums of their squares, [group][row].
  Rows<S> x_part, h_part;
  S *x_squares = nullptr, *h_squares = nullptr;

  void lay_out(const ForwardRange<S>& range, Arena& arena) {
    const Sizes& sizes = range.sizes();
    const Regularizers& regularizers = range.call.shape.regularizers;
    const RecurrentState state = range.call.cell->recurrent_state;
    const Index rows = range.shard.rows, numbers = rows * range.groups.padded_units();
    const bool inference = !range.call.saved;
    h_prev = arena.take<S>(rows * range.outputs.padded_units());
    h_next = arena.take<S>(rows * range.outputs.padded_units());
    if (sizes.projection) m = arena.take<S>(numbers);
    if (sizes.layer_norm)
      for (S** squares : {&x_squares, &h_squares}) *squares = arena.take<S>(numbers);
    if (!inference) return;
    if (state != RecurrentState::none) c = arena.take<S>(numbers);
    const bool zones_h = regularizers.zoneout_h > 0, zones_c = regularizers.zoneout_c > 0;
    if ((zones_h && state == RecurrentState::h) || (zones_c && state == RecurrentState::c)) {
      zoned_c = arena.take<S>(numbers);
      if (sizes.layer_norm) raw_c = arena.take<S>(numbers);
    }
    if (sizes.carried_gates() > 0) {
      carried_gates_prev = arena.take<S>(3 * numbers);
      carried_gates_next = arena.take<S>(3 * numbers);
    }
    if (range.call.cell->forward_second) gates = arena.take<S>(range.groups.gate_row_size(rows));
    if (sizes.reset_before) reset_h = arena.take<S>(numbers);
    if (!sizes.layer_norm) return;
    for (Rows<S>* part : {&x_part, &h_part}) {
      part->stride = odd_cache_lines<S>(range.groups.gate_row_size(1));
      part->values = arena.take<S>(rows * part->stride);
    }
  }
  // Makes the next states the previous ones.
  void advance() {
    std::swap(h_prev, h_next);
    std::swap(carried_gates_prev, carried_gates_next);
    if (zoned_c) std::swap(c, zoned_c);
  }
};

}  // namespace fusedlstm
