// The states of the rows of a shard, step by step: where the equations read and write them, zoneout, recurrent dropout,
// the output and the final states.
#pragma once

#include "cells/zoneout.hpp"
#include "recurrent/step_rows.hpp"

namespace fusedlstm {

// Unit shards of the same rows share `rows`.
template <class S>
class ForwardStates {
 public:
  ForwardStates(const ForwardRange<S>& range, const StepRows<S>* rows)
      : range_(range),
        call_(range.call),
        shard_(range.shard),
        groups_(range.groups),
        outputs_(range.outputs),
        owns_rows_(!rows),
        masks_(call_.shape.regularizers, call_.shape.direction, shard_.rows, groups_.padded_units(),
               outputs_.padded_units()) {
    step_tile_.spec = &call_.cell->spec;
    step_tile_.unit_weights = call_.weights.unit_weights;
    if (rows) rows_ = *rows;
  }

  void lay_out(Arena& arena) {
    if (owns_rows_) rows_.lay_out(range_, arena);
    masks_.lay_out(arena);
    if (masks_.recurrent) dropped_h_ = arena.take<S>(shard_.rows * outputs_.padded_units());
    if (call_.y && !call_.plan->equal) first_y_ = arena.take<S*>(shard_.rows);
  }

  void start() {
    const Index padded = groups_.padded_units();
    step_tile_.h = range_.sizes().projection ? row_major(rows_.m, padded) : row_major(rows_.h_next, padded);
    step_tile_.c = c_after(-1);
    step_tile_.c_prev = step_tile_.c;
    step_tile_.by_carried_gate = padded;
    if (const SavedDirection<S>* saved = call_.saved) {
      const Index first = shard_.saved_row(-1);
      step_tile_.c = saved->grid(saved->c, 0, first);
      step_tile_.h_factor = saved->grid(saved->h_factor, 0, first);
      step_tile_.gates = {saved->gates_of(0, first), saved->plan.saved_rows * groups_.width(), groups_.width()};
      step_tile_.carried_gates = row_major(saved->carried_gates.values, saved->carried_gates.stride);
      step_tile_.reset_h = row_major(saved->reset_h.values, saved->reset_h.stride);
    } else {
      if (rows_.zoned_c) step_tile_.c = group_major(rows_.raw_c ? rows_.raw_c : rows_.zoned_c, shard_.rows);
      step_tile_.gates = {rows_.gates, shard_.rows * groups_.width(), groups_.width()};
      step_tile_.carried_gates = row_major(rows_.carried_gates_next, 3 * padded);
      step_tile_.reset_h = row_major(rows_.reset_h, padded);
    }
    step_tile_.h_prev = row_major(dropped_h_, padded);
    if (masks_.candidate) step_tile_.candidate_mask = row_major(masks_.candidate.values(), padded);
    masks_.start(shard_.rows, [&](Index r) { return range_.row_of(r); });
    load_initial_states();
    if (first_y_)
      for (Index r = 0; r < shard_.rows; r++) first_y_[r] = range_.y_at(r, 0);
    if (call_.y) clear_past_ends();
  }

  // Makes the arrays refer to step t.
  void begin_step(Index t, Index active) {
    if (t > 0) rows_.advance();
    point_at_step(t);
    masks_.draw(t, active);
    h_ = rows_.h_prev;
    if (!masks_.recurrent) return;
    h_ = dropped_h_;
    for (Index j = 0; j < active * outputs_.padded_units(); j += pack_size<S>)
      store(dropped_h_ + j, load(rows_.h_prev + j) * load(masks_.recurrent.values() + j));
  }

  const StepRows<S>& rows() const { return rows_; }
  const LayerMasks<S>& masks() const { return masks_; }
  // The arrays of step t, starting at this group and row.
  ForwardTile<S> tile(int group, Index row) const { return step_tile_.from(group, row); }
  Grid<S> c() const { return step_tile_.c; }
  Rows<S> reset_h() const { return {step_tile_.reset_h.values, step_tile_.reset_h.by_row}; }
  // The h_prev that the products read: after recurrent dropout.
  const S* h_prev() const { return h_; }
  S* h_row(Index row) const { return rows_.h_next + row * outputs_.padded_units(); }
  bool carries_gates() const { return step_tile_.carried_gates.values; }
  // The recurrent state that step t + 1 reads; h in a GRU. Training keeps one per step. At inference t is ignored:
  // there is one current state.
  Grid<S> c_after(Index t) const {
    if (call_.saved) return call_.saved->grid(call_.saved->c_after_zoneout, 0, shard_.saved_row(t));
    return group_major(rows_.c, shard_.rows);
  }
  // The carried gates that step t + 1 reads. At inference t is ignored, as in c_after.
  Rows<S> carried_gates_after(Index t) const {
    if (call_.saved) return {call_.saved->carried_gates.at(shard_.saved_row(t)), call_.saved->carried_gates.stride};
    return {rows_.carried_gates_prev, 3 * groups_.padded_units()};
  }

