// The check for NaN and infinity.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "simd/packets.hpp"

namespace fusedlstm {

// False if there is a NaN or an infinity.
template <class S>
bool all_finite(const S* values, Index count) {
  constexpr Index piece = 1024;  // checked without branches
  for (Index start = 0; start < count; start += piece) {
    const Index end = std::min(start + piece, count);
    int finite = 1;
    for (Index k = start; k < end; k++) finite &= std::abs(values[k]) <= std::numeric_limits<S>::max();
    if (!finite) return false;
  }
  return true;
}

// Compiled in kernels.cpp.
extern template bool all_finite(const float*, Index);
extern template bool all_finite(const double*, Index);

}  // namespace fusedlstm
