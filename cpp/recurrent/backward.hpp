// Backward over a sequence, from the last step to the first.
//
// For each step t:
//   dh[t] = dy[t] + sum over gates of W_hh^T dz[t + 1]     a product with the gate gradients of the next step
//   dz[t] = the backward equations of the cell             on each finished tile, in place of the saved activations
//   dx[t] = sum over gates of W_ih^T dz[t]                 for several steps at once (input_gradient.hpp)
//
// Some cells have more phases (backward_phases). The weight gradients are sums over all steps and rows
// (weight_gradients.hpp).
#pragma once

#include "recurrent/backward_norm.hpp"
#include "recurrent/cell_backward.hpp"
#include "recurrent/input_gradient.hpp"

namespace fusedlstm {

// The phases of a step. Unit shards wait for each other after every phase.
enum class BackwardPhase {
  h,           // dh, then the equations; with a projection, only dh
  projection,  // dm = W_hr^T dh, then the equations
  states,      // layer normalization: through norm(c), then the equations of c
  part_sums,   // layer normalization: the means over all units
  parts,       // layer normalization: the gradients of W_ih x and W_hh h_prev
  reset,       // reset before the product: W_hn^T dz_n, then the equations of r
};
inline Phases<BackwardPhase> backward_phases(const CellSpec& spec) {
  Phases<BackwardPhase> phases;
  phases.add(BackwardPhase::h);
  if (spec.projection > 0) phases.add(BackwardPhase::projection);
  if (spec.layer_norm)
    for (BackwardPhase phase : {BackwardPhase::states, BackwardPhase::part_sums, BackwardPhase::parts})
      phases.add(phase);
  if (!spec.reset_after) phases.add(BackwardPhase::reset);
  return phases;
}

// The rows of a shard, or of a unit shard. Unit shards of the same rows share `dargument`.
template <class S>
class alignas(thread_alignment) BackwardPass {
 public:
  BackwardPass(const BackwardCall<S>& call, const RowShard& shard, int index = 0, int shards = 1,
               S* dargument = nullptr)
      : call_(call),
        shard_(shard),
        saved_(*call.saved),
        groups_(saved_.groups),
        outputs_(call.shape.sizes.output_size, call.shape.sizes.gates.count),
        phases_(backward_phases(call.cell->spec)),
        shard_index_(index),
        shard_count_(shards),
        gate_shard_(groups_.count, max_packets, index, shards),
        h_shard_(outputs_.count, max_packets, index, shards),
        panels_(call.hh_panels.slice(h_shard_.first_panel, h_shard_.last_panel)),
        product_(make_product(shard.rows)),
        dz_(saved_, call.shape.sizes.gates, call.shape.sizes.gates.weight_hh, saved_.h_part),
        gates_dz_(saved_, call.shape.sizes.gates, call.shape.sizes.gates.weight_gates),
        n_dz_(saved_, call.shape.sizes.gates, call.shape.sizes.reset_before ? only_first_gate : no_gate),
        done_from_(shard.steps),
        input_gradient_(call, shard),
        cell_(call, shard),
        norm_(call, shard),
        dargument_(dargument) {
    scratch_ = allocate([&](Arena arena) { return lay_out(arena); });
  }

  // Continues with the steps down to `first`.
  void run_down_to(Index first) {
    if (done_from_ == 0) return;
    if (done_from_ == shard_.steps) start();
    for (; done_from_ > first; done_from_--) {
      const Index t = done_from_ - 1;
      for (int phase = 0; phase < phases_.count; phase++) step(t, phase);
      if (t == 0 || input_gradient_.is_due(t)) input_gradient_.compute(t);
    }
    if (done_from_ == 0) write_initial_gradients();
  }

  void start() {
    cell_.start(gate_shard_, dcarried_gates_);
    if (shard_index_ == 0) norm_.clear_sums();
  }

