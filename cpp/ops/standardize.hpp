// Standardization of inputs: y = (x - mean) / scale per feature, computed in double precision and rounded once to the
// type of the model. Batches and single steps use the same function, so that they have the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "simd/packets.hpp"

namespace fusedlstm {

// y[k] = (x[k] - mean[k]) * factor[k]. Returns false if a result exceeds the range of S. NaN stays NaN.
template <class From, class S>
bool standardize(const From* x, Index count, const double* mean, const double* factor, S* y) {
  int beyond = 0;
  for (Index k = 0; k < count; k++) {
    const double value = (double(x[k]) - mean[k]) * factor[k];
    beyond |= std::abs(value) > double(std::numeric_limits<S>::max());
    y[k] = S(value);
  }
  return !beyond;
}

// Compiled in kernels.cpp.
extern template bool standardize(const float*, Index, const double*, const double*, float*);
extern template bool standardize(const float*, Index, const double*, const double*, double*);
extern template bool standardize(const double*, Index, const double*, const double*, float*);
extern template bool standardize(const double*, Index, const double*, const double*, double*);

class Standardizer {
 public:
  // mean, scale: one number per feature. scale is positive.
  Standardizer(const double* mean, const double* scale, Index features) : features_(features) {
    // For few features, mean and factor are repeated: the loop in `standardize` is then long enough for packets.
    const Index repeats = std::max(Index(1), shortest_loop / features);
    for (Index repeat = 0; repeat < repeats; repeat++)
      for (Index k = 0; k < features; k++) {
        mean_.push_back(mean[k]);
        factor_.push_back(1 / scale[k]);
      }
  }
  Index features() const { return features_; }

  // x, y: (count / features, features). Returns the result of `standardize`.
  template <class From, class S>
  bool operator()(const From* x, Index count, S* y) const {
    const Index period = Index(mean_.size());
    bool within = true;
    for (Index start = 0; start < count; start += period)
      within &= standardize(x + start, std::min(period, count - start), mean_.data(), factor_.data(), y + start);
    return within;
  }

 private:
  static constexpr Index shortest_loop = 256;

  Index features_;
  std::vector<double> mean_, factor_;
};

}  // namespace fusedlstm
