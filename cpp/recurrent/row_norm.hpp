// Layer normalization (Ba, Kiros and Hinton 2016) of rows: their means and standard deviations, and the gradients.
#pragma once

#include <cmath>

#include "cells/cell.hpp"
#include "recurrent/arrays.hpp"

namespace fusedlstm {

inline constexpr double variance_epsilon = 1e-5;

// normalized = (value - mean) * inverse, inverse = 1 / sqrt(variance + epsilon)
template <class S>
struct NormOfRow {
  S mean, inverse;
  FUSEDLSTM_INLINE Pack<S> normalize(Pack<S> value) const { return (value - fill(mean)) * fill(inverse); }
};

// value(k): `size` numbers of the row, beginning with number k; the lanes beyond `count` numbers are zero.
template <class S, class Value>
FUSEDLSTM_INLINE NormOfRow<S> norm_of(Index count, Value&& value) {
  const S one_over_count = S(1) / S(count);
  Pack<S> total = zero<S>();
  for (Index k = 0; k < count; k += pack_size<S>) total = total + value(k);
  const S mean = sum(total) * one_over_count;
  Pack<S> squares = zero<S>();
  Index k = 0;
  for (; k + pack_size<S> <= count; k += pack_size<S>) {
    const Pack<S> centered = value(k) - fill(mean);
    squares = fma(centered, centered, squares);
  }
  S all_squares = sum(squares);
  if (k < count) {
    alignas(64) S lanes[pack_size<S>];
    store(lanes, value(k) - fill(mean));
    for (Index j = 0; j < count - k; j++) all_squares += lanes[j] * lanes[j];
  }
  return {mean, S(1) / std::sqrt(all_squares * one_over_count + S(variance_epsilon))};
}
// The norm of a contiguous row.
template <class S>
NormOfRow<S> norm_of_row(const S* row, Index count) {
  return norm_of<S>(count, [&](Index k) FUSEDLSTM_LAMBDA_INLINE { return load_first(row + k, count - k); });
}
// The norm of one row of a grid of units.
template <class S>
NormOfRow<S> norm_of_units(Grid<const S> grid, Index row, Index units) {
  return norm_of<S>(
      units, [&](Index k) FUSEDLSTM_LAMBDA_INLINE { return load_first(grid.at(k / pack_size<S>, row), units - k); });
}

// The gradient of a row from the gradient of the normalized row, dnormalized:
//   drow = (dnormalized - mean(dnormalized) - normalized mean(dnormalized normalized)) inverse
template <class S>
struct NormGradient {
  S mean, slope;
  FUSEDLSTM_INLINE Pack<S> operator()(Pack<S> dnormalized, Pack<S> normalized, S inverse) const {
    return (dnormalized - fill(mean) - normalized * fill(slope)) * fill(inverse);
  }
};
// dnormalized(k): zero beyond `count` numbers. normalized(k): any finite or infinite number there.
template <class S, class DNormalized, class Normalized>
FUSEDLSTM_INLINE NormGradient<S> norm_gradient(Index count, DNormalized&& dnormalized, Normalized&& normalized) {
  Pack<S> total = zero<S>(), along = zero<S>();
  for (Index k = 0; k < count; k += pack_size<S>) {
    const Pack<S> d = dnormalized(k);
    total = total + d;
    along = fma(d, normalized(k), along);
  }
  const S one_over_count = S(1) / S(count);
  return {sum(total) * one_over_count, sum(along) * one_over_count};
}

}  // namespace fusedlstm
