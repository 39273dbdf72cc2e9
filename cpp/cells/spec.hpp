// The specification of a cell: its family and its options. docs/cells.md has the equations.
#pragma once

#include <limits>
#include <string>

#include "simd/named_activations.hpp"

namespace fusedlstm {

struct CellSpec {
  std::string family;
  // By default those of the LSTM and the GRU. An RNN has only `candidate`.
  Activation gate{Activation::sigmoid, 0, 0}, candidate{Activation::tanh, 0, 0}, output{Activation::tanh, 0, 0};

  // Options of the LSTM.
  bool peepholes = false;
  bool coupled = false;  // i = 1 - f
  bool input_gate = true, forget_gate = true, output_gate = true;
  bool full_gate_recurrence = false;
  bool layer_norm = false;
  double cell_clip = std::numeric_limits<double>::infinity();
  Index projection = 0;  // units of h; 0: none
  bool projection_bias = false;

  bool reset_after = true;  // of the GRU

  bool has_input_gate() const { return input_gate && !coupled; }
  // All options of the LSTM have their defaults.
  bool has_no_lstm_options() const {
    return !peepholes && !coupled && input_gate && forget_gate && output_gate && !full_gate_recurrence && !layer_norm &&
           !clips() && projection == 0 && !projection_bias;
  }
  bool clips() const { return cell_clip < std::numeric_limits<double>::infinity(); }
  // The activations are sigmoid for the gates and tanh.
  bool has_default_activations() const {
    return gate.kind == Activation::sigmoid && candidate.kind == Activation::tanh && output.kind == Activation::tanh;
  }
  Index output_size(Index hidden_size) const { return projection > 0 ? projection : hidden_size; }
};

}  // namespace fusedlstm
