// Forward over a sequence. In each step, the product of x and h_prev with each panel is computed tile by tile, and the
// equations of the cell run on each finished tile. The pre-activations of a step stay in L1.
#pragma once

#include "cells/zoneout.hpp"
#include "recurrent/tail_tile.hpp"
#include "recurrent/x_product.hpp"

namespace fusedlstm {

// h of all units for the rows of a shard, at the previous and at the current step.
template <class S>
struct HBuffers {
  S *prev = nullptr, *next = nullptr;  // [row][padded units]
  void lay_out(Arena& arena, Index count) {
    prev = arena.take<S>(count);
    next = arena.take<S>(count);
  }
};

// The rows of a shard, or of a unit shard, through all steps. Unit shards of the same rows share `h` and meet at a
// barrier after every step.
template <class S>
class ForwardPass {
 public:
  ForwardPass(const ForwardCall<S>& call, const RowShard& shard, int unit_shard = 0, int unit_shards = 1,
              const HBuffers<S>& h = {})
      : call_(call),
        shard_(shard),
        range_(call, shard, unit_shard, unit_shards),
        groups_(range_.groups),
        unit_shard_(range_.unit_shard),
        panels_(call.panels.slice(unit_shard_.first_panel, unit_shard_.last_panel)),
        product_(panels_, shard.rows),
        h_(h),
        h_is_shared_(h.prev),
        hh_fed_(call.shape.sizes.gates, call.shape.sizes.gates.weight_hh),
        x_product_(range_),
        masks_(call.shape.regularizers, call.shape.direction, shard.rows, groups_.padded_units()) {
    step_tile_.unit_weights = call.unit_weights;
    scratch_ = allocate([&](Arena arena) { return lay_out(arena); });
  }

  // May be called again, with new values in the caller's arrays.
  void run() {
    start();
    for (Index t = 0; t < shard_.steps; t++) step(t);
  }

  void start() {
    step_tile_.h = row_major(h_.next, groups_.padded_units());
    step_tile_.c = c_after(-1);
    step_tile_.c_prev = step_tile_.c;
    if (const SavedDirection<S>* saved = call_.saved) {
      const Index first = shard_.saved_row(-1);
      step_tile_.c = saved->grid(saved->c, 0, first);
      step_tile_.h_factor = saved->grid(saved->h_factor, 0, first);
      step_tile_.gates = {saved->gates_of(0, first), saved->plan.saved_rows * groups_.width(), groups_.width()};
    } else if (zoned_c_) {
      step_tile_.c = group_major(zoned_c_, shard_.rows);
    }
    if (masks_.candidate) step_tile_.candidate_mask = row_major(masks_.candidate.values(), groups_.padded_units());
    masks_.start(shard_.rows, [&](Index r) { return range_.row_of(r); });
    x_product_.restart();
    load_initial_states();
    if (!call_.y) return;
    for (Index r = 0; r < shard_.rows; r++)
      for (Index time = range_.length(r); time < call_.shape.steps; time++)
        std::fill_n(call_.y.at(range_.row_of(r), time) + range_.first_unit(), range_.own_units(), S(0));
  }

  void step(Index t) {
    if (t > 0) {
      std::swap(h_.prev, h_.next);
      if (zoned_c_) std::swap(c_, zoned_c_);
    }
    const Index active = shard_.active(t);
    point_at_step(t);
    masks_.draw(t, active);
    const OperandA<S> h = h_operand(active);
    if (!x_product_.in_advance()) {
      const OperandA<S> operands[] = {x_product_.operand(range_, t, active), h};
      multiply(t, active, operands, 2, InitialC<S>{range_.bias(), 0});
    } else {
      const InitialC<S> x_part = x_product_.initial_c(range_, panels_, t);
      const bool one_row = active == 1 && call_.cell->forward_row && groups_.tail_units == pack_size<S>;
      if (one_row && !masks_.candidate) step_row(t, h, x_part);
      else multiply(t, active, &h, 1, x_part);
    }
    write_final_states(t);
  }

 private:
  std::size_t lay_out(Arena& arena) {
    const Index numbers = shard_.rows * groups_.padded_units();
    const RecurrentState state = call_.cell->recurrent_state;
    if (!h_is_shared_) h_.lay_out(arena, numbers);
    if (!call_.saved && state != RecurrentState::none) c_ = arena.take<S>(numbers);
    masks_.lay_out(arena);
    if (masks_.recurrent) dropped_h_ = arena.take<S>(numbers);
    const bool zones_c =
        (masks_.zoneout_h && state == RecurrentState::h) || (masks_.zoneout_c && state == RecurrentState::c);
    if (!call_.saved && zones_c) zoned_c_ = arena.take<S>(numbers);
    x_product_.lay_out(range_, arena);
    tail_tile_.lay_out(range_, arena);
    return arena.used();
  }

