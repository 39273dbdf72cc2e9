// A recurrent layer over a batch, forward and backward: packing, threads, one or two directions.
#pragma once

#include <memory>
#include <optional>

#include "recurrent/forward.hpp"
#include "recurrent/weight_gradients.hpp"

namespace fusedlstm {

inline constexpr int most_directions = 2;  // the second goes from the last step to the first

// The caller's arrays of a layer. Parameters and gradients hold a direction's weights after the other's.
struct LayerShape {
  Sizes sizes;
  Index steps, batch;
  int directions;
  bool reverse;  // the only direction goes from the last step to the first
  Regularisers regularisers;
  Problem problem(int direction) const {
    return {sizes, steps, batch, direction, reverse || direction == 1, regularisers};
  }
  Index features() const { return directions * sizes.hidden; }  // of an output step
};

// How a call is divided among threads: each has rows of its own, or, where that would be one row or none, all rows and
// units of its own.
struct Division {
  int threads = 1;
  int unit_parts = 1;  // more than one: of the one share of rows

  template <class S>
  static Division of(const LayerShape& shape, int threads) {
    const Index work = shape.batch * weight_count(shape.sizes) * shape.directions;  // of a step
    const Index worth = eager_teams() ? threads : work / worth_a_thread;
    const Index panels = column_panels<S>(0, shape.sizes.hidden, nullptr).count;
    const int parts = int(std::min({Index(threads), worth, panels}));
    if (parts > 1 && parts >= shape.batch) return {parts, parts};
    return {int(std::min(Index(threads), shape.batch)), 1};
  }
  Index shares() const { return unit_parts > 1 ? 1 : threads; }

 private:
  static constexpr Index worth_a_thread = 3 << 14;  // multiply-adds, nearly a microsecond
};

template <class S>
struct LayerSaved {
  LayerShape shape;
  const Cell<S>* cell;
  Division division;
  std::vector<Saved<S>> directions;
};

// Arrays (directions, batch, hidden).
template <class S>
States<S> states_of(const States<S>& all, const LayerShape& shape, int direction) {
  const Index offset = direction * shape.batch * shape.sizes.hidden;
  return {all.hidden ? all.hidden + offset : nullptr, all.state ? all.state + offset : nullptr};
}
// The columns of one direction in arrays (batch, steps, features).
template <class S>
Sequences<S> columns_of(Sequences<S> all, const LayerShape& shape, int direction) {
  if (all) all.values += direction * shape.sizes.hidden;
  return all;
}

// Packed weights of all directions.
template <class S>
struct PackedLayer {
  Block block;
  S* panels[most_directions] = {};
  S* bias[most_directions] = {};
  S* vectors[most_directions] = {};