  // The gate rows of a group that forward_second or backward reads; null if there are none.
  S* kept_gates(Index t, int group, Index row) const {
    if (call_.saved) return call_.saved->gates_of(group, shard_.saved_row(t) + row);
    if (!rows_.gates) return nullptr;
    return rows_.gates + group * shard_.rows * groups_.width() + row * groups_.width_of(group);
  }
  // The same gates as a grid, for a group that is not packed densely.
  Grid<S> kept_gate_grid(Index t, int group, Index row) const {
    if (call_.saved) return call_.saved->gate_grid(group, shard_.saved_row(t) + row);
    return step_tile_.gates.values ? step_tile_.gates.from(group, row) : Grid<S>{};
  }

  // Applies zoneout to the c that the next step reads.
  void zone_out_c(Index t, const ForwardTile<S>& tile, int group, Index row) {
    if (!masks_.zoneout_c || call_.cell->recurrent_state != RecurrentState::c) return;
    Grid<S> result = call_.saved ? c_after(t) : group_major(rows_.zoned_c, shard_.rows);
    zone_out<S>(tile.groups, tile.rows, row_major(masks_.zoneout_c.values(), groups_.padded_units()).from(group, row),
                tile.c_prev, tile.c, result.from(group, row));
  }
  // Zoneout of h, the saved h of a projection, and the output, for some groups of h.
  void finish_h(Index t, int group, int groups, Index row, int rows) {
    const Grid<S> h = row_major(rows_.h_next, outputs_.padded_units()).from(group, row);
    if (masks_.zoneout_h) zone_out_h(t, h, group, groups, row, rows);
    if (call_.saved && call_.saved->projected_h) save_projected_h(t, h, group, groups, row, rows);
    if (call_.y) write_output(t, h, group, groups, row, rows);
  }

  // The final states of the rows that end with step t.
  void write_final_states(Index t) {
    const Grid<S> c = rows_.zoned_c ? group_major(rows_.zoned_c, shard_.rows) : c_after(t);
    const Index first = range_.first_output();
    for (Index r = shard_.active(t + 1); r < shard_.active(t); r++) {
      const Index to = range_.row_of(r);
      if (call_.final.h) copy(h_row(r) + first, range_.own_outputs(), call_.final.h + to * outputs_.units + first);
      for (int g = range_.gate_shard.first; g < range_.gate_shard.last; g++) {
        const Index unit = g * Index(pack_size<S>);
        if (call_.final.c)
          store_first(call_.final.c + to * groups_.units + unit, load(c.at(g, r)), groups_.units_of(g));
        for (int k = 0; k < 3 && call_.final.gates; k++)
          store_first(call_.final.gates + (to * 3 + k) * groups_.units + unit,
                      load(step_tile_.carried_gates.at(g, r) + k * groups_.padded_units()), groups_.units_of(g));
      }
    }
  }

 private:
  // Makes step_tile_ refer to step t, starting at the first group and row.
  void point_at_step(Index t) {
    if (!range_.sizes().projection) step_tile_.h.values = rows_.h_next;
    if (const SavedDirection<S>* saved = call_.saved) {
      const Index first = shard_.saved_row(t);
      step_tile_.c_prev = c_after(t - 1);
      if (saved->c) step_tile_.c.values = saved->c + first * pack_size<S>;
      step_tile_.h_factor.values = saved->h_factor + first * pack_size<S>;
      step_tile_.gates.values = saved->gates + first * groups_.width_of(0);
      if (saved->carried_gates) step_tile_.carried_gates.values = saved->carried_gates.at(first);
      if (saved->reset_h) step_tile_.reset_h.values = saved->reset_h.at(first);
    } else {
      step_tile_.carried_gates.values = rows_.carried_gates_next;
    }
    step_tile_.h_prev.values = masks_.recurrent ? dropped_h_ : rows_.h_prev;
    if (rows_.zoned_c) {
      step_tile_.c_prev.values = rows_.c;
      step_tile_.c.values = rows_.raw_c ? rows_.raw_c : rows_.zoned_c;
    }
    if (call_.y && call_.plan->equal) y_ = call_.y.at(shard_.first_row, call_.shape.time(t, shard_.steps));
  }