  void step(Index t, int phase) {
    const Index active = shard_.active(t);
    if (phase == 0) cell_.point_at_step(t, active);
    switch (phases_.of[phase]) {
      case BackwardPhase::h: differentiate_h(t, active); break;
      case BackwardPhase::projection: differentiate_projection(t, active); break;
      case BackwardPhase::states: differentiate_states(t, active); break;
      case BackwardPhase::part_sums:
        if (shard_count_ > 1) norm_.measure_parts(t, 0, active);
        break;
      case BackwardPhase::parts:
        if (shard_count_ > 1) norm_.differentiate_parts(t, 0, active, gate_shard_);
        break;
      case BackwardPhase::reset: differentiate_reset(t, active); break;
    }
    if (phase == phases_.count - 1 && cell_.masks().recurrent) drop_saved_h(t, active);
  }

  // The gradients of the initial states, after step 0.
  void write_initial_gradients() {
    const Grid<S> bypass_dh = cell_.bypass_dh(), bypass_dc = cell_.bypass_dc();
    if (cell_.masks().recurrent) drop_saved_h(-1, shard_.rows);
    if (call_.dinitial.h) {
      PanelProduct<S>(panels_, shard_.rows)
          .compute(dz_.at(shard_.saved_row(0)), dz_.count(), InitialC<S>{nullptr, 0}, [&](const Tile<S>& tile) {
            if (cell_.masks().recurrent) drop_gradient(tile, {nullptr, 0});
            for (int k = 0; k < tile.rows; k++)
              for (int p = 0; p < tile.panels; p++)
                write_columns(tile.values + (p * tile.rows + k) * tile.width,
                              initial_row(call_.dinitial.h, tile.first_row + k, outputs_.units), column_of(tile, p),
                              tile.width, outputs_.units, false);
          });
      if (call_.cell->recurrent_state == RecurrentState::h) write_initial(cell_.dc(), call_.dinitial.h, outputs_, true);
      if (bypass_dh.values) write_initial(bypass_dh, call_.dinitial.h, outputs_, true);
    }
    if (call_.dinitial.gates) write_initial_gate_gradients();
    if (!call_.dinitial.c) return;
    write_initial(cell_.dc(), call_.dinitial.c, groups_, false);
    if (bypass_dc.values) write_initial(bypass_dc, call_.dinitial.c, groups_, true);
  }

  // The part of dx that this unit shard computes, after all steps. Nothing if this is not the pass of `direction`: the
  // directions are added to dx one after the other.
  void input_gradient_of(int direction) {
    if (direction == call_.shape.direction) input_gradient_.compute_steps_of(shard_index_, shard_count_);
  }

 private:
  static constexpr int no_gate[max_gates] = {-1, -1, -1, -1}, only_first_gate[max_gates] = {0, -1, -1, -1};

  std::size_t lay_out(Arena& arena) {
    const Index padded = groups_.padded_units();
    cell_.lay_out(arena);
    norm_.lay_out(arena);
    if (saved_.carried_gates) dcarried_gates_ = arena.take<S>(shard_.rows * 3 * padded);
    if (saved_.h_part && shard_count_ == 1) dargument_ = arena.take<S>(shard_.rows * padded);
    if (call_.dy && (!saved_.plan.equal || outputs_.tail_units < pack_size<S>)) {
      const Index numbers = shard_.rows * outputs_.padded_units();
      gathered_ = arena.take<S>(numbers);
      if (gathered_) std::fill(gathered_, gathered_ + numbers, S(0));
    }
    return arena.used();
  }

  // The sums of a small batch are divided into chains. The choice depends on the batch, not on the shard.
  PanelProduct<S> make_product(Index rows) const {
    return call_.shape.batch <= max_rows_in_chains && call_.hh_panels.count == 1
               ? PanelProduct<S>::in_chains(panels_, rows)
               : PanelProduct<S>(panels_, rows);
  }

