// The LSTM (Hochreiter and Schmidhuber 1997) with forget gate (Gers, Schmidhuber and Cummins 2000), and its relatives
// that leave a part out or add peepholes (Gers, Schraudolph and Schmidhuber 2002; Greff et al. 2015).
//
//   i, f = sigmoid(z_i + p_i c'), sigmoid(z_f + p_f c')     g = tanh(z_g)       c = f c' + i g
//   o = sigmoid(z_o + p_o c)                                                   h = o tanh(c)
#pragma once

#include "cells/cell_loops.hpp"
#include "simd/activations.hpp"

namespace fusedlstm {

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
  // Blocks in the order i, f, g, o and peepholes in the order i, f, o, without those that are absent.
  static constexpr int I = 0, F = has_i, G = F + has_f, O = G + 1;
  static constexpr int PI = 0, PF = has_i, PO = has_i + has_f;
  static constexpr Blocks blocks =
      Blocks::alike(has_i + has_f + 1 + has_o, Kind::peepholes ? has_i + has_f + has_o : 0);
  static constexpr double vector_factor = sigmoid_factor;
  static constexpr double candidate_factor = Kind::candidate_tanh ? tanh_factor : 1;
  // The last block has the factor of G where there is no O.
  static constexpr double factors[most_blocks] = {0 == G ? candidate_factor : sigmoid_factor,
                                                  1 == G ? candidate_factor : sigmoid_factor,
                                                  2 == G ? candidate_factor : sigmoid_factor, sigmoid_factor};
  static constexpr Carried carried = Carried::state;
  static constexpr bool has_candidate = true;

  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> gate(const Gates<S>& z, int block, int peephole, Pack<S> c, const Units& units) {
    if constexpr (Kind::peepholes) return fma(units.vectors[peephole], c, z.at[block]);
    else return z.at[block];
  }

  // c = f c' + i g, with one division for all: 1/f = (i g) / (f i g) and so on, i, f, g standing for denominators.
  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> state(const Gates<S>& z, Pack<S> before, const Units& units) {
    const Fraction<S> g = candidate(z.at[G]);
    if constexpr (Kind::coupled) {
      const Pack<S> f = sigmoid_denominator(gate(z, F, PF, before, units));
      const Pack<S> one_over_fg = fill(S(1)) / (f * g.denominator);
      const Pack<S> one_over_f = one_over_fg * g.denominator, tanh_g = one_over_fg * f * g.numerator;
      units.keep_gate(F, one_over_f);
      units.keep_gate(G, tanh_g);
      return fma(one_over_f, before, (fill(S(1)) - one_over_f) * units.drop(tanh_g));
    } else {
      const Pack<S> i = has_i ? sigmoid_denominator(gate(z, I, PI, before, units)) : fill(S(1));
      const Pack<S> ig = has_i ? i * g.denominator : g.denominator;
      Pack<S> one_over_ig, one_over_f;
      if constexpr (has_f) {
        const Pack<S> f = sigmoid_denominator(gate(z, F, PF, before, units));
        const Pack<S> one_over_fig = fill(S(1)) / (f * ig);
        one_over_f = one_over_fig * ig;
        one_over_ig = one_over_fig * f;
        units.keep_gate(F, one_over_f);
      } else {
        one_over_ig = fill(S(1)) / ig;
      }
      if constexpr (has_i) units.keep_gate(I, one_over_ig * g.denominator);
      units.keep_gate(G, has_i ? one_over_ig * i * g.numerator : one_over_ig * g.numerator);
      const Pack<S> added = one_over_ig * units.drop(g.numerator);
      if constexpr (has_f) return fma(one_over_f, before, added);
      else return before + added;
    }
  }

