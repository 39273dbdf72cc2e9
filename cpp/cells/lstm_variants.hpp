// Variants of the LSTM: peepholes (Gers, Schraudolph and Schmidhuber 2002), coupled gates, both, or without one of the
// gates (Greff et al. 2015). This file computes the specifications of PeepholeLstm .. NoOutputGateLstm below, with
// sigmoid, tanh and tanh, and no other option than a projection and its bias. Other combinations of gates and peepholes
// are in general_lstm.hpp. Each variant differs from lstm.hpp in the parts that its struct lists.
//
//   i = sigmoid(z_i + p_i c_prev)      f = sigmoid(z_f + p_f c_prev)      g = tanh(z_g)
//   c = f c_prev + i g                 o = sigmoid(z_o + p_o c)           h = o tanh(c)
//
// i = 1 - f with coupled gates. An absent gate is 1. p: peepholes.
#pragma once

#include "cells/cell_loops.hpp"
#include "cells/shared_division.hpp"

namespace fusedlstm {

struct CompleteLstm {
  static constexpr bool input_gate = true, forget_gate = true, output_gate = true;
  static constexpr bool coupled = false, peepholes = false;
};
struct PeepholeLstm : CompleteLstm {
  static constexpr bool peepholes = true;
};
struct CoupledLstm : CompleteLstm {
  static constexpr bool input_gate = false, coupled = true;
};
struct CoupledPeepholeLstm : CoupledLstm {
  static constexpr bool peepholes = true;
};
struct NoInputGateLstm : CompleteLstm {
  static constexpr bool input_gate = false;
};
struct NoForgetGateLstm : CompleteLstm {
  static constexpr bool forget_gate = false;
};
struct NoOutputGateLstm : CompleteLstm {
  static constexpr bool output_gate = false;
};

template <class S, class Kind>
struct LstmVariantEquations {
  static constexpr bool has_i = Kind::input_gate, has_f = Kind::forget_gate, has_o = Kind::output_gate;
  // The index of each gate, in the order i, f, g, o, and of each peephole, in the order i, f, o. Absent gates and
  // peepholes are not counted.
  static constexpr int I = 0, F = has_i, G = F + has_f, O = G + 1;
  static constexpr int P_I = 0, P_F = has_i, P_O = has_i + has_f;
  static constexpr GateLayout gates =
      GateLayout::uniform(has_i + has_f + 1 + has_o, Kind::peepholes ? has_i + has_f + has_o : 0);
  static constexpr double unit_weight_scale = sigmoid_input_scale;
  // Without O, the last entry is not used.
  static constexpr double input_scale[max_gates] = {
      0 == G ? tanh_input_scale : sigmoid_input_scale, 1 == G ? tanh_input_scale : sigmoid_input_scale,
      2 == G ? tanh_input_scale : sigmoid_input_scale, sigmoid_input_scale};
  static constexpr RecurrentState recurrent_state = RecurrentState::c;
  static constexpr bool has_candidate = true;

  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> next_c(const Preactivations<S>& z, Pack<S> c_prev, const Units& units) {
    const Pack<S> one = fill(S(1));
    const Fraction<S> candidate = tanh_fraction(z[G]);
    Pack<S> den_i = one, den_f = one;
    if constexpr (has_i) den_i = sigmoid_denominator(with_peephole(z, I, P_I, c_prev, units));
    if constexpr (has_f) den_f = sigmoid_denominator(with_peephole(z, F, P_F, c_prev, units));
    if constexpr (!has_i) {
      const auto [f, g, fg] = gate_and_value(den_f, candidate);
      if constexpr (has_f) units.save_gate(F, f);
      units.save_gate(G, g);
      return fma(f, c_prev, (Kind::coupled ? one - f : one) * units.dropout(g));
    } else {
      const auto [i, f, g, ig] = input_gates(den_i, den_f, candidate);
      units.save_gate(I, i);
      if constexpr (has_f) units.save_gate(F, f);
      units.save_gate(G, g);
      return fma(has_f ? f : one, c_prev, units.dropout(ig));
    }
  }

  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> next_h(const Preactivations<S>& z, Pack<S> c, const Units& units) {
    const Fraction<S> fraction = tanh_fraction(fill(S(tanh_input_scale)) * c);
    if constexpr (has_o) {
      const auto [o, tanh_c, h] = output_gate(sigmoid_denominator(with_peephole(z, O, P_O, c, units)), fraction);
      units.save_gate(O, o);
      units.save_h_factor(tanh_c);
      return h;
    } else {
      const Pack<S> h = divide(fraction);
      units.save_h_factor(h);
      return h;
    }
  }