  void differentiate_h(Index t, Index active) {
    const Index continuing = shard_.active(t + 1);
    const InitialC<S> dy = output_gradient(t, active);
    if (dcarried_gates_ && !saved_.projected_h) compute_dcarried_gates(t, active);
    if (continuing > 0) {
      if (continuing != product_.rows()) product_ = make_product(continuing);
      // With recurrent dropout the product is multiplied by the mask before dy is added.
      const bool dropout = bool(cell_.masks().recurrent);
      product_.compute(dz_.at(shard_.saved_row(t + 1)), dz_.count(),
                       dropout ? InitialC<S>{nullptr, 0} : of_own_outputs(dy), [&](const Tile<S>& tile) {
                         if (dropout) drop_gradient(tile, dy);
                         finish_dh(t, tile, 0);
                       });
    }
    if (continuing == active) return;
    // The rows [continuing, active) end with step t: dh is dy plus the gradient of the final h.
    const InitialC<S> dy_of_rows{dy.values ? dy.values + continuing * dy.stride : nullptr, dy.stride};
    PanelProduct<S>(panels_, active - continuing)
        .compute(nullptr, 0, of_own_outputs(dy_of_rows), [&](const Tile<S>& tile) {
          if (call_.dfinal.h) add_final_gradient(tile, continuing);
          finish_dh(t, tile, continuing);
        });
  }

  // A finished tile of dh, whose row 0 is row `offset` of the shard.
  void finish_dh(Index t, const Tile<S>& tile, Index offset) {
    const int packets = int(tile.width / pack_size<S>);
    for (int p = 0; p < tile.panels; p++) {
      const int group = h_shard_.first + (tile.first_panel + p) * max_packets;
      const Index row = tile.first_row + offset;
      S* dh = tile.values + p * tile.rows * tile.width;
      if (!saved_.projected_h) {
        differentiate(t, row, tile.rows, group, packets, dh, tile.width);
        continue;
      }
      cell_.zone_out_projected(row, tile.rows, group, packets, dh, tile.width);
      for (int k = 0; k < tile.rows; k++)
        for (Index j = 0; j < tile.width; j += pack_size<S>)
          store(saved_.dprojected_h.at(shard_.saved_row(t) + row + k) + group * pack_size<S> + j,
                load(dh + k * tile.width + j));
    }
  }

  // The equations on some groups and rows. Layer normalization keeps the gradient of its last argument.
  void differentiate(Index t, Index row, int rows, int group, int groups, S* dh, Index width) {
    cell_.differentiate(t, row, rows, group, groups, dh, width);
    if (!call_.shape.sizes.layer_norm) return;
    const Grid<S> kept = group_major(dargument_, shard_.rows).from(group, row);
    for (int g = 0; g < groups; g++)
      for (int k = 0; k < rows; k++) store(kept.at(g, k), load(dh + k * width + g * pack_size<S>));
  }

  // A product of rows of step t with panels of the units of the cell, whose tiles `finish` gets: finish(row, rows,
  // first group, groups, values, width).
  template <class Finish>
  void multiply_units(const Panels<S>& panels, Index rows, const OperandA<S>* operands, int count, Finish&& finish) {
    PanelProduct<S>(panels.slice(gate_shard_.first_panel, gate_shard_.last_panel), rows)
        .compute(operands, count, InitialC<S>{nullptr, 0}, [&](const Tile<S>& tile) {
          for (int p = 0; p < tile.panels; p++)
            finish(tile.first_row, tile.rows, gate_shard_.first + (tile.first_panel + p) * max_packets,
                   int(tile.width / pack_size<S>), tile.values + p * tile.rows * tile.width, tile.width);
        });
  }

  void differentiate_projection(Index t, Index active) {
    if (dcarried_gates_) compute_dcarried_gates(t, active);
    const Rows<S>& dh = saved_.dprojected_h;
    const OperandA<S> operand{dh.at(shard_.saved_row(t)), dh.stride, 0, outputs_.units};
    multiply_units(call_.hr_panels, active, &operand, 1,
                   [&](Index row, int rows, int group, int groups, S* dm, Index width) {
                     differentiate(t, row, rows, group, groups, dm, width);
                   });
  }

