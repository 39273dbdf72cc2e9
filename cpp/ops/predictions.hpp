// Decoding: the predictions of an estimator from the raw outputs z of its model, in double precision. Batches and
// single steps use the same function, so that they have the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "simd/packets.hpp"

namespace fusedlstm {

enum class Decoding {
  classes,       // softmax(z)
  two_classes,   // 1 - p and p, where p = sigmoid(z)
  labels,        // sigmoid(z)
  values,        // z of each target; other outputs are ignored
  exponentials,  // exp(z)
  quantiles,     // per target: z_0, z_0 + softplus(z_1), ...
};

inline double sigmoid(double z) {
  const double e = std::exp(-std::abs(z));
  return (z >= 0 ? 1 : e) / (1 + e);
}
inline double softplus(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); }

// The number of the class with the largest of the outputs z. For one output, class 1 if it is positive. As in NumPy's
// argmax, the first of equal numbers is taken, and NaN counts as the largest number.
template <class S>
Index class_of(const S* z, Index outputs) {
  if (outputs == 1) return z[0] > 0;
  Index best = 0;
  for (Index k = 1; k < outputs && !std::isnan(z[best]); k++)
    if (z[k] > z[best] || std::isnan(z[k])) best = k;
  return best;
}

struct Decoder {
  Decoding decoding;
  Index outputs;                    // of the model, per sequence
  std::vector<double> scale, mean;  // per target; empty for probabilities
  Index results;                    // numbers of a prediction, per sequence

  Index quantiles() const { return results / Index(scale.size()); }

  template <class S>
  void rows(const S* z, Index count, double* y) const {
    for (Index row = 0; row < count; row++, z += outputs, y += results) decode(z, y);
  }

 private:
  template <class S>
  void decode(const S* z, double* y) const {
    switch (decoding) {
      case Decoding::classes: return softmax(z, y);
      case Decoding::two_classes:
        y[1] = sigmoid(double(z[0]));
        y[0] = 1 - y[1];
        return;
      case Decoding::labels:
        for (Index k = 0; k < results; k++) y[k] = sigmoid(double(z[k]));
        return;
      case Decoding::values:
        for (Index k = 0; k < results; k++) y[k] = double(z[k]) * scale[at(k)] + mean[at(k)];
        return;
      case Decoding::exponentials:
        for (Index k = 0; k < results; k++) y[k] = std::exp(double(z[k])) * scale[at(k)] + mean[at(k)];
        return;
      case Decoding::quantiles: return increasing_quantiles(z, y);
    }
  }
  template <class S>
  void softmax(const S* z, double* y) const {
    double highest = z[0], sum = 0;
    for (Index k = 1; k < results; k++) highest = std::max(highest, double(z[k]));
    for (Index k = 0; k < results; k++) {
      y[k] = std::exp(double(z[k]) - highest);
      sum += y[k];
    }
    for (Index k = 0; k < results; k++) y[k] /= sum;
  }
  template <class S>
  void increasing_quantiles(const S* z, double* y) const {
    const Index levels = quantiles();
    for (Index k = 0; k < results; k += levels) {
      const std::size_t target = at(k / levels);
      double value = z[k];
      for (Index level = 0; level < levels; level++) {
        if (level > 0) value += softplus(double(z[k + level]));
        y[k + level] = value * scale[target] + mean[target];
      }
    }
  }
  static std::size_t at(Index k) { return static_cast<std::size_t>(k); }
};

}  // namespace fusedlstm
