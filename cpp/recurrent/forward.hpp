// Forward over a sequence: for each step, the product of input and hidden state with each panel, tile by tile, and
// the cell's equations on every finished tile. The pre-activations of a step never leave L1.
#pragma once

#include "cells/zoneout.hpp"
#include "recurrent/arrays.hpp"

namespace fusedlstm {

template <class S>
struct ForwardCall {
  const Cell<S>* cell;
  Problem problem;
  Panels<S> panels;
  const S* bias;  // [group][width]
  UnitVectors<S> vectors;
  Sequences<const S> x;
  States<const S> initial;
  Sequences<S> y;  // past a sequence's end: zeros
  States<S> final;
  const Schedule* schedule;
  const Saved<S>* saved;  // null: inference
};

// h of all rows of a share and all units, twice: of a step, and of the next.
template <class S>
struct HiddenPair {
  S *now = nullptr, *next = nullptr;  // [row][padded units]
  void lay_out(Carver& carver, Index count) {
    now = carver.take<S>(count);
    next = carver.take<S>(count);
  }
};

// The work of a share, or of a part of its units. Parts share `hidden`, and after every step they wait for each other.
template <class S>
class ForwardShare {
 public:
  ForwardShare(const ForwardCall<S>& call, const Share& share, int part = 0, int parts = 1,
               const HiddenPair<S>& hidden = {})
      : call_(call),
        share_(share),
        groups_(call.problem.sizes.hidden, call.problem.sizes.blocks.count),
        part_(groups_.count, groups_.groups_of_a_panel(), part, parts),
        panels_(call.panels.part(part_.first_panel, part_.last_panel)),
        multiplication_(panels_, share.rows),
        hidden_(hidden),
        shares_hidden_(hidden.now),
        input_fed_(call.problem.sizes.blocks, call.problem.sizes.blocks.input),
        hidden_fed_(call.problem.sizes.blocks, call.problem.sizes.blocks.hidden),
        input_first_(share.rows <= 2),
        masks_(call.problem.regularisers, call.problem.direction, share.rows, groups_.padded_units()) {
    at_.units = call.vectors;
    if (input_first_) steps_ahead_ = count_steps_ahead();
    lay_out(Carver());
    scratch_ = Block(bytes_);
    lay_out(Carver(scratch_.memory()));
  }

  // May be called again, with other numbers in the same places.
  void run() {
    start();
    for (Index t = 0; t < share_.steps; t++) step(t);
  }

  void start() {
    at_.hidden = of_rows(hidden_.next);
    at_.state = state_after(-1);
    at_.state_before = at_.state;
    if (const Saved<S>* saved = call_.saved) {
      at_.state = saved->grid(saved->state, 0, share_.line(-1));
      at_.derived = saved->grid(saved->derived, 0, share_.line(-1));
      at_.gates = {saved->gates_of(0, share_.line(-1)), saved->schedule.lines * groups_.width(), groups_.width()};
    } else if (zoned_state_) {
      at_.state = of_share(zoned_state_);
    }
    if (masks_.candidate) at_.mask = of_rows(masks_.candidate.values());
    masks_.start(share_.rows, [&](Index r) { return row_of(share_.first_row + r); });
    looked_ahead_ = 0;
    start_from_initial();
    if (!call_.y) return;
    for (Index r = 0; r < share_.rows; r++) {
      const Sorted sorted = share_.first_row + r;
      for (Index time = length(sorted); time < call_.problem.steps; time++)
        std::fill_n(call_.y.at(row_of(sorted), time) + first_unit(), own_units(), S(0));
    }
  }