  // Layer normalization. Without other unit shards, the later phases follow at once.
  void differentiate_states(Index t, Index active) {
    for (Index row = 0; row < active; row += norm_row_block) {
      const Index end = std::min(row + norm_row_block, active);
      norm_.add_to_dc(t, row, end, gate_shard_, group_major(dargument_, shard_.rows), cell_.dc());
      for (int group = gate_shard_.first; group < gate_shard_.last; group++)
        cell_.differentiate_c(t, row, int(end - row), group);
      if (shard_count_ > 1) continue;
      norm_.measure_parts(t, row, end);
      norm_.differentiate_parts(t, row, end, gate_shard_);
    }
  }

  void differentiate_reset(Index t, Index active) {
    multiply_units(call_.hn_panels, active, n_dz_.at(shard_.saved_row(t)), n_dz_.count(),
                   [&](Index row, int rows, int group, int groups, S* dreset_h, Index width) {
                     cell_.differentiate_reset(t, row, rows, group, groups, dreset_h, width);
                   });
  }

  // dL/di, dL/df and dL/do through the gates of step t + 1, for the own units.
  void compute_dcarried_gates(Index t, Index active) {
    const Index continuing = shard_.active(t + 1), padded = groups_.padded_units();
    if (continuing > 0)
      multiply_carried(t + 1, continuing, [&](int k, Index row, Index column, const S* from, Index n) {
        copy(from, n, dcarried_gates_ + (row * 3 + k) * padded + column);
      });
    for (Index r = continuing; r < active; r++)
      for (int k = 0; k < 3; k++)
        for (int g = gate_shard_.first; g < gate_shard_.last; g++) {
          const Index unit = g * Index(pack_size<S>);
          const S* from = call_.dfinal.gates;
          if (from) from += (call_.row_of(shard_.first_row + r) * 3 + k) * groups_.units + unit;
          store(dcarried_gates_ + (r * 3 + k) * padded + unit,
                from ? load_first(from, groups_.units_of(g)) : zero<S>());
        }
  }
  // Calls work(k, row, column, values, count) for rows of W_gates^T dz[t], with k = 0, 1, 2 for i, f and o.
  template <class Work>
  void multiply_carried(Index t, Index rows, Work&& work) {
    const OperandA<S>* dz = gates_dz_.at(shard_.saved_row(t));
    for (int k = 0; k < 3; k++)
      multiply_units(call_.gates_panels[k], rows, dz, gates_dz_.count(),
                     [&](Index row, int count, int group, int, S* values, Index width) {
                       for (int r = 0; r < count; r++)
                         work(k, row + r, group * Index(pack_size<S>), values + r * width, width);
                     });
  }
  void write_initial_gate_gradients() {
    multiply_carried(0, shard_.rows, [&](int k, Index row, Index column, const S* from, Index n) {
      S* to = initial_row(call_.dinitial.gates, row, 3 * groups_.units) + k * groups_.units;
      write_columns(from, to, column, n, groups_.units, false);
    });
  }

  // The first unit of a panel of a tile of dh.
  Index column_of(const Tile<S>& tile, int panel) const {
    return Index(h_shard_.first_panel + tile.first_panel + panel) * max_packets * pack_size<S>;
  }
  // dy, starting at the first unit of h of the unit shard.
  InitialC<S> of_own_outputs(InitialC<S> dy) const {
    return {dy.values ? dy.values + h_shard_.first * pack_size<S> : nullptr, dy.stride};
  }

