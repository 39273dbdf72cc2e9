// The LSTM (Hochreiter and Schmidhuber 1997) with forget gate (Gers, Schmidhuber and Cummins 2000), and variants with
// peepholes (Gers, Schraudolph and Schmidhuber 2002) or without one of the parts (Greff et al. 2015).
//
//   i = sigmoid(z_i + p_i c_prev)      f = sigmoid(z_f + p_f c_prev)      g = tanh(z_g)
//   c = f c_prev + i g                 o = sigmoid(z_o + p_o c)           h = o tanh(c)
//
// z = W_ih x + W_hh h_prev + b. p: peepholes. g: the candidate.
//
// A division is much slower than a multiplication, and every activation here is a fraction: i = 1 / den_i,
// f = 1 / den_f, g = num_g / den_g. They share one division:
//
//   inverse = 1 / (den_i den_f den_g)      f = inverse den_i den_g      i g = inverse den_f num_g
//
// o and tanh(c) share another division.
#pragma once

#include "cells/cell_loops.hpp"
#include "simd/activations.hpp"

namespace fusedlstm {

// The parts of a variant. Each variant lists what differs from the plain LSTM.
struct PlainLstm {
  static constexpr bool input_gate = true, forget_gate = true, output_gate = true;
  static constexpr bool coupled = false;  // i = 1 - f
  static constexpr bool peepholes = false;
  static constexpr bool candidate_tanh = true, output_tanh = true;
};
struct PeepholeLstm : PlainLstm {
  static constexpr bool peepholes = true;
};
struct CoupledLstm : PlainLstm {
  static constexpr bool input_gate = false, coupled = true;
};
struct CoupledPeepholeLstm : CoupledLstm {
  static constexpr bool peepholes = true;
};
struct NoInputGateLstm : PlainLstm {
  static constexpr bool input_gate = false;
};
struct NoForgetGateLstm : PlainLstm {
  static constexpr bool forget_gate = false;
};
struct NoOutputGateLstm : PlainLstm {
  static constexpr bool output_gate = false;
};
struct LinearCandidateLstm : PlainLstm {
  static constexpr bool candidate_tanh = false;
};
struct LinearOutputLstm : PlainLstm {
  static constexpr bool output_tanh = false;
};

template <class S, class Kind>
struct LstmEquations {
  static constexpr bool has_i = Kind::input_gate, has_f = Kind::forget_gate, has_o = Kind::output_gate;
  // The index of each gate, in the order i, f, g, o, and of each peephole, in the order i, f, o. Absent gates and
  // peepholes are not counted.
  static constexpr int I = 0, F = has_i, G = F + has_f, O = G + 1;
  static constexpr int P_I = 0, P_F = has_i, P_O = has_i + has_f;
  static constexpr GateLayout gates =
      GateLayout::uniform(has_i + has_f + 1 + has_o, Kind::peepholes ? has_i + has_f + has_o : 0);
  static constexpr double unit_weight_scale = sigmoid_input_scale;
  static constexpr double candidate_scale = Kind::candidate_tanh ? tanh_input_scale : 1;
  // Without O, the last entry is not used.
  static constexpr double input_scale[max_gates] = {
      0 == G ? candidate_scale : sigmoid_input_scale, 1 == G ? candidate_scale : sigmoid_input_scale,
      2 == G ? candidate_scale : sigmoid_input_scale, sigmoid_input_scale};
  static constexpr RecurrentState recurrent_state = RecurrentState::c;
  static constexpr bool has_candidate = true;

  // c = f c_prev + i g
  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> next_c(const Preactivations<S>& z, Pack<S> c_prev, const Units& units) {
    const Pack<S> one = fill(S(1));
    const Fraction<S> g = candidate(z[G]);
    if constexpr (Kind::coupled) {  // c = f c_prev + (1 - f) g
      const Pack<S> den_f = sigmoid_denominator(with_peephole(z, F, P_F, c_prev, units));
      const Pack<S> inverse = one / (den_f * g.denominator);
      const Pack<S> f = inverse * g.denominator, g_value = inverse * den_f * g.numerator;
      units.save_gate(F, f);
      units.save_gate(G, g_value);
      return fma(f, c_prev, (one - f) * units.dropout(g_value));
    } else {
      const Pack<S> den_i = has_i ? sigmoid_denominator(with_peephole(z, I, P_I, c_prev, units)) : one;
      const Pack<S> den_ig = has_i ? den_i * g.denominator : g.denominator;
      Pack<S> f, inverse_ig;  // inverse_ig = 1 / (den_i den_g)
      if constexpr (has_f) {
        const Pack<S> den_f = sigmoid_denominator(with_peephole(z, F, P_F, c_prev, units));
        const Pack<S> inverse = one / (den_f * den_ig);
        f = inverse * den_ig;
        inverse_ig = inverse * den_f;
        units.save_gate(F, f);
      } else {
        inverse_ig = one / den_ig;
      }
      if constexpr (has_i) units.save_gate(I, inverse_ig * g.denominator);
      units.save_gate(G, has_i ? inverse_ig * den_i * g.numerator : inverse_ig * g.numerator);
      const Pack<S> ig = inverse_ig * units.dropout(g.numerator);
      if constexpr (has_f) return fma(f, c_prev, ig);
      else return c_prev + ig;
    }
  }