  // The recurrent state that step t + 1 reads. Training keeps one per step, inference only the current one.
  Grid<S> c_after(Index t) const {
    if (call_.saved) return call_.saved->grid(call_.saved->c_after_zoneout, 0, shard_.saved_row(t));
    return group_major(c_, shard_.rows);
  }

  void load_initial_states() {
    const Index row = groups_.padded_units();
    const RecurrentState state = call_.cell->recurrent_state;
    const Grid<S> c = c_after(-1);
    const Grid<S> saved_h = call_.saved ? call_.saved->grid(call_.saved->h(), 0, shard_.saved_row(-1)) : Grid<S>{};
    for (Index r = 0; r < shard_.rows; r++) {
      const Index from = range_.row_of(r) * groups_.units;
      const auto initial = [&](const S* all, int g) {
        return all ? load_first(all + from + g * pack_size<S>, groups_.units_of(g)) : zero<S>();
      };
      for (int g = unit_shard_.first; g < unit_shard_.last; g++) {
        const Pack<S> h = initial(call_.initial.h, g);
        store(h_.prev + r * row + g * pack_size<S>, h);
        if (state == RecurrentState::h) {
          store(c.at(g, r), h);
        } else if (state == RecurrentState::c) {
          store(c.at(g, r), initial(call_.initial.c, g));
        }
        if (call_.saved) store(saved_h.at(g, r), h);
      }
    }
  }

  // h_prev as an operand of the product: after recurrent dropout.
  OperandA<S> h_operand(Index active) {
    const Index row = groups_.padded_units();
    if (masks_.recurrent)
      for (Index j = 0; j < active * row; j += pack_size<S>)
        store(dropped_h_ + j, load(h_.prev + j) * load(masks_.recurrent.values() + j));
    return {masks_.recurrent ? dropped_h_ : h_.prev, row, range_.input_size(), groups_.units, hh_fed_.span};
  }

  // z of step t in tiles, each followed by the epilogue.
  void multiply(Index t, Index active, const OperandA<S>* operands, int count, InitialC<S> initial_c) {
    if (active < product_.rows()) product_ = PanelProduct<S>(panels_, active);
    product_.compute(operands, count, initial_c, [&](const Tile<S>& tile) { epilogue(t, tile); });
  }

  // A single row: product and equations without a tile.
  void step_row(Index t, const OperandA<S>& h, InitialC<S> initial_c) {
    TileProduct<S> product;
    product.operands = &h;
    product.count = 1;
    product.panel = panels_.values;
    product.panel_stride = panels_.stride;
    product.k_stride = product.c_panel_stride = groups_.width();
    product.initial_c = initial_c.values;
    ForwardTile<S> tile = step_tile_.from(unit_shard_.first, 0);
    tile.groups = unit_shard_.count();
    tile.rows = 1;
    call_.cell->forward_row({product, tile});
    zone_out_tile(t, tile, unit_shard_.first, 0);
    const Index first = range_.first_unit();
    if (call_.y) copy(h_.next + first, range_.own_units(), output_row(t, 0) + first);
  }

  // Makes step_tile_ refer to step t, starting at the first group and row.
  void point_at_step(Index t) {
    step_tile_.h.values = h_.next;
    if (const SavedDirection<S>* saved = call_.saved) {
      const Index first = shard_.saved_row(t);
      step_tile_.c_prev = c_after(t - 1);
      if (saved->c) step_tile_.c.values = saved->c + first * pack_size<S>;
      step_tile_.h_factor.values = saved->h_factor + first * pack_size<S>;
      step_tile_.gates.values = saved->gates + first * groups_.width_of(0);
    }
    if (zoned_c_) {
      step_tile_.c_prev.values = c_;
      step_tile_.c.values = zoned_c_;
    }
    if (call_.y && call_.plan->equal) y_ = call_.y.at(shard_.first_row, call_.shape.time(t, shard_.steps));
  }

  void epilogue(Index t, const Tile<S>& tile) {
    const int per_panel = groups_.groups_per_panel();
    if (per_panel == 1)
      return group_epilogue(t, tile, unit_shard_.first + tile.first_panel, tile.panels, tile.rows * tile.width);
    Tile<S> panel = tile;
    for (int p = 0; p < tile.panels; p++, panel.values += tile.rows * tile.width) {
      const int first = unit_shard_.first + (tile.first_panel + p) * per_panel;
      group_epilogue(t, panel, first, std::min(per_panel, groups_.count - first), pack_size<S>);
    }
  }

