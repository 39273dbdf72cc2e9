// The specification of a staged cell: a family, its options, and the offsets of its weights in the flat vectors.
//
//   LSTM  z = W_ih x + W_hh h' + b, where dropout can multiply h' by a mask     (' : of the previous step)
//         full gate recurrence (Greff 2015)   z_ifo += W_gates [i', f', o']
//         peepholes (Gers 2002)               z_i += p_i c'   z_f += p_f c'   z_o += p_o c
//         layer norm (Ba 2016)                z = gain_ih norm(W_ih x) + gain_hh norm(W_hh h') + b,
//                                             and act_output(gain_c norm(c) + bias_c) for act_output(c)
//         i, f, o = act_gate(z)   g = act_candidate(z_g)   i = 1 - f if coupled; an absent gate is 1
//         c = f c' + i g, clipped to +-cell_clip           m = o act_output(c)
//         h = W_hr m + b_hr with projection (Sak 2014), otherwise m
//   GRU   r, z = act_gate(W_ih x + W_hh h' + b)            h = (1 - z) n + z h'
//         n = act_candidate(W_in x + b_n + r (W_hn h' + b_hn)) if reset_after, otherwise
//             act_candidate(W_in x + b_n + W_hn (r h'))
//   RNN   h = act_candidate(W_ih x + W_hh h' + b)
//
// A row in the workspace holds one block of units per gate, padded to whole packets. The padding is arbitrary and does
// not affect results.
#pragma once

#include <limits>

#include "simd/named_activations.hpp"

namespace fusedlstm::staged {

enum class Family { lstm, gru, rnn };

struct Spec {
  Family family = Family::lstm;
  Activation gate, candidate, output;
  bool peepholes = false, coupled = false, full_gate_recurrence = false, layer_norm = false;
  bool input_gate = true, forget_gate = true, output_gate = true;
  double cell_clip = std::numeric_limits<double>::infinity();
  Index projection = 0;  // 0: none
  bool projection_bias = false;
  bool reset_after = true;

  bool has_input_gate() const { return input_gate && !coupled; }
  bool has_state() const { return family == Family::lstm; }
};

// The block of z of each gate; -1: the gate is absent.
struct Blocks {
  int i = -1, f = -1, g = -1, o = -1;  // LSTM
  int count = 0;

  explicit Blocks(const Spec& spec) {
    if (spec.family == Family::lstm) {
      if (spec.has_input_gate()) i = count++;
      if (spec.forget_gate) f = count++;
      g = count++;
      if (spec.output_gate) o = count++;
    } else {
      count = spec.family == Family::gru ? 3 : 1;  // r, z, n
    }
  }
};

struct Shape {
  Index input, hidden, output;  // I, H, R: h has R units
  Index steps, batch;
  int directions;
};

enum MatrixName { input_matrix, hidden_matrix, candidate_matrix, gates_matrix, projection_matrix, matrix_names };
enum VectorName {
  bias,
  bias_hidden,
  peephole_i,
  peephole_f,
  peephole_o,
  gain_input,
  gain_hidden,
  gain_state,
  bias_state,
  bias_projection,
  vector_names
};

// A matrix (row_blocks * rows, column_blocks * columns) in the flat vector. Without blocks it is absent.
struct Matrix {
  Index offset = 0;
  int row_blocks = 0;
  Index rows = 0;
  int column_blocks = 0;
  Index columns = 0;
  explicit operator bool() const { return row_blocks > 0; }
};
// A vector (blocks * units,) in the flat vector, and its offset among the packed vectors, which are in whole packets.
struct Vector {
  Index offset = 0;
  int blocks = 0;
  Index units = 0;
  Index packed = 0;
  explicit operator bool() const { return blocks > 0; }
};

template <class S>
constexpr Index whole_packets(Index units) {
  return (units + pack_size<S> - 1) / pack_size<S> * pack_size<S>;
}

// The weights of one direction.
template <class S>
struct Layout {
  Matrix matrices[matrix_names];
  Vector vectors[vector_names];
  Index count = 0;   // of the flat vector
  Index packed = 0;  // of all vectors in whole packets

  FUSEDLSTM_COLD Layout(const Spec& spec, const Shape& shape) {
    const Blocks blocks(spec);
    const Index hidden = shape.hidden;
    const int gates = blocks.count;
    add(input_matrix, gates, hidden, 1, shape.input);
    if (spec.family == Family::gru) {
      add(hidden_matrix, 2, hidden, 1, hidden);
      add(candidate_matrix, 1, hidden, 1, hidden);
    } else {
      add(hidden_matrix, gates, hidden, 1, shape.output);
    }
    add(bias, gates, hidden);
    if (spec.family == Family::gru && spec.reset_after) add(bias_hidden, 1, hidden);
    if (spec.peepholes) {
      if (blocks.i >= 0) add(peephole_i, 1, hidden);
      if (blocks.f >= 0) add(peephole_f, 1, hidden);
      if (blocks.o >= 0) add(peephole_o, 1, hidden);
    }
    if (spec.full_gate_recurrence) add(gates_matrix, 3, hidden, 3, hidden);
    if (spec.layer_norm) {
      add(gain_input, gates, hidden);
      add(gain_hidden, gates, hidden);
      add(gain_state, 1, hidden);
      add(bias_state, 1, hidden);
    }
    if (spec.projection > 0) {
      add(projection_matrix, 1, shape.output, 1, hidden);
      if (spec.projection_bias) add(bias_projection, 1, shape.output);
    }
  }

 private:
  void add(MatrixName name, int row_blocks, Index rows, int column_blocks, Index columns) {
    matrices[name] = {count, row_blocks, rows, column_blocks, columns};
    count += row_blocks * rows * column_blocks * columns;
  }
  void add(VectorName name, int blocks, Index units) {
    vectors[name] = {count, blocks, units, packed};
    count += blocks * units;
    packed += blocks * whole_packets<S>(units);
  }
};

}  // namespace fusedlstm::staged
