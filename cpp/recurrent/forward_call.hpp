// The arguments of forward over a sequence, and the rows and units that one ForwardPass computes.
#pragma once

#include "cells/cell.hpp"
#include "product/panels.hpp"
#include "recurrent/arrays.hpp"
#include "recurrent/row_plan.hpp"
#include "recurrent/saved.hpp"

namespace fusedlstm {

// The weights of one direction, packed for forward.
template <class S>
struct PackedDirection {
  Panels<S> panels;  // W_ih, W_hh and W_gates
  const S* bias;     // [group][width]
  UnitWeights<S> unit_weights;
  Panels<S> hn_panels;         // W_hn
  Panels<S> hr_panels;         // W_hr
  const S* bias_hr;            // (padded outputs,); zero without a bias
  const S *gain_ih, *gain_hh;  // [group][width], with input scale
  const S *gain_c, *bias_c;    // (padded units,)
};

// One direction of a layer.
template <class S>
struct ForwardCall {
  const Cell<S>* cell;
  DirectionShape shape;
  PackedDirection<S> weights;
  SequenceView<const S> x;
  States<const S> initial;
  SequenceView<S> y;  // zeros past the end of a sequence
  States<S> final;
  const RowPlan* plan;
  const SavedDirection<S>* saved;  // null: inference
};

// The rows of a shard and the units of a unit shard. Rows are numbered within the shard.
template <class S>
struct ForwardRange {
  const ForwardCall<S>& call;
  const RowShard& shard;
  Groups<S> groups;   // of units
  Groups<S> outputs;  // of the units of h
  // The groups whose gates this unit shard computes. Forward divides the panels of gates, mostly of one group each;
  // backward divides column panels of up to four groups (BackwardPass::gate_shard_).
  UnitShard gate_shard;
  UnitShard h_shard;  // the groups of h

  ForwardRange(const ForwardCall<S>& forward_call, const RowShard& row_shard, int index, int shards)
      : call(forward_call),
        shard(row_shard),
        groups(call.shape.sizes.hidden_size, call.shape.sizes.gates.count),
        outputs(call.shape.sizes.output_size, call.shape.sizes.gates.count),
        gate_shard(groups.count, groups.groups_per_panel(), index, shards),
        h_shard(call.shape.sizes.projection || call.shape.sizes.reset_before
                    ? UnitShard(outputs.count, max_packets, index, shards)
                    : gate_shard) {}

  const Sizes& sizes() const { return call.shape.sizes; }
  Index input_size() const { return sizes().input_size; }
  Index own_width() const { return gate_shard.count() * groups.width(); }  // the numbers in a row of own gates
  const S* bias() const { return call.weights.bias + gate_shard.first * groups.width(); }
  Index first_output() const { return Index(h_shard.first) * pack_size<S>; }
  Index own_outputs() const { return std::min(outputs.units - first_output(), Index(h_shard.count()) * pack_size<S>); }
  // The caller's number of a row.
  Index row_of(Index row) const { return call.plan->row_of[static_cast<std::size_t>(shard.first_row + row)]; }
  Index length(Index row) const { return call.plan->lengths[static_cast<std::size_t>(shard.first_row + row)]; }
  const S* x_at(Index row, Index t) const { return call.x.at(row_of(row), call.shape.time(t, length(row))); }
  S* y_at(Index row, Index t) const { return call.y.at(row_of(row), call.shape.time(t, length(row))); }
  // Between two steps of a row of x or y.
  Index step_stride(Index by_step) const { return call.shape.reverse ? -by_step : by_step; }
};

// Arrays of the rows of a shard as grids: [group][row][unit] and [row][padded units].
template <class S>
Grid<S> group_major(S* values, Index rows) {
  return {values, rows * pack_size<S>, pack_size<S>};
}
template <class S>
Grid<S> row_major(S* values, Index stride) {
  return {values, pack_size<S>, stride};
}

}  // namespace fusedlstm