  void load_initial_states() {
    const Index units = groups_.units, outputs = outputs_.units, padded = outputs_.padded_units();
    const SavedDirection<S>* saved = call_.saved;
    const RecurrentState state = call_.cell->recurrent_state;
    const Grid<S> c = c_after(-1);
    const Grid<S> saved_h = saved && !saved->projected_h ? saved->grid(saved->h(), 0, shard_.saved_row(-1)) : Grid<S>{};
    const auto initial = [&](const S* all, Index row, Index numbers, int group) {
      const Index first = group * Index(pack_size<S>);
      return all ? load_first(all + range_.row_of(row) * numbers + first, numbers - first) : zero<S>();
    };
    for (Index r = 0; r < shard_.rows; r++) {
      for (int g = range_.h_shard.first; g < range_.h_shard.last; g++) {
        const Pack<S> h = initial(call_.initial.h, r, outputs, g);
        store(rows_.h_prev + r * padded + g * pack_size<S>, h);
        if (state == RecurrentState::h) store(c.at(g, r), h);
        if (saved_h.values) store(saved_h.at(g, r), h);
        else if (saved) store(saved->projected_h.at(shard_.saved_row(-1) + r) + g * pack_size<S>, h);
      }
      for (int g = range_.gate_shard.first; g < range_.gate_shard.last; g++) {
        if (state == RecurrentState::c) store(c.at(g, r), initial(call_.initial.c, r, units, g));
        if (!step_tile_.carried_gates.values) continue;
        S* gates = carried_gates_after(-1).at(r) + g * pack_size<S>;
        for (int k = 0; k < 3; k++) {
          const Index first = g * Index(pack_size<S>);
          const S* from = call_.initial.gates;
          if (from) from += (range_.row_of(r) * 3 + k) * units + first;
          store(gates + k * groups_.padded_units(), from ? load_first(from, units - first) : zero<S>());
        }
      }
    }
  }

  // y is zero past the end of a sequence.
  void clear_past_ends() {
    const Index outputs = range_.own_outputs();
    for (Index r = 0; r < shard_.rows; r++) {
      const Index length = range_.length(r), count = call_.shape.steps - length;
      S* y = call_.y.at(range_.row_of(r), length) + range_.first_output();
      if (outputs == call_.y.by_step) {
        std::fill_n(y, count * outputs, S(0));
        continue;
      }
      for (Index k = 0; k < count; k++) std::fill_n(y + k * call_.y.by_step, outputs, S(0));
    }
  }

  // The copy is the h that the next step of a GRU, or backward, reads.
  void zone_out_h(Index t, Grid<S> h, int group, int groups, Index row, int rows) {
    const Index padded = outputs_.padded_units();
    Grid<S> copy;
    if (call_.saved && !call_.saved->projected_h)
      copy = call_.saved->grid(call_.saved->h_after_zoneout, group, shard_.saved_row(t) + row);
    else if (call_.cell->recurrent_state == RecurrentState::h) copy = step_tile_.c.from(group, row);
    zone_out<S>(groups, rows, row_major(masks_.zoneout_h.values(), padded).from(group, row),
                row_major(rows_.h_prev, padded).from(group, row), h, h, copy);
  }
  void save_projected_h(Index t, Grid<const S> h, int group, int groups, Index row, int rows) {
    for (int k = 0; k < rows; k++)
      for (int g = 0; g < groups; g++)
        store(call_.saved->projected_h.at(shard_.saved_row(t) + row + k) + (group + g) * pack_size<S>,
              load(h.at(g, k)));
  }
  void write_output(Index t, Grid<const S> h, int group, int groups, Index row, int rows) {
    const bool has_tail = outputs_.is_tail(group + groups - 1);
    const int whole = groups - has_tail;
    for (int k = 0; k < rows; k++) {
      S* y = output_row(t, row + k) + group * pack_size<S>;
      for (int g = 0; g < whole; g++) store(y + g * pack_size<S>, load(h.at(g, k)));
      if (has_tail) store_first(y + whole * pack_size<S>, load(h.at(whole, k)), outputs_.tail_units);
    }
  }
  S* output_row(Index t, Index row) const {
    return call_.plan->equal ? y_ + row * call_.y.by_row : first_y_[row] + t * range_.step_stride(call_.y.by_step);
  }

  const ForwardRange<S> range_;
  const ForwardCall<S>& call_;
  const RowShard& shard_;
  const Groups<S> groups_, outputs_;
  const bool owns_rows_;
  LayerMasks<S> masks_;
  StepRows<S> rows_;
  S* dropped_h_ = nullptr;  // h_prev times the mask of recurrent dropout
  const S* h_ = nullptr;
  ForwardTile<S> step_tile_{};
  S* y_ = nullptr;         // the output of the first row at this step, if all lengths are equal
  S** first_y_ = nullptr;  // the output of each row at step 0, if lengths are unequal
};

}  // namespace fusedlstm
