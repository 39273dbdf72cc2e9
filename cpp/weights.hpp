// One direction of a recurrent layer: its sizes, and where its weights stand in the flat vectors of parameters and
// gradients, which have the same layout.
#pragma once

#include "simd.hpp"

namespace fusedlstm {

struct Sizes {
  Index input;   // I
  Index hidden;  // H
  Index blocks;  // gates stacked in the weights
};

// S is const for parameters, plain for gradients.
template <class S>
struct Weights {
  S* input;   // (blocks * H, I), row-major
  S* hidden;  // (blocks * H, H)
  S* bias;    // (blocks * H,)
};

inline Index weight_count(const Sizes& sizes) {
  return sizes.blocks * sizes.hidden * (sizes.input + sizes.hidden + 1);
}
template <class S>
Weights<S> split_weights(S* flat, const Sizes& sizes) {
  const Index rows = sizes.blocks * sizes.hidden;
  return {flat, flat + rows * sizes.input, flat + rows * (sizes.input + sizes.hidden)};
}

}  // namespace fusedlstm
