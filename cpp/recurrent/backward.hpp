// Backward over a sequence, from the last step to the first.
//
// For each step t:
//   dh[t] = dy[t] + sum over gates of W_hh^T dz[t + 1]     a product with the gate gradients of the next step
//   dz[t] = the backward equations of the cell             on each finished tile, in place of the saved activations
//   dx[t] = sum over gates of W_ih^T dz[t]                 for several steps at once (input_gradient.hpp)
//
// The weight gradients are sums over all steps and rows (weight_gradients.hpp).
#pragma once

#include "recurrent/cell_backward.hpp"
#include "recurrent/input_gradient.hpp"

namespace fusedlstm {

// The rows of a shard, or of a unit shard. Unit shards of the same rows meet at a barrier after every step.
template <class S>
class BackwardPass {
 public:
  BackwardPass(const BackwardCall<S>& call, const RowShard& shard, int index = 0, int shards = 1)
      : call_(call),
        shard_(shard),
        groups_(call.saved->groups),
        shard_index_(index),
        shard_count_(shards),
        unit_shard_(groups_.count, max_packets, index, shards),
        panels_(call.hh_panels.slice(unit_shard_.first_panel, unit_shard_.last_panel)),
        product_(make_product(shard.rows)),
        dz_(groups_, call.shape.sizes.gates, call.shape.sizes.gates.weight_hh),
        done_from_(shard.steps),
        input_gradient_(call, shard),
        cell_(call, shard) {
    scratch_ = allocate([&](Arena arena) { return lay_out(arena); });
  }

  // Continues with the steps down to `first`.
  void run_down_to(Index first) {
    if (done_from_ == 0) return;
    if (done_from_ == shard_.steps) start();
    for (; done_from_ > first; done_from_--) {
      const Index t = done_from_ - 1;
      step(t);
      if (t == 0 || input_gradient_.is_due(t)) input_gradient_.compute(t);
    }
    if (done_from_ == 0) write_initial_gradients();
  }

  void start() { cell_.start(unit_shard_); }

  void step(Index t) {
    const Index active = shard_.active(t), continuing = shard_.active(t + 1);
    const InitialC<S> dy = output_gradient(t, active);
    cell_.point_at_step(t, active);
    if (continuing > 0) {
      if (continuing != product_.rows()) product_ = make_product(continuing);
      // With recurrent dropout the product is multiplied by the mask before dy is added.
      const bool dropout = bool(cell_.masks().recurrent);
      product_.compute(dz_.at(*call_.saved, shard_.saved_row(t + 1)), groups_.count,
                       dropout ? InitialC<S>{nullptr, 0} : of_unit_shard(dy), [&](const Tile<S>& tile) {
                         if (dropout) drop_gradient(tile, dy);
                         epilogue(t, tile, 0);
                       });
    }
    if (continuing < active) end_rows(t, continuing, active, dy);
    if (cell_.masks().recurrent) drop_saved_h(t, active);
  }

  // The gradients of the initial states, after step 0.
  void write_initial_gradients() {
    const Grid<S> bypass_dh = cell_.bypass_dh(), bypass_dc = cell_.bypass_dc();
    if (cell_.masks().recurrent) drop_saved_h(-1, shard_.rows);
    if (call_.dinitial.h) {
      PanelProduct<S>(panels_, shard_.rows)
          .compute(dz_.at(*call_.saved, shard_.saved_row(0)), groups_.count, InitialC<S>{nullptr, 0},
                   [&](const Tile<S>& tile) {
                     if (cell_.masks().recurrent) drop_gradient(tile, {nullptr, 0});
                     for (int k = 0; k < tile.rows; k++)
                       for (int p = 0; p < tile.panels; p++)
                         write_columns(tile.values + (p * tile.rows + k) * tile.width,
                                       initial_row(call_.dinitial.h, tile.first_row + k), column_of(tile, p),
                                       tile.width, groups_.units, false);
                   });
      if (call_.cell->recurrent_state == RecurrentState::h) write_initial(cell_.dc(), call_.dinitial.h, true);
      if (bypass_dh.values) write_initial(bypass_dh, call_.dinitial.h, true);
    }
    if (!call_.dinitial.c) return;
    write_initial(cell_.dc(), call_.dinitial.c, false);
    if (bypass_dc.values) write_initial(bypass_dc, call_.dinitial.c, true);
  }

  // The part of dx that this unit shard computes, after all steps. Nothing if this is not the pass of `direction`: the
  // directions are added to dx one after the other.
  void input_gradient_of(int direction) {
    if (direction == call_.shape.direction) input_gradient_.compute_steps_of(shard_index_, shard_count_);
  }