  // h = o tanh(c)
  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> next_h(const Preactivations<S>& z, Pack<S> c, const Units& units) {
    const Pack<S> one = fill(S(1));
    Fraction<S> tanh_c = {c, one};
    if constexpr (Kind::output_tanh) tanh_c = tanh_fraction(fill(S(tanh_input_scale)) * c);
    if constexpr (!has_o) {
      const Pack<S> h = tanh_c.numerator / tanh_c.denominator;
      units.save_h_factor(h);
      return h;
    } else {
      const Pack<S> den_o = sigmoid_denominator(with_peephole(z, O, P_O, c, units));
      const Pack<S> inverse = one / (den_o * tanh_c.denominator);
      units.save_gate(O, inverse * tanh_c.denominator);
      units.save_h_factor(inverse * den_o * tanh_c.numerator);
      return inverse * tanh_c.numerator;
    }
  }

  // With a = tanh(c):
  //   dz_o = dh a o (1 - o)           dc += dh o (1 - a^2) + dz_o p_o
  //   dz_i = dc g i (1 - i)           dz_f = dc c_prev f (1 - f)           dz_g = dc i (1 - g^2)
  //   dc_prev = dc f + dz_i p_i + dz_f p_f
  // If i = 1 - f, dz_f = dc (c_prev - g) f (1 - f). With dropout, g in dz_i and dz_f is the dropped candidate, and dz_g
  // is multiplied by the mask.
  //
  // gates_array: in, the activations; out, dz. dc_array: in, dc from the next step; out, dc_prev. h_factor: in, a;
  // out, h. Without an output gate h = a, and h_factor stays as it is.
  template <class Units>
  static FUSEDLSTM_INLINE void backward(Pack<S> dh, Pack<S> c_prev, const Units& units, S* dc_array, S* gates_array,
                                        S* h_factor) {
    constexpr int size = pack_size<S>;
    const Pack<S> one = fill(S(1)), a = load(h_factor);
    Pack<S> dc = load(dc_array);
    // dz_o, and dc of this step.
    if constexpr (has_o) {
      const Pack<S> o = load(gates_array + O * size), h = o * a, dz_o = dh * h * (one - o);
      dc = fma(dh, Kind::output_tanh ? o - h * a : o, dc);
      if constexpr (Kind::peepholes) dc = fma(dz_o, units.weights[P_O], dc);
      store(gates_array + O * size, dz_o);
      store(h_factor, h);
    } else {
      dc = fma(dh, tanh_slope(a), dc);
    }
    // dz_i, dz_f and dc_prev. An absent gate is 1.
    const Pack<S> g = load(gates_array + G * size), dropped_g = units.dropout(g);
    Pack<S> i = one, dc_prev = dc;
    if constexpr (has_i) {
      i = load(gates_array + I * size);
      const Pack<S> dz_i = dc * dropped_g * sigmoid_slope(i);
      store(gates_array + I * size, dz_i);
      if constexpr (has_f) dc_prev = dc * load(gates_array + F * size);
      if constexpr (has_f) store_dz_f(dc_prev * c_prev, gates_array);
      if constexpr (Kind::peepholes) {
        dc_prev = fma(dz_i, units.weights[P_I], dc_prev);
        if constexpr (has_f) dc_prev = fma(load(gates_array + F * size), units.weights[P_F], dc_prev);
      }
    } else {
      if constexpr (has_f) {
        const Pack<S> f = load(gates_array + F * size);
        dc_prev = dc * f;
        if constexpr (Kind::coupled) i = one - f;
        store_dz_f(dc_prev * (Kind::coupled ? c_prev - dropped_g : c_prev), gates_array);
        if constexpr (Kind::peepholes) dc_prev = fma(load(gates_array + F * size), units.weights[P_F], dc_prev);
      }
    }
    // dz_g
    const Pack<S> dg = units.dropout(dc * i);
    store(gates_array + G * size, Kind::candidate_tanh ? dg * tanh_slope(g) : dg);
    store(dc_array, dc_prev);
  }

  // dp_i += dz_i c_prev      dp_f += dz_f c_prev      dp_o += dz_o c
  static FUSEDLSTM_INLINE void add_unit_weight_gradients(const S* dgates, Pack<S> c_prev, Pack<S> c, Pack<S>* sums) {
    constexpr int size = pack_size<S>;
    if constexpr (has_i) sums[P_I] = fma(load(dgates + I * size), c_prev, sums[P_I]);
    if constexpr (has_f) sums[P_F] = fma(load(dgates + F * size), c_prev, sums[P_F]);
    if constexpr (has_o) sums[P_O] = fma(load(dgates + O * size), c, sums[P_O]);
  }

 private:
  // z[gate] + p c
  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> with_peephole(const Preactivations<S>& z, int gate, int peephole, Pack<S> c,
                                                const Units& units) {
    if constexpr (Kind::peepholes) return fma(units.weights[peephole], c, z[gate]);
    else return z[gate];
  }
  // g = tanh(z), or z with a linear candidate.
  static FUSEDLSTM_INLINE Fraction<S> candidate(Pack<S> z) {
    if constexpr (Kind::candidate_tanh) return tanh_fraction(z);
    else return {z, fill(S(1))};
  }
  // Replaces f by dz_f = f_df (1 - f), where f_df is f dL/df.
  static FUSEDLSTM_INLINE void store_dz_f(Pack<S> f_df, S* gates_array) {
    S* f = gates_array + F * pack_size<S>;
    store(f, f_df * (fill(S(1)) - load(f)));
  }
};

}  // namespace fusedlstm
