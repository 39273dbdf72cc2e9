// The LSTM (Hochreiter and Schmidhuber 1997) with forget gate (Gers, Schmidhuber and Cummins 2000):
//
//   i = sigmoid(z_i)      f = sigmoid(z_f)      g = tanh(z_g)      o = sigmoid(z_o)
//   c = f c_prev + i g    h = o tanh(c)
//
// z = W_ih x + W_hh h_prev + b. g: the candidate. This file computes the specifications with all three gates, sigmoid,
// tanh and tanh, and no other option than a projection and its bias.
#pragma once

#include "cells/cell_loops.hpp"
#include "cells/shared_division.hpp"

namespace fusedlstm {

template <class S>
struct LstmEquations {
  static constexpr int I = 0, F = 1, G = 2, O = 3;
  static constexpr GateLayout gates = GateLayout::uniform(4);
  static constexpr double input_scale[max_gates] = {sigmoid_input_scale, sigmoid_input_scale, tanh_input_scale,
                                                    sigmoid_input_scale};
  static constexpr double unit_weight_scale = 1;
  static constexpr RecurrentState recurrent_state = RecurrentState::c;
  static constexpr bool has_candidate = true;

  // z contains the input scales, because the packed weights do; c does not. ig = i g. The mask of dropout multiplies g,
  // and therefore i g.
  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> next_c(const Preactivations<S>& z, Pack<S> c_prev, const Units& units) {
    const auto [i, f, g, ig] = input_gates(sigmoid_denominator(z[I]), sigmoid_denominator(z[F]), tanh_fraction(z[G]));
    units.save_gate(I, i);
    units.save_gate(F, f);
    units.save_gate(G, g);
    return fma(f, c_prev, units.dropout(ig));
  }

  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> next_h(const Preactivations<S>& z, Pack<S> c, const Units& units) {
    const auto [o, tanh_c, h] = output_gate(sigmoid_denominator(z[O]), tanh_fraction(fill(S(tanh_input_scale)) * c));
    units.save_gate(O, o);
    units.save_h_factor(tanh_c);
    return h;
  }

  //   dz_o = dh tanh(c) o (1 - o) = dh h (1 - o)           dc += dh o (1 - tanh(c)^2)
  //   dc_prev = dc f
  //   dz_i = dc g i (1 - i)
  //   dz_f = dc c_prev f (1 - f) = dc_prev c_prev (1 - f)
  //   dz_g = dc i (1 - g^2)
  //
  // With dropout, g in dz_i is the dropped candidate, and dz_g is multiplied by the mask.
  //
  // gates_array: in, the activations; out, dz. dc_array: in, dc from the next step; out, dc_prev. h_factor_array: in,
  // tanh(c); out, h.
  template <class Units>
  static FUSEDLSTM_INLINE void backward(Pack<S> dh, Pack<S> c_prev, const Units& units, S* dc_array, S* gates_array,
                                        S* h_factor_array) {
    const Pack<S> slope = backward_h(dh, gates_array, h_factor_array);
    backward_c(fma(dh, slope, load(dc_array)), c_prev, units, dc_array, gates_array);
  }

  // dz_o and h. Returns dh/dc = o (1 - tanh(c)^2) = o - h tanh(c).
  static FUSEDLSTM_INLINE Pack<S> backward_h(Pack<S> dh, S* gates_array, S* h_factor_array) {
    const Pack<S> o = load(gates_array + O * pack_size<S>), tanh_c = load(h_factor_array), h = o * tanh_c;
    const Pack<S> dz_o = dh * h * (fill(S(1)) - o);
    store(gates_array + O * pack_size<S>, dz_o);
    store(h_factor_array, h);
    return o - h * tanh_c;
  }

  // dz_i, dz_f, dz_g and dc_prev.
  template <class Units>
  static FUSEDLSTM_INLINE void backward_c(Pack<S> dc, Pack<S> c_prev, const Units& units, S* dc_array, S* gates_array) {
    constexpr int size = pack_size<S>;
    const Pack<S> i = load(gates_array + I * size), f = load(gates_array + F * size), g = load(gates_array + G * size);
    const Pack<S> dc_prev = dc * f;
    const Pack<S> dz_i = dc * units.dropout(g) * sigmoid_slope(i);
    const Pack<S> dz_f = dc_prev * c_prev * (fill(S(1)) - f);
    const Pack<S> dz_g = units.dropout(dc * i) * tanh_slope(g);
    store(gates_array + I * size, dz_i);
    store(gates_array + F * size, dz_f);
    store(gates_array + G * size, dz_g);
    store(dc_array, dc_prev);
  }

  static bool matches(const CellSpec& spec) {
    return spec.has_default_activations() && spec.reset_after && !spec.peepholes && !spec.coupled && spec.input_gate &&
           spec.forget_gate && spec.output_gate && !spec.clips() && !spec.full_gate_recurrence && !spec.layer_norm;
  }
};

}  // namespace fusedlstm