  // As in lstm.hpp. Peepholes add dc += dz_o p_o and dc_prev += dz_i p_i + dz_f p_f. With i = 1 - f,
  // dz_f = dc (c_prev - g) f (1 - f).
  template <class Units>
  static FUSEDLSTM_INLINE void backward(Pack<S> dh, Pack<S> c_prev, const Units& units, S* dc_array, S* gates_array,
                                        S* h_factor_array) {
    constexpr int size = pack_size<S>;
    const Pack<S> one = fill(S(1)), tanh_c = load(h_factor_array);
    Pack<S> dc = load(dc_array);
    if constexpr (has_o) {
      const Pack<S> o = load(gates_array + O * size), h = o * tanh_c, dz_o = dh * h * (one - o);
      dc = fma(dh, o - h * tanh_c, dc);
      if constexpr (Kind::peepholes) dc = fma(dz_o, units.weights[P_O], dc);
      store(gates_array + O * size, dz_o);
      store(h_factor_array, h);
    } else {
      dc = fma(dh, tanh_slope(tanh_c), dc);  // h = tanh(c)
    }
    const Pack<S> g = load(gates_array + G * size), dropped_g = units.dropout(g);
    Pack<S> i = one, f = one;
    if constexpr (has_f) f = load(gates_array + F * size);
    if constexpr (has_i) i = load(gates_array + I * size);
    else if constexpr (Kind::coupled) i = one - f;
    Pack<S> dc_prev = dc * f;
    if constexpr (has_i) {
      const Pack<S> dz_i = dc * dropped_g * sigmoid_slope(i);
      store(gates_array + I * size, dz_i);
      if constexpr (Kind::peepholes) dc_prev = fma(dz_i, units.weights[P_I], dc_prev);
    }
    if constexpr (has_f) {
      const Pack<S> dz_f = dc * f * (Kind::coupled ? c_prev - dropped_g : c_prev) * (one - f);
      store(gates_array + F * size, dz_f);
      if constexpr (Kind::peepholes) dc_prev = fma(dz_f, units.weights[P_F], dc_prev);
    }
    const Pack<S> dz_g = units.dropout(dc * i) * tanh_slope(g);
    store(gates_array + G * size, dz_g);
    store(dc_array, dc_prev);
  }

  // dp_i += dz_i c_prev      dp_f += dz_f c_prev      dp_o += dz_o c
  static FUSEDLSTM_INLINE void add_unit_weight_gradients(const S* dgates, Pack<S> c_prev, Pack<S> c, Pack<S>* sums) {
    constexpr int size = pack_size<S>;
    if constexpr (has_i) sums[P_I] = fma(load(dgates + I * size), c_prev, sums[P_I]);
    if constexpr (has_f) sums[P_F] = fma(load(dgates + F * size), c_prev, sums[P_F]);
    if constexpr (has_o) sums[P_O] = fma(load(dgates + O * size), c, sums[P_O]);
  }

  static bool matches(const CellSpec& spec) {
    return spec.has_default_activations() && spec.reset_after && spec.peepholes == Kind::peepholes &&
           spec.coupled == Kind::coupled && spec.has_input_gate() == has_i && spec.forget_gate == has_f &&
           spec.output_gate == has_o && !spec.clips() && !spec.full_gate_recurrence && !spec.layer_norm;
  }

 private:
  // z[gate] + p c
  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> with_peephole(const Preactivations<S>& z, int gate, int peephole, Pack<S> c,
                                                const Units& units) {
    if constexpr (Kind::peepholes) return fma(units.weights[peephole], c, z[gate]);
    else return z[gate];
  }
};

}  // namespace fusedlstm
