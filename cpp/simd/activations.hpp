// sigmoid and tanh on packets, and their derivatives as functions of their own output.
//
// They are computed from 2^z = 2^n 2^r, where n is the integer nearest to z and r = z - n. A polynomial approximates
// 2^r. AVX-512 has instructions for r and 2^n. Otherwise, adding a large constant to z rounds it to n and leaves n in
// the lowest bits, and a shift turns n into an exponent.
//
// Cells pass z: the packed weights contain the input scales below. The plain forms, `sigmoid` and `tanh`, take x.
//
// Errors, measured by tests/core/test_core_activations.py: at most 3 ulp for the plain forms in both precisions. The
// denominators of the cells use a shorter polynomial, which costs another ulp in float.
#pragma once

#include "simd/packets.hpp"

namespace fusedlstm {

// The input scales turn x into the exponent z of a power of 2:
//   sigmoid(x) = 1 / (1 + 2^z), z = sigmoid_input_scale x
//   tanh(x) = (2^z - 1) / (2^z + 1), z = tanh_input_scale x
inline constexpr double sigmoid_input_scale = -1.4426950408889634;  // -log2(e)
inline constexpr double tanh_input_scale = 2.8853900817779268;      // 2 log2(e)

// rounder: 1.5 * 2^(mantissa bits) + exponent bias. ln2_high has so few bits that its product with an exponent is
// exact; ln2_low is ln(2) - ln2_high.
// The polynomials are minimax, from the Remez exchange, with the lowest power first. For |r| <= 1/2: `power` of 2^r
// (relative error 2^-23.7 in float and 2^-58 in double) and `rest` of (2^r - 1) / r (2^-26.5 and 2^-62). For |y| <=
// ln(2) / 2: `series` of (e^y - 1 - y) / y^2 (2^-23 and 2^-58).
template <class S>
struct Exponential;
template <>
struct Exponential<float> {
  static constexpr int mantissa_bits = 23;
  static constexpr float rounder = 12582912.0f + 127.0f;
  static constexpr float largest = 126.0f;  // 2^largest and 2^-largest are normal numbers
  static constexpr float product_limit = 48.0f;
  static constexpr float tanh_largest = 26.3f;  // beyond it, tanh is 1 to the last bit
  static constexpr float ln2_high = 0.693359375f;
  static constexpr float ln2_low = -2.12194440e-4f;
  static constexpr float power[] = {1.0000001f, 0.69314694f, 0.2402212f, 0.05550713f, 0.009675541f, 0.0013276472f};
  static constexpr float rest[] = {0.6931472f, 0.24022649f, 0.055503573f, 0.009618238f, 0.0013390735f, 0.00015403512f};
  static constexpr float series[] = {0.5f, 0.16666576f, 0.041666854f, 0.008363313f, 0.0013901356f};
};
template <>
struct Exponential<double> {
  static constexpr int mantissa_bits = 52;
  static constexpr double rounder = 6755399441055744.0 + 1023.0;
  static constexpr double largest = 1022.0;
  static constexpr double product_limit = 400.0;
  static constexpr double tanh_largest = 56.0;
  static constexpr double ln2_high = 0.693145751953125;
  static constexpr double ln2_low = 1.4286068203094172e-06;
  static constexpr double power[] = {1.0,
                                     0.6931471805599453,
                                     0.24022650695910155,
                                     0.055504108664819925,
                                     0.009618129107588335,
                                     0.0013333558146789923,
                                     0.00015403530462514432,
                                     1.5252733489988525e-05,
                                     1.32154330896764e-06,
                                     1.0178198021671931e-07,
                                     7.074105613508143e-09,
                                     4.435282706957277e-10};
  static constexpr double rest[] = {0.6931471805599453,     0.24022650695910072,    0.055504108664821625,
                                    0.009618129107628437,   0.001333355814640663,   0.00015403530393466168,
                                    1.5252733841378434e-05, 1.3215486721358577e-06, 1.0178057169304503e-07,
                                    7.054932271604157e-09,  4.45580485154588e-10,   2.5678429104123612e-11};
  static constexpr double series[] = {0.5,
                                      0.1666666666666667,
                                      0.041666666666666616,
                                      0.008333333333326,
                                      0.0013888888888918633,
                                      0.0001984126987530387,
                                      2.480158724477388e-05,
                                      2.7557254775825225e-06,
                                      2.75573499674809e-07,
                                      2.510548039004023e-08,
                                      2.0889448118150867e-09};
};

template <class S, std::size_t Count>
FUSEDLSTM_INLINE Pack<S> polynomial(const S (&coefficients)[Count], Pack<S> x) {
  Pack<S> value = fill(coefficients[Count - 1]);
  FUSEDLSTM_UNROLL
  for (int i = int(Count) - 2; i >= 0; i--) value = fma(x, value, fill(coefficients[i]));
  return value;
}

// z = n + r and scale = 2^n, for z clamped to [-limit, limit]. With the instructions for 2^n, only the upper limit is
// needed: 2^n becomes 0.
template <class S>
struct SplitExp2 {
  Pack<S> n, r, scale;
};
template <class S>
FUSEDLSTM_INLINE SplitExp2<S> split_exp2(S limit, Pack<S> z) {
  if constexpr (has_exp2_instructions) {
    z = min(z, fill(limit));
    const Pack<S> r = distance_to_integer(z), n = z - r;
    return {n, r, times_exp2(fill(S(1)), n)};
  } else {
    const Pack<S> rounder = fill(Exponential<S>::rounder);
    z = clamp(z, fill(-limit), fill(limit));
    const Pack<S> shifted = z + rounder, n = shifted - rounder;
    return {n, z - n, shift_left<Exponential<S>::mantissa_bits>(shifted)};
  }
}
// An activation as numerator / denominator. Division is by far the slowest operation here. A cell multiplies the
// fractions first and divides once. The denominators are at most about 2^product_limit (sigmoid) and 2^tanh_largest
// (tanh). The product of two denominators of sigmoids and one of a tanh, and its reciprocal, are normal numbers.
template <class S>
struct Fraction {
  Pack<S> numerator, denominator;
};
// The denominator of 1 / (1 + 2^z).
template <class S>
FUSEDLSTM_INLINE Pack<S> sigmoid_denominator(Pack<S> z) {
  const SplitExp2<S> power = split_exp2(Exponential<S>::product_limit, z);
  return fma(power.scale, polynomial(Exponential<S>::power, power.r), fill(S(1)));
}
// The fraction (2^z - 1) / (2^z + 1).
template <class S>
FUSEDLSTM_INLINE Fraction<S> tanh_fraction(Pack<S> z) {
  const SplitExp2<S> power = split_exp2(Exponential<S>::tanh_largest, z);
  const Pack<S> rest = power.r * polynomial(Exponential<S>::rest, power.r);
  const Pack<S> numerator = fma(power.scale, rest, power.scale - fill(S(1)));
  return {numerator, numerator + fill(S(2))};
}

// The plain forms, for any x. The rounding error of x log2(e) grows with |x| and would be about |x| ulp of e^x.
// The product is therefore used only to find n, and the remainder y = x - n ln(2) is computed from x.
template <class S>
struct SplitExp {
  Pack<S> scale, rest;  // e^x = scale * (1 + rest)
};
template <class S>
FUSEDLSTM_INLINE SplitExp<S> split_exp(S limit, Pack<S> x) {
  using E = Exponential<S>;
  x = clamp(x, fill(-limit), fill(limit));
  const SplitExp2<S> power = split_exp2(E::largest, x * fill(S(-sigmoid_input_scale)));
  const Pack<S> y = (x - power.n * fill(E::ln2_high)) - power.n * fill(E::ln2_low);
  return {power.scale, fma(y * y, polynomial(E::series, y), y)};
}
template <class S>
FUSEDLSTM_INLINE Pack<S> sigmoid(Pack<S> x) {
  const auto e = split_exp(Exponential<S>::largest * S(0.69), zero<S>() - x);
  return fill(S(1)) / (fill(S(1)) + fma(e.scale, e.rest, e.scale));
}
template <class S>
FUSEDLSTM_INLINE Pack<S> tanh(Pack<S> x) {
  const auto e = split_exp(Exponential<S>::tanh_largest, x + x);
  const Pack<S> numerator = fma(e.scale, e.rest, e.scale - fill(S(1)));  // e^2x - 1
  return numerator / (numerator + fill(S(2)));
}

// The derivatives a (1 - a) and 1 - a^2 of a = sigmoid(x) and a = tanh(x).
template <class S>
FUSEDLSTM_INLINE Pack<S> sigmoid_slope(Pack<S> a) {
  return a * (fill(S(1)) - a);
}
template <class S>
FUSEDLSTM_INLINE Pack<S> tanh_slope(Pack<S> a) {
  return fill(S(1)) - a * a;
}

}  // namespace fusedlstm