  PackedLayer(const LayerShape& shape, const Groups<S>& groups) {
    const auto layout = [&](Carver carver) {
      for (int d = 0; d < shape.directions; d++) {
        panels[d] = carver.take<S>(groups.forward_panel_count(shape.sizes.input + shape.sizes.hidden));
        bias[d] = carver.take<S>(groups.count * groups.width());
        vectors[d] = carver.take<S>(shape.sizes.blocks.vectors * groups.padded_units());
      }
      return carver.used();
    };
    block = Block(layout(Carver()));
    layout(Carver(block.memory()));
  }
};

// The groups' part of a team member.
template <class S>
void pack_layer(const Cell<S>& cell, const LayerShape& shape, const Groups<S>& groups, const S* parameters,
                const PackedLayer<S>& packed, const Team& team) {
  const auto [first, last] = team.part(groups.count);
  for (int d = 0; d < shape.directions; d++) {
    const Weights<const S> weights = split_weights(parameters + d * weight_count(shape.sizes), shape.sizes);
    pack_forward(shape.sizes, groups, weights, cell.factors, int(first), int(last), packed.panels[d], packed.bias[d]);
    if (team.member() == 0)
      pack_vectors(shape.sizes, groups, weights.vectors, S(cell.vector_factor), packed.vectors[d]);
  }
}

// One direction's call of forward.
template <class S>
ForwardCall<S> forward_call(const Cell<S>& cell, const LayerShape& shape, const Groups<S>& groups,
                            const PackedLayer<S>& packed, int direction, Sequences<const S> x, States<const S> initial,
                            Sequences<S> y, States<S> final, const Schedule& schedule, const Saved<S>* saved) {
  const Index depth = shape.sizes.input + shape.sizes.hidden;
  return {&cell,
          shape.problem(direction),
          groups.forward_panels(packed.panels[direction], depth, cell.blocks.divided()),
          packed.bias[direction],
          UnitVectors<S>{packed.vectors[direction], groups.padded_units()},
          x,
          states_of(initial, shape, direction),
          columns_of(y, shape, direction),
          states_of(final, shape, direction),
          &schedule,
          saved};
}

// Calls run(item) for the shares or parts of a team member, [share or part][direction].
template <class Item, class Run>
void for_own(std::vector<Item>& items, int directions, const Team& team, Run&& run) {
  const auto [first, last] = team.part(Index(items.size()) / directions);
  for (Index k = first * directions; k < last * directions; k++) run(items[std::size_t(k)]);
}

// Returns what backward needs if `training`, else null. lengths may be null: all rows have all steps. `ready`: weights
// that were packed before, else null.
template <class S>
std::unique_ptr<LayerSaved<S>> layer_forward(const Cell<S>& cell, const LayerShape& shape, const Index* lengths,
                                             const S* parameters, const PackedLayer<S>* ready, Sequences<const S> x,
                                             States<const S> initial, Sequences<S> y, States<S> final, bool training,
                                             int threads) {
  const Groups<S> groups(shape.sizes.hidden, cell.blocks.count);
  const Division division = Division::of<S>(shape, threads);
  const Schedule schedule(shape.batch, shape.steps, lengths, division.shares());
  std::optional<PackedLayer<S>> fresh;
  if (!ready) fresh.emplace(shape, groups);
  const PackedLayer<S>& packed = ready ? *ready : *fresh;
  std::unique_ptr<LayerSaved<S>> saved;
  if (training) {
    saved = std::make_unique<LayerSaved<S>>(LayerSaved<S>{shape, &cell, division, {}});
    for (int d = 0; d < shape.directions; d++)
      saved->directions.emplace_back(schedule, groups, cell, shape.regularisers);
  }

  std::vector<ForwardCall<S>> calls;
  for (int d = 0; d < shape.directions; d++)
    calls.push_back(forward_call(cell, shape, groups, packed, d, x, initial, y, final, schedule,
                                 saved ? &saved->directions[std::size_t(d)] : nullptr));
  const int parts = division.unit_parts;
  std::vector<HiddenPair<S>> hidden(calls.size());  // that parts share
  Block hidden_block;
  if (parts > 1) {
    const auto layout = [&](Carver carver) {
      for (HiddenPair<S>& pair : hidden) pair.lay_out(carver, shape.batch * groups.padded_units());
      return carver.used();
    };
    hidden_block = Block(layout(Carver()));
    layout(Carver(hidden_block.memory()));
  }
  std::vector<ForwardShare<S>> work;  // [share or part][direction]
  work.reserve(std::size_t(division.threads) * calls.size());
  for (const Share& share : schedule.shares)
    for (int part = 0; part < parts; part++)
      for (std::size_t d = 0; d < calls.size(); d++) work.emplace_back(calls[d], share, part, parts, hidden[d]);

  Lockstep lockstep;
  run_team(division.threads, [&](const Team& team) {
    if (!ready) {
      pack_layer(cell, shape, groups, parameters, packed, team);
      team.wait_for_all();
    }
    if (parts == 1) return for_own(work, shape.directions, team, [](ForwardShare<S>& share) { share.run(); });
    lockstep.run(team, 1 + schedule.longest(), [&](Index s, const Team& acting) {
      for_own(work, shape.directions, acting, [&](ForwardShare<S>& part) {
        if (s == 0) part.start();
        else part.step(s - 1);
      });
    });
  });
  return saved;
}

// Panels for the products of backward.
template <class S>
struct BackwardPanels {
  Block block;
  S* hidden[most_directions] = {};
  S* input[most_directions] = {};
  S* vectors[most_directions] = {};

