// Backward over a sequence, in two parts.
//
// BackwardShare, one a thread, goes back through time: the gradient of the hidden state of a step is a product of the
// gate gradients of the step after with the hidden weights, the cell's derivatives run on the finished tile, and
// the gate gradients take the place of the saved gates. The input's gradient follows in blocks of steps.
//
// WeightGradients (weight_gradients.hpp) then sums over all steps and rows.
#pragma once

#include "cells/zoneout.hpp"
#include "recurrent/arrays.hpp"

namespace fusedlstm {

template <class S>
struct BackwardCall {
  const Cell<S>* cell;
  Problem problem;
  Panels<S> hidden_panels;  // for products with the hidden weights
  Panels<S> input_panels;   // with the input weights; no values if dx is not wanted
  UnitVectors<S> vectors;
  Sequences<const S> x;
  Sequences<const S> dy;
  States<const S> dfinal;
  Sequences<S> dx;
  bool add_dx;  // dx += rather than dx =
  States<S> dinitial;
  Weights<S> gradients;  // added to
  const Saved<S>* saved;

  Index row_of(Index sorted) const { return saved->schedule.row_of[static_cast<std::size_t>(sorted)]; }
  Index length(Index sorted) const { return saved->schedule.lengths[static_cast<std::size_t>(sorted)]; }
  Index time(Index t, Index sorted) const { return problem.time(t, length(sorted)); }
};

// The work of a share, or of a part of its units. Parts wait for each other after every step.
template <class S>
class BackwardShare {
 public:
  BackwardShare(const BackwardCall<S>& call, const Share& share, int part = 0, int parts = 1)
      : call_(call),
        share_(share),
        groups_(call.saved->groups),
        part_number_(part),
        parts_(parts),
        part_(groups_.count, max_packets, part, parts),
        panels_(call.hidden_panels.part(part_.first_panel, part_.last_panel)),
        multiplication_(multiplication(share.rows)),
        hidden_operands_(groups_, call.problem.sizes.blocks, call.problem.sizes.blocks.hidden),
        input_operands_(groups_, call.problem.sizes.blocks, call.problem.sizes.blocks.input),
        next_(share.steps),
        dx_done_(share.steps),
        masks_(call.problem.regularisers, call.problem.direction, share.rows, groups_.padded_units()) {
    lay_out(Carver());
    scratch_ = Block(bytes_);
    lay_out(Carver(scratch_.memory()));
    destinations_.reserve(static_cast<std::size_t>(share.rows + dx_rows));
  }

  // Goes on, from where it stands, down to the step `first`.
  void run_down_to(Index first) {
    if (next_ == 0) return;
    if (next_ == share_.steps) start();
    for (; next_ > first; next_--) {
      const Index t = next_ - 1;
      step(t);
      if (t == 0 || share_.line(dx_done_) - share_.line(t) >= dx_rows) input_gradient(t);
    }
    if (next_ == 0) finish();
  }

  void start() {
    const Grid<S> dstate = of_share(dstate_);
    const Saved<S>& saved = *call_.saved;
    at_.dstate = dstate;
    at_.state_before = saved.grid(saved.seen_state, 0, 0);
    at_.units = call_.vectors;
    if (masks_.candidate) at_.mask = of_rows(masks_.candidate.values());
    masks_.start(share_.rows, [&](Index r) { return call_.row_of(share_.first_row + r); });
    for (S* past : {dhidden_past_, dstate_past_})
      if (past) std::fill_n(past, share_.rows * groups_.padded_units(), S(0));
    at_.derived = saved.grid(saved.derived, 0, 0);
    at_.gates = {saved.gates, saved.schedule.lines * groups_.width(), groups_.width()};
    for (Index r = 0; r < share_.rows; r++)
      for (int g = part_.first; g < part_.last; g++) {
        const S* from = call_.dfinal.state;
        if (from) from += call_.row_of(share_.first_row + r) * groups_.units + g * pack_size<S>;
        store(dstate.at(g, r), from ? load_first(from, groups_.units_of(g)) : zero<S>());
      }
  }

  void step(Index t) {
    const Index running = share_.running(t), going_on = share_.running(t + 1);
    const Start<S> dy = output_gradient(t, running);
    place(t);
    masks_.draw(t, running);
    if (going_on > 0) {
      if (going_on != multiplication_.rows()) multiplication_ = multiplication(going_on);
      const Start<S> start = masks_.recurrent ? Start<S>{nullptr, 0} : of_part(dy);
      multiplication_.run(from_line(hidden_operands_, share_.line(t + 1)), groups_.count, start,
                          [&](const Tile<S>& tile) {
                            if (masks_.recurrent) drop_gradient(tile, dy);
                            finish_tile(t, tile, 0);
                          });
    }
    if (going_on < running) step_last(t, going_on, running, dy);
    if (masks_.recurrent) drop_hidden(t, running);
  }