  void step(Index t) {
    if (t > 0) {
      std::swap(hidden_.now, hidden_.next);
      if (zoned_state_) std::swap(state_, zoned_state_);
    }
    const Index running = share_.running(t);
    place(t);
    masks_.draw(t, running);
    const Operand<S> hidden = hidden_operand(running);
    if (!input_first_) {
      const Operand<S> operands[] = {input_operand(t, running), hidden};
      multiply(t, running, operands, 2, Start<S>{bias(), 0});
    } else {
      const Index width = own_width();
      if (t == looked_ahead_) look_ahead(t);
      const Start<S> start{ahead_ + (t - (looked_ahead_ - steps_ahead_)) * width, steps_ahead_ * width};
      const bool alone = running == 1 && call_.cell->forward_row && groups_.tail == pack_size<S>;
      if (alone && !masks_.candidate) step_one_row(t, hidden, start);
      else multiply(t, running, &hidden, 1, start);
    }
    finish_rows(t);
  }

 private:
  using Sorted = Index;  // a row's place in the sorted batch

  Index input() const { return call_.problem.sizes.input; }
  Index units() const { return groups_.units; }
  Index first_unit() const { return Index(part_.first) * pack_size<S>; }
  Index own_units() const { return std::min(units() - first_unit(), Index(part_.count()) * pack_size<S>); }
  Index own_width() const { return part_.count() * groups_.width(); }
  const S* bias() const { return call_.bias + part_.first * groups_.width(); }
  Index row_of(Sorted r) const { return call_.schedule->row_of[static_cast<std::size_t>(r)]; }
  Index length(Sorted r) const { return call_.schedule->lengths[static_cast<std::size_t>(r)]; }
  // Steps whose input part is computed at once: enough to fill tiles, few enough to stay in L1.
  Index count_steps_ahead() const {
    const Index numbers = share_.rows * own_width();
    const Index fitting = Index(16 * 1024) / Index(sizeof(S)) / numbers;
    return std::max(Index(max_rows(max_packets)), std::min(fitting, share_.steps));
  }

  void lay_out(Carver&& carver) {
    const Index row = groups_.padded_units();
    if (!shares_hidden_) hidden_.lay_out(carver, share_.rows * row);
    const bool carries = call_.cell->carried != Carried::nothing;
    if (!call_.saved && carries) state_ = carver.take<S>(share_.rows * row);
    masks_.lay_out(carver);
    if (masks_.recurrent) dropped_ = carver.take<S>(share_.rows * row);
    if (!call_.saved && zones_carried()) zoned_state_ = carver.take<S>(share_.rows * row);
    if (input_first_) ahead_ = carver.take<S>(share_.rows * steps_ahead_ * own_width());
    else if (!call_.schedule->equal) gathered_ = carver.take<S>(share_.rows * input());
    if (groups_.tail < pack_size<S>) {
      wide_z_ = carver.take<S>(most_rows_at_once * groups_.width());
      if (call_.saved) wide_gates_ = carver.take<S>(most_rows_at_once * groups_.width());
    }
    bytes_ = carver.used();
  }

  bool zones_carried() const {
    const Carried carried = call_.cell->carried;
    return (masks_.hidden && carried == Carried::hidden) || (masks_.state && carried == Carried::state);
  }

  // A packet a group and row of the carried state that the step after t sees: when training of each step, at inference
  // of the one that there is.
  Grid<S> state_after(Index t) const {
    if (call_.saved) return call_.saved->grid(call_.saved->seen_state, 0, share_.line(t));
    return of_share(state_);
  }
  Grid<S> of_share(S* state) const { return {state, share_.rows * pack_size<S>, pack_size<S>}; }
  Grid<S> of_rows(S* values) const { return {values, pack_size<S>, groups_.padded_units()}; }

