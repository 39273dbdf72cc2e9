// Gradient clipping and the steps of the optimizers: one pass over the flat vectors of parameters, gradients and
// moments. `decay` is null or has one factor per parameter: 1 if weight decay applies to it, otherwise 0.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "simd/packets.hpp"

namespace fusedlstm {

namespace detail {

// Calls update(k, n) for each packet, with the first index k and the number of lanes n.
template <class S, class Update>
void for_packets(Index count, Update&& update) {
  for (Index k = 0; k < count; k += pack_size<S>) update(k, std::min(Index(pack_size<S>), count - k));
}

}  // namespace detail

// The norm if the sum of squares overflows, from values divided by the largest. Infinity or NaN if a value is not
// finite.
template <class S>
FUSEDLSTM_COLD double norm_of_large(const S* values, Index count) {
  double largest = 0, total = 0;
  for (Index k = 0; k < count; k++) {
    if (!(std::abs(double(values[k])) <= std::numeric_limits<double>::max())) return std::abs(double(values[k]));
    largest = std::max(largest, std::abs(double(values[k])));
  }
  for (Index k = 0; k < count; k++) total += double(values[k]) / largest * (double(values[k]) / largest);
  return largest * std::sqrt(total);
}

template <class S>
double norm(const S* values, Index count) {
  // The sum of a block is computed in S, the sum of all blocks in double.
  constexpr Index block = 4096;
  double total = 0;
  for (Index first = 0; first < count; first += block) {
    Pack<S> squares = zero<S>();
    detail::for_packets<S>(std::min(block, count - first), [&](Index k, Index n) {
      const Pack<S> v = load_first(values + first + k, n);
      squares = fma(v, v, squares);
    });
    total += double(sum(squares));
  }
  return total <= std::numeric_limits<double>::max() ? std::sqrt(total) : norm_of_large(values, count);
}

template <class S>
void scale(S* values, Index count, S factor) {
  detail::for_packets<S>(
      count, [&](Index k, Index n) { store_first(values + k, load_first(values + k, n) * fill(factor), n); });
}

// Multiplies the values by max_norm / length, in two steps if that factor is less than the smallest normal number of S.
template <class S>
void scale_by(S* values, Index count, double max_norm, double length) {
  const double factor = max_norm / length;
  if (factor >= double(std::numeric_limits<S>::min())) return scale(values, count, S(factor));
  for (int k = 0; k < 2; k++) scale(values, count, S(std::sqrt(max_norm) / std::sqrt(length)));
}

// Scales values to a norm of at most max_norm and returns the norm before. The norm of finite values may exceed the
// range of a double. It is then infinite, and the factor is computed from values that were scaled down.
template <class S>
double clip_norm(S* values, Index count, double max_norm) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double length = norm(values, count);
  if (!(length > max_norm)) return length;
  if (length < infinity) {
    scale_by(values, count, max_norm, length + 1e-6);
  } else if (std::all_of(values, values + count, [](S value) { return std::abs(double(value)) < infinity; })) {
    scale(values, count, S(std::ldexp(1.0, -64)));
    scale_by(values, count, max_norm, norm(values, count));
  } else {
    scale(values, count, S(0));
  }
  return length;
}

// 1 - rate, where rate is near 1: S(1) - S(rate) would lose most digits.
template <class S>
S remaining(double rate) {
  return S(1 - rate);
}
// epsilon as a normal number of S. Rounded to zero, it would not prevent a division by zero.
template <class S>
S at_least_normal(double epsilon) {
  return std::max(S(epsilon), std::numeric_limits<S>::min());
}

// The gradient with L2 regularization: g + weight_decay p where weight decay applies.
template <class S>
FUSEDLSTM_INLINE Pack<S> decayed(Pack<S> g, Pack<S> p, const S* decay, Index n, S weight_decay) {
  return decay ? fma(load_first(decay, n) * fill(weight_decay), p, g) : g;
}

// v = momentum v + g      p -= learning_rate (g + momentum v if nesterov, otherwise v)
// Without momentum, v is null.
template <class S>
void sgd_step(S* parameters, const S* gradients, S* velocity, Index count, S learning_rate, S momentum, bool nesterov,
              const S* decay, S weight_decay) {
  detail::for_packets<S>(count, [&](Index k, Index n) {
    const Pack<S> p = load_first(parameters + k, n);
    const Pack<S> g = decayed(load_first(gradients + k, n), p, decay ? decay + k : nullptr, n, weight_decay);
    Pack<S> step = g;
    if (velocity) {
      const Pack<S> v = fma(fill(momentum), load_first(velocity + k, n), g);
      store_first(velocity + k, v, n);
      step = nesterov ? fma(fill(momentum), v, g) : v;
    }
    store_first(parameters + k, p - fill(learning_rate) * step, n);
  });
}

