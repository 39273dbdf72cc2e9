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
  int unit_weights;                                // per unit: weights that belong to one unit each, such as peepholes
  int weight_gates[max_gates] = {-1, -1, -1, -1};  // of W_gates, which multiplies gates of the previous step

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
  // x, h_prev or the gates of the previous step feed some gates, but not all.
  constexpr bool partly_fed() const {
    const int from_gates = present(weight_gates);
    return present(weight_ih) < count || present(weight_hh) < count || (from_gates > 0 && from_gates < count);
  }
};

struct Sizes {
  Index input_size;   // I
  Index hidden_size;  // H
  Index output_size;  // R, the units of h: H without a projection
  GateLayout gates;
  // Weights that only some cells have.
  bool reset_before = false;  // W_hn, which multiplies r h_prev in a GRU
  bool layer_norm = false;
  bool projection = false, projection_bias = false;

  Index ih_rows() const { return gates.present(gates.weight_ih) * hidden_size; }
  Index hh_rows() const { return gates.present(gates.weight_hh) * hidden_size; }
  Index bias_rows() const { return gates.present(gates.bias) * hidden_size; }
  // The gates that the next step reads, as numbers of a row.
  Index carried_gates() const { return gates.present(gates.weight_gates) * hidden_size; }
  // The rows of a forward panel: x, h and the carried gates.
  Index forward_k() const { return input_size + output_size + carried_gates(); }
};

// The weights of one direction, in the order of the flat vectors. S is const for parameters and not const for
// gradients.
template <class S>
struct Weights {
  S* weight_ih;          // (ih_rows, I), row-major
  S* weight_hh;          // (hh_rows, R)
  S* weight_hn;          // (H, H)
  S* bias;               // (bias_rows,)
  S* unit_weights;       // (unit weights per unit, H)
  S* weight_gates;       // (carried gates, carried gates)
  S *gain_ih, *gain_hh;  // (ih_rows,)
  S *gain_c, *bias_c;    // (H,)
  S* weight_hr;          // (R, H)
  S* bias_hr;            // (R,)
  Index count;
};

template <class S>
Weights<S> split_weights(S* flat, const Sizes& sizes) {
  const Index hidden = sizes.hidden_size, normed = sizes.layer_norm ? sizes.ih_rows() : 0;
  Weights<S> weights;
  S* next = flat;
  const auto take = [&](Index numbers) {
    S* taken = next;
    if (next) next += numbers;
    weights.count += numbers;
    return taken;
  };
  weights.count = 0;
  weights.weight_ih = take(sizes.ih_rows() * sizes.input_size);
  weights.weight_hh = take(sizes.hh_rows() * sizes.output_size);
  weights.weight_hn = take(sizes.reset_before ? hidden * hidden : 0);
  weights.bias = take(sizes.bias_rows());
  weights.unit_weights = take(sizes.gates.unit_weights * hidden);
  weights.weight_gates = take(sizes.carried_gates() * sizes.carried_gates());
  weights.gain_ih = take(normed);
  weights.gain_hh = take(normed);
  weights.gain_c = take(sizes.layer_norm ? hidden : 0);
  weights.bias_c = take(sizes.layer_norm ? hidden : 0);
  weights.weight_hr = take(sizes.projection ? sizes.output_size * hidden : 0);
  weights.bias_hr = take(sizes.projection_bias ? sizes.output_size : 0);
  return weights;
}
inline Index weight_count(const Sizes& sizes) { return split_weights<const float>(nullptr, sizes).count; }

}  // namespace fusedlstm
