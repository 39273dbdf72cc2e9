// The GRU (Cho et al. 2014) in the form of PyTorch, Keras and cuDNN, in which r multiplies the product
// z_h = W_hn h_prev + b_hn, not h_prev:
//
//   r = sigmoid(z_r)      z = sigmoid(z_z)      n = tanh(z_x + r z_h)      h = (1 - z) n + z h_prev
//
// z_x = W_in x + b_in is the other part of the candidate's pre-activation.
#pragma once

#include "cells/cell_loops.hpp"
#include "cells/shared_division.hpp"

namespace fusedlstm {

template <class S>
struct GruEquations {
  // The pre-activations z_x, z_r, z_z, z_h. The weights have rows for r, z and n, in this order: x feeds z_x with the
  // rows of n, h_prev feeds z_h with the rows of n, and both feed z_r and z_z.
  static constexpr int X = 0, R = 1, Z = 2, H = 3;
  static constexpr GateLayout gates = {4, {2, 0, 1, -1}, {-1, 0, 1, 2}, {2, 0, 1, 3}, 0};
  static constexpr double input_scale[max_gates] = {tanh_input_scale, sigmoid_input_scale, sigmoid_input_scale,
                                                    tanh_input_scale};
  static constexpr double unit_weight_scale = 1;
  static constexpr RecurrentState recurrent_state = RecurrentState::h;
  static constexpr bool has_candidate = true;

  // The new h, which is the recurrent state of a GRU. The pre-activations contain the input scales, because the packed
  // weights do; h_prev does not.
  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> next_c(const Preactivations<S>& preactivations, Pack<S> h_prev, const Units& units) {
    const Pack<S> z_x = preactivations[X], z_h = preactivations[H];
    const auto [r, z] = two_gates(sigmoid_denominator(preactivations[R]), sigmoid_denominator(preactivations[Z]));
    const Pack<S> n = divide(tanh_fraction(fma(r, z_h, z_x)));
    units.save_gate(X, n);
    units.save_gate(R, r);
    units.save_gate(Z, z);
    units.save_gate(H, z_h * fill(S(1 / tanh_input_scale)));  // without the input scale
    return fma(z, h_prev - units.dropout(n), units.dropout(n));
  }

  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> next_h(const Preactivations<S>&, Pack<S> h, const Units& units) {
    units.save_h_factor(h);
    return h;
  }

  //   dh_prev = dh z
  //   dz_x = dh (1 - z) (1 - n^2) = (dh - dh_prev) (1 - n^2)      dz_h = dz_x r
  //   dz_r = dz_x z_h r (1 - r) = dz_h z_h (1 - r)
  //   dz_z = dh (h_prev - n) z (1 - z) = dh_prev (h_prev - n) (1 - z)
  //
  // dh_array: in, the part of dh that comes from the next step through z; out, dh_prev. The other part of dh_prev, from
  // the product, is not computed here. h_factor is h already. With dropout, n in dz_z is the dropped candidate, and
  // dz_x is multiplied by the mask.
  template <class Units>
  static FUSEDLSTM_INLINE void backward(Pack<S> dh, Pack<S> h_prev, const Units& units, S* dh_array, S* gates_array,
                                        S*) {
    constexpr int size = pack_size<S>;
    const Pack<S> one = fill(S(1)), z_h = load(gates_array + H * size);
    const Pack<S> n = load(gates_array + X * size), r = load(gates_array + R * size), z = load(gates_array + Z * size);
    dh = dh + load(dh_array);
    const Pack<S> dh_prev = dh * z;
    const Pack<S> dz_x = units.dropout(dh - dh_prev) * tanh_slope(n), dz_h = dz_x * r;
    const Pack<S> dz_r = dz_h * z_h * (one - r);
    const Pack<S> dz_z = dh_prev * (h_prev - units.dropout(n)) * (one - z);
    store(gates_array + X * size, dz_x);
    store(gates_array + R * size, dz_r);
    store(gates_array + Z * size, dz_z);
    store(gates_array + H * size, dz_h);
    store(dh_array, dh_prev);
  }

  static bool matches(const CellSpec& spec) {
    return spec.reset_after && spec.has_default_activations() && spec.has_no_lstm_options();
  }
};

}  // namespace fusedlstm