  // After step 0.
  void finish() {
    const Carried carried = call_.cell->carried;
    if (masks_.recurrent) drop_hidden(-1, share_.rows);
    if (call_.dinitial.hidden) {
      Multiplication<S>(panels_, share_.rows)
          .run(from_line(hidden_operands_, share_.line(0)), groups_.count, Start<S>{nullptr, 0},
               [&](const Tile<S>& tile) {
                 if (masks_.recurrent) drop_gradient(tile, {nullptr, 0});
                 for (int k = 0; k < tile.rows; k++)
                   for (int p = 0; p < tile.panels; p++)
                     put(tile.values + (p * tile.rows + k) * tile.width,
                         initial(call_.dinitial.hidden, tile.first_row + k), column_of(tile, p), tile.width,
                         groups_.units, false);
               });
      if (carried == Carried::hidden) write_initial(dstate_, call_.dinitial.hidden, true);
      if (dhidden_past_) write_initial(dhidden_past_, call_.dinitial.hidden, true);
    }
    if (!call_.dinitial.state) return;
    write_initial(dstate_, call_.dinitial.state, false);
    if (dstate_past_) write_initial(dstate_past_, call_.dinitial.state, true);
  }

  // dx of the steps from this one on that have none yet; their gate gradients are there, those of all units.
  void input_gradient(Index first) {
    if (!call_.dx) return;
    if (dx_done_ == share_.steps && !call_.add_dx) clear_dx_past_ends();
    destinations_.clear();
    for (Index t = first; t < dx_done_; t++)
      for (Index r = share_.first_row; r < share_.first_row + share_.running(t); r++)
        destinations_.push_back(call_.dx.at(call_.row_of(r), call_.time(t, r)));
    const Operand<S>* operands = from_line(input_operands_, share_.line(first));
    Multiplication<S>(call_.input_panels, Index(destinations_.size()))
        .run(operands, groups_.count, Start<S>{nullptr, 0}, [&](const Tile<S>& tile) {
          for (int k = 0; k < tile.rows; k++)
            for (int p = 0; p < tile.panels; p++)
              put(tile.values + (p * tile.rows + k) * tile.width,
                  destinations_[static_cast<std::size_t>(tile.first_row + k)],
                  (tile.first_panel + p) * max_packets * pack_size<S>, tile.width, call_.problem.sizes.input,
                  call_.add_dx);
        });
    dx_done_ = first;
  }
  // If this is the work of that direction, dx of the part's share of the steps.
  void input_gradient_of_part(int direction) {
    if (direction != call_.problem.direction) return;
    const Index first = share_.steps * part_number_ / parts_;
    dx_done_ = share_.steps * (part_number_ + 1) / parts_;
    for (Index t = dx_done_ - 1; t >= first; t--)
      if (t == first || share_.line(dx_done_) - share_.line(t) >= dx_rows) input_gradient(t);
  }

 private:
  static constexpr Index dx_rows = 16;  // the least that fill the tiles of a product

  void lay_out(Carver&& carver) {
    const Index numbers = share_.rows * groups_.padded_units();
    dstate_ = carver.take<S>(numbers);
    masks_.lay_out(carver);
    if (masks_.hidden) dhidden_past_ = carver.take<S>(numbers);
    if (masks_.state) dstate_past_ = carver.take<S>(numbers);
    if (call_.dy && (!call_.saved->schedule.equal || groups_.tail < pack_size<S>)) {
      gathered_ = carver.take<S>(numbers);
      if (gathered_) std::fill(gathered_, gathered_ + numbers, S(0));
    }
    if (groups_.tail < pack_size<S>) wide_gates_ = carver.take<S>(most_rows_at_once * groups_.width());
    bytes_ = carver.used();
  }

  bool carries_hidden() const { return call_.cell->carried == Carried::hidden; }

  void clear_dx_past_ends() {
    for (Index r = share_.first_row; r < share_.first_row + share_.rows; r++)
      for (Index time = call_.length(r); time < call_.problem.steps; time++)
        std::fill_n(call_.dx.at(call_.row_of(r), time), call_.problem.sizes.input, S(0));
  }

  Grid<S> of_share(S* values) const { return {values, share_.rows * pack_size<S>, pack_size<S>}; }
  Grid<S> of_rows(S* values) const { return {values, pack_size<S>, groups_.padded_units()}; }