  // Equations, zoneout and output of `groups` groups, which are `by_group` numbers apart in the tile.
  void group_epilogue(Index t, const Tile<S>& tile, int group, int groups, Index by_group) {
    const Index row = tile.first_row;
    ForwardTile<S> cell_tile = step_tile_.from(group, row);
    cell_tile.groups = groups;
    cell_tile.rows = tile.rows;
    cell_tile.z = {tile.values, by_group, tile.width};
    if (groups_.is_tail(group) && groups_.gates > 1)
      tail_tile_.forward(range_, t, tile, cell_tile, group, masks_.recurrent ? dropped_h_ : h_.prev);
    else call_.cell->forward(cell_tile);
    zone_out_tile(t, cell_tile, group, row);
    if (call_.y) write_output(t, cell_tile, group, row);
  }

  // Applies zoneout to h, and to the c that the next step reads.
  void zone_out_tile(Index t, const ForwardTile<S>& cell_tile, int group, Index row) {
    const auto here = [&](S* values) { return row_major(values, groups_.padded_units()).from(group, row); };
    const RecurrentState state = call_.cell->recurrent_state;
    if (masks_.zoneout_c && state == RecurrentState::c)
      zone_out<S>(cell_tile.groups, cell_tile.rows, here(masks_.zoneout_c.values()), cell_tile.c_prev, cell_tile.c,
                  call_.saved ? c_after(t).from(group, row) : cell_tile.c);
    if (!masks_.zoneout_h) return;
    Grid<S> copy;
    if (call_.saved) copy = call_.saved->grid(call_.saved->h_after_zoneout, group, shard_.saved_row(t) + row);
    else if (state == RecurrentState::h) copy = cell_tile.c;
    zone_out<S>(cell_tile.groups, cell_tile.rows, here(masks_.zoneout_h.values()), here(h_.prev), cell_tile.h,
                cell_tile.h, copy);
  }

  void write_output(Index t, const ForwardTile<S>& cell_tile, int group, Index row) {
    const bool has_tail = groups_.is_tail(group + cell_tile.groups - 1);
    const int whole = cell_tile.groups - has_tail;
    for (int k = 0; k < cell_tile.rows; k++) {
      S* y = output_row(t, row + k) + group * pack_size<S>;
      for (int g = 0; g < whole; g++) store(y + g * pack_size<S>, load(cell_tile.h.at(g, k)));
      if (has_tail) store_first(y + whole * pack_size<S>, load(cell_tile.h.at(whole, k)), groups_.tail_units);
    }
  }
  S* output_row(Index t, Index row) const {
    return call_.plan->equal ? y_ + row * call_.y.by_row : range_.y_at(row, t);
  }

  // The final states of the rows that end with step t.
  void write_final_states(Index t) {
    const Grid<S> c = zoned_c_ ? group_major(zoned_c_, shard_.rows) : c_after(t);
    const Index first = range_.first_unit();
    for (Index r = shard_.active(t + 1); r < shard_.active(t); r++) {
      const Index to = range_.row_of(r) * groups_.units;
      if (call_.final.h)
        copy(h_.next + r * groups_.padded_units() + first, range_.own_units(), call_.final.h + to + first);
      if (!call_.final.c) continue;
      for (int g = unit_shard_.first; g < unit_shard_.last; g++)
        store_first(call_.final.c + to + g * pack_size<S>, load(c.at(g, r)), groups_.units_of(g));
    }
  }

  const ForwardCall<S>& call_;
  const RowShard& shard_;
  ForwardRange<S> range_;
  Groups<S> groups_;
  UnitShard unit_shard_;
  Panels<S> panels_;  // of the unit shard
  PanelProduct<S> product_;
  HBuffers<S> h_;
  const bool h_is_shared_;
  FedGates hh_fed_;
  XProduct<S> x_product_;
  TailTile<S> tail_tile_;
  LayerMasks<S> masks_;
  S* c_ = nullptr;          // [group][row], the current c at inference
  S* zoned_c_ = nullptr;    // [group][row], the next c at inference with zoneout
  S* dropped_h_ = nullptr;  // h_prev times the mask of recurrent dropout
  MemoryBlock scratch_;
  ForwardTile<S> step_tile_{};
  S* y_ = nullptr;  // the output of the first row at this step, if all lengths are equal
};

}  // namespace fusedlstm
