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
FUSEDLSTM_INLINE InputGates<S> input_gates(Pack<S> den_i, Pack<S> den_f, const Fraction<S>& g) {
  const Pack<S> den_ig = den_i * g.denominator;
  const Pack<S> inverse = fill(S(1)) / (den_f * den_ig);
  const Pack<S> inverse_ig = inverse * den_f;  // 1 / (den_i den_g)
  return {inverse_ig * g.denominator, inverse * den_ig, inverse_ig * den_i * g.numerator, inverse_ig * g.numerator};
}

// o = 1 / den_o, tanh_c = num / den, and h = o tanh_c. Also for another gate and the value that it multiplies.
template <class S>
struct OutputGate {
  Pack<S> o, tanh_c, h;
};
template <class S>
FUSEDLSTM_INLINE OutputGate<S> output_gate(Pack<S> den_o, const Fraction<S>& tanh_c) {
  const Pack<S> inverse = fill(S(1)) / (den_o * tanh_c.denominator);
  return {inverse * tanh_c.denominator, inverse * den_o * tanh_c.numerator, inverse * tanh_c.numerator};
}
template <class S>
FUSEDLSTM_INLINE OutputGate<S> gate_and_value(Pack<S> den_gate, const Fraction<S>& value) {
  return output_gate(den_gate, value);
}

// a = 1 / den_a and b = 1 / den_b.
template <class S>
struct TwoGates {
  Pack<S> a, b;
};
template <class S>
FUSEDLSTM_INLINE TwoGates<S> two_gates(Pack<S> den_a, Pack<S> den_b) {
  const Pack<S> inverse = fill(S(1)) / (den_a * den_b);
  return {inverse * den_b, inverse * den_a};
}

// The value of one fraction.
template <class S>
FUSEDLSTM_INLINE Pack<S> divide(const Fraction<S>& value) {
  return value.numerator / value.denominator;
}

}  // namespace fusedlstm
