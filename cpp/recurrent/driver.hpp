// The entry of the recurrent driver: forward and backward of a layer over a batch. It divides the work among threads,
// packs the weights and runs one or two directions.
#pragma once

#include <memory>
#include <optional>

#include "recurrent/division.hpp"
#include "recurrent/forward.hpp"
#include "recurrent/packed_weights.hpp"
#include "recurrent/weight_gradients.hpp"
#include "runtime/step_barrier.hpp"

namespace fusedlstm {

// Everything that backward needs of forward.
template <class S>
struct SavedLayer {
  LayerShape shape;
  Cell<S> cell;
  Division division;
  std::vector<SavedDirection<S>> directions;
};

// The call of forward for one direction.
template <class S>
ForwardCall<S> forward_call(const Cell<S>& cell, const LayerShape& shape, const PackedDirection<S>& weights,
                            int direction, SequenceView<const S> x, States<const S> initial, SequenceView<S> y,
                            States<S> final, const RowPlan& plan, const SavedDirection<S>* saved) {
  ForwardCall<S> call{};
  call.cell = &cell;
  call.shape = shape.direction_shape(direction);
  call.weights = weights;
  call.x = x;
  call.initial = states_of(initial, shape, direction);
  call.y = columns_of(y, shape, direction);
  call.final = states_of(final, shape, direction);
  call.plan = &plan;
  call.saved = saved;
  return call;
}

// The call of backward for one direction, without norm_sums.
template <class S>
BackwardCall<S> backward_call(const SavedLayer<S>& saved, const BackwardPanels<S>& panels, int direction,
                              SequenceView<const S> x, SequenceView<const S> dy, States<const S> dfinal,
                              SequenceView<S> dx, States<S> dinitial, S* gradients) {
  const LayerShape& shape = saved.shape;
  BackwardCall<S> call{};
  call.cell = &saved.cell;
  call.shape = shape.direction_shape(direction);
  call.saved = &saved.directions[std::size_t(direction)];
  panels.attach(shape, call.saved->groups, call);
  call.x = x;
  call.dy = columns_of(dy, shape, direction);
  call.dfinal = states_of(dfinal, shape, direction);
  call.dx = dx;
  call.add_dx = direction > 0;
  call.dinitial = states_of(dinitial, shape, direction);
  call.gradients = split_weights(gradients + direction * weight_count(shape.sizes), shape.sizes);
  return call;
}

// Calls run(pass) for the passes of the shards of a team member. passes: [shard][direction].
template <class Pass, class Run>
void for_own_shards(std::vector<Pass>& passes, int directions, const Team& team, Run&& run) {
  const auto [first, last] = team.range(Index(passes.size()) / directions);
  for (Index k = first * directions; k < last * directions; k++) run(passes[std::size_t(k)]);
}

// Unit shards of a layer run their passes in turns, and wait for each other after each turn. Turn 0 is the start.
// Then each phase of each step is a turn, from the first step to the last.
inline Index forward_turns(Index steps, int phases) { return 1 + steps * phases; }
template <class S>
void take_turn(ForwardPass<S>& pass, Index turn, int phases) {
  if (turn == 0) pass.start();
  else pass.step((turn - 1) / phases, int((turn - 1) % phases));
}
// Backward: from the last step to the first. After the steps, each direction has a turn to add its part of dx.
inline Index backward_turns(Index steps, int phases, int directions) { return 1 + steps * phases + directions; }
template <class S>
void take_turn(BackwardPass<S>& pass, Index turn, Index steps, int phases) {
  const Index last_of_steps = steps * phases;
  if (turn == 0) pass.start();
  else if (turn <= last_of_steps) pass.step((last_of_steps - turn) / phases, int((turn - 1) % phases));
  else pass.input_gradient_of(int(turn - 1 - last_of_steps));
  if (turn == last_of_steps + 1) pass.write_initial_gradients();
}

// Returns the input of layer_backward if `training`, otherwise null. lengths: null if all rows have all steps. ready:
// packed weights, which are used in place of `parameters`, or null.
template <class S>
std::unique_ptr<SavedLayer<S>> layer_forward(const Cell<S>& cell, const LayerShape& shape, const Index* lengths,
                                             const S* parameters, const ForwardPanels<S>* ready,
                                             SequenceView<const S> x, States<const S> initial, SequenceView<S> y,
                                             States<S> final, bool training, int threads) {
  const Groups<S> groups(shape.sizes.hidden_size, cell.gates.count);
  const Division division = Division::of<S>(shape, threads);
  const Index parts = training ? part_count<S>(shape, lengths) : 1;
  const Index block = training && shape.sizes.layer_norm ? norm_block(shape.batch) : 1;
  const RowPlan plan(shape.batch, shape.steps, lengths, division.row_shards(parts), parts, block);
  std::optional<ForwardPanels<S>> fresh;
  const ForwardPanels<S>& packed = ready ? *ready : fresh.emplace(cell, shape, groups);
  std::unique_ptr<SavedLayer<S>> saved;
  if (training) {
    saved = std::make_unique<SavedLayer<S>>(SavedLayer<S>{shape, cell, division, {}});
    for (int d = 0; d < shape.directions; d++)
      saved->directions.emplace_back(plan, groups, cell, shape.direction_shape(d));
  }

  std::vector<ForwardCall<S>> calls;
  calls.reserve(std::size_t(shape.directions));
  for (int d = 0; d < shape.directions; d++)
    calls.push_back(forward_call(cell, shape, packed.direction(d), d, x, initial, y, final, plan,
                                 saved ? &saved->directions[std::size_t(d)] : nullptr));
  const int unit_shards = division.unit_shards;
  std::vector<StepRows<S>> rows(calls.size());  // shared by the unit shards
  MemoryBlock rows_memory;
  if (unit_shards > 1) {
    rows_memory = allocate([&](Arena arena) {
      for (std::size_t d = 0; d < calls.size(); d++)
        rows[d].lay_out(ForwardRange<S>(calls[d], plan.shards[0], 0, 1), arena);
      return arena.used();
    });
  }
  std::vector<ForwardPass<S>> passes;  // [shard][direction]
  passes.reserve(plan.shards.size() * std::size_t(unit_shards) * calls.size());
  for (const RowShard& shard : plan.shards)
    for (int k = 0; k < unit_shards; k++)
      for (std::size_t d = 0; d < calls.size(); d++)
        passes.emplace_back(calls[d], shard, k, unit_shards, unit_shards > 1 ? &rows[d] : nullptr);

  if (!ready) packed.prepare(shape, parameters);
  StepBarrier barrier;
  run_team(division.threads, [&](const Team& team) {
    if (!ready) {
      packed.pack(cell, shape, groups, parameters, team);
      team.wait_for_all();
    }
    if (unit_shards == 1)
      return for_own_shards(passes, shape.directions, team, [](ForwardPass<S>& pass) { pass.run(); });
    const int phases = forward_phases(cell.spec).count;
    barrier.run_steps(team, forward_turns(plan.longest(), phases), [&](Index turn, const Team& acting) {
      for_own_shards(passes, shape.directions, acting, [&](ForwardPass<S>& pass) { take_turn(pass, turn, phases); });
    });
  });
  return saved;
}

// Consumes `saved`. dy, dfinal and dx may be null. The gradients of the weights are added to `gradients`.
template <class S>
void layer_backward(const SavedLayer<S>& saved, const S* parameters, SequenceView<const S> x, SequenceView<const S> dy,
                    States<const S> dfinal, SequenceView<S> dx, States<S> dinitial, S* gradients) {
  const LayerShape& shape = saved.shape;
  const Sizes& sizes = shape.sizes;
  const RowPlan& plan = saved.directions[0].plan;
  const Groups<S>& groups = saved.directions[0].groups;
  const BackwardPanels<S> panels(shape, groups, bool(dx));
  const Index norm_stride = shape.sizes.layer_norm ? odd_cache_lines<S>(NormSums<S>(groups).count) : 0;
  const Index norm_rows = (shape.batch + norm_block(shape.batch) - 1) / norm_block(shape.batch);
  const MemoryBlock norm_memory(std::size_t(shape.directions * norm_rows * norm_stride) * sizeof(S));

  std::vector<BackwardCall<S>> calls;
  calls.reserve(std::size_t(shape.directions));
  for (int d = 0; d < shape.directions; d++) {
    BackwardCall<S> call = backward_call(saved, panels, d, x, dy, dfinal, dx, dinitial, gradients);
    if (norm_stride > 0)
      call.norm_sums = {static_cast<S*>(norm_memory.memory()) + d * norm_rows * norm_stride, norm_stride};
    calls.push_back(call);
  }
  const int unit_shards = saved.division.unit_shards;
  std::vector<S*> shared_rows(calls.size());  // of layer normalization, for unit shards
  MemoryBlock shared_memory;
  if (unit_shards > 1 && sizes.layer_norm) {
    shared_memory = allocate([&](Arena arena) {
      for (S*& rows : shared_rows) rows = arena.take<S>(shape.batch * groups.padded_units());
      return arena.used();
    });
  }
  std::vector<BackwardPass<S>> passes;  // [shard][direction]
  passes.reserve(plan.shards.size() * std::size_t(unit_shards) * calls.size());
  for (const RowShard& shard : plan.shards)
    for (int k = 0; k < unit_shards; k++)
      for (std::size_t d = 0; d < calls.size(); d++)
        passes.emplace_back(calls[d], shard, k, unit_shards, shared_rows[d]);
  const Index directions = shape.directions, count = saved.division.threads, parts = Index(plan.parts.size());
  std::vector<std::vector<SumChunk>> chunks;  // of each part
  std::vector<WeightGradients<S>> sums;       // [part][direction]
  sums.reserve(plan.parts.size() * calls.size());
  for (const RowPart& part : plan.parts) {
    chunks.push_back(sum_chunks(plan, part));
    for (const BackwardCall<S>& call : calls) sums.emplace_back(call);
  }
  // If each thread has its own parts, it sums all of their gradients. Otherwise threads divide the tasks.
  const bool own_parts = unit_shards == 1 && plan.shards.size() == plan.parts.size();
  const Index sharers = own_parts ? 1 : count, part_sums = Index(sums.size());
  std::vector<WeightGradientWorker<S>> workers;  // [thread, if they share][part][direction]
  workers.reserve(std::size_t(sharers * part_sums));
  for (Index k = 0; k < sharers; k++)
    for (const WeightGradients<S>& sum : sums) workers.emplace_back(sum, k, sharers);

  const int phases = backward_phases(saved.cell.spec).count;
  const Index steps = plan.longest();
  StepBarrier barrier;
  run_team(int(count), [&](const Team& team) {
    panels.pack(shape, groups, parameters, team);
    team.wait_for_all();

    if (own_parts) {
      const auto [first, last] = team.range(parts);
      for (Index k = first * directions; k < last * directions; k++)
        for (const SumChunk& chunk : chunks[std::size_t(k / directions)]) {
          // Each chunk is summed as soon as backward has reached it, while its gradients are in cache. The sum needs
          // h_prev of the first step of the chunk, which backward of the step before stores.
          passes[std::size_t(k)].run_down_to(std::max(Index(0), chunk.first - 1));
          workers[std::size_t(k)].add(chunk);
        }
    } else {
      if (unit_shards == 1)
        for_own_shards(passes, shape.directions, team, [](BackwardPass<S>& pass) { pass.run_down_to(0); });
      else
        barrier.run_steps(team, backward_turns(steps, phases, shape.directions), [&](Index turn, const Team& acting) {
          for_own_shards(passes, shape.directions, acting,
                         [&](BackwardPass<S>& pass) { take_turn(pass, turn, steps, phases); });
        });
      team.wait_for_all();
      const auto [first, last] = team.range(count);
      for (Index k = first * part_sums; k < last * part_sums; k++)
        for (const SumChunk& chunk : chunks[std::size_t(k % part_sums / directions)])
          workers[std::size_t(k)].add(chunk);
    }
    team.wait_for_all();
    for (Index k = directions; k < part_sums; k++) sums[std::size_t(k % directions)].add(sums[std::size_t(k)], team);
    for (Index d = 0; d < directions; d++) workers[std::size_t(d)].add_to_gradients(team);
    if (sizes.layer_norm && team.member() == 0)
      for (const BackwardCall<S>& call : calls) add_norm_gradients(call);
  });
}

// Compiled in layers.cpp.
#define FUSEDLSTM_LAYER(declare, S)                                                                                  \
  declare template std::unique_ptr<SavedLayer<S>> layer_forward(                                                     \
      const Cell<S>&, const LayerShape&, const Index*, const S*, const ForwardPanels<S>*, SequenceView<const S>,     \
      States<const S>, SequenceView<S>, States<S>, bool, int);                                                       \
  declare template void layer_backward(const SavedLayer<S>&, const S*, SequenceView<const S>, SequenceView<const S>, \
                                       States<const S>, SequenceView<S>, States<S>, S*)
FUSEDLSTM_LAYER(extern, float);
FUSEDLSTM_LAYER(extern, double);

}  // namespace fusedlstm
