// GRU (Cho et al. 2014) in the form of PyTorch, Keras and cuDNN, where the reset gate acts on a finished product:
//
//   r, z = sigmoid(z_r), sigmoid(z_z)      n = tanh(z_x + r z_h)      h = (1 - z) n + z h'
//
// z_x is the input's part of the candidate and z_h the hidden state's, each with a bias of its own.
#pragma once

#include "cells/cell_loops.hpp"
#include "simd/activations.hpp"

namespace fusedlstm {

template <class S>
struct GruEquations {
  static constexpr int X = 0, R = 1, Z = 2, H = 3;
  // The weights stand in the order r, z, n; the input feeds x, r, z, the hidden state r, z, h.
  static constexpr Blocks blocks = {4, {2, 0, 1, -1}, {-1, 0, 1, 2}, {2, 0, 1, 3}, 0};
  static constexpr double factors[most_blocks] = {tanh_factor, sigmoid_factor, sigmoid_factor, tanh_factor};
  static constexpr double vector_factor = 1;
  static constexpr Carried carried = Carried::hidden;
  static constexpr bool has_candidate = true;

  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> state(const Gates<S>& at, Pack<S> before, const Units& units) {
    const Pack<S> r_denominator = sigmoid_denominator(at.at[R]), z_denominator = sigmoid_denominator(at.at[Z]);
    const Pack<S> one_over_both = fill(S(1)) / (r_denominator * z_denominator);
    const Pack<S> r = one_over_both * z_denominator, z = one_over_both * r_denominator;
    const Fraction<S> fraction = tanh_fraction(fma(r, at.at[H], at.at[X]));
    const Pack<S> n = fraction.numerator / fraction.denominator;
    units.keep_gate(X, n);
    units.keep_gate(R, r);
    units.keep_gate(Z, z);
    units.keep_gate(H, at.at[H] * fill(S(1 / tanh_factor)));
    return fma(z, before - units.drop(n), units.drop(n));
  }

  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> hidden(const Gates<S>&, Pack<S> h, const Units& units) {
    units.keep_derived(h);
    return h;
  }

  // dh includes what the step after sends along z.
  // dz_z = dh (h' - n) z (1 - z)   dz_x = dh (1 - z) (1 - n^2)   dz_h = dz_x r   dz_r = dz_x z_h r (1 - r)   dh' = dh z
  template <class Units>
  static FUSEDLSTM_INLINE void backward(Pack<S> dh, Pack<S> before, const Units& units, S* dstate, S* gates, S*) {
    constexpr int size = pack_size<S>;
    const Pack<S> n = load(gates + X * size), r = load(gates + R * size), z = load(gates + Z * size);
    dh = dh + load(dstate);
    const Pack<S> dh_before = dh * z;
    const Pack<S> dz_x = units.drop(dh - dh_before) * tanh_slope(n), dz_h = dz_x * r;
    store(gates + R * size, dz_h * load(gates + H * size) * (fill(S(1)) - r));
    store(gates + Z * size, dh_before * (before - units.drop(n)) * (fill(S(1)) - z));
    store(gates + X * size, dz_x);
    store(gates + H * size, dz_h);
    store(dstate, dh_before);
  }
};

}  // namespace fusedlstm
