// Layer normalization (Ba, Kiros and Hinton 2016) of rows: their means and standard deviations, and the gradients.
#pragma once

#include <cmath>

#include "simd/packets.hpp"

namespace fusedlstm {

inline constexpr double variance_epsilon = 1e-5;

// normalized = (value - mean) * inverse, inverse = 1 / sqrt(variance + epsilon)
template <class S>
struct NormOfRow {
  S mean, inverse;
  FUSEDLSTM_INLINE Pack<S> normalize(Pack<S> value) const { return (value - fill(mean)) * fill(inverse); }
};

// Calls work(k, all lanes) for the packets of a row of `count` numbers; all lanes is false for a last packet that has
// more lanes than the row has numbers.
template <class S, class Work>
FUSEDLSTM_INLINE void for_packets_of(Index count, Work&& work) {
  Index k = 0;
  for (; k + pack_size<S> <= count; k += pack_size<S>) work(k, true);
  if (k < count) work(k, false);
}
// The first n lanes of a packet; zero in the others.
template <class S>
FUSEDLSTM_INLINE Pack<S> first_lanes(Pack<S> a, Index n) {
  alignas(64) S lanes[pack_size<S>];
  store(lanes, a);
  return load_first(lanes, n);
}

// The norms of `Rows` rows, which are computed together: each is a chain of dependent additions. value(row, k): the
// packet beginning with number k.
template <int Rows, class S, class Value>
FUSEDLSTM_INLINE void norms_of(Index count, Value&& value, NormOfRow<S>* norms, Index by_row) {
  const S one_over_count = S(1) / S(count);
  Pack<S> sums[Rows], means[Rows];
  for (int r = 0; r < Rows; r++) sums[r] = zero<S>();
  for_packets_of<S>(count, [&](Index k, bool all) FUSEDLSTM_LAMBDA_INLINE {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) sums[r] = sums[r] + (all ? value(r, k) : first_lanes(value(r, k), count - k));
  });
  FUSEDLSTM_UNROLL
  for (int r = 0; r < Rows; r++) {
    norms[r * by_row].mean = sum(sums[r]) * one_over_count;
    means[r] = fill(norms[r * by_row].mean);
    sums[r] = zero<S>();
  }
  for_packets_of<S>(count, [&](Index k, bool all) FUSEDLSTM_LAMBDA_INLINE {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) {
      Pack<S> centered = value(r, k) - means[r];
      if (!all) centered = first_lanes(centered, count - k);
      sums[r] = fma(centered, centered, sums[r]);
    }
  });
  FUSEDLSTM_UNROLL
  for (int r = 0; r < Rows; r++)
    norms[r * by_row].inverse = S(1) / std::sqrt(sum(sums[r]) * one_over_count + S(variance_epsilon));
}
// The norms of rows. value(row, k): as above. The norm of row r is written to norms[r * by_row].
template <class S, class Value>
FUSEDLSTM_INLINE void norms_of_rows(Index rows, Index count, Value&& value, NormOfRow<S>* norms, Index by_row) {
  Index r = 0;
  for (; r + 4 <= rows; r += 4)
    norms_of<4, S>(
        count, [&](int row, Index k) FUSEDLSTM_LAMBDA_INLINE { return value(r + row, k); }, norms + r * by_row, by_row);
  for (; r < rows; r++)
    norms_of<1, S>(
        count, [&](int row, Index k) FUSEDLSTM_LAMBDA_INLINE { return value(r + row, k); }, norms + r * by_row, by_row);
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
// The sums of a NormGradient.
template <class S>
struct NormGradientSums {
  Pack<S> total = zero<S>(), along = zero<S>();
  FUSEDLSTM_INLINE void add(Pack<S> dnormalized, Pack<S> normalized) {
    total = total + dnormalized;
    along = fma(dnormalized, normalized, along);
  }
  FUSEDLSTM_INLINE NormGradient<S> means(Index count) const {
    const S one_over_count = S(1) / S(count);
    return {sum(total) * one_over_count, sum(along) * one_over_count};
  }
};

}  // namespace fusedlstm
