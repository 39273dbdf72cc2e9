// The list of cells.
#pragma once

#include <string_view>

#include "cells/gru.hpp"
#include "cells/lstm.hpp"
#include "cells/rnn.hpp"

namespace fusedlstm {

// Null for a name that no cell has.
template <class S>
const Cell<S>* find_cell(std::string_view name) {
  static constexpr Cell<S> cells[] = {
      CellLoops<S, LstmEquations<S, PlainLstm>>::cell("lstm"),
      CellLoops<S, LstmEquations<S, PeepholeLstm>>::cell("peephole_lstm"),
      CellLoops<S, LstmEquations<S, CoupledLstm>>::cell("cifg_lstm"),
      CellLoops<S, LstmEquations<S, CoupledPeepholeLstm>>::cell("cifg_peephole_lstm"),
      CellLoops<S, LstmEquations<S, NoInputGateLstm>>::cell("no_input_gate_lstm"),
      CellLoops<S, LstmEquations<S, NoForgetGateLstm>>::cell("no_forget_gate_lstm"),
      CellLoops<S, LstmEquations<S, NoOutputGateLstm>>::cell("no_output_gate_lstm"),
      CellLoops<S, LstmEquations<S, LinearCandidateLstm>>::cell("linear_candidate_lstm"),
      CellLoops<S, LstmEquations<S, LinearOutputLstm>>::cell("linear_output_lstm"),
      CellLoops<S, GruEquations<S>>::cell("gru"),
      CellLoops<S, RnnEquations<S, true>>::cell("rnn_tanh"),
      CellLoops<S, RnnEquations<S, false>>::cell("rnn_relu"),
  };
  for (const Cell<S>& cell : cells)
    if (name == cell.name) return &cell;
  return nullptr;
}

}  // namespace fusedlstm
