// Forward over a sequence. A step has one or more phases (forward_phases). In the first phase, the product of x and
// h_prev with each panel is computed tile by tile, and the equations of the cell run on each finished tile. The
// pre-activations of a step stay in L1.
#pragma once

#include "recurrent/forward_norm.hpp"
#include "recurrent/forward_states.hpp"
#include "recurrent/tail_tile.hpp"
#include "recurrent/x_product.hpp"

namespace fusedlstm {

// The phases of a step. Unit shards wait for each other after every phase.
enum class ForwardPhase {
  gates,         // z = W_ih x + W_hh h_prev + b, then the equations
  parts,         // layer normalization: W_ih x and W_hh h_prev
  normalized_z,  // layer normalization: z and c
  normalized_c,  // layer normalization: norm(c) and h
  candidate,     // reset before the product: W_hn (r h_prev), then h
  projection,    // h = W_hr m + b_hr
};
inline Phases<ForwardPhase> forward_phases(const CellSpec& spec) {
  Phases<ForwardPhase> phases;
  if (spec.layer_norm)
    for (ForwardPhase phase : {ForwardPhase::parts, ForwardPhase::normalized_z, ForwardPhase::normalized_c})
      phases.add(phase);
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
        states_(range_, rows) {
    scratch_ = allocate([&](Arena arena) {
      states_.lay_out(arena);
      x_product_.lay_out(range_, arena);
      tail_tile_.lay_out(range_, arena);
      norm_.lay_out(range_, arena);
      return arena.used();
    });
  }

  // May be called again, with new values in the caller's arrays.
  void run() {
    start();
    for (Index t = 0; t < shard_.steps; t++)
      for (int phase = 0; phase < phases_.count; phase++) step(t, phase);
  }

  void start() {
    x_product_.start(range_);
    states_.start();
  }

  void step(Index t, int phase) {
    const Index active = shard_.active(t);
    if (phase == 0) states_.begin_step(t, active);
    switch (phases_.of[phase]) {
      case ForwardPhase::gates: compute_gates(t, active); break;
      case ForwardPhase::parts: compute_parts(t, active); break;
      case ForwardPhase::normalized_z: compute_normalized_z(t, active); break;
      case ForwardPhase::normalized_c: compute_normalized_c(t, active); break;
      case ForwardPhase::candidate: compute_candidate(t, active); break;
      case ForwardPhase::projection: project(t, active); break;
    }
    if (phase == phases_.count - 1) states_.write_final_states(t);
  }

 private:
  // h_prev, after recurrent dropout, and the carried gates as operands. Returns their number.
  int recurrent_operands(Index t, OperandA<S>* operands) const {
    const Sizes& sizes = range_.sizes();
    operands[0] = {states_.h_prev(), outputs_.padded_units(), sizes.input_size, sizes.output_size, hh_fed_.span};
    if (!states_.carries_gates()) return 1;
    const Rows<S> gates = states_.carried_gates_after(t - 1);
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
    if (one_row && !states_.masks().candidate) compute_row(t, operands[1], x_part);
    else multiply(t, active, operands + 1, recurrent, x_part);
  }
  void multiply(Index t, Index active, const OperandA<S>* operands, int count, InitialC<S> initial_c) {
    if (active < product_.rows()) product_ = PanelProduct<S>(panels_, active);
    product_.compute(operands, count, initial_c, [&](const Tile<S>& tile) { apply_to_panels(t, tile); });
  }

  // A single row: product and equations without a tile. A cell with forward_row has no second part and no carried
  // gates.
  void compute_row(Index t, const OperandA<S>& h, InitialC<S> initial_c) {
    TileProduct<S> product;
    product.operands = &h;
    product.count = 1;
    product.panel = panels_.values;
    product.panel_stride = panels_.stride;
    product.k_stride = product.c_panel_stride = groups_.width();
    product.initial_c = initial_c.values;
    ForwardTile<S> tile = states_.tile(gate_shard_.first, 0);
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
    ForwardTile<S> cell_tile = states_.tile(group, row);
    cell_tile.groups = groups;
    cell_tile.rows = tile.rows;
    cell_tile.z = {tile.values, by_group, tile.width};
    if (groups_.gates == 1) cell_tile.gates = states_.kept_gate_grid(t, group, row);
    if (groups_.is_tail(group) && groups_.gates > 1)
      tail_tile_.forward(range_, tile, cell_tile, group, states_.kept_gates(t, group, row), [&](Index r) {
        return FeedingRows<S>{range_.x_at(r, t), states_.h_prev() + r * outputs_.padded_units(),
                              states_.carries_gates() ? states_.carried_gates_after(t - 1).at(r) : nullptr};
      });
    else call_.cell->forward(cell_tile);
    if (!call_.cell->forward_second) finish_equations(t, cell_tile, group, row);
  }
  void finish_equations(Index t, const ForwardTile<S>& tile, int group, Index row) {
    states_.zone_out_c(t, tile, group, row);
    if (!range_.sizes().projection) states_.finish_h(t, group, tile.groups, row, tile.rows);
  }

  // Layer normalization, first phase.
  void compute_parts(Index t, Index active) {
    OperandA<S> operands[5];
    operands[0] = x_product_.operand(range_, t, active);
    const int count = 1 + recurrent_operands(t, operands + 1);
    if (active < product_.rows()) product_ = PanelProduct<S>(panels_, active);
    norm_.multiply(range_, product_, operands, count, x_part(t), h_part(t), states_.rows());
  }
  void compute_normalized_z(Index t, Index active) {
    norm_.measure_parts(range_, active, states_.rows());
    for_row_blocks(active, [&](Index row, int rows) {
      for (int group = gate_shard_.first; group < gate_shard_.last; group++)
        apply_cell(t, norm_.preactivations(range_, group, row, rows, x_part(t), h_part(t)), group, 1, 0);
    });
  }
  void compute_normalized_c(Index t, Index active) {
    norm_.measure_c(range_, active, states_.c());
    if (call_.saved && is_first_shard_) norm_.save(active, call_.saved->statistics, shard_.saved_row(t));
    for_row_blocks(active, [&](Index row, int rows) {
      for (int group = gate_shard_.first; group < gate_shard_.last; group++) {
        ForwardTile<S> tile = states_.tile(group, row);
        tile.groups = 1;
        tile.rows = rows;
        norm_.scale_c(range_, group, row, rows, tile.c, tile.h);
        if (groups_.is_tail(group) && groups_.gates > 1) {
          tail_tile_.forward_second(range_, tile, group, states_.kept_gates(t, group, row));
        } else {
          tile.gates = states_.kept_gate_grid(t, group, row);
          tile.z = tile.gates;
          call_.cell->forward_second(tile);
        }
        finish_equations(t, tile, group, row);
      }
    });
  }
  Rows<S> x_part(Index t) const { return part(t, states_.rows().x_part, &SavedDirection<S>::x_part); }
  Rows<S> h_part(Index t) const { return part(t, states_.rows().h_part, &SavedDirection<S>::h_part); }
  Rows<S> part(Index t, Rows<S> own, Rows<S> SavedDirection<S>::* saved) const {
    if (!call_.saved) return own;
    return {(call_.saved->*saved).at(shard_.saved_row(t)), (call_.saved->*saved).stride};
  }
  template <class Work>
  static void for_row_blocks(Index rows, Work&& work) {
    for (Index row = 0; row < rows; row += epilogue_rows) work(row, int(std::min(Index(epilogue_rows), rows - row)));
  }

  // z_n of the original GRU, then h. h_next holds the part of z_n that comes from x.
  void compute_candidate(Index t, Index active) {
    const UnitShard& own = range_.h_shard;
    const Index padded = groups_.padded_units();
    const Rows<S> reset_h = states_.reset_h();
    const OperandA<S> operand{reset_h.values, reset_h.stride, 0, groups_.units};
    second_product(call_.weights.hn_panels, active)
        .compute(&operand, 1, InitialC<S>{states_.rows().h_next + own.first * pack_size<S>, padded},
                 [&](const Tile<S>& tile) {
                   for (int p = 0; p < tile.panels; p++) {
                     const int first = own.first + (tile.first_panel + p) * max_packets;
                     const int groups = std::min(int(max_packets), groups_.count - first);
                     const int whole = groups - groups_.is_tail(first + groups - 1);
                     S* z = tile.values + p * tile.rows * tile.width;
                     apply_second_part(t, first, whole, tile.first_row, tile.rows, z, tile.width);
                     apply_second_part(t, first + whole, groups - whole, tile.first_row, tile.rows,
                                       z + whole * pack_size<S>, tile.width);
                   }
                 });
  }
  void apply_second_part(Index t, int group, int groups, Index row, int rows, S* z, Index by_row) {
    if (groups == 0) return;
    ForwardTile<S> tile = states_.tile(group, row);
    tile.groups = groups;
    tile.rows = rows;
    tile.z = {z, pack_size<S>, by_row};
    if (groups_.is_tail(group)) tail_tile_.forward_second(range_, tile, group, states_.kept_gates(t, group, row));
    else call_.cell->forward_second(tile);
    states_.finish_h(t, group, groups, row, rows);
  }

  void project(Index t, Index active) {
    const UnitShard& own = range_.h_shard;
    const OperandA<S> m{states_.rows().m, groups_.padded_units(), 0, groups_.units};
    const InitialC<S> bias{call_.weights.bias_hr + own.first * pack_size<S>, 0};
    second_product(call_.weights.hr_panels, active).compute(&m, 1, bias, [&](const Tile<S>& tile) {
      for (int p = 0; p < tile.panels; p++) {
        const int group = own.first + (tile.first_panel + p) * max_packets;
        for (int k = 0; k < tile.rows; k++)
          for (Index j = 0; j < tile.width; j += pack_size<S>)
            store(states_.h_row(tile.first_row + k) + group * pack_size<S> + j,
                  load(tile.values + (p * tile.rows + k) * tile.width + j));
        states_.finish_h(t, group, int(tile.width / pack_size<S>), tile.first_row, tile.rows);
      }
    });
  }
  // The product of the last phase with the own panels.
  PanelProduct<S> second_product(const Panels<S>& panels, Index rows) const {
    return PanelProduct<S>(panels.slice(range_.h_shard.first_panel, range_.h_shard.last_panel), rows);
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
  FedGates hh_fed_;
  XProduct<S> x_product_;
  TailTile<S> tail_tile_;
  ForwardNorm<S> norm_;
  ForwardStates<S> states_;
  MemoryBlock scratch_;
};

}  // namespace fusedlstm
