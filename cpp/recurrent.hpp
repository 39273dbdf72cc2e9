// What forward and backward over a sequence share: the views of the caller's arrays and the record that forward
// leaves for backward.
#pragma once

#include "cell.hpp"
#include "memory.hpp"
#include "panels.hpp"
#include "schedule.hpp"
#include "threads.hpp"
#include "weights.hpp"

namespace fusedlstm {

// One direction of a layer over a batch of sequences.
struct Problem {
  Sizes sizes;
  Index steps, batch;  // T, B
  bool reverse;        // each sequence from its own last step to its first

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

// (batch, hidden) of each of the two states; null where absent.
template <class S>
struct States {
  S* hidden = nullptr;
  S* state = nullptr;
};

// What forward keeps for backward: per line of the schedule and unit, the gates, the state c and one derived number.
// Backward overwrites it with the gradients of the pre-activations and with h.
template <class S>
struct Saved {
  Schedule schedule;
  Groups<S> groups;
  Block block;
  S* gates = nullptr;    // records of the groups, [group][line][blocks]
  S* state = nullptr;    // [group][line]
  S* derived = nullptr;  // [group][line]

  Saved(Schedule schedule_, const Groups<S>& groups_) : schedule(std::move(schedule_)), groups(groups_) {
    const auto layout = [this](Carver carver) {
      gates = carver.take<S>(groups.record_count(schedule.lines));
      state = carver.take<S>(schedule.lines * groups.padded_units());
      derived = carver.take<S>(schedule.lines * groups.padded_units());
      return carver.used();
    };
    block = Block(layout(Carver()));
    layout(Carver(block.memory()));
  }

  S* gates_of(int group, Index line) const {
    return gates + group * schedule.lines * groups.width() + line * groups.width_of(group);
  }
  // A packet a group and row, from this line on.
  Grid<S> grid(S* values, int group, Index line) const {
    return {values + (group * schedule.lines + line) * pack_size<S>, schedule.lines * pack_size<S>, pack_size<S>};
  }
};

}  // namespace fusedlstm
