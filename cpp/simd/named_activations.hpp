// The activations that layers take by name: the operators of ONNX. Each has a value and a derivative, which is a
// function of the value. Some take the parameters alpha and beta.
//
// A NaN gives a NaN. Infinities give the limits. tests/core/test_core_activations.py measures the errors.
#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "simd/activations.hpp"

namespace fusedlstm {

// e^x - 1 for x <= 0.
template <class S>
FUSEDLSTM_INLINE Pack<S> expm1(Pack<S> x) {
  const auto e = split_exp(Exponential<S>::largest * S(0.69), x);
  return fma(e.scale, e.rest, e.scale - fill(S(1)));
}
// log(1 + t) for 0 <= t <= 1, as the power series of 2 atanh(s) with s = t / (2 + t) <= 1/3.
template <class S>
FUSEDLSTM_INLINE Pack<S> log1p(Pack<S> t) {
  constexpr int terms = sizeof(S) == 4 ? 8 : 17;
  const Pack<S> s = t / (t + fill(S(2))), square = s * s;
  Pack<S> series = fill(S(2) / S(2 * terms + 1));
  for (int k = terms - 1; k > 0; k--) series = fma(square, series, fill(S(2) / S(2 * k + 1)));
  return fma(s * square, series, s + s);
}
template <class S>
FUSEDLSTM_INLINE Pack<S> negative_part(Pack<S> x) {
  return relu(zero<S>() - x);
}

namespace detail {

// value: y = f(x). gradient: dL/dx from dL/dy and y.
template <class S>
struct Linear {
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const { return x; }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S>) const { return dy; }
};
template <class S>
struct Sigmoid {
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const { return sigmoid(x); }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const { return dy * sigmoid_slope(y); }
};
template <class S>
struct Tanh {
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const { return tanh(x); }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const { return dy * tanh_slope(y); }
};
template <class S>
struct Relu {
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const { return relu(x); }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const { return where_positive(y, dy); }
};
// x if x > 0, otherwise alpha x
template <class S>
struct LeakyRelu {
  Pack<S> alpha;
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const { return relu(x) - alpha * negative_part(x); }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const {
    const Pack<S> above = where_positive(y, dy);
    return above + alpha * (dy - above);
  }
};
// x if x > alpha, otherwise 0
template <class S>
struct ThresholdedRelu {
  Pack<S> alpha;
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const {
    const Pack<S> nan_or_zero = clamp(x, zero<S>(), zero<S>());
    return where_positive(x - alpha, x) + nan_or_zero;
  }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const {
    return where_positive(relu(y) + negative_part(y), dy);
  }
};
// alpha tanh(beta x)
template <class S>
struct ScaledTanh {
  Pack<S> alpha, beta, one_over_alpha;
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const { return alpha * tanh(beta * x); }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const {
    return dy * alpha * beta * tanh_slope(y * one_over_alpha);
  }
};
// alpha x + beta, clamped to [0, 1]
template <class S>
struct HardSigmoid {
  Pack<S> alpha, beta;
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const { return clamp(fma(alpha, x, beta), zero<S>(), fill(S(1))); }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const {
    return where_positive(y, where_positive(fill(S(1)) - y, alpha * dy));
  }
};
// x if x > 0, otherwise alpha (e^x - 1)
template <class S>
struct Elu {
  Pack<S> alpha;
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const { return fma(alpha, expm1(zero<S>() - negative_part(x)), relu(x)); }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const {
    const Pack<S> above = where_positive(y, dy);
    return fma(dy - above, y + alpha, above);
  }
};
// x / (1 + |x|)
template <class S>
struct Softsign {
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const {
    constexpr S largest = std::numeric_limits<S>::max();
    x = clamp(x, fill(-largest), fill(largest));
    return x / (fill(S(1)) + relu(x) + negative_part(x));
  }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const {
    const Pack<S> rest = fill(S(1)) - relu(y) - negative_part(y);
    return dy * rest * rest;
  }
};
// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
template <class S>
struct Softplus {
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const {
    const Pack<S> above = relu(x);
    const Pack<S> power = exp_of_negative(zero<S>() - above - negative_part(x));
    return above + log1p(power);
  }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S> y) const { return zero<S>() - dy * expm1(zero<S>() - y); }

 private:
  static FUSEDLSTM_INLINE Pack<S> exp_of_negative(Pack<S> x) {
    const auto e = split_exp(Exponential<S>::largest * S(0.69), x);
    return fma(e.scale, e.rest, e.scale);
  }
};
// alpha x + beta
template <class S>
struct Affine {
  Pack<S> alpha, beta;
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> x) const { return fma(alpha, x, beta); }
  FUSEDLSTM_INLINE Pack<S> gradient(Pack<S> dy, Pack<S>) const { return alpha * dy; }
};

}  // namespace detail

