// The backward equations of the cell at a step, with zoneout and the tail group.
#pragma once

#include "cells/zoneout.hpp"
#include "recurrent/backward_call.hpp"
#include "recurrent/forward_call.hpp"

namespace fusedlstm {

// Turns dL/dh of a step into the gradients of the pre-activations, for the rows of a shard. Keeps dL/dc between steps.
//
// With zoneout, h = m h_prev + (1 - m) h_cell, and c = m c_prev + (1 - m) c_cell. The equations of the cell get
// (1 - m) dh and (1 - m) dc. m dh and m dc bypass the cell and are added to dh and dc of the previous step.
template <class S>
class CellBackward {
 public:
  CellBackward(const BackwardCall<S>& call, const RowShard& shard)
      : call_(call),
        shard_(shard),
        groups_(call.saved->groups),
        outputs_(whole_packets<S>(call.shape.sizes.output_size)),
        masks_(call.shape.regularizers, call.shape.direction, shard.rows, groups_.padded_units(), outputs_) {}

  void lay_out(Arena& arena) {
    const Index numbers = shard_.rows * groups_.padded_units();
    dc_ = arena.take<S>(numbers);
    masks_.lay_out(arena);
    if (masks_.zoneout_h) bypass_dh_ = arena.take<S>(shard_.rows * outputs_);
    if (masks_.zoneout_c) bypass_dc_ = arena.take<S>(numbers);
    if (groups_.tail_units < pack_size<S>) tail_gates_ = arena.take<S>(max_epilogue_rows * groups_.width());
  }

  // dc of the last steps is the gradient of the final c. dcarried_gates: [row][3][padded units], or null.
  void start(const UnitShard& units, S* dcarried_gates) {
    const SavedDirection<S>& saved = *call_.saved;
    const Grid<S> dc = grid(dc_);
    step_tile_.spec = &call_.cell->spec;
    step_tile_.dc = dc;
    step_tile_.c_prev = saved.grid(saved.c_after_zoneout, 0, 0);
    step_tile_.c = saved.grid(saved.c, 0, 0);
    step_tile_.unit_weights = call_.unit_weights;
    if (masks_.candidate) step_tile_.candidate_mask = row_major(masks_.candidate.values(), groups_.padded_units());
    if (masks_.recurrent) step_tile_.recurrent_mask = row_major(masks_.recurrent.values(), outputs_);
    step_tile_.dcarried_gates = row_major(dcarried_gates, 3 * groups_.padded_units());
    step_tile_.by_carried_gate = groups_.padded_units();
    masks_.start(shard_.rows, [&](Index r) { return call_.row_of(shard_.first_row + r); });
    if (bypass_dh_) std::fill_n(bypass_dh_, shard_.rows * outputs_, S(0));
    if (bypass_dc_) std::fill_n(bypass_dc_, shard_.rows * groups_.padded_units(), S(0));
    step_tile_.h_factor = saved.grid(saved.h_factor, 0, 0);
    for (Index r = 0; r < shard_.rows; r++)
      for (int g = units.first; g < units.last; g++) {
        const S* from = call_.dfinal.c;
        if (from) from += call_.row_of(shard_.first_row + r) * groups_.units + g * pack_size<S>;
        store(dc.at(g, r), from ? load_first(from, groups_.units_of(g)) : zero<S>());
      }
  }

  // Makes the tiles refer to step t and draws its masks.
  void point_at_step(Index t, Index active) {
    const SavedDirection<S>& saved = *call_.saved;
    const Index first = shard_.saved_row(t);
    if (saved.c_after_zoneout)
      step_tile_.c_prev.values = saved.c_after_zoneout + shard_.saved_row(t - 1) * pack_size<S>;
    if (saved.c) step_tile_.c.values = saved.c + first * pack_size<S>;
    step_tile_.h_factor.values = saved.h_factor + first * pack_size<S>;
    masks_.draw(t, active);
  }

