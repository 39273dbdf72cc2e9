// What forward and backward over a sequence share: the views of the caller's arrays and the record that forward
// leaves for backward.
#pragma once

#include "cells/cell_loops.hpp"
#include "cells/regularizers.hpp"
#include "product/layout.hpp"
#include "product/panels.hpp"
#include "recurrent/row_plan.hpp"
#include "runtime/memory.hpp"
#include "runtime/team.hpp"

namespace fusedlstm {

// One direction of a layer over a batch of sequences.
struct Problem {
  Sizes sizes;
  Index steps, batch;  // T, B
  int direction;
  bool reverse;  // each sequence from its own last step to its first
  Regularisers regularisers;

  // Where in time the step t of a row of this length stands.
  Index time(Index t, Index length) const { return reverse ? length - 1 - t : t; }
};

// (batch, steps, features): the features of a step are neighbours.
template <class S>
struct Sequences {
  S* values = nullptr;
  Index by_row = 0, by_step = 0;
  explicit operator bool() const { return values != nullptr; }
  S* at(Index row, Index time) const { return values + row * by_row + time * by_step; }
};
template <class S>
Sequences<S> contiguous_sequences(S* values, Index steps, Index features) {
  return {values, steps * features, features};
}

// (batch, hidden) of each of the two states; null where absent.
template <class S>
struct States {
  S* hidden = nullptr;
  S* state = nullptr;
};

// What forward keeps for backward: per line of the schedule and unit, the gates, the carried state if there is one, and
// one derived number. Backward overwrites it with the gradients of the pre-activations and with h.
// Zoneout keeps one more of h, and one more of the state if its units' own weights see it: what the next step sees.
template <class S>
struct Saved {
  Schedule schedule;
  Groups<S> groups;
  Block block;
  S* gates = nullptr;    // records of the groups, [group][line][blocks]
  S* state = nullptr;    // [group][line]
  S* derived = nullptr;  // [group][line]
  S* seen_state = nullptr;   // state, unless zoned out
  S* seen_hidden = nullptr;  // null, unless zoned out

  Saved(Schedule schedule_, const Groups<S>& groups_, const Cell<S>& cell, const Regularisers& regularisers)
      : schedule(std::move(schedule_)), groups(groups_) {
    const auto layout = [&](Carver carver) {
      const Index numbers = schedule.lines * groups.padded_units();
      gates = carver.take<S>(groups.record_count(schedule.lines));
      derived = carver.take<S>(numbers);
      const bool zones_hidden = regularisers.zoneout_hidden > 0, zones_state = regularisers.zoneout_state > 0;
      if (zones_hidden) seen_hidden = carver.take<S>(numbers);
      // Where h is what is carried, it stands there already.
      if (cell.carried == Carried::hidden) state = derived;
      if (cell.carried == Carried::state) state = carver.take<S>(numbers);
      seen_state = state;
      if (zones_hidden && cell.carried == Carried::hidden) seen_state = seen_hidden;
      if (zones_state && cell.carried == Carried::state && cell.sum_vectors) seen_state = carver.take<S>(numbers);
      return carver.used();
    };
    block = Block(layout(Carver()));
    layout(Carver(block.memory()));
  }

  // h of each line once backward has passed it.
  S* hidden() const { return seen_hidden ? seen_hidden : derived; }
  S* gates_of(int group, Index line) const {
    return gates + group * schedule.lines * groups.width() + line * groups.width_of(group);
  }
  // A packet a group and row, from this line on.
  Grid<S> grid(S* values, int group, Index line) const {
    if (!values) return {};
    return {values + (group * schedule.lines + line) * pack_size<S>, schedule.lines * pack_size<S>, pack_size<S>};
  }
};

}  // namespace fusedlstm