 private:
  std::size_t lay_out(Arena& arena) {
    const Index numbers = shard_.rows * groups_.padded_units();
    cell_.lay_out(arena);
    if (call_.dy && (!call_.saved->plan.equal || groups_.tail_units < pack_size<S>)) {
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

  // The rows [continuing, active) end with step t: dh is dy plus the gradient of the final h.
  void end_rows(Index t, Index continuing, Index active, InitialC<S> dy) {
    const InitialC<S> dy_of_rows{dy.values ? dy.values + continuing * dy.stride : nullptr, dy.stride};
    PanelProduct<S>(panels_, active - continuing)
        .compute(nullptr, 0, of_unit_shard(dy_of_rows), [&](const Tile<S>& tile) {
          if (call_.dfinal.h) add_final_gradient(tile, continuing);
          epilogue(t, tile, continuing);
        });
  }

  // The first unit of a panel of a tile.
  Index column_of(const Tile<S>& tile, int panel) const {
    return Index(unit_shard_.first_panel + tile.first_panel + panel) * max_packets * pack_size<S>;
  }
  // dy, starting at the first unit of the unit shard.
  InitialC<S> of_unit_shard(InitialC<S> dy) const {
    return {dy.values ? dy.values + unit_shard_.first * pack_size<S> : nullptr, dy.stride};
  }

  // dh = mask * (gradient of the dropped h) + dy
  void drop_gradient(const Tile<S>& tile, InitialC<S> dy) {
    for (int p = 0; p < tile.panels; p++) {
      const Index column = column_of(tile, p);
      for (int k = 0; k < tile.rows; k++) {
        S* dh = tile.values + (p * tile.rows + k) * tile.width;
        const Index row = tile.first_row + k;
        const S* mask = cell_.masks().recurrent.values() + row * groups_.padded_units() + column;
        const S* from = dy.values ? dy.values + row * dy.stride + column : nullptr;
        for (Index j = 0; j < tile.width; j += pack_size<S>)
          store(dh + j, fma(load(dh + j), load(mask + j), from ? load(from + j) : zero<S>()));
      }
    }
  }
  // Multiplies the saved h by the mask of recurrent dropout: the weight gradients need the h that the product read.
  void drop_saved_h(Index t, Index active) {
    const Grid<S> h = call_.saved->grid(call_.saved->h(), 0, shard_.saved_row(t));
    const Grid<S> mask = row_major(cell_.masks().recurrent.values(), groups_.padded_units());
    for (int g = unit_shard_.first; g < unit_shard_.last; g++)
      for (Index r = 0; r < active; r++) store(h.at(g, r), load(h.at(g, r)) * load(mask.at(g, r)));
  }

  // dy of step t: in place if it has the layout of an initial C, otherwise gathered.
  InitialC<S> output_gradient(Index t, Index active) {
    if (!call_.dy) return {nullptr, 0};
    const Index first = shard_.first_row;
    if (!gathered_) return {call_.dy.at(first, call_.time(t, first)), call_.dy.by_row};
    const Index width = groups_.padded_units();
    for (Index r = 0; r < active; r++)
      copy(call_.dy.at(call_.row_of(first + r), call_.time(t, first + r)), groups_.units, gathered_ + r * width);
    return {gathered_, width};
  }

  // dh += the gradient of the final h, for tiles whose row 0 is row `offset` of the shard.
  void add_final_gradient(const Tile<S>& tile, Index offset) {
    for (int p = 0; p < tile.panels; p++) {
      const Index column = column_of(tile, p);
      for (int k = 0; k < tile.rows; k++) {
        S* dh = tile.values + (p * tile.rows + k) * tile.width;
        const Index row = call_.row_of(shard_.first_row + offset + tile.first_row + k);
        const S* from = call_.dfinal.h + row * groups_.units;
        for (Index j = 0; j < tile.width && column + j < groups_.units; j += pack_size<S>)
          store(dh + j, load(dh + j) + load_first(from + column + j, groups_.units - column - j));
      }
    }
  }

  // The equations of the cell on a finished tile of dh.
  void epilogue(Index t, const Tile<S>& tile, Index offset) {
    for (int p = 0; p < tile.panels; p++)
      cell_.differentiate(t, tile.first_row + offset, tile.rows,
                          unit_shard_.first + (tile.first_panel + p) * max_packets, int(tile.width / pack_size<S>),
                          tile.values + p * tile.rows * tile.width, tile.width);
  }

  S* initial_row(S* all, Index row) const { return all + call_.row_of(shard_.first_row + row) * groups_.units; }
  void write_initial(Grid<S> from, S* all, bool add) const {
    for (Index r = 0; r < shard_.rows; r++)
      for (int g = unit_shard_.first; g < unit_shard_.last; g++)
        write_columns(from.at(g, r), initial_row(all, r), g * pack_size<S>, pack_size<S>, groups_.units, add);
  }

  const BackwardCall<S>& call_;
  const RowShard& shard_;
  Groups<S> groups_;
  const int shard_index_, shard_count_;  // of the unit shards
  UnitShard unit_shard_;
  Panels<S> panels_;  // of the unit shard
  PanelProduct<S> product_;
  GateOperands<S> dz_;
  Index done_from_;  // this step and later steps are done
  InputGradient<S> input_gradient_;
  CellBackward<S> cell_;
  S* gathered_ = nullptr;  // [row][padded units], dy of a step if it must be copied
  MemoryBlock scratch_;
};

}  // namespace fusedlstm