struct Activation {
  enum Kind {
    linear,
    sigmoid,
    tanh,
    relu,
    leaky_relu,
    thresholded_relu,
    scaled_tanh,
    hard_sigmoid,
    elu,
    softsign,
    softplus,
    affine
  };
  Kind kind = linear;
  double alpha = 0, beta = 0;
};

// The activation with the default alpha and beta of ONNX; nothing for an unknown name.
inline std::optional<Activation> find_activation(std::string_view name) {
  constexpr std::pair<std::string_view, Activation> all[] = {
      {"linear", {Activation::linear, 0, 0}},
      {"sigmoid", {Activation::sigmoid, 0, 0}},
      {"tanh", {Activation::tanh, 0, 0}},
      {"relu", {Activation::relu, 0, 0}},
      {"leaky_relu", {Activation::leaky_relu, 0.01, 0}},
      {"thresholded_relu", {Activation::thresholded_relu, 1, 0}},
      {"scaled_tanh", {Activation::scaled_tanh, 1, 1}},
      {"hard_sigmoid", {Activation::hard_sigmoid, 0.2, 0.5}},
      {"elu", {Activation::elu, 1, 0}},
      {"softsign", {Activation::softsign, 0, 0}},
      {"softplus", {Activation::softplus, 0, 0}},
      {"affine", {Activation::affine, 1, 0}},
  };
  for (const auto& [known, activation] : all)
    if (known == name) return activation;
  return std::nullopt;
}
// The derivative must be a function of y. With a negative alpha, two x with different derivatives have the same y.
inline bool has_gradient(const Activation& activation) {
  return activation.alpha >= 0 || (activation.kind != Activation::leaky_relu && activation.kind != Activation::elu);
}

// Calls work(function), where function is one of the structs above.
template <class S, class Work>
auto with_activation(const Activation& activation, Work&& work) {
  const Pack<S> alpha = fill(S(activation.alpha)), beta = fill(S(activation.beta));
  switch (activation.kind) {
    case Activation::sigmoid: return work(detail::Sigmoid<S>{});
    case Activation::tanh: return work(detail::Tanh<S>{});
    case Activation::relu: return work(detail::Relu<S>{});
    case Activation::leaky_relu: return work(detail::LeakyRelu<S>{alpha});
    case Activation::thresholded_relu: return work(detail::ThresholdedRelu<S>{alpha});
    case Activation::scaled_tanh: {
      const S inverse = S(1) / S(activation.alpha);
      return work(detail::ScaledTanh<S>{alpha, beta, fill(std::isfinite(inverse) ? inverse : S(0))});
    }
    case Activation::hard_sigmoid: return work(detail::HardSigmoid<S>{alpha, beta});
    case Activation::elu: return work(detail::Elu<S>{alpha});
    case Activation::softsign: return work(detail::Softsign<S>{});
    case Activation::softplus: return work(detail::Softplus<S>{});
    case Activation::affine: return work(detail::Affine<S>{alpha, beta});
    default: return work(detail::Linear<S>{});
  }
}

// y = f(x) for n numbers. y may be x.
template <class S>
void activate(const Activation& activation, const S* x, Index n, S* y) {
  with_activation<S>(activation, [&](auto function) {
    Index k = 0;
    for (; k + pack_size<S> <= n; k += pack_size<S>) store(y + k, function.value(load(x + k)));
    if (k < n) store_first(y + k, function.value(load_first(x + k, n - k)), n - k);
  });
}
// dL/dx from dL/dy and y for n numbers. dx may be dy or y.
template <class S>
void activation_gradient(const Activation& activation, const S* dy, const S* y, Index n, S* dx) {
  with_activation<S>(activation, [&](auto function) {
    Index k = 0;
    for (; k + pack_size<S> <= n; k += pack_size<S>) store(dx + k, function.gradient(load(dy + k), load(y + k)));
    if (k < n) store_first(dx + k, function.gradient(load_first(dy + k, n - k), load_first(y + k, n - k)), n - k);
  });
}

// The same functions for the bindings, compiled in layers.cpp. The drivers in layers.cpp inline the functions above.
template <class S>
void activate_array(const Activation& activation, const S* x, Index n, S* y) {
  activate(activation, x, n, y);
}
template <class S>
void activation_gradient_array(const Activation& activation, const S* dy, const S* y, Index n, S* dx) {
  activation_gradient(activation, dy, y, n, dx);
}
#define FUSEDLSTM_ACTIVATIONS(declare, S)                                       \
  declare template void activate_array(const Activation&, const S*, Index, S*); \
  declare template void activation_gradient_array(const Activation&, const S*, const S*, Index, S*)
FUSEDLSTM_ACTIVATIONS(extern, float);
FUSEDLSTM_ACTIVATIONS(extern, double);

}  // namespace fusedlstm
