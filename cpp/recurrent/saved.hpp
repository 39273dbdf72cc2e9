// The numbers that forward keeps for backward: one saved row per sequence and step (row_plan.hpp), divided into groups
// of units. Per unit they are the activations of the gates, c if the cell has one, and h_factor (cells/cell.hpp).
//
// Backward overwrites the activations with the gradients of the pre-activations, and h_factor with m, which is h
// without a projection: the weight gradients are sums of products of the two.
#pragma once

#include "cells/cell.hpp"
#include "cells/regularizers.hpp"
#include "product/panels.hpp"
#include "recurrent/arrays.hpp"
#include "recurrent/row_plan.hpp"
#include "runtime/memory.hpp"

namespace fusedlstm {

// An odd number of cache lines between rows: the rows are then in different sets of the cache.
template <class S>
constexpr Index odd_cache_lines(Index numbers) {
  constexpr Index line = Index(cache_line / sizeof(S));
  return ((numbers + line - 1) / line | 1) * line;
}

// Numbers of each row that layer normalization keeps: the inverse standard deviations of W_ih x, W_hh h_prev and c over
// all units, and the mean of c. The means of the products are zero.
struct NormStatistics {
  enum { x_inverse, h_inverse, c_mean, c_inverse, count };
};

// One direction.
template <class S>
struct SavedDirection {
  RowPlan plan;
  Groups<S> groups;
  S* gates = nullptr;     // gate rows, [panel][saved row][gates]
  S* c = nullptr;         // [group][saved row][unit]; h if that is the recurrent state; null if there is none
  S* h_factor = nullptr;  // [group][saved row][unit]
  // The states that the next step reads; c is h in a GRU. They differ from c and h_factor only with zoneout.
  S* c_after_zoneout = nullptr;
  S* h_after_zoneout = nullptr;  // null without zoneout of h
  // Arrays of some cells, [saved row][number].
  Rows<S> projected_h, dprojected_h;  // h with a projection, and its gradient
  Rows<S> carried_gates;              // i, f and o, each padded to whole packets
  Rows<S> reset_h;                    // r h_prev
  Rows<S> x_part, h_part;             // W_ih x and W_hh h_prev as gate rows; backward: their gradients
  Rows<S> statistics;                 // [NormStatistics][saved row]
  MemoryBlock memory;

  SavedDirection(RowPlan row_plan, const Groups<S>& unit_groups, const Cell<S>& cell, const DirectionShape& shape)
      : plan(std::move(row_plan)), groups(unit_groups) {
    const Sizes& sizes = shape.sizes;
    const bool zones_h = shape.regularizers.zoneout_h > 0, zones_c = shape.regularizers.zoneout_c > 0;
    memory = allocate([&](Arena arena) {
      const Index numbers = plan.saved_rows * groups.padded_units();
      gates = arena.take<S>(groups.gate_row_size(plan.saved_rows));
      h_factor = arena.take<S>(numbers);
      if (zones_h && !sizes.projection) h_after_zoneout = arena.take<S>(numbers);
      if (cell.recurrent_state == RecurrentState::h) c = h_factor;
      if (cell.recurrent_state == RecurrentState::c) c = arena.take<S>(numbers);
      c_after_zoneout = c;
      if (zones_h && cell.recurrent_state == RecurrentState::h) c_after_zoneout = h_after_zoneout;
      // The gradients of peepholes, clipping and layer normalization need c of the cell beside the c that the next
      // step reads.
      const bool needs_c = cell.sum_unit_weights || cell.spec.clips() || sizes.layer_norm;
      if (zones_c && cell.recurrent_state == RecurrentState::c && needs_c) c_after_zoneout = arena.take<S>(numbers);
      const auto take = [&](Rows<S>& rows, bool wanted, Index count) {
        if (!wanted) return;
        rows.stride = odd_cache_lines<S>(count);
        rows.values = arena.take<S>(plan.saved_rows * rows.stride);
      };
      take(projected_h, sizes.projection, whole_packets<S>(sizes.output_size));
      take(dprojected_h, sizes.projection, whole_packets<S>(sizes.output_size));
      take(carried_gates, sizes.carried_gates() > 0, 3 * groups.padded_units());
      take(reset_h, sizes.reset_before, groups.padded_units());
      take(x_part, sizes.layer_norm, groups.gate_row_size(1));
      take(h_part, sizes.layer_norm, groups.gate_row_size(1));
      if (sizes.layer_norm) {
        statistics.stride = odd_cache_lines<S>(plan.saved_rows + pack_size<S>);  // packets are read
        statistics.values = arena.take<S>(NormStatistics::count * statistics.stride);
      }
      return arena.used();
    });
  }

  // The h that the next step reads, without projection. Without zoneout, the h of a step is there only after backward
  // of that step.
  S* h() const { return h_after_zoneout ? h_after_zoneout : h_factor; }
  // A gate row of a panel. A panel is a group, or several groups with a single gate (product/panels.hpp). With
  // more than one gate, a panel is one group.
  S* gates_of(int panel, Index saved_row) const {
    return gates + panel * plan.saved_rows * groups.groups_per_panel() * groups.width() +
           saved_row * groups.panel_width(panel);
  }
  // The gates of the groups of one panel, starting at this group and saved row.
  Grid<S> gate_grid(int group, Index saved_row) const {
    const int per_panel = groups.groups_per_panel(), panel = group / per_panel;
    S* values = gates_of(panel, saved_row) + group % per_panel * groups.width();
    return {values, per_panel > 1 ? groups.width() : plan.saved_rows * groups.width(), groups.panel_width(panel)};
  }
  // One packet per group and row, starting at this group and saved row.
  Grid<S> grid(S* values, int group, Index saved_row) const {
    if (!values) return {};
    return {values + (group * plan.saved_rows + saved_row) * pack_size<S>, plan.saved_rows * pack_size<S>,
            pack_size<S>};
  }
};

}  // namespace fusedlstm