  void start_from_initial() {
    const Index row = groups_.padded_units();
    const Carried carried = call_.cell->carried;
    const Grid<S> state = state_after(-1);
    const Grid<S> hidden = call_.saved ? call_.saved->grid(call_.saved->hidden(), 0, share_.line(-1)) : Grid<S>{};
    for (Index r = 0; r < share_.rows; r++) {
      const Index from = row_of(share_.first_row + r) * units();
      const auto initial = [&](const S* all, int g) {
        return all ? load_first(all + from + g * pack_size<S>, groups_.units_of(g)) : zero<S>();
      };
      for (int g = part_.first; g < part_.last; g++) {
        const Pack<S> h = initial(call_.initial.hidden, g);
        store(hidden_.now + r * row + g * pack_size<S>, h);
        if (carried == Carried::hidden) {
          store(state.at(g, r), h);
        } else if (carried == Carried::state) {
          store(state.at(g, r), initial(call_.initial.state, g));
        }
        if (call_.saved) store(hidden.at(g, r), h);
      }
    }
  }

  // x of step t for the running rows: in place where they stand at equal distances, else gathered.
  Operand<S> input_operand(Index t, Index running) {
    const Index first = share_.first_row;
    if (call_.schedule->equal)
      return {call_.x.at(first, call_.problem.time(t, share_.steps)), call_.x.by_row, 0, input(), input_fed_.span};
    for (Index r = 0; r < running; r++)
      copy(call_.x.at(row_of(first + r), call_.problem.time(t, length(first + r))), input(), gathered_ + r * input());
    return {gathered_, input(), 0, input(), input_fed_.span};
  }

  // h of the step before, as the product takes it.
  Operand<S> hidden_operand(Index running) {
    const Index row = groups_.padded_units();
    if (!masks_.recurrent) return {hidden_.now, row, input(), units(), hidden_fed_.span};
    for (Index j = 0; j < running * row; j += pack_size<S>)
      store(dropped_ + j, load(hidden_.now + j) * load(masks_.recurrent.values() + j));
    return {dropped_, row, input(), units(), hidden_fed_.span};
  }

  // The input's part of the pre-activations of steps [t, t + steps_ahead).
  void look_ahead(Index t) {
    looked_ahead_ = t + steps_ahead_;
    for (Index r = 0; r < share_.rows; r++) {
      const Sorted sorted = share_.first_row + r;
      const Index steps = std::min(steps_ahead_, length(sorted) - t);
      if (steps <= 0) break;
      const Operand<S> x{call_.x.at(row_of(sorted), call_.problem.time(t, length(sorted))),
                         call_.problem.reverse ? -call_.x.by_step : call_.x.by_step, 0, input(), input_fed_.span};
      Multiplication<S>(panels_, steps)
          .run_into(&x, 1, Start<S>{bias(), 0}, ahead_ + r * steps_ahead_ * own_width(), own_width());
    }
  }

  void multiply(Index t, Index running, const Operand<S>* operands, int count, Start<S> start) {
    if (running < multiplication_.rows()) multiplication_ = Multiplication<S>(panels_, running);
    multiplication_.run(operands, count, start, [&](const Tile<S>& tile) { finish_tile(t, tile); });
  }

  void step_one_row(Index t, const Operand<S>& hidden, Start<S> start) {
    const detail::Product<S> product{&hidden, 1, 0, panels_.values, panels_.stride, groups_.width(),
                                     start.values, groups_.width(), 0, nullptr, 0, 0};
    ForwardTile<S> tile = at_.from(part_.first, 0);
    tile.groups = part_.count();
    tile.rows = 1;
    call_.cell->forward_row({product, tile});
    zone_out_tile(t, tile, part_.first, 0);
    if (call_.y) copy(hidden_.next + first_unit(), own_units(), output_row(t, 0) + first_unit());
  }

  // Where the numbers of step t stand, from the first group and row on.
  void place(Index t) {
    at_.hidden.values = hidden_.next;
    if (const Saved<S>* saved = call_.saved) {
      const Index line = share_.line(t);
      at_.state_before = state_after(t - 1);
      if (saved->state) at_.state.values = saved->state + line * pack_size<S>;
      at_.derived.values = saved->derived + line * pack_size<S>;
      at_.gates.values = saved->gates + line * groups_.width_of(0);
    }
    if (zoned_state_) {
      at_.state_before.values = state_;
      at_.state.values = zoned_state_;
    }
    if (call_.y && call_.schedule->equal) y_ = call_.y.at(share_.first_row, call_.problem.time(t, share_.steps));
  }

