// The arguments of forward over a sequence, and the rows and units that one ForwardPass computes.
#pragma once

#include "cells/cell.hpp"
#include "product/panels.hpp"
#include "recurrent/arrays.hpp"
#include "recurrent/row_plan.hpp"
#include "recurrent/saved.hpp"

namespace fusedlstm {

// One direction of a layer.
template <class S>
struct ForwardCall {
  const Cell<S>* cell;
  DirectionShape shape;
  Panels<S> panels;
  const S* bias;  // [group][width]
  UnitWeights<S> unit_weights;
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
  Groups<S> groups;
  UnitShard unit_shard;

  ForwardRange(const ForwardCall<S>& forward_call, const RowShard& row_shard, int index, int shards)
      : call(forward_call),
        shard(row_shard),
        groups(call.shape.sizes.hidden_size, call.shape.sizes.gates.count),
        unit_shard(groups.count, groups.groups_per_panel(), index, shards) {}

  Index input_size() const { return call.shape.sizes.input_size; }
  Index first_unit() const { return Index(unit_shard.first) * pack_size<S>; }
  Index own_units() const { return std::min(groups.units - first_unit(), Index(unit_shard.count()) * pack_size<S>); }
  Index own_width() const { return unit_shard.count() * groups.width(); }  // the numbers in a row of own gates
  const S* bias() const { return call.bias + unit_shard.first * groups.width(); }
  // The caller's number of a row.
  Index row_of(Index row) const { return call.plan->row_of[static_cast<std::size_t>(shard.first_row + row)]; }
  Index length(Index row) const { return call.plan->lengths[static_cast<std::size_t>(shard.first_row + row)]; }
  const S* x_at(Index row, Index t) const { return call.x.at(row_of(row), call.shape.time(t, length(row))); }
  S* y_at(Index row, Index t) const { return call.y.at(row_of(row), call.shape.time(t, length(row))); }
};

// Arrays of the rows of a shard as grids: [group][row][unit] and [row][padded units].
template <class S>
Grid<S> group_major(S* values, Index rows) {
  return {values, rows * pack_size<S>, pack_size<S>};
}
template <class S>
Grid<S> row_major(S* values, Index padded_units) {
  return {values, pack_size<S>, padded_units};
}

}  // namespace fusedlstm
