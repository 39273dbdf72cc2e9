// The caller's arrays of a recurrent layer, as views, and the shape of one direction of the layer.
#pragma once

#include "cells/regularizers.hpp"
#include "product/layout.hpp"

namespace fusedlstm {

// One direction of a layer over a batch of sequences.
struct DirectionShape {
  Sizes sizes;
  Index steps, batch;  // T, B
  int direction;
  bool reverse;  // each sequence from its own last step to its first
  Regularizers regularizers;

  // The position in the sequence of step t, for a row of this length.
  Index time(Index t, Index length) const { return reverse ? length - 1 - t : t; }
};

// (batch, steps, features). The features of a step are contiguous.
template <class S>
struct SequenceView {
  S* values = nullptr;
  Index by_row = 0, by_step = 0;
  explicit operator bool() const { return values != nullptr; }
  S* at(Index row, Index time) const { return values + row * by_row + time * by_step; }
};
template <class S>
SequenceView<S> contiguous_view(S* values, Index steps, Index features) {
  return {values, steps * features, features};
}

// h (batch, outputs), c (batch, hidden) and the gates i, f and o that the next step reads (batch, 3 hidden); null if
// absent.
template <class S>
struct States {
  S* h = nullptr;
  S* c = nullptr;
  S* gates = nullptr;
};

// The phases of a step.
template <class Phase>
struct Phases {
  Phase of[5];  // No cell has both layer normalization and reset before the product.
  int count = 0;
  void add(Phase phase) { of[count++] = phase; }
};

// Rows of numbers in memory.
template <class S>
struct Rows {
  S* values = nullptr;
  Index stride = 0;
  S* at(Index row) const { return values + row * stride; }
  explicit operator bool() const { return values != nullptr; }
};

}  // namespace fusedlstm