  // The equations on `groups` groups of some rows at step t. dh: [row][unit], `width` numbers per row. Layer
  // normalization: only those of h; dh is then dL/d(gain_c norm(c) + bias_c).
  void differentiate(Index t, Index row, int rows, int first_group, int groups, S* dh, Index width) {
    for_parts(t, row, rows, first_group, groups, {dh, pack_size<S>, width},
              [&](const BackwardTile<S>& tile, int group) {
                zone_out(tile, group, row);
                call_.cell->backward(tile);
              });
  }
  // Layer normalization: the equations of c.
  void differentiate_c(Index t, Index row, int rows, int group) {
    for_parts(t, row, rows, group, 1, {}, [&](const BackwardTile<S>& tile, int) { call_.cell->backward_second(tile); });
  }
  // Reset before the product: the equations of r. dreset_h: as dh.
  void differentiate_reset(Index t, Index row, int rows, int first_group, int groups, S* dreset_h, Index width) {
    for_parts(t, row, rows, first_group, groups, {dreset_h, pack_size<S>, width},
              [&](const BackwardTile<S>& tile, int) { call_.cell->backward_second(tile); });
  }
  // Zoneout of the h of a projection: dh, [row][unit], becomes the gradient of the projection.
  void zone_out_projected(Index row, int rows, int first_group, int groups, S* dh, Index width) {
    if (!masks_.zoneout_h) return;
    zone_out_backward<S>(groups, rows, row_major(masks_.zoneout_h.values(), outputs_).from(first_group, row),
                         {dh, pack_size<S>, width}, bypass_dh().from(first_group, row));
  }

  const LayerMasks<S>& masks() const { return masks_; }
  Grid<S> dc() const { return grid(dc_); }
  // Null values without zoneout.
  Grid<S> bypass_dh() const { return grid(bypass_dh_); }
  Grid<S> bypass_dc() const { return grid(bypass_dc_); }

 private:
  Grid<S> grid(S* values) const { return group_major(values, shard_.rows); }

  // Calls work(tile, first group) for the whole groups and for the tail.
  template <class Work>
  void for_parts(Index t, Index row, int rows, int first_group, int groups, Grid<S> dh, Work&& work) {
    const int last_group = groups_.count - 1;
    const bool has_tail = groups_.gates > 1 && groups_.is_tail(last_group) && first_group + groups == groups_.count;
    BackwardTile<S> tile = step_tile_.from(first_group, row);
    tile.gates = call_.saved->gate_grid(first_group, shard_.saved_row(t) + row);
    tile.groups = groups - has_tail;
    tile.rows = rows;
    tile.dh = dh;
    if (tile.groups > 0) work(tile, first_group);
    if (!has_tail) return;
    const Index gate_width = groups_.width_of(last_group);
    S* gate_rows = call_.saved->gates_of(last_group, shard_.saved_row(t) + row);
    unpack_tail(gate_rows, gate_width, gate_width, groups_.tail_units, groups_.gates, rows, tail_gates_);
    tile = step_tile_.from(last_group, row);
    tile.groups = 1;
    tile.rows = rows;
    tile.dh = {dh.values + (groups - 1) * pack_size<S>, 0, dh.by_row};
    tile.gates = {tail_gates_, 0, groups_.width()};
    work(tile, last_group);
    pack_tail(tail_gates_, groups_.tail_units, groups_.gates, rows, gate_rows, gate_width);
  }

  void zone_out(const BackwardTile<S>& tile, int group, Index row) {
    const auto mask = [&](const RowMasks<S>& masks) {
      return row_major(masks.values(), groups_.padded_units()).from(group, row);
    };
    const bool zones_h = masks_.zoneout_h && !call_.shape.sizes.projection;
    if (zones_h && call_.cell->recurrent_state == RecurrentState::h) {
      // dL/dh has three parts: tile.dh from the product, tile.dc along the recurrent state, and the bypass. tile.dc is
      // added to the bypass before zoneout.
      const Grid<S> bypass = bypass_dh().from(group, row);
      for (int g = 0; g < tile.groups; g++)
        for (int r = 0; r < tile.rows; r++) {
          store(bypass.at(g, r), load(bypass.at(g, r)) + load(tile.dc.at(g, r)));
          store(tile.dc.at(g, r), zero<S>());
        }
      zone_out_backward<S>(tile.groups, tile.rows, mask(masks_.zoneout_h), tile.dh, bypass);
      return;
    }
    if (zones_h)
      zone_out_backward<S>(tile.groups, tile.rows, mask(masks_.zoneout_h), tile.dh, bypass_dh().from(group, row));
    if (masks_.zoneout_c)
      zone_out_backward<S>(tile.groups, tile.rows, mask(masks_.zoneout_c), tile.dc, bypass_dc().from(group, row));
  }

  const BackwardCall<S>& call_;
  const RowShard& shard_;
  Groups<S> groups_;
  const Index outputs_;  // padded
  LayerMasks<S> masks_;
  // [group][row]. For a GRU: the part of dL/dh_prev that does not pass through W_hh.
  S* dc_ = nullptr;
  S* bypass_dh_ = nullptr;  // [group][row], the gradient that zoneout leads past the cell
  S* bypass_dc_ = nullptr;
  S* tail_gates_ = nullptr;      // [row][gate][unit]
  BackwardTile<S> step_tile_{};  // without gates
};

}  // namespace fusedlstm
