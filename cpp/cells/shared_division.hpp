// Activations that share one division. A division takes as long as many other operations, and every activation of a
// cell is a fraction: sigmoid(z) = 1 / den, tanh(z) = num / den.
#pragma once

#include "simd/activations.hpp"

namespace fusedlstm {

// i = 1 / den_i, f = 1 / den_f, g = num_g / den_g, and i g. Values that are not used cost nothing.
template <class S>
struct InputGates {
  Pack<S> i, f, g, ig;
};
template <class S>
FUSEDLSTM_INLINE InputGates<S> divide_once(Pack<S> den_i, Pack<S> den_f, const Fraction<S>& g) {
  const Pack<S> den_ig = den_i * g.denominator;
  const Pack<S> inverse = fill(S(1)) / (den_f * den_ig);
  const Pack<S> inverse_ig = inverse * den_f;  // 1 / (den_i den_g)
  return {inverse_ig * g.denominator, inverse * den_ig, inverse_ig * den_i * g.numerator, inverse_ig * g.numerator};
}

// gate = 1 / den, value = num / den_value, and their product.
template <class S>
struct GatedValue {
  Pack<S> gate, value, product;
};
template <class S>
FUSEDLSTM_INLINE GatedValue<S> divide_once(Pack<S> den_gate, const Fraction<S>& value) {
  const Pack<S> inverse = fill(S(1)) / (den_gate * value.denominator);
  return {inverse * value.denominator, inverse * den_gate * value.numerator, inverse * value.numerator};
}

// a = 1 / den_a and b = 1 / den_b.
template <class S>
struct TwoGates {
  Pack<S> a, b;
};
template <class S>
FUSEDLSTM_INLINE TwoGates<S> divide_once(Pack<S> den_a, Pack<S> den_b) {
  const Pack<S> inverse = fill(S(1)) / (den_a * den_b);
  return {inverse * den_b, inverse * den_a};
}

// The value of one fraction.
template <class S>
FUSEDLSTM_INLINE Pack<S> divide(const Fraction<S>& value) {
  return value.numerator / value.denominator;
}

}  // namespace fusedlstm