  void finish_tile(Index t, const Tile<S>& tile) {
    const int several = groups_.groups_of_a_panel();
    if (several == 1)
      return finish_groups(t, tile, part_.first + tile.first_panel, tile.panels, tile.rows * tile.width);
    Tile<S> panel = tile;
    for (int p = 0; p < tile.panels; p++, panel.values += tile.rows * tile.width) {
      const int first = part_.first + (tile.first_panel + p) * several;
      finish_groups(t, panel, first, std::min(several, groups_.count - first), pack_size<S>);
    }
  }

  void finish_groups(Index t, const Tile<S>& tile, int group, int groups, Index by_group) {
    const Index row = tile.first_row;
    ForwardTile<S> cell = at_.from(group, row);
    cell.groups = groups;
    cell.rows = tile.rows;
    cell.z = {tile.values, by_group, tile.width};
    if (groups_.narrow(group) && groups_.blocks > 1) finish_narrow_tile(t, tile, cell, group);
    else call_.cell->forward(cell);
    zone_out_tile(t, cell, group, row);
    if (call_.y) write_output(t, cell, group, row);
  }

  // The units of a narrow group go through packets of their own for each gate.
  void finish_narrow_tile(Index t, const Tile<S>& tile, ForwardTile<S> cell, int group) {
    widen(tile.values, tile.width, tile.width, groups_.tail, groups_.blocks, tile.rows, wide_z_);
    if (call_.cell->blocks.divided()) correct_divided_sums(t, tile.first_row, tile.rows, group);
    cell.z = {wide_z_, 0, groups_.width()};
    if (call_.saved) cell.gates = {wide_gates_, 0, groups_.width()};
    call_.cell->forward(cell);
    if (call_.saved)
      narrow(wide_gates_, groups_.tail, groups_.blocks, tile.rows,
             call_.saved->gates_of(group, share_.line(t) + tile.first_row), tile.width);
  }

  // In a narrow group's panel, zeros stand where x or h does not feed a block. Infinity or NaN times zero is NaN: a sum of
  // such a block that is NaN is computed again from the operand that does feed it, in the same order.
  void correct_divided_sums(Index t, Index first_row, int rows, int group) {
    Pack<S> all = zero<S>();
    for (int j = 0; j < rows * groups_.blocks; j++) all = all + load(wide_z_ + j * pack_size<S>);
    if (is_nan(sum(all))) correct_nan_sums(t, first_row, rows, group);
  }
  static bool is_nan(S value) { return value != value; }
  FUSEDLSTM_ONCE_A_CALL void correct_nan_sums(Index t, Index first_row, int rows, int group) {
    const Blocks& blocks = call_.problem.sizes.blocks;
    for (int block = 0; block < groups_.blocks; block++) {
      if (blocks.input[block] >= 0 && blocks.hidden[block] >= 0) continue;
      for (int r = 0; r < rows; r++) {
        S* sums = wide_z_ + (r * groups_.blocks + block) * pack_size<S>;
        if (is_nan(sum(load(sums)))) sum_of_one_operand(t, first_row + r, group, block, sums);
      }
    }
  }
  void sum_of_one_operand(Index t, Index row, int group, int block, S* sums) {
    const bool of_input = call_.problem.sizes.blocks.input[block] >= 0;
    const Sorted sorted = share_.first_row + row;
    const S* values = of_input ? call_.x.at(row_of(sorted), call_.problem.time(t, length(sorted)))
                               : (masks_.recurrent ? dropped_ : hidden_.now) + row * groups_.padded_units();
    const Index width = groups_.width_of(group);
    const S* weights = call_.panels.values + group * call_.panels.stride + block * groups_.tail;
    if (!of_input) weights += input() * width;
    Pack<S> total = load_first(call_.bias + group * groups_.width() + block * groups_.tail, groups_.tail);
    for (Index k = 0; k < (of_input ? input() : units()); k++, weights += width)
      total = fma(fill(values[k]), load_first(weights, groups_.tail), total);
    store(sums, total);
  }

