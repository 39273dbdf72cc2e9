// The table of cells. docs/adding-a-cell.md describes how to add one.
#pragma once

#include <string_view>
#include <vector>

#include "cells/general_gru.hpp"
#include "cells/general_lstm.hpp"
#include "cells/general_rnn.hpp"
#include "cells/gru.hpp"
#include "cells/gru_reset_before.hpp"
#include "cells/lstm.hpp"
#include "cells/lstm_options.hpp"
#include "cells/lstm_variants.hpp"
#include "cells/rnn.hpp"

namespace fusedlstm {

template <class S>
struct CellEntry {
  const char* family;
  const char* name;
  bool (*matches)(const CellSpec&);
  Cell<S> (*cell)(const CellSpec&);
};

// A cell with one matrix product per step, from its equations. WithRowKernel: see CellLoops::cell.
template <class S, class Equations, bool WithRowKernel = false>
constexpr CellEntry<S> entry(const char* family, const char* name) {
  return {family, name, &Equations::matches,
          [](const CellSpec&) { return CellLoops<S, Equations>::template cell<WithRowKernel>(); }};
}
// A cell that reads its options at run time.
template <class S, class General>
constexpr CellEntry<S> general_entry(const char* family, const char* name) {
  return {family, name, &General::matches, &General::cell};
}

// Of each family from the fastest to the most general: the first that matches a specification computes the cell.
template <class S>
inline constexpr CellEntry<S> all_cells[] = {
    entry<S, LstmEquations<S>, true>("lstm", "lstm"),
    general_entry<S, LstmWithOptions<S>>("lstm", "lstm with layer norm or clipping"),
    entry<S, LstmVariantEquations<S, PeepholeLstm>, true>("lstm", "peephole lstm"),
    entry<S, LstmVariantEquations<S, CoupledLstm>, true>("lstm", "coupled lstm"),
    entry<S, LstmVariantEquations<S, CoupledPeepholeLstm>>("lstm", "coupled peephole lstm"),
    entry<S, LstmVariantEquations<S, NoInputGateLstm>>("lstm", "lstm without input gate"),
    entry<S, LstmVariantEquations<S, NoForgetGateLstm>>("lstm", "lstm without forget gate"),
    entry<S, LstmVariantEquations<S, NoOutputGateLstm>>("lstm", "lstm without output gate"),
    general_entry<S, GeneralLstm<S>>("lstm", "general lstm"),
    entry<S, GruEquations<S>, true>("gru", "gru"),
    general_entry<S, GruResetBefore<S>>("gru", "gru with reset before the product"),
    general_entry<S, GeneralGru<S>>("gru", "general gru"),
    entry<S, RnnEquations<S, true>>("rnn", "tanh rnn"),
    entry<S, RnnEquations<S, false>>("rnn", "relu rnn"),
    general_entry<S, GeneralRnn<S>>("rnn", "general rnn"),
};

// Throws std::invalid_argument for an unknown family.
template <class S>
Cell<S> make_cell(const CellSpec& spec) {
  for (const CellEntry<S>& entry : all_cells<S>) {
    if (entry.family != spec.family || !entry.matches(spec)) continue;
    Cell<S> cell = entry.cell(spec);
    cell.name = entry.name;
    cell.spec = spec;
    return cell;
  }
  throw std::invalid_argument("unknown cell");
}
template <class S>
std::vector<const char*> cell_names() {
  std::vector<const char*> names;
  for (const CellEntry<S>& entry : all_cells<S>) names.push_back(entry.name);
  return names;
}

// Compiled in kernels.cpp.
#define FUSEDLSTM_CELLS(declare, S)                       \
  declare template Cell<S> make_cell<S>(const CellSpec&); \
  declare template std::vector<const char*> cell_names<S>()
FUSEDLSTM_CELLS(extern, float);
FUSEDLSTM_CELLS(extern, double);

}  // namespace fusedlstm
