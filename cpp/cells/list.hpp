// The table of cells, by name. docs/adding-a-cell.md describes how to add one.
#pragma once

#include <string_view>
#include <vector>

#include "cells/gru.hpp"
#include "cells/lstm.hpp"
#include "cells/rnn.hpp"

namespace fusedlstm {

template <class S>
inline constexpr Cell<S> all_cells[] = {
    CellLoops<S, LstmEquations<S, PlainLstm>>::template cell<true>("lstm"),
    CellLoops<S, LstmEquations<S, PeepholeLstm>>::template cell<true>("peephole_lstm"),
    CellLoops<S, LstmEquations<S, CoupledLstm>>::template cell<true>("cifg_lstm"),
    CellLoops<S, LstmEquations<S, CoupledPeepholeLstm>>::template cell<false>("cifg_peephole_lstm"),
    CellLoops<S, LstmEquations<S, NoInputGateLstm>>::template cell<false>("no_input_gate_lstm"),
    CellLoops<S, LstmEquations<S, NoForgetGateLstm>>::template cell<false>("no_forget_gate_lstm"),
    CellLoops<S, LstmEquations<S, NoOutputGateLstm>>::template cell<false>("no_output_gate_lstm"),
    CellLoops<S, LstmEquations<S, LinearCandidateLstm>>::template cell<false>("linear_candidate_lstm"),
    CellLoops<S, LstmEquations<S, LinearOutputLstm>>::template cell<false>("linear_output_lstm"),
    CellLoops<S, GruEquations<S>>::template cell<true>("gru"),
    CellLoops<S, RnnEquations<S, true>>::template cell<false>("rnn_tanh"),
    CellLoops<S, RnnEquations<S, false>>::template cell<false>("rnn_relu"),
};

// Null for an unknown name.
template <class S>
const Cell<S>* find_cell(std::string_view name) {
  for (const Cell<S>& cell : all_cells<S>)
    if (name == cell.name) return &cell;
  return nullptr;
}
template <class S>
std::vector<const char*> cell_names() {
  std::vector<const char*> names;
  for (const Cell<S>& cell : all_cells<S>) names.push_back(cell.name);
  return names;
}

// Compiled in kernels.cpp.
#define FUSEDLSTM_CELLS(declare, S)                               \
  declare template const Cell<S>* find_cell<S>(std::string_view); \
  declare template std::vector<const char*> cell_names<S>()
FUSEDLSTM_CELLS(extern, float);
FUSEDLSTM_CELLS(extern, double);

}  // namespace fusedlstm
