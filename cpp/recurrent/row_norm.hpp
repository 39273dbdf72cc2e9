// Layer normalization (Ba, Kiros and Hinton 2016) of rows. A row is normalized = (value - mean) * inverse, where
// inverse = 1 / sqrt(variance + epsilon).
//
// The sums over the lanes of several rows are computed together, after a transposition. The order of the additions of a
// row does not depend on the other rows.
#pragma once

#include <limits>

#include "simd/packets.hpp"

namespace fusedlstm {

inline constexpr double variance_epsilon = 1e-5;

// The first n lanes of a packet; zero in the others.
template <class S>
FUSEDLSTM_INLINE Pack<S> first_lanes(Pack<S> a, Index n) {
  alignas(64) S lanes[pack_size<S>];
  store(lanes, a);
  return load_first(lanes, n);
}

// Lane r of the result is the sum of the lanes of rows[r].
template <class S>
FUSEDLSTM_INLINE Pack<S> sum_lanes(Square<S>& square) {
  transpose(square);
  FUSEDLSTM_UNROLL
  for (int half = pack_size<S> / 2; half > 0; half /= 2) {
    FUSEDLSTM_UNROLL
    for (int i = 0; i < half; i++) square.rows[i] = square.rows[i] + square.rows[i + half];
  }
  return square.rows[0];
}

// The sum of the lanes of one packet in all lanes, with the same additions.
template <class S>
FUSEDLSTM_INLINE Pack<S> sum_lanes(Pack<S> a) {
  alignas(64) S lanes[pack_size<S>];
  store(lanes, a);
  FUSEDLSTM_UNROLL
  for (int half = pack_size<S> / 2; half > 0; half /= 2) {
    FUSEDLSTM_UNROLL
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  }
  return fill(lanes[0]);
}

// Calls finish(first row, totals) for packets of the rows [begin, end), where total[k] is a packet with the k-th sum of
// each row. add_row(row, sums): computes the sums of a row, whose lanes are then added. The packets end beyond the last
// row.
template <int Sums, class S, class AddRow, class Finish>
FUSEDLSTM_INLINE void sum_rows(Index begin, Index end, AddRow&& add_row, Finish&& finish) {
  constexpr int size = pack_size<S>;
  Square<S> squares[Sums];
  if (end - begin == 1) {
    Pack<S> sums[Sums];
    FUSEDLSTM_UNROLL
    for (int k = 0; k < Sums; k++) sums[k] = zero<S>();
    add_row(begin, sums);
    FUSEDLSTM_UNROLL
    for (int k = 0; k < Sums; k++) sums[k] = sum_lanes(sums[k]);
    return finish(begin, sums);
  }
  for (Index first = begin; first < end; first += size) {
    for (int r = 0; r < size; r++) {
      Pack<S> sums[Sums];
      FUSEDLSTM_UNROLL
      for (int k = 0; k < Sums; k++) sums[k] = zero<S>();
      if (first + r < end) add_row(first + r, sums);
      FUSEDLSTM_UNROLL
      for (int k = 0; k < Sums; k++) squares[k].rows[r] = sums[k];
    }
    Pack<S> totals[Sums];
    FUSEDLSTM_UNROLL
    for (int k = 0; k < Sums; k++) totals[k] = sum_lanes(squares[k]);
    finish(first, totals);
  }
}

// 1 / sqrt(variance + epsilon) from the sum of the squares of `count` centered numbers. 0 if the sum is infinite, and
// NaN if it is NaN. The root of a packet may be NaN for infinity.
template <class S>
FUSEDLSTM_INLINE Pack<S> inverse_deviation(Pack<S> squares, Index count) {
  const Pack<S> limit = fill(std::numeric_limits<S>::max() / 4);
  const Pack<S> variance = min(squares * fill(S(1) / S(count)), limit) + fill(S(variance_epsilon));
  const Pack<S> inverse = fill(S(1)) / sqrt(variance);
  return inverse - where_positive(squares - fill(std::numeric_limits<S>::max()), inverse);
}

// The rows whose gradients of the vectors are added before they are added to the sums in memory. The bits depend on the
// size of the batch, not on the threads: the rows of a thread end at a multiple.
inline Index norm_block(Index batch) { return batch < 16 ? 1 : 4; }
// Backward computes this many rows at a time: their numbers stay in L1.
inline constexpr Index norm_row_block = 16;

}  // namespace fusedlstm
