// The list of cells.
#pragma once

#include <string_view>

#include "cells/lstm.hpp"

namespace fusedlstm {

// Null for a name that no cell has.
template <class S>
const Cell<S>* find_cell(std::string_view name) {
  static constexpr Cell<S> cells[] = {lstm_cell<S>};
  for (const Cell<S>& cell : cells)
    if (name == cell.name) return &cell;
  return nullptr;
}

}  // namespace fusedlstm