  BackwardPanels(const LayerShape& shape, const Groups<S>& groups, bool with_input) {
    const Sizes& sizes = shape.sizes;
    const auto layout = [&](Carver carver) {
      for (int d = 0; d < shape.directions; d++) {
        hidden[d] = carver.take<S>(column_panel_count<S>(sizes.hidden_rows(), sizes.hidden));
        if (with_input) input[d] = carver.take<S>(column_panel_count<S>(sizes.input_rows(), sizes.input));
        vectors[d] = carver.take<S>(sizes.blocks.vectors * groups.padded_units());
      }
      return carver.used();
    };
    block = Block(layout(Carver()));
    layout(Carver(block.memory()));
  }
};

// Consumes `saved`. dy, dfinal and dx may be null; the gradients of the weights are added to `gradients`.
template <class S>
void layer_backward(const LayerSaved<S>& saved, const S* parameters, Sequences<const S> x, Sequences<const S> dy,
                    States<const S> dfinal, Sequences<S> dx, States<S> dinitial, S* gradients) {
  const LayerShape& shape = saved.shape;
  const Sizes& sizes = shape.sizes;
  const Schedule& schedule = saved.directions[0].schedule;
  const Groups<S>& groups = saved.directions[0].groups;
  const BackwardPanels<S> panels(shape, groups, bool(dx));

  std::vector<BackwardCall<S>> calls;
  for (int d = 0; d < shape.directions; d++)
    calls.push_back({saved.cell, shape.problem(d), column_panels<S>(sizes.hidden_rows(), sizes.hidden, panels.hidden[d]),
                     column_panels<S>(sizes.input_rows(), sizes.input, panels.input[d]),
                     UnitVectors<S>{panels.vectors[d], groups.padded_units()}, x, columns_of(dy, shape, d),
                     states_of(dfinal, shape, d), dx, d > 0, states_of(dinitial, shape, d),
                     split_weights(gradients + d * weight_count(sizes), sizes), &saved.directions[std::size_t(d)]});
  const int parts = saved.division.unit_parts;
  std::vector<BackwardShare<S>> work;  // [share or part][direction]
  work.reserve(std::size_t(saved.division.threads) * calls.size());
  for (const Share& share : schedule.shares)
    for (int part = 0; part < parts; part++)
      for (const BackwardCall<S>& call : calls) work.emplace_back(call, share, part, parts);
  std::vector<WeightGradients<S>> sums;
  for (const BackwardCall<S>& call : calls) sums.emplace_back(call);
  const std::vector<SumBlock> blocks = sum_blocks(schedule);
  std::vector<WeightGradientWorker<S>> workers;  // [thread][direction]
  const Index count = saved.division.threads, steps = schedule.longest();
  for (Index k = 0; k < count; k++)
    for (const WeightGradients<S>& sum : sums)
      workers.emplace_back(sum, sum.parts() * k / count, sum.parts() * (k + 1) / count);

  Lockstep lockstep;
  run_team(int(count), [&](const Team& team) {
    for (int d = 0; d < shape.directions; d++) {
      const Weights<const S> weights = split_weights(parameters + d * weight_count(sizes), sizes);
      const auto pack = [&](const int(&rows)[most_blocks], const S* matrix, Index columns, S* to) {
        const auto [first, last] = team.part(column_panels<S>(0, columns, to).count);
        pack_backward(sizes, rows, groups, matrix, columns, int(first), int(last), to);
      };
      pack(sizes.blocks.hidden, weights.hidden, sizes.hidden, panels.hidden[d]);
      if (dx) pack(sizes.blocks.input, weights.input, sizes.input, panels.input[d]);
      if (team.member() == 0) pack_vectors(sizes, groups, weights.vectors, S(1), panels.vectors[d]);
    }
    team.wait_for_all();

    const bool alone = count == 1;
    if (!alone) {
      if (parts == 1)
        for_own(work, shape.directions, team, [](BackwardShare<S>& share) { share.run_down_to(0); });
      else
        lockstep.run(team, 1 + steps + shape.directions, [&](Index s, const Team& acting) {
          for_own(work, shape.directions, acting, [&](BackwardShare<S>& part) {
            if (s == 0) part.start();
            else if (s <= steps) part.step(steps - s);
            else part.input_gradient_of_part(int(s - 1 - steps));
            if (s == steps + 1) part.finish();
          });
        });
      team.wait_for_all();
    }
    const auto [first, last] = team.part(count);
    for (Index k = first * shape.directions; k < last * shape.directions; k++) {
      for (const SumBlock& block : blocks) {
        // Alone, each block is summed while its gradients are still in cache. It needs h of the step before.
        if (alone) work[std::size_t(k)].run_down_to(std::max(Index(0), block.first - 1));
        workers[std::size_t(k)].add(block);
      }
      workers[std::size_t(k)].finish();
    }
  });
}

// Compiled in layers.cpp.
#define FUSEDLSTM_LAYER(declare, S)                                                                               \
  declare template std::unique_ptr<LayerSaved<S>> layer_forward(                                                  \
      const Cell<S>&, const LayerShape&, const Index*, const S*, const PackedLayer<S>*, Sequences<const S>,       \
      States<const S>, Sequences<S>, States<S>, bool, int);                                                       \
  declare template void layer_backward(const LayerSaved<S>&, const S*, Sequences<const S>, Sequences<const S>,    \
                                       States<const S>, Sequences<S>, States<S>, S*)
FUSEDLSTM_LAYER(extern, float);
FUSEDLSTM_LAYER(extern, double);

}  // namespace fusedlstm