// s = rho s + (1 - rho) g^2      p -= learning_rate g / (sqrt(s) + epsilon)
template <class S>
void rmsprop_step(S* parameters, const S* gradients, S* squares, Index count, S learning_rate, double rho,
                  double epsilon, const S* decay, S weight_decay) {
  detail::for_packets<S>(count, [&](Index k, Index n) {
    const Pack<S> p = load_first(parameters + k, n);
    const Pack<S> g = decayed(load_first(gradients + k, n), p, decay ? decay + k : nullptr, n, weight_decay);
    const Pack<S> s = fma(fill(remaining<S>(rho)) * g, g, fill(S(rho)) * load_first(squares + k, n));
    store_first(squares + k, s, n);
    store_first(parameters + k, p - fill(learning_rate) * g / (sqrt(s) + fill(at_least_normal<S>(epsilon))), n);
  });
}

// s += g^2      p -= learning_rate g / (sqrt(s) + epsilon)
template <class S>
void adagrad_step(S* parameters, const S* gradients, S* squares, Index count, S learning_rate, double epsilon,
                  const S* decay, S weight_decay) {
  detail::for_packets<S>(count, [&](Index k, Index n) {
    const Pack<S> p = load_first(parameters + k, n);
    const Pack<S> g = decayed(load_first(gradients + k, n), p, decay ? decay + k : nullptr, n, weight_decay);
    const Pack<S> s = fma(g, g, load_first(squares + k, n));
    store_first(squares + k, s, n);
    store_first(parameters + k, p - fill(learning_rate) * g / (sqrt(s) + fill(at_least_normal<S>(epsilon))), n);
  });
}

// Decoupled weight decay changes the parameters and not the gradient: p -= shrink p.
template <class S>
FUSEDLSTM_INLINE Pack<S> shrunk(Pack<S> p, const S* decay, Index n, S shrink) {
  return decay ? p - load_first(decay, n) * fill(shrink) * p : p;
}

//   m = beta1 m + (1 - beta1) g      v = beta2 v + (1 - beta2) g^2
//   p -= (step m + ahead g) / (sqrt(v) / root + epsilon)
// step, ahead and root contain the bias correction of step t. `ahead` is zero except for Nadam. `highest` is null
// except for AMSGrad, which replaces v by its largest value so far.
template <class S>
struct AdamFactors {
  S beta1, beta2, remaining1, remaining2;  // remaining: 1 - beta
  S epsilon, step, ahead, root, weight_decay, shrink;
};
template <class S>
void adam_step(S* parameters, const S* gradients, S* mean, S* squares, S* highest, Index count, const AdamFactors<S> f,
               const S* decay) {
  detail::for_packets<S>(count, [&](Index k, Index n) {
    Pack<S> p = load_first(parameters + k, n);
    const S* decay_k = decay ? decay + k : nullptr;
    const Pack<S> g = decayed(load_first(gradients + k, n), p, decay_k, n, f.weight_decay);
    p = shrunk(p, decay_k, n, f.shrink);
    const Pack<S> m = fma(fill(f.remaining1), g, fill(f.beta1) * load_first(mean + k, n));
    Pack<S> v = fma(fill(f.remaining2) * g, g, fill(f.beta2) * load_first(squares + k, n));
    store_first(mean + k, m, n);
    store_first(squares + k, v, n);
    if (highest) {
      v = max(v, load_first(highest + k, n));
      store_first(highest + k, v, n);
    }
    const Pack<S> step = fma(fill(f.ahead), g, fill(f.step) * m);
    store_first(parameters + k, p - step / (sqrt(v) / fill(f.root) + fill(f.epsilon)), n);
  });
}

// p -= learning_rate sign(beta1 m + (1 - beta1) g)      m = beta2 m + (1 - beta2) g
template <class S>
void lion_step(S* parameters, const S* gradients, S* mean, Index count, S learning_rate, double beta1, double beta2,
               const S* decay, S shrink) {
  // The product of the largest number with a normal number is at least 2 in magnitude. clamp makes it the sign.
  const Pack<S> largest = fill(std::numeric_limits<S>::max());
  detail::for_packets<S>(count, [&](Index k, Index n) {
    const Pack<S> p = shrunk(load_first(parameters + k, n), decay ? decay + k : nullptr, n, shrink);
    const Pack<S> g = load_first(gradients + k, n), m = load_first(mean + k, n);
    const Pack<S> direction = fma(fill(remaining<S>(beta1)), g, fill(S(beta1)) * m);
    store_first(mean + k, fma(fill(remaining<S>(beta2)), g, fill(S(beta2)) * m), n);
    store_first(parameters + k, p - fill(learning_rate) * clamp(direction * largest, fill(S(-1)), fill(S(1))), n);
  });
}

// Compiled in layers.cpp.
#define FUSEDLSTM_OPTIMIZER_STEPS(declare, S)                                                  \
  declare template double norm(const S*, Index);                                               \
  declare template void scale(S*, Index, S);                                                   \
  declare template void sgd_step(S*, const S*, S*, Index, S, S, bool, const S*, S);            \
  declare template void rmsprop_step(S*, const S*, S*, Index, S, double, double, const S*, S); \
  declare template void adagrad_step(S*, const S*, S*, Index, S, double, const S*, S);         \
  declare template void adam_step(S*, const S*, S*, S*, S*, Index, AdamFactors<S>, const S*);  \
  declare template void lion_step(S*, const S*, S*, Index, S, double, double, const S*, S)
FUSEDLSTM_OPTIMIZER_STEPS(extern, float);
FUSEDLSTM_OPTIMIZER_STEPS(extern, double);

}  // namespace fusedlstm
