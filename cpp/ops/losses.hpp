// Losses of rows and their gradients. A row is a sequence or, with an output at every step, a real step.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "simd/activations.hpp"

namespace fusedlstm {

// The outputs of a model and the gradient of the loss, (rows, outputs).
template <class S>
struct LossRows {
  Index rows, outputs;
  const S* z;
  const double* weights;  // of the rows; null: 1
  S* dz;

  double weight(Index row) const { return weights ? weights[row] : 1; }
  // The factor of the gradient of a row, for a mean over `count` losses.
  S scale(Index row, Index count) const { return S(weights ? weights[row] / double(count) : 1 / double(count)); }
};

// Replaces x by e^x, or by about the smallest normal number if that is larger.
template <class S>
void exponentials(S* x, Index count) {
  for (Index k = 0; k < count; k += pack_size<S>) {
    const Index n = std::min(Index(pack_size<S>), count - k);
    const auto e = split_exp(Exponential<S>::largest * S(0.69), load_first(x + k, n));
    store_first(x + k, fma(e.scale, e.rest, e.scale), n);
  }
}

// The mean over the rows of -sum over classes of t log(p), where p = softmax(z). t is 1 for the class of the row and 0
// for the others, or with smoothing s: 1 - s + s / outputs and s / outputs.
//   dz = p - t
template <class S>
double log_loss_of_classes(const LossRows<S>& all, const std::int64_t* classes, double smoothing) {
  const Index outputs = all.outputs;
  double total = 0;
  for (Index row = 0; row < all.rows; row++) {
    const S* z = all.z + row * outputs;
    S* shifted = all.dz + row * outputs;
    S highest = z[0];
    for (Index j = 1; j < outputs; j++) highest = std::max(highest, z[j]);
    for (Index j = 0; j < outputs; j++) shifted[j] = z[j] - highest;
    double towards = (1 - smoothing) * double(shifted[classes[row]]);
    if (smoothing > 0)
      for (Index j = 0; j < outputs; j++) towards += smoothing / double(outputs) * double(shifted[j]);
    total -= all.weight(row) * towards;
  }
  exponentials(all.dz, all.rows * outputs);
  const S rest = S(smoothing / double(outputs));
  for (Index row = 0; row < all.rows; row++) {
    S* dz = all.dz + row * outputs;
    S sum = 0;
    for (Index j = 0; j < outputs; j++) {
      dz[j] = dz[j] < S(64) * std::numeric_limits<S>::min() ? S(0) : dz[j];  // NaN stays NaN
      sum += dz[j];
    }
    total += all.weight(row) * std::log(double(sum));
    const S scale = all.scale(row, all.rows), factor = scale / sum;
    for (Index j = 0; j < outputs; j++) dz[j] = dz[j] * factor - rest * scale;
    dz[classes[row]] -= S(1 - smoothing) * scale;
  }
  return total / double(all.rows);
}

// The mean over the rows of the sum over labels of -t log(p) - (1 - t) log(1 - p), where p = sigmoid(z).
//   dz = p - t
// labels: (rows, outputs). With smoothing s, t is s / 2 or 1 - s / 2.
template <class S>
double log_loss_of_labels(const LossRows<S>& all, const std::int64_t* labels, double smoothing) {
  double total = 0;
  for (Index row = 0; row < all.rows; row++) {
    const S scale = all.scale(row, all.rows);
    double of_row = 0;
    for (Index k = row * all.outputs; k < (row + 1) * all.outputs; k++) {
      const double z = double(all.z[k]), t = double(labels[k]) * (1 - smoothing) + smoothing / 2;
      const double e = std::exp(-std::abs(z));
      of_row += std::max(-z, 0.0) + std::log1p(e) + (1 - t) * z;
      all.dz[k] = S((z >= 0 ? 1 : e) / (1 + e) - t) * scale;
    }
    total += all.weight(row) * of_row;
  }
  return total / double(all.rows);
}

// The mean over rows and outputs of (z - y)^2.
template <class S>
double squared_error(const LossRows<S>& all, const S* y) {
  const Index count = all.rows * all.outputs;
  double total = 0;
  for (Index row = 0; row < all.rows; row++) {
    const S scale = all.scale(row, count);
    double of_row = 0;
    for (Index k = row * all.outputs; k < (row + 1) * all.outputs; k++) {
      const S error = all.z[k] - y[k];
      of_row += double(error * error);
      all.dz[k] = S(2) * error * scale;
    }
    total += all.weight(row) * of_row;
  }
  return total / double(count);
}

// Compiled in kernels.cpp.
#define FUSEDLSTM_LOSSES(declare, S)                                                            \
  declare template double log_loss_of_classes(const LossRows<S>&, const std::int64_t*, double); \
  declare template double log_loss_of_labels(const LossRows<S>&, const std::int64_t*, double);  \
  declare template double squared_error(const LossRows<S>&, const S*)
FUSEDLSTM_LOSSES(extern, float);
FUSEDLSTM_LOSSES(extern, double);

}  // namespace fusedlstm
