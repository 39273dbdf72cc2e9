// Layer normalization (Ba, Kiros and Hinton 2016) and other arithmetic on whole rows.
#pragma once

#include <cmath>

#include "cells/cell_loops.hpp"
#include "staged/spec.hpp"

namespace fusedlstm::staged {

inline constexpr double variance_epsilon = 1e-5;

template <class S>
void clear_padding(S* row, int blocks, Index units) {
  const Index block = whole_packets<S>(units);
  for (int b = 0; b < blocks; b++) std::fill(row + b * block + units, row + (b + 1) * block, S(0));
}

// row = (row - mean) / sqrt(variance + epsilon) over all units of all blocks. Returns 1 / sqrt(variance + epsilon).
template <class S>
S normalize(S* row, int blocks, Index units) {
  const Index width = blocks * whole_packets<S>(units);
  const S one_over_count = S(1) / S(blocks * units);
  clear_padding(row, blocks, units);
  Pack<S> total = zero<S>();
  for (Index j = 0; j < width; j += pack_size<S>) total = total + load(row + j);
  const Pack<S> mean = fill(sum(total) * one_over_count);
  for (Index j = 0; j < width; j += pack_size<S>) store(row + j, load(row + j) - mean);
  clear_padding(row, blocks, units);
  Pack<S> squares = zero<S>();
  for (Index j = 0; j < width; j += pack_size<S>) squares = fma(load(row + j), load(row + j), squares);
  const S inverse = S(1) / std::sqrt(sum(squares) * one_over_count + S(variance_epsilon));
  for (Index j = 0; j < width; j += pack_size<S>) store(row + j, load(row + j) * fill(inverse));
  return inverse;
}
// dL/drow from dL/dnormalized and the normalized row. dL/drow replaces the normalized row. dnormalized is overwritten.
template <class S>
void normalize_gradient(S* dnormalized, S* normalized, int blocks, Index units, S inverse) {
  const Index width = blocks * whole_packets<S>(units);
  const S one_over_count = S(1) / S(blocks * units);
  clear_padding(dnormalized, blocks, units);
  Pack<S> total = zero<S>(), along = zero<S>();
  for (Index j = 0; j < width; j += pack_size<S>) {
    const Pack<S> d = load(dnormalized + j);
    total = total + d;
    along = fma(d, load(normalized + j), along);
  }
  const Pack<S> mean = fill(sum(total) * one_over_count), slope = fill(sum(along) * one_over_count);
  for (Index j = 0; j < width; j += pack_size<S>)
    store(normalized + j, (load(dnormalized + j) - mean - load(normalized + j) * slope) * fill(inverse));
}

// to += a * b
template <class S>
void add_products(const S* a, const S* b, Index width, S* to) {
  for (Index j = 0; j < width; j += pack_size<S>) store(to + j, fma(load(a + j), load(b + j), load(to + j)));
}
template <class S>
void add(const S* from, Index width, S* to) {
  for (Index j = 0; j < width; j += pack_size<S>) store(to + j, load(to + j) + load(from + j));
}
// to = gain * row + bias
template <class S>
void scale_and_shift(const S* row, const S* gain, const S* bias, Index width, S* to) {
  for (Index j = 0; j < width; j += pack_size<S>) store(to + j, fma(load(row + j), load(gain + j), load(bias + j)));
}
// One row as a tile.
template <class S>
Grid<S> grid_of(S* row) {
  return {row, pack_size<S>, 0};
}

}  // namespace fusedlstm::staged
