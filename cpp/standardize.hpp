// Standardization of inputs: y = (x - mean) / scale per feature, in double precision, rounded once to the model's type.
// Batches and single steps use the same function, so that both have the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "simd.hpp"

namespace fusedlstm {

class Standardizer {
 public:
  // mean, scale: one number per feature; scale is positive.
  Standardizer(const double* mean, const double* scale, Index features) : features_(features) {
    // Repeated, so that the loop over a few features is long enough for packets.
    const Index repeats = std::max(Index(1), shortest_loop / features);
    for (Index repeat = 0; repeat < repeats; repeat++)
      for (Index k = 0; k < features; k++) {
        mean_.push_back(mean[k]);
        factor_.push_back(1 / scale[k]);
      }
  }
  Index features() const { return features_; }

  // x, y: (count / features, features). Returns whether no number exceeds the range of S; NaN passes through.
  template <class From, class S>
  bool operator()(const From* x, Index count, S* y) const;

 private:
  static constexpr Index shortest_loop = 64;

  template <class From, class S>
  bool standardize(const From* x, Index count, S* y) const {
    int beyond = 0;
    for (Index k = 0; k < count; k++) {
      const double value = (double(x[k]) - mean_[std::size_t(k)]) * factor_[std::size_t(k)];
      beyond |= std::abs(value) > double(std::numeric_limits<S>::max());
      y[k] = S(value);
    }
    return !beyond;
  }

  Index features_;
  std::vector<double> mean_, factor_;
};

template <class From, class S>
bool Standardizer::operator()(const From* x, Index count, S* y) const {
  const Index period = Index(mean_.size());
  bool within = true;
  for (Index start = 0; start < count; start += period)
    within &= standardize(x + start, std::min(period, count - start), y + start);
  return within;
}

// Compiled in kernels.cpp.
#define FUSEDLSTM_STANDARDIZER(declare, S)                                        \
  declare template bool Standardizer::operator()(const float*, Index, S*) const; \
  declare template bool Standardizer::operator()(const double*, Index, S*) const
FUSEDLSTM_STANDARDIZER(extern, float);
FUSEDLSTM_STANDARDIZER(extern, double);

}  // namespace fusedlstm
