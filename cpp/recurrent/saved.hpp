// The numbers that forward keeps for backward: one saved row per sequence and step (row_plan.hpp), divided into groups
// of units. Per unit they are the activations of the gates, c if the cell has one, and h_factor (cells/cell.hpp).
//
// Backward overwrites the activations with the gradients of the pre-activations, and h_factor with h: the weight
// gradients are sums of products of the two.
#pragma once

#include "cells/cell.hpp"
#include "cells/regularizers.hpp"
#include "product/panels.hpp"
#include "recurrent/row_plan.hpp"
#include "runtime/memory.hpp"

namespace fusedlstm {

// One direction.
template <class S>
struct SavedDirection {
  RowPlan plan;
  Groups<S> groups;
  S* gates = nullptr;     // gate rows, [group][saved row][gates]
  S* c = nullptr;         // [group][saved row][unit]; h if that is the recurrent state; null if there is none
  S* h_factor = nullptr;  // [group][saved row][unit]
  // The states that the next step reads. They differ from c and h_factor only with zoneout.
  S* c_after_zoneout = nullptr;
  S* h_after_zoneout = nullptr;  // null without zoneout of h
  MemoryBlock memory;

  SavedDirection(RowPlan row_plan, const Groups<S>& unit_groups, const Cell<S>& cell, const Regularizers& regularizers)
      : plan(std::move(row_plan)), groups(unit_groups) {
    const bool zones_h = regularizers.zoneout_h > 0, zones_c = regularizers.zoneout_c > 0;
    memory = allocate([&](Arena arena) {
      const Index numbers = plan.saved_rows * groups.padded_units();
      gates = arena.take<S>(groups.gate_row_size(plan.saved_rows));
      h_factor = arena.take<S>(numbers);
      if (zones_h) h_after_zoneout = arena.take<S>(numbers);
      if (cell.recurrent_state == RecurrentState::h) c = h_factor;
      if (cell.recurrent_state == RecurrentState::c) c = arena.take<S>(numbers);
      c_after_zoneout = c;
      if (zones_h && cell.recurrent_state == RecurrentState::h) c_after_zoneout = h_after_zoneout;
      // Peephole gradients need c of the cell beside the c that the next step reads.
      if (zones_c && cell.recurrent_state == RecurrentState::c && cell.sum_unit_weights)
        c_after_zoneout = arena.take<S>(numbers);
      return arena.used();
    });
  }

  // The h that the next step reads. Without zoneout, the h of a step is there only after backward of that step.
  S* h() const { return h_after_zoneout ? h_after_zoneout : h_factor; }
  S* gates_of(int group, Index saved_row) const {
    return gates + group * plan.saved_rows * groups.width() + saved_row * groups.width_of(group);
  }
  // One packet per group and row, starting at this group and saved row.
  Grid<S> grid(S* values, int group, Index saved_row) const {
    if (!values) return {};
    return {values + (group * plan.saved_rows + saved_row) * pack_size<S>, plan.saved_rows * pack_size<S>,
            pack_size<S>};
  }
};

}  // namespace fusedlstm
