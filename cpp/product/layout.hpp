// The sizes of one direction of a recurrent layer and the offsets of its weights in the flat vectors of parameters and
// gradients. Both vectors have the same layout.
#pragma once

#include "simd/packets.hpp"

namespace fusedlstm {

inline constexpr int max_gates = 4;

// The rows of the weights that feed each gate. A gate is one of the `count` pre-activations of a unit:
//
//   z[g] = W_ih[rows] x + W_hh[rows] h_prev + bias[rows]
//
// The rows of W_ih are [weight_ih[g] * H, (weight_ih[g] + 1) * H). W_hh and the bias have such rows, too. -1: no term.
struct GateLayout {
  int count;
  int weight_ih[max_gates], weight_hh[max_gates], bias[max_gates];
  int unit_weights;  // per unit: weights that belong to one unit each, such as peepholes

  // x and h feed every gate.
  static constexpr GateLayout uniform(int count, int unit_weights = 0) {
    return {count, {0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}, unit_weights};
  }
  // The number of gates that have a term. rows: weight_ih, weight_hh or bias.
  constexpr int present(const int (&rows)[max_gates]) const {
    int n = 0;
    for (int g = 0; g < count; g++) n += rows[g] >= 0;
    return n;
  }
  // Some gates have no term of x, or no term of h_prev.
  constexpr bool partly_fed() const { return present(weight_ih) < count || present(weight_hh) < count; }
};

struct Sizes {
  Index input_size;   // I
  Index hidden_size;  // H
  GateLayout gates;
  Index ih_rows() const { return gates.present(gates.weight_ih) * hidden_size; }
  Index hh_rows() const { return gates.present(gates.weight_hh) * hidden_size; }
  Index bias_rows() const { return gates.present(gates.bias) * hidden_size; }
};

// S is const for parameters and not const for gradients.
template <class S>
struct Weights {
  S* weight_ih;     // (ih_rows, I), row-major
  S* weight_hh;     // (hh_rows, H)
  S* bias;          // (bias_rows,)
  S* unit_weights;  // (unit weights per unit, H)
};

inline Index weight_count(const Sizes& sizes) {
  return sizes.ih_rows() * sizes.input_size + sizes.hh_rows() * sizes.hidden_size + sizes.bias_rows() +
         sizes.gates.unit_weights * sizes.hidden_size;
}
template <class S>
Weights<S> split_weights(S* flat, const Sizes& sizes) {
  S* weight_hh = flat + sizes.ih_rows() * sizes.input_size;
  S* bias = weight_hh + sizes.hh_rows() * sizes.hidden_size;
  return {flat, weight_hh, bias, bias + sizes.bias_rows()};
}

}  // namespace fusedlstm
