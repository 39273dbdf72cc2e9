// The numbers of every row at every step, with one field per kind of number. In training, there is one line per row and
// step, numbered as the saved rows of the plan, and backward overwrites some fields with gradients. At inference, the
// lines of a few steps are reused.
#pragma once

#include "cells/regularizers.hpp"
#include "recurrent/arrays.hpp"
#include "recurrent/row_plan.hpp"
#include "staged/weights.hpp"

namespace fusedlstm::staged {

// A number of whole cache lines that is not a multiple of eight. Otherwise the same columns of many rows would be in
// few sets of the cache.
template <class S>
constexpr Index row_stride(Index numbers) {
  constexpr Index line = Index(cache_line / sizeof(S));
  const Index lines = (numbers + line - 1) / line;
  return (lines % 8 == 0 ? lines + 1 : lines) * line;
}

template <class S>
struct Fields {
  Rows<S> gates;        // pre-activations, then activations; backward: their gradients
  Rows<S> state;        // c, after zoneout
  Rows<S> fresh;        // c before zoneout; only with zoneout of c
  Rows<S> output;       // LSTM: act_output(c); backward: m
  Rows<S> hidden;       // h
  Rows<S> candidate;    // GRU: W_hn h' + b_hn, or r h'; backward: the gradient of the first
  Rows<S> norm_input;   // layer norm of W_ih x; backward: the gradient of W_ih x
  Rows<S> norm_hidden;  // of W_hh h'; backward: the gradient of W_hh h'
  Rows<S> norm_state;   // of c
  Rows<S> deviations;   // the inverses of the three standard deviations
  Rows<S> dprojected;   // backward: gradient of the projection's output
  Rows<S> kept_gates;   // backward: the activations, where their own gradients need them

  FUSEDLSTM_COLD Fields(const Spec& spec, const Shape& shape, const Regularizers& regularizers, Index lines,
                        bool training) {
    const int blocks = Blocks(spec).count;
    const Index units = whole_packets<S>(shape.hidden), outputs = whole_packets<S>(shape.output);
    const bool lstm = spec.family == Family::lstm;
    const auto lay_out = [&](Arena arena) {
      const auto take = [&](Rows<S>& rows, bool wanted, Index numbers) {
        if (!wanted) return;
        rows.stride = row_stride<S>(numbers);
        rows.values = arena.take<S>(lines * rows.stride);
      };
      take(gates, true, blocks * units);
      take(state, lstm, units);
      take(fresh, lstm && regularizers.zoneout_c > 0, units);
      take(output, lstm, units);
      take(hidden, true, outputs);
      take(candidate, spec.family == Family::gru, units);
      take(norm_input, spec.layer_norm, blocks * units);
      take(norm_hidden, spec.layer_norm, blocks * units);
      take(norm_state, spec.layer_norm, units);
      take(deviations, spec.layer_norm, 3);
      take(dprojected, training && spec.projection > 0, outputs);
      take(kept_gates, training && spec.full_gate_recurrence, blocks * units);
      return arena.used();
    };
    block_ = MemoryBlock(lay_out(Arena()));
    lay_out(Arena(block_.memory()));
  }

 private:
  MemoryBlock block_;
};

// One direction of a call of forward or backward.
struct Run {
  Spec spec;
  Shape shape;
  Regularizers regularizers;
  int direction;
  bool reverse;  // each sequence from its own last step to its first

  Index time(Index t, Index length) const { return reverse ? length - 1 - t : t; }
  // units: a number of whole packets. The values beyond the real units are arbitrary.
  template <class S>
  void draw(Mask kind, Index row, Index step, Index units, S* mask) const {
    draw_mask(regularizers, {kind, direction, row, step}, units, mask);
  }
};

}  // namespace fusedlstm::staged
