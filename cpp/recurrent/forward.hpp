// Forward over a sequence. A step has one or more phases (forward_phases). In the first phase, the product of x and
// h_prev with each panel is computed tile by tile, and the equations of the cell run on each finished tile. The
// pre-activations of a step stay in L1.
#pragma once

#include "cells/zoneout.hpp"
#include "recurrent/forward_norm.hpp"
#include "recurrent/tail_tile.hpp"
#include "recurrent/x_product.hpp"

namespace fusedlstm {

// The phases of a step. Unit shards wait for each other after every phase.
enum class ForwardPhase {
  gates,       // z = W_ih x + W_hh h_prev + b, then the equations
  parts,       // layer normalization: W_ih x and W_hh h_prev
  states,      // layer normalization: z and c
  outputs,     // layer normalization: norm(c) and h
  candidate,   // reset before the product: W_hn (r h_prev), then h
  projection,  // h = W_hr m + b_hr
};
inline Phases<ForwardPhase> forward_phases(const CellSpec& spec) {
  Phases<ForwardPhase> phases;
  if (spec.layer_norm)
    for (ForwardPhase phase : {ForwardPhase::parts, ForwardPhase::states, ForwardPhase::outputs}) phases.add(phase);
  else phases.add(ForwardPhase::gates);
  if (!spec.reset_after) phases.add(ForwardPhase::candidate);
  if (spec.projection > 0) phases.add(ForwardPhase::projection);
  return phases;
}

// The rows of a shard, or of a unit shard, through all steps. Unit shards of the same rows share `rows`.
template <class S>
class alignas(thread_alignment) ForwardPass {
 public:
  ForwardPass(const ForwardCall<S>& call, const RowShard& shard, int unit_shard = 0, int unit_shards = 1,
              const StepRows<S>* rows = nullptr)
      : call_(call),
        shard_(shard),
        range_(call, shard, unit_shard, unit_shards),
        groups_(range_.groups),
        outputs_(range_.outputs),
        gate_shard_(range_.gate_shard),
        is_first_shard_(unit_shard == 0),
        phases_(forward_phases(call.cell->spec)),
        panels_(call.weights.panels.slice(gate_shard_.first_panel, gate_shard_.last_panel)),
        product_(panels_, shard.rows),
        hh_fed_(call.shape.sizes.gates, call.shape.sizes.gates.weight_hh),
        x_product_(range_),
        norm_(range_),
        masks_(call.shape.regularizers, call.shape.direction, shard.rows, groups_.padded_units(),
               outputs_.padded_units()) {
    step_tile_.spec = &call.cell->spec;
    step_tile_.unit_weights = call.weights.unit_weights;
    if (rows) rows_ = *rows;
    scratch_ = allocate([&](Arena arena) {
      if (!rows) rows_.lay_out(range_, arena);
      return lay_out(arena);
    });
  }

  // May be called again, with new values in the caller's arrays.
  void run() {
    start();
    for (Index t = 0; t < shard_.steps; t++)
      for (int phase = 0; phase < phases_.count; phase++) step(t, phase);
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
    x_product_.start(range_);
    load_initial_states();
    if (first_y_)
      for (Index r = 0; r < shard_.rows; r++) first_y_[r] = range_.y_at(r, 0);
    if (call_.y) clear_past_ends();
  }

  void step(Index t, int phase) {
    const Index active = shard_.active(t);
    if (phase == 0) begin_step(t, active);
    switch (phases_.of[phase]) {
      case ForwardPhase::gates: compute_gates(t, active); break;
      case ForwardPhase::parts: compute_parts(t, active); break;
      case ForwardPhase::states: compute_states(t, active); break;
      case ForwardPhase::outputs: compute_outputs(t, active); break;
      case ForwardPhase::candidate: compute_candidate(t, active); break;
      case ForwardPhase::projection: project(t, active); break;
    }
    if (phase == phases_.count - 1) write_final_states(t);
  }

