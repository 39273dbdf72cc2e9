// The arguments of backward over a sequence, and helpers of BackwardPass.
#pragma once

#include <vector>

#include "cells/cell.hpp"
#include "product/panels.hpp"
#include "recurrent/arrays.hpp"
#include "recurrent/row_plan.hpp"
#include "recurrent/saved.hpp"

namespace fusedlstm {

// One direction of a layer.
template <class S>
struct BackwardCall {
  const Cell<S>* cell;
  DirectionShape shape;
  Panels<S> hh_panels;  // W_hh
  Panels<S> ih_panels;  // W_ih; without values if dx is not wanted
  Panels<S> hn_panels, hr_panels;
  Panels<S> gates_panels[3];  // the columns of i, f and o of W_gates
  UnitWeights<S> unit_weights;
  const S *gain_ih, *gain_hh;  // [group][width]
  const S* gain_c;             // (padded units,)
  SequenceView<const S> x;
  SequenceView<const S> dy;
  States<const S> dfinal;
  SequenceView<S> dx;
  bool add_dx;  // dx += instead of dx =
  States<S> dinitial;
  Weights<S> gradients;  // added to
  const SavedDirection<S>* saved;
  Rows<S> norm_sums;  // gradients of the vectors of layer normalization, one row per norm_block (backward_norm.hpp)

  Index row_of(Index sorted) const { return saved->plan.row_of[static_cast<std::size_t>(sorted)]; }
  Index length(Index sorted) const { return saved->plan.lengths[static_cast<std::size_t>(sorted)]; }
  Index time(Index t, Index sorted) const { return shape.time(t, length(sorted)); }
};

// The gradients of the pre-activations as A of a product with W_hh, W_ih, W_hn or W_gates: one operand per panel, with
// the gates that have rows in the matrix. Of layer normalization, the gradients of W_ih x or W_hh h_prev: one operand.
template <class S>
class GateOperands {
 public:
  GateOperands(const SavedDirection<S>& saved, const GateLayout& gates, const int (&rows)[max_gates],
               const Rows<S>& part = {})
      : saved_(saved), part_(part), fed_(gates, rows) {
    const Groups<S>& groups = saved.groups;
    if (fed_.count == 0) return;
    if (part) {
      operands_.push_back({nullptr, part.stride, 0, groups.gates * groups.units});
      return;
    }
    Index first_k = 0;
    for (int p = 0; p < groups.panel_count(); p++) {
      const Index k_count = Index(fed_.count) * groups.panel_units(p);
      operands_.push_back({nullptr, groups.panel_width(p), first_k, k_count});
      first_k += k_count;
    }
  }
  // The operands, beginning with this saved row.
  const OperandA<S>* at(Index saved_row) {
    if (part_) {
      operands_[0].values = part_.at(saved_row);
      return operands_.data();
    }
    for (int p = 0; p < count(); p++)
      operands_[static_cast<std::size_t>(p)].values =
          saved_.gates_of(p, saved_row) + fed_.first * saved_.groups.panel_units(p);
    return operands_.data();
  }
  int count() const { return int(operands_.size()); }

 private:
  const SavedDirection<S>& saved_;
  Rows<S> part_;
  FedGates fed_;
  ThreadVector<OperandA<S>> operands_;
};

// Stores or adds packets of one row: to[column + j] = from[j] for j < width, up to the last of `columns` columns.
template <class S>
void write_columns(const S* from, S* to, Index column, Index width, Index columns, bool add) {
  for (Index j = 0; j < width && column + j < columns; j += pack_size<S>) {
    Pack<S> value = load(from + j);
    const Index n = columns - column - j;
    if (add) value = value + load_first(to + column + j, n);
    store_first(to + column + j, value, n);
  }
}

}  // namespace fusedlstm
