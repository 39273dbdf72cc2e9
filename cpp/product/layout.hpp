// One direction of a recurrent layer: its sizes, and where its weights stand in the flat vectors of parameters and
// gradients, which have the same layout.
#pragma once

#include "simd/packets.hpp"

namespace fusedlstm {

inline constexpr int most_blocks = 4;

// Which weights stand behind the pre-activations of a step, which come in blocks of H, and beside them.
// Block b is the product of x with the rows [input[b] * H, (input[b] + 1) * H) of the input weights, of h with such
// rows of the hidden weights, and a part of the bias; -1 where there are none.
struct Blocks {
  int count;
  int input[most_blocks], hidden[most_blocks], bias[most_blocks];
  int vectors;  // numbers of a unit for itself, such as peepholes

  static constexpr Blocks alike(int count, int vectors = 0) {
    return {count, {0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}, vectors};
  }
  constexpr int present(const int (&rows)[most_blocks]) const {
    int n = 0;
    for (int b = 0; b < count; b++) n += rows[b] >= 0;
    return n;
  }
  // Whether x or h feeds only some of the blocks.
  constexpr bool divided() const { return present(input) < count || present(hidden) < count; }
};

struct Sizes {
  Index input;   // I
  Index hidden;  // H
  Blocks blocks;
  Index input_rows() const { return blocks.present(blocks.input) * hidden; }
  Index hidden_rows() const { return blocks.present(blocks.hidden) * hidden; }
  Index bias_rows() const { return blocks.present(blocks.bias) * hidden; }
};

// S is const for parameters, plain for gradients.
template <class S>
struct Weights {
  S* input;    // (input blocks * H, I), row-major
  S* hidden;   // (hidden blocks * H, H)
  S* bias;     // (bias blocks * H,)
  S* vectors;  // (vectors, H)
};

inline Index weight_count(const Sizes& sizes) {
  return sizes.input_rows() * sizes.input + sizes.hidden_rows() * sizes.hidden + sizes.bias_rows() +
         sizes.blocks.vectors * sizes.hidden;
}
template <class S>
Weights<S> split_weights(S* flat, const Sizes& sizes) {
  S* hidden = flat + sizes.input_rows() * sizes.input;
  S* bias = hidden + sizes.hidden_rows() * sizes.hidden;
  return {flat, hidden, bias, bias + sizes.bias_rows()};
}

}  // namespace fusedlstm