  void zone_out_tile(Index t, const ForwardTile<S>& cell, int group, Index row) {
    const auto mask = [&](const RowMasks<S>& masks) { return of_rows(masks.values()).from(group, row); };
    const Carried carried = call_.cell->carried;
    if (masks_.state && carried == Carried::state)
      zone_out<S>(cell.groups, cell.rows, mask(masks_.state), cell.state_before, cell.state,
                  call_.saved ? state_after(t).from(group, row) : cell.state);
    if (!masks_.hidden) return;
    Grid<S> copy;
    if (call_.saved) copy = call_.saved->grid(call_.saved->seen_hidden, group, share_.line(t) + row);
    else if (carried == Carried::hidden) copy = cell.state;
    const Grid<S> before = of_rows(hidden_.now).from(group, row);
    zone_out<S>(cell.groups, cell.rows, mask(masks_.hidden), before, cell.hidden, cell.hidden, copy);
  }

  void write_output(Index t, const ForwardTile<S>& cell, int group, Index row) {
    const bool has_narrow = groups_.narrow(group + cell.groups - 1);
    const int whole = cell.groups - has_narrow;
    for (int k = 0; k < cell.rows; k++) {
      S* y = output_row(t, row + k) + group * pack_size<S>;
      for (int g = 0; g < whole; g++) store(y + g * pack_size<S>, load(cell.hidden.at(g, k)));
      if (has_narrow) store_first(y + whole * pack_size<S>, load(cell.hidden.at(whole, k)), groups_.tail);
    }
  }
  S* output_row(Index t, Index row) const {
    if (call_.schedule->equal) return y_ + row * call_.y.by_row;
    const Sorted r = share_.first_row + row;
    return call_.y.at(row_of(r), call_.problem.time(t, length(r)));
  }

  // The final states of the rows whose last step is t.
  void finish_rows(Index t) {
    const Grid<S> state = zoned_state_ ? of_share(zoned_state_) : state_after(t);
    for (Index r = share_.running(t + 1); r < share_.running(t); r++) {
      const Index to = row_of(share_.first_row + r) * units();
      if (call_.final.hidden)
        copy(hidden_.next + r * groups_.padded_units() + first_unit(), own_units(),
             call_.final.hidden + to + first_unit());
      if (!call_.final.state) continue;
      for (int g = part_.first; g < part_.last; g++)
        store_first(call_.final.state + to + g * pack_size<S>, load(state.at(g, r)), groups_.units_of(g));
    }
  }

  const ForwardCall<S>& call_;
  const Share& share_;
  Groups<S> groups_;
  UnitPart part_;
  Panels<S> panels_;  // of the part
  Multiplication<S> multiplication_;
  HiddenPair<S> hidden_;
  const bool shares_hidden_;
  FedBlocks input_fed_, hidden_fed_;
  std::size_t bytes_ = 0;
  const bool input_first_;  // one or two rows fill no tile: the input's part then has tiles of its own, steps as rows
  Index steps_ahead_ = 0, looked_ahead_ = 0;
  LayerMasks<S> masks_;
  S* state_ = nullptr;     // [group][row], inference
  S* zoned_state_ = nullptr;      // and the next one, with zoneout
  S* dropped_ = nullptr;          // hidden_ times its mask
  S* ahead_ = nullptr;     // [row][step][group][width]
  S* gathered_ = nullptr;  // [row][input]
  S* wide_z_ = nullptr;    // the narrow group's tile with whole packets
  S* wide_gates_ = nullptr;
  Block scratch_;
  ForwardTile<S> at_{};
  S* y_ = nullptr;  // the output of the step's first row, where lengths are equal
};

}  // namespace fusedlstm