  // The gate gradients of the lines from this one on, as operands of a backward panel: those of the blocks that x or h
  // feeds.
  struct GateOperands {
    FedBlocks fed;
    std::vector<Operand<S>> of_groups;
    GateOperands(const Groups<S>& groups, const Blocks& blocks, const int (&rows)[most_blocks]) : fed(blocks, rows) {
      Index start = 0;
      for (int g = 0; g < groups.count; g++) {
        const Index depth = Index(fed.count) * groups.units_of(g);
        of_groups.push_back({nullptr, groups.width_of(g), start, depth});
        start += depth;
      }
    }
  };
  const Operand<S>* from_line(GateOperands& operands, Index line) {
    for (int g = 0; g < groups_.count; g++)
      operands.of_groups[static_cast<std::size_t>(g)].values =
          call_.saved->gates_of(g, line) + operands.fed.first * groups_.units_of(g);
    return operands.of_groups.data();
  }

  // A small batch has its sums in chains. The batch decides, not the share.
  Multiplication<S> multiplication(Index rows) const {
    return call_.problem.batch <= most_rows_in_chains && call_.hidden_panels.count == 1
               ? Multiplication<S>::in_chains(panels_, rows)
               : Multiplication<S>(panels_, rows);
  }

  // Rows whose last step this is: there is no step after, but perhaps the gradient of the final state.
  void step_last(Index t, Index going_on, Index running, Start<S> dy) {
    const Start<S> dy_last{dy.values ? dy.values + going_on * dy.stride : nullptr, dy.stride};
    Multiplication<S>(panels_, running - going_on).run(nullptr, 0, of_part(dy_last), [&](const Tile<S>& tile) {
      if (call_.dfinal.hidden) add_final_gradient(tile, going_on);
      finish_tile(t, tile, going_on);
    });
  }

  // The first column of a panel of a tile, among all units.
  Index column_of(const Tile<S>& tile, int panel) const {
    return Index(part_.first_panel + tile.first_panel + panel) * max_packets * pack_size<S>;
  }
  // dy where the columns of the part begin.
  Start<S> of_part(Start<S> dy) const {
    return {dy.values ? dy.values + part_.first * pack_size<S> : nullptr, dy.stride};
  }

  // dL/dh from the gradient of h times its mask, and dy.
  void drop_gradient(const Tile<S>& tile, Start<S> dy) {
    for (int p = 0; p < tile.panels; p++) {
      const Index column = column_of(tile, p);
      for (int k = 0; k < tile.rows; k++) {
        S* dhidden = tile.values + (p * tile.rows + k) * tile.width;
        const Index row = tile.first_row + k;
        const S* mask = masks_.recurrent.values() + row * groups_.padded_units() + column;
        const S* from = dy.values ? dy.values + row * dy.stride + column : nullptr;
        for (Index j = 0; j < tile.width; j += pack_size<S>)
          store(dhidden + j, fma(load(dhidden + j), load(mask + j), from ? load(from + j) : zero<S>()));
      }
    }
  }
  // The weight gradients take h as the product took it.
  void drop_hidden(Index t, Index running) {
    const Grid<S> hidden = call_.saved->grid(call_.saved->hidden(), 0, share_.line(t));
    const Grid<S> mask = of_rows(masks_.recurrent.values());
    for (int g = part_.first; g < part_.last; g++)
      for (Index r = 0; r < running; r++) store(hidden.at(g, r), load(hidden.at(g, r)) * load(mask.at(g, r)));
  }

  // dy of step t, in place where it has the form of a tile's start, else gathered.
  Start<S> output_gradient(Index t, Index running) {
    if (!call_.dy) return {nullptr, 0};
    const Index first = share_.first_row;
    if (!gathered_) return {call_.dy.at(first, call_.time(t, first)), call_.dy.by_row};
    const Index width = groups_.padded_units();
    for (Index r = 0; r < running; r++)
      copy(call_.dy.at(call_.row_of(first + r), call_.time(t, first + r)), groups_.units, gathered_ + r * width);
    return {gathered_, width};
  }

  void add_final_gradient(const Tile<S>& tile, Index offset) {
    for (int p = 0; p < tile.panels; p++) {
      const Index column = column_of(tile, p);
      for (int k = 0; k < tile.rows; k++) {
        S* dhidden = tile.values + (p * tile.rows + k) * tile.width;
        const Index row = call_.row_of(share_.first_row + offset + tile.first_row + k);
        const S* from = call_.dfinal.hidden + row * groups_.units;
        for (Index j = 0; j < tile.width && column + j < groups_.units; j += pack_size<S>)
          store(dhidden + j, load(dhidden + j) + load_first(from + column + j, groups_.units - column - j));
      }
    }
  }

  void finish_tile(Index t, const Tile<S>& tile, Index offset) {
    for (int p = 0; p < tile.panels; p++)
      derive(t, tile.first_row + offset, tile.rows, part_.first + (tile.first_panel + p) * max_packets,
             int(tile.width / pack_size<S>), tile.values + p * tile.rows * tile.width, tile.width);
  }