 private:
  std::size_t lay_out(Arena& arena) {
    masks_.lay_out(arena);
    if (masks_.recurrent) dropped_h_ = arena.take<S>(shard_.rows * outputs_.padded_units());
    x_product_.lay_out(range_, arena);
    tail_tile_.lay_out(range_, arena);
    norm_.lay_out(range_, arena);
    if (call_.y && !call_.plan->equal) first_y_ = arena.take<S*>(shard_.rows);
    return arena.used();
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

  // The recurrent state that step t + 1 reads. Training keeps one per step, inference only the current one.
  Grid<S> c_after(Index t) const {
    if (call_.saved) return call_.saved->grid(call_.saved->c_after_zoneout, 0, shard_.saved_row(t));
    return group_major(rows_.c, shard_.rows);
  }
  // The carried gates that step t + 1 reads.
  Rows<S> carried_gates_after(Index t) const {
    if (call_.saved) return {call_.saved->carried_gates.at(shard_.saved_row(t)), call_.saved->carried_gates.stride};
    return {rows_.carried_gates_prev, 3 * groups_.padded_units()};
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
      for (int g = gate_shard_.first; g < gate_shard_.last; g++) {
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

  // h_prev, after recurrent dropout, and the carried gates as operands. Returns their number.
  int recurrent_operands(Index t, OperandA<S>* operands) const {
    const Sizes& sizes = range_.sizes();
    operands[0] = {h_, outputs_.padded_units(), sizes.input_size, sizes.output_size, hh_fed_.span};
    if (!step_tile_.carried_gates.values) return 1;
    const Rows<S> gates = carried_gates_after(t - 1);
    for (int k = 0; k < 3; k++)
      operands[1 + k] = {gates.values + k * groups_.padded_units(), gates.stride,
                         sizes.input_size + sizes.output_size + k * sizes.hidden_size, sizes.hidden_size,
                         Span::but_first};
    return 4;
  }

  // z of step t in tiles, each followed by the equations.
  void compute_gates(Index t, Index active) {
    OperandA<S> operands[5];
    const int recurrent = recurrent_operands(t, operands + 1);
    if (!x_product_.in_advance()) {
      operands[0] = x_product_.operand(range_, t, active);
      return multiply(t, active, operands, 1 + recurrent, InitialC<S>{range_.bias(), 0});
    }
    const InitialC<S> x_part = x_product_.initial_c(range_, panels_, t);
    const bool one_row = active == 1 && call_.cell->forward_row && groups_.tail_units == pack_size<S>;
    if (one_row && !masks_.candidate) compute_row(t, operands[1], x_part);
    else multiply(t, active, operands + 1, recurrent, x_part);
  }
  void multiply(Index t, Index active, const OperandA<S>* operands, int count, InitialC<S> initial_c) {
    if (active < product_.rows()) product_ = PanelProduct<S>(panels_, active);
    product_.compute(operands, count, initial_c, [&](const Tile<S>& tile) { apply_to_panels(t, tile); });
  }

  // A single row: product and equations without a tile.
  void compute_row(Index t, const OperandA<S>& h, InitialC<S> initial_c) {
    TileProduct<S> product;
    product.operands = &h;
    product.count = 1;
    product.panel = panels_.values;
    product.panel_stride = panels_.stride;
    product.k_stride = product.c_panel_stride = groups_.width();
    product.initial_c = initial_c.values;
    ForwardTile<S> tile = step_tile_.from(gate_shard_.first, 0);
    tile.groups = gate_shard_.count();
    tile.rows = 1;
    call_.cell->forward_row({product, tile});
    finish_equations(t, tile, gate_shard_.first, 0);
  }

  void apply_to_panels(Index t, const Tile<S>& tile) {
    const int per_panel = groups_.groups_per_panel();
    if (per_panel == 1)
      return apply_cell(t, tile, gate_shard_.first + tile.first_panel, tile.panels, tile.rows * tile.width);
    Tile<S> panel = tile;
    for (int p = 0; p < tile.panels; p++, panel.values += tile.rows * tile.width) {
      const int first = gate_shard_.first + (tile.first_panel + p) * per_panel;
      apply_cell(t, panel, first, std::min(per_panel, groups_.count - first), pack_size<S>);
    }
  }

  // The equations on `groups` groups, which are `by_group` numbers apart in the tile.
  void apply_cell(Index t, const Tile<S>& tile, int group, int groups, Index by_group) {
    const Index row = tile.first_row;
    ForwardTile<S> cell_tile = step_tile_.from(group, row);
    cell_tile.groups = groups;
    cell_tile.rows = tile.rows;
    cell_tile.z = {tile.values, by_group, tile.width};
    if (call_.saved && groups_.gates == 1) cell_tile.gates = call_.saved->gate_grid(group, shard_.saved_row(t) + row);
    if (groups_.is_tail(group) && groups_.gates > 1)
      tail_tile_.forward(range_, tile, cell_tile, group, kept_gates(t, group, row), [&](Index r) {
        return FeedingRows<S>{range_.x_at(r, t), h_ + r * outputs_.padded_units(),
                              step_tile_.carried_gates.values ? carried_gates_after(t - 1).at(r) : nullptr};
      });
    else call_.cell->forward(cell_tile);
    if (!call_.cell->forward_h) finish_equations(t, cell_tile, group, row);
  }
  // The gate rows of a group that forward_h or backward reads; null if there are none.
  S* kept_gates(Index t, int group, Index row) const {
    if (call_.saved) return call_.saved->gates_of(group, shard_.saved_row(t) + row);
    if (!rows_.gates) return nullptr;
    return rows_.gates + group * shard_.rows * groups_.width() + row * groups_.width_of(group);
  }

  void finish_equations(Index t, const ForwardTile<S>& tile, int group, Index row) {
    zone_out_c(t, tile, group, row);
    if (!range_.sizes().projection) finish_h(t, group, tile.groups, row, tile.rows);
  }

  // Layer normalization, first phase.
  void compute_parts(Index t, Index active) {
    OperandA<S> operands[5];
    operands[0] = x_product_.operand(range_, t, active);
    const int count = 1 + recurrent_operands(t, operands + 1);
    if (active < product_.rows()) product_ = PanelProduct<S>(panels_, active);
    norm_.multiply(range_, product_, operands, count, x_part(t), h_part(t));
  }
  void compute_states(Index t, Index active) {
    norm_.measure_parts(range_, active, x_part(t), h_part(t));
    for_row_blocks(active, [&](Index row, int rows) {
      for (int group = gate_shard_.first; group < gate_shard_.last; group++)
        apply_cell(t, norm_.preactivations(range_, group, row, rows, x_part(t), h_part(t)), group, 1, 0);
    });
  }
  void compute_outputs(Index t, Index active) {
    norm_.measure_c(range_, active, step_tile_.c);
    if (call_.saved && is_first_shard_)
      norm_.save(active, {call_.saved->statistics.at(shard_.saved_row(t)), call_.saved->statistics.stride});
    for_row_blocks(active, [&](Index row, int rows) {
      for (int group = gate_shard_.first; group < gate_shard_.last; group++) {
        ForwardTile<S> tile = step_tile_.from(group, row);
        tile.groups = 1;
        tile.rows = rows;
        norm_.scale_c(range_, group, row, rows, tile.c, tile.h);
        if (groups_.is_tail(group)) {
          tail_tile_.forward_h(range_, tile, group, kept_gates(t, group, row));
        } else {
          tile.z = tile.gates;
          call_.cell->forward_h(tile);
        }
        finish_equations(t, tile, group, row);
      }
    });
  }
  Rows<S> x_part(Index t) const { return part(t, rows_.x_part, &SavedDirection<S>::x_part); }
  Rows<S> h_part(Index t) const { return part(t, rows_.h_part, &SavedDirection<S>::h_part); }
  Rows<S> part(Index t, Rows<S> own, Rows<S> SavedDirection<S>::* saved) const {
    if (!call_.saved) return own;
    return {(call_.saved->*saved).at(shard_.saved_row(t)), (call_.saved->*saved).stride};
  }
  template <class Work>
  static void for_row_blocks(Index rows, Work&& work) {
    for (Index row = 0; row < rows; row += detail::epilogue_rows)
      work(row, int(std::min(Index(detail::epilogue_rows), rows - row)));
  }

  // z_n of the original GRU, then h. h_next holds the part of z_n that comes from x.
  void compute_candidate(Index t, Index active) {
    const UnitShard& own = range_.h_shard;
    const Index padded = groups_.padded_units();
    const Rows<S> reset_h{step_tile_.reset_h.values, step_tile_.reset_h.by_row};
    const OperandA<S> operand{reset_h.values, reset_h.stride, 0, groups_.units};
    second_product(call_.weights.hn_panels, active)
        .compute(&operand, 1, InitialC<S>{rows_.h_next + own.first * pack_size<S>, padded}, [&](const Tile<S>& tile) {
          for (int p = 0; p < tile.panels; p++) {
            const int first = own.first + (tile.first_panel + p) * max_packets;
            const int groups = std::min(int(max_packets), groups_.count - first);
            const int whole = groups - groups_.is_tail(first + groups - 1);
            S* z = tile.values + p * tile.rows * tile.width;
            apply_second_part(t, first, whole, tile.first_row, tile.rows, z, tile.width);
            apply_second_part(t, first + whole, groups - whole, tile.first_row, tile.rows, z + whole * pack_size<S>,
                              tile.width);
          }
        });
  }
  void apply_second_part(Index t, int group, int groups, Index row, int rows, S* z, Index by_row) {
    if (groups == 0) return;
    ForwardTile<S> tile = step_tile_.from(group, row);
    tile.groups = groups;
    tile.rows = rows;
    tile.z = {z, pack_size<S>, by_row};
    if (groups_.is_tail(group)) tail_tile_.forward_h(range_, tile, group, kept_gates(t, group, row));
    else call_.cell->forward_h(tile);
    finish_h(t, group, groups, row, rows);
  }

  void project(Index t, Index active) {
    const UnitShard& own = range_.h_shard;
    const OperandA<S> m{rows_.m, groups_.padded_units(), 0, groups_.units};
    const InitialC<S> bias{call_.weights.bias_hr + own.first * pack_size<S>, 0};
    second_product(call_.weights.hr_panels, active).compute(&m, 1, bias, [&](const Tile<S>& tile) {
      for (int p = 0; p < tile.panels; p++) {
        const int group = own.first + (tile.first_panel + p) * max_packets;
        for (int k = 0; k < tile.rows; k++)
          for (Index j = 0; j < tile.width; j += pack_size<S>)
            store(h_row(tile.first_row + k) + group * pack_size<S> + j,
                  load(tile.values + (p * tile.rows + k) * tile.width + j));
        finish_h(t, group, int(tile.width / pack_size<S>), tile.first_row, tile.rows);
      }
    });
  }
  // The product of the last phase with the own panels.
  PanelProduct<S> second_product(const Panels<S>& panels, Index rows) const {
    return PanelProduct<S>(panels.slice(range_.h_shard.first_panel, range_.h_shard.last_panel), rows);
  }

  S* h_row(Index row) const { return rows_.h_next + row * outputs_.padded_units(); }

  // Applies zoneout to the c that the next step reads.
  void zone_out_c(Index t, const ForwardTile<S>& tile, int group, Index row) {
    if (!masks_.zoneout_c || call_.cell->recurrent_state != RecurrentState::c) return;
    Grid<S> result = call_.saved ? c_after(t) : group_major(rows_.zoned_c, shard_.rows);
    zone_out<S>(tile.groups, tile.rows, row_major(masks_.zoneout_c.values(), groups_.padded_units()).from(group, row),
                tile.c_prev, tile.c, result.from(group, row));
  }
  // Zoneout of h and the output, for some groups of h.
  void finish_h(Index t, int group, int groups, Index row, int rows) {
    const Index padded = outputs_.padded_units();
    const Grid<S> h = row_major(rows_.h_next, padded).from(group, row);
    if (masks_.zoneout_h) {
      Grid<S> copy;
      if (call_.saved && !call_.saved->projected_h)
        copy = call_.saved->grid(call_.saved->h_after_zoneout, group, shard_.saved_row(t) + row);
      else if (call_.cell->recurrent_state == RecurrentState::h) copy = step_tile_.c.from(group, row);
      zone_out<S>(groups, rows, row_major(masks_.zoneout_h.values(), padded).from(group, row),
                  row_major(rows_.h_prev, padded).from(group, row), h, h, copy);
    }
    if (call_.saved && call_.saved->projected_h)
      for (int k = 0; k < rows; k++)
        for (int g = 0; g < groups; g++)
          store(call_.saved->projected_h.at(shard_.saved_row(t) + row + k) + (group + g) * pack_size<S>,
                load(h.at(g, k)));
    if (call_.y) write_output(t, h, group, groups, row, rows);
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

  // The final states of the rows that end with step t.
  void write_final_states(Index t) {
    const Grid<S> c = rows_.zoned_c ? group_major(rows_.zoned_c, shard_.rows) : c_after(t);
    const Index first = range_.first_output();
    for (Index r = shard_.active(t + 1); r < shard_.active(t); r++) {
      const Index to = range_.row_of(r);
      if (call_.final.h) copy(h_row(r) + first, range_.own_outputs(), call_.final.h + to * outputs_.units + first);
      for (int g = gate_shard_.first; g < gate_shard_.last; g++) {
        const Index unit = g * Index(pack_size<S>);
        if (call_.final.c)
          store_first(call_.final.c + to * groups_.units + unit, load(c.at(g, r)), groups_.units_of(g));
        for (int k = 0; k < 3 && call_.final.gates; k++)
          store_first(call_.final.gates + (to * 3 + k) * groups_.units + unit,
                      load(step_tile_.carried_gates.at(g, r) + k * groups_.padded_units()), groups_.units_of(g));
      }
    }
  }

  const ForwardCall<S>& call_;
  const RowShard& shard_;
  ForwardRange<S> range_;
  Groups<S> groups_, outputs_;
  UnitShard gate_shard_;
  const bool is_first_shard_;
  const Phases<ForwardPhase> phases_;
  Panels<S> panels_;  // of the unit shard
  PanelProduct<S> product_;
  StepRows<S> rows_;
  FedGates hh_fed_;
  XProduct<S> x_product_;
  TailTile<S> tail_tile_;
  ForwardNorm<S> norm_;
  LayerMasks<S> masks_;
  S* dropped_h_ = nullptr;  // h_prev times the mask of recurrent dropout
  const S* h_ = nullptr;    // the h_prev that the products read
  MemoryBlock scratch_;
  ForwardTile<S> step_tile_{};
  S* y_ = nullptr;         // the output of the first row at this step, if all lengths are equal
  S** first_y_ = nullptr;  // the output of each row at step 0, if lengths are unequal
};

}  // namespace fusedlstm
