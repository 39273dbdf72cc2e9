// LSTM with forget gate (Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000).
//
//   i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)      g = tanh(z_g)
//   c = f c' + i g                                          h = o tanh(c)
#pragma once

#include "../activations.hpp"
#include "../cell.hpp"

namespace fusedlstm {

template <class S>
struct LstmEquations {
  static constexpr int blocks = 4;
  enum { I, F, G, O };
  struct Gates {
    Pack<S> at[blocks];
  };

  // c = f c' + i g, with one division for the three gates: 1/f = (i g) / (f i g) and so on.
  template <class Kept>
  static FUSEDLSTM_INLINE Pack<S> state(const Gates& z, Pack<S> state_before, const Kept& kept) {
    const Pack<S> i = sigmoid_denominator(z.at[I]), f = sigmoid_denominator(z.at[F]);
    const Fraction<S> g = tanh_fraction(z.at[G]);
    const Pack<S> ig = i * g.denominator;
    const Pack<S> one_over_fig = fill(S(1)) / (f * ig);
    const Pack<S> one_over_f = one_over_fig * ig, one_over_ig = one_over_fig * f;
    kept.gate(I, one_over_ig * g.denominator);
    kept.gate(F, one_over_f);
    kept.gate(G, one_over_ig * i * g.numerator);
    return fma(one_over_f, state_before, one_over_ig * g.numerator);
  }

  // h = o tanh(c), with one division for both.
  template <class Kept>
  static FUSEDLSTM_INLINE Pack<S> hidden(const Gates& z, Pack<S> state, const Kept& kept) {
    const Pack<S> o = sigmoid_denominator(z.at[O]);
    const Fraction<S> tanh_c = tanh_fraction(fill(S(tanh_factor)) * state);
    const Pack<S> one_over_both = fill(S(1)) / (o * tanh_c.denominator);
    kept.gate(O, one_over_both * tanh_c.denominator);
    kept.derive(one_over_both * o * tanh_c.numerator);
    return one_over_both * tanh_c.numerator;
  }

  // dc = dc from the step after + dh o (1 - tanh(c)^2)      dc' = dc f
  // dz_i = dc g i (1 - i)   dz_f = dc c' f (1 - f)   dz_g = dc i (1 - g^2)   dz_o = dh tanh(c) o (1 - o)
  // Gates turn from activations into dz, dstate from dc into dc', derived from tanh(c) into h.
  static FUSEDLSTM_INLINE void backward(Pack<S> dh, Pack<S> state_before, S* dstate, S* gates, S* derived) {
    constexpr int size = pack_size<S>;
    const Pack<S> i = load(gates + I * size), f = load(gates + F * size);
    const Pack<S> g = load(gates + G * size), o = load(gates + O * size);
    const Pack<S> tanh_c = load(derived), h = o * tanh_c;
    const Pack<S> dc = fma(dh, o - h * tanh_c, load(dstate));
    const Pack<S> dc_before = dc * f;
    store(gates + I * size, dc * g * sigmoid_slope(i));
    store(gates + F * size, dc_before * state_before * (fill(S(1)) - f));
    store(gates + G * size, dc * i * tanh_slope(g));
    store(gates + O * size, dh * h * (fill(S(1)) - o));
    store(dstate, dc_before);
    store(derived, h);
  }
};

template <class S>
inline constexpr Cell<S> lstm_cell =
    CellLoops<S, LstmEquations<S>>::cell("lstm", {sigmoid_factor, sigmoid_factor, tanh_factor, sigmoid_factor});

}  // namespace fusedlstm