  // Where the numbers of step t stand, from the first group and row on.
  void place(Index t) {
    const Saved<S>& saved = *call_.saved;
    const Index line = share_.line(t);
    if (saved.seen_state) at_.state_before.values = saved.seen_state + share_.line(t - 1) * pack_size<S>;
    at_.gates.values = saved.gates + line * groups_.width_of(0);
    at_.derived.values = saved.derived + line * pack_size<S>;
  }

  // The cell's derivatives on `groups` groups; a narrow last group goes through whole packets.
  void derive(Index t, Index row, int rows, int first_group, int groups, S* dhidden, Index width) {
    const int last_group = groups_.count - 1;
    const bool has_narrow = groups_.narrow(last_group) && first_group + groups == groups_.count;
    BackwardTile<S> tile = at_.from(first_group, row);
    tile.groups = groups - has_narrow;
    tile.rows = rows;
    tile.dhidden = {dhidden, pack_size<S>, width};
    if (tile.groups > 0) derive_tile(tile, first_group, row);
    if (!has_narrow) return;
    const Index record = groups_.width_of(last_group);
    S* records = call_.saved->gates_of(last_group, share_.line(t) + row);
    widen(records, record, record, groups_.tail, groups_.blocks, rows, wide_gates_);
    tile = at_.from(last_group, row);
    tile.groups = 1;
    tile.rows = rows;
    tile.dhidden = {dhidden + (groups - 1) * pack_size<S>, 0, width};
    tile.gates = {wide_gates_, 0, groups_.width()};
    derive_tile(tile, last_group, row);
    narrow(wide_gates_, groups_.tail, groups_.blocks, rows, records, record);
  }

  // With zoneout a part of the gradients of h and of the state goes past the cell, to be added at the step before.
  void derive_tile(const BackwardTile<S>& tile, int group, Index row) {
    const auto here = [&](S* values) { return of_share(values).from(group, row); };
    const auto mask = [&](const RowMasks<S>& masks) { return of_rows(masks.values()).from(group, row); };
    if (masks_.hidden && carries_hidden()) return derive_zoned_hidden(tile, mask(masks_.hidden), here(dhidden_past_));
    const auto zone = [&](const RowMasks<S>& masks, Grid<S> gradient, S* past) {
      if (masks) zone_out_backward<S>(tile.groups, tile.rows, mask(masks), gradient, here(past));
    };
    zone(masks_.hidden, tile.dhidden, dhidden_past_);
    zone(masks_.state, tile.dstate, dstate_past_);
    call_.cell->backward(tile);
  }
  // Of a cell that carries h itself, whose gradient then has three parts.
  void derive_zoned_hidden(const BackwardTile<S>& tile, Grid<S> mask, Grid<S> past) {
    for (int g = 0; g < tile.groups; g++)
      for (int r = 0; r < tile.rows; r++) {
        store(past.at(g, r), load(past.at(g, r)) + load(tile.dstate.at(g, r)));
        store(tile.dstate.at(g, r), zero<S>());
      }
    zone_out_backward<S>(tile.groups, tile.rows, mask, tile.dhidden, past);
    call_.cell->backward(tile);
  }

  static void put(const S* from, S* to, Index column, Index width, Index columns, bool add) {
    for (Index j = 0; j < width && column + j < columns; j += pack_size<S>) {
      Pack<S> value = load(from + j);
      const Index n = columns - column - j;
      if (add) value = value + load_first(to + column + j, n);
      store_first(to + column + j, value, n);
    }
  }

  S* initial(S* all, Index row) const { return all + call_.row_of(share_.first_row + row) * groups_.units; }
  void write_initial(S* from, S* all, bool add) const {
    for (Index r = 0; r < share_.rows; r++)
      for (int g = part_.first; g < part_.last; g++)
        put(of_share(from).at(g, r), initial(all, r), g * pack_size<S>, pack_size<S>, groups_.units, add);
  }

  const BackwardCall<S>& call_;
  const Share& share_;
  Groups<S> groups_;
  const int part_number_, parts_;
  UnitPart part_;
  Panels<S> panels_;  // of the part
  Multiplication<S> multiplication_;
  GateOperands hidden_operands_, input_operands_;
  std::vector<S*> destinations_;
  Index next_;     // the steps from this one on are done
  Index dx_done_;  // and their dx from this one on
  LayerMasks<S> masks_;
  std::size_t bytes_ = 0;
  S* dstate_ = nullptr;    // [group][row]
  S* dhidden_past_ = nullptr;  // [group][row], what zoneout leads past the cell
  S* dstate_past_ = nullptr;
  S* gathered_ = nullptr;  // [row][padded units], dy of a step where it has to be copied
  S* wide_gates_ = nullptr;
  Block scratch_;
  BackwardTile<S> at_{};
};

}  // namespace fusedlstm