  // h = o tanh(c), with one division for both.
  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> hidden(const Gates<S>& z, Pack<S> c, const Units& units) {
    Fraction<S> out = {c, fill(S(1))};
    if constexpr (Kind::output_tanh) out = tanh_fraction(fill(S(tanh_factor)) * c);
    if constexpr (!has_o) {
      const Pack<S> h = out.numerator / out.denominator;
      units.keep_derived(h);
      return h;
    } else {
      const Pack<S> o = sigmoid_denominator(gate(z, O, PO, c, units));
      const Pack<S> one_over_both = fill(S(1)) / (o * out.denominator);
      units.keep_gate(O, one_over_both * out.denominator);
      units.keep_derived(one_over_both * o * out.numerator);
      return one_over_both * out.numerator;
    }
  }

  // a = tanh(c)      dz_o = dh a o (1 - o)      dc = dc from the step after + dh o (1 - a^2) + dz_o p_o
  // dz_i = dc g i (1 - i)   dz_f = dc c' f (1 - f)   dz_g = dc i (1 - g^2)   dc' = dc f + dz_i p_i + dz_f p_f
  // Gates turn from activations into dz, dstate from dc into dc', derived from a into h.
  template <class Units>
  static FUSEDLSTM_INLINE void backward(Pack<S> dh, Pack<S> before, const Units& units, S* dstate, S* gates,
                                        S* derived) {
    constexpr int size = pack_size<S>;
    const Pack<S> one = fill(S(1)), a = load(derived);
    Pack<S> dc = load(dstate);
    if constexpr (has_o) {
      const Pack<S> o = load(gates + O * size), h = o * a, dz_o = dh * h * (one - o);
      dc = fma(dh, Kind::output_tanh ? o - h * a : o, dc);
      if constexpr (Kind::peepholes) dc = fma(dz_o, units.vectors[PO], dc);
      store(gates + O * size, dz_o);
      store(derived, h);
    } else {
      dc = fma(dh, tanh_slope(a), dc);
    }
    const Pack<S> g = load(gates + G * size), dropped_g = units.drop(g);
    Pack<S> i = one, dc_before = dc;
    if constexpr (has_i) {
      i = load(gates + I * size);
      const Pack<S> dz_i = dc * dropped_g * sigmoid_slope(i);
      store(gates + I * size, dz_i);
      if constexpr (has_f) dc_before = dc * load(gates + F * size);
      if constexpr (has_f) store_forget(dc_before * before, gates);
      if constexpr (Kind::peepholes) {
        dc_before = fma(dz_i, units.vectors[PI], dc_before);
        if constexpr (has_f) dc_before = fma(load(gates + F * size), units.vectors[PF], dc_before);
      }
    } else {
      if constexpr (has_f) {
        const Pack<S> f = load(gates + F * size);
        dc_before = dc * f;
        if constexpr (Kind::coupled) i = one - f;
        store_forget(dc_before * (Kind::coupled ? before - dropped_g : before), gates);
        if constexpr (Kind::peepholes) dc_before = fma(load(gates + F * size), units.vectors[PF], dc_before);
      }
    }
    const Pack<S> dg = units.drop(dc * i);
    store(gates + G * size, Kind::candidate_tanh ? dg * tanh_slope(g) : dg);
    store(dstate, dc_before);
  }

  static FUSEDLSTM_INLINE void add_vectors(const S* dgates, Pack<S> before, Pack<S> after, Pack<S>* sums) {
    constexpr int size = pack_size<S>;
    if constexpr (has_i) sums[PI] = fma(load(dgates + I * size), before, sums[PI]);
    if constexpr (has_f) sums[PF] = fma(load(dgates + F * size), before, sums[PF]);
    if constexpr (has_o) sums[PO] = fma(load(dgates + O * size), after, sums[PO]);
  }

 private:
  static FUSEDLSTM_INLINE Fraction<S> candidate(Pack<S> z) {
    if constexpr (Kind::candidate_tanh) return tanh_fraction(z);
    else return {z, fill(S(1))};
  }
  // dz_f from f dL/df.
  static FUSEDLSTM_INLINE void store_forget(Pack<S> f_df, S* gates) {
    S* f = gates + F * pack_size<S>;
    store(f, f_df * (fill(S(1)) - load(f)));
  }
};

}  // namespace fusedlstm
