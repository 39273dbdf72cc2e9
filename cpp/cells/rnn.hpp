// The vanilla recurrent network (Elman 1990): h = tanh(z) or h = max(z, 0).
#pragma once

#include "cells/cell_loops.hpp"
#include "cells/shared_division.hpp"

namespace fusedlstm {

template <class S, bool Tanh>
struct RnnEquations {
  static constexpr GateLayout gates = GateLayout::uniform(1);
  static constexpr double input_scale[max_gates] = {Tanh ? tanh_input_scale : 1};
  static constexpr double unit_weight_scale = 1;
  static constexpr RecurrentState recurrent_state = RecurrentState::none;
  static constexpr bool has_candidate = false;

  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> next_h(const Preactivations<S>& z, Pack<S>, const Units& units) {
    Pack<S> h;
    if constexpr (Tanh) h = divide(tanh_fraction(z[0]));
    else h = relu(z[0]);
    units.save_h_factor(h);
    return h;
  }

  // tanh: dz = dh (1 - h^2). max(z, 0): dz = dh if h > 0, otherwise 0. h_factor is h, so forward saves no gate.
  template <class Units>
  static FUSEDLSTM_INLINE void backward(Pack<S> dh, Pack<S>, const Units&, S*, S* gates_array, S* h_factor_array) {
    const Pack<S> h = load(h_factor_array);
    store(gates_array, Tanh ? dh * tanh_slope(h) : where_positive(h, dh));
  }

  static bool matches(const CellSpec& spec) {
    return spec.candidate.kind == (Tanh ? Activation::tanh : Activation::relu) && spec.has_no_lstm_options() &&
           spec.reset_after;
  }
};

}  // namespace fusedlstm
