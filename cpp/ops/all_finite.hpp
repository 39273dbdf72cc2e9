// The check for NaN and infinity.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "simd/packets.hpp"

namespace fusedlstm {

// False if there is a NaN or a number beyond -limit or limit.
template <class S>
bool all_within(const S* values, Index count, S limit) {
  constexpr Index piece = 1024;  // checked without branches
  for (Index start = 0; start < count; start += piece) {
    const Index end = std::min(start + piece, count);
    int finite = 1;
    for (Index k = start; k < end; k++) finite &= std::abs(values[k]) <= limit;
    if (!finite) return false;
  }
  return true;
}

// Compiled in kernels.cpp.
extern template bool all_within(const float*, Index, float);
extern template bool all_within(const double*, Index, double);

// False if there is a NaN or an infinity.
template <class S>
bool all_finite(const S* values, Index count) {
  return all_within(values, count, std::numeric_limits<S>::max());
}

}  // namespace fusedlstm