  // dh = mask * (gradient of the dropped h) + dy
  void drop_gradient(const Tile<S>& tile, InitialC<S> dy) {
    for (int p = 0; p < tile.panels; p++) {
      const Index column = column_of(tile, p);
      for (int k = 0; k < tile.rows; k++) {
        S* dh = tile.values + (p * tile.rows + k) * tile.width;
        const Index row = tile.first_row + k;
        const S* mask = cell_.masks().recurrent.values() + row * outputs_.padded_units() + column;
        const S* from = dy.values ? dy.values + row * dy.stride + column : nullptr;
        for (Index j = 0; j < tile.width; j += pack_size<S>)
          store(dh + j, fma(load(dh + j), load(mask + j), from ? load(from + j) : zero<S>()));
      }
    }
  }
  // Multiplies the saved h by the mask of recurrent dropout: the weight gradients need the h that the product read. h
  // of step t is masked after the equations of step t, because the equations of step t + 1 read it unmasked.
  void drop_saved_h(Index t, Index active) {
    Grid<S> h = saved_.grid(saved_.h(), 0, shard_.saved_row(t));
    if (saved_.projected_h) h = row_major(saved_.projected_h.at(shard_.saved_row(t)), saved_.projected_h.stride);
    const Grid<S> mask = row_major(cell_.masks().recurrent.values(), outputs_.padded_units());
    for (int g = h_shard_.first; g < h_shard_.last; g++)
      for (Index r = 0; r < active; r++) store(h.at(g, r), load(h.at(g, r)) * load(mask.at(g, r)));
  }

  // dy of step t: in place if it has the layout of an initial C, otherwise gathered.
  InitialC<S> output_gradient(Index t, Index active) {
    if (!call_.dy) return {nullptr, 0};
    const Index first = shard_.first_row;
    if (!gathered_) return {call_.dy.at(first, call_.time(t, first)), call_.dy.by_row};
    const Index width = outputs_.padded_units();
    for (Index r = 0; r < active; r++)
      copy(call_.dy.at(call_.row_of(first + r), call_.time(t, first + r)), outputs_.units, gathered_ + r * width);
    return {gathered_, width};
  }

  // dh += the gradient of the final h, for tiles whose row 0 is row `offset` of the shard.
  void add_final_gradient(const Tile<S>& tile, Index offset) {
    for (int p = 0; p < tile.panels; p++) {
      const Index column = column_of(tile, p);
      for (int k = 0; k < tile.rows; k++) {
        S* dh = tile.values + (p * tile.rows + k) * tile.width;
        const Index row = call_.row_of(shard_.first_row + offset + tile.first_row + k);
        const S* from = call_.dfinal.h + row * outputs_.units;
        for (Index j = 0; j < tile.width && column + j < outputs_.units; j += pack_size<S>)
          store(dh + j, load(dh + j) + load_first(from + column + j, outputs_.units - column - j));
      }
    }
  }

  S* initial_row(S* all, Index row, Index numbers) const {
    return all + call_.row_of(shard_.first_row + row) * numbers;
  }
  void write_initial(Grid<S> from, S* all, const Groups<S>& groups, bool add) const {
    const UnitShard own(groups.count, max_packets, shard_index_, shard_count_);
    for (Index r = 0; r < shard_.rows; r++)
      for (int g = own.first; g < own.last; g++)
        write_columns(from.at(g, r), initial_row(all, r, groups.units), g * pack_size<S>, pack_size<S>, groups.units,
                      add);
  }

  const BackwardCall<S>& call_;
  const RowShard& shard_;
  const SavedDirection<S>& saved_;
  Groups<S> groups_, outputs_;
  const Phases<BackwardPhase> phases_;
  const int shard_index_, shard_count_;  // of the unit shards
  // The groups of units, and of h: column panels of up to four groups. Forward divides the gates differently.
  UnitShard gate_shard_, h_shard_;
  Panels<S> panels_;  // of W_hh, for the own groups of h
  PanelProduct<S> product_;
  GateOperands<S> dz_, gates_dz_, n_dz_;  // of W_hh, W_gates and W_hn
  Index done_from_;                       // this step and later steps are done
  InputGradient<S> input_gradient_;
  CellBackward<S> cell_;
  BackwardNorm<S> norm_;
  S* gathered_ = nullptr;        // [row][padded outputs], dy of a step if it must be copied
  S* dcarried_gates_ = nullptr;  // [row][3][padded units]
  S* dargument_;                 // [group][row], the gradient of gain_c norm(c) + bias_c
  MemoryBlock scratch_;
};

}  // namespace fusedlstm
