// A staged recurrent layer over a batch, forward and backward: packing, threads, one or two directions.
#pragma once

#include <memory>

#include "runtime/step_barrier.hpp"
#include "staged/forward.hpp"
#include "staged/weight_gradients.hpp"

namespace fusedlstm::staged {

// Everything that backward needs of forward.
template <class S>
struct Saved {
  std::vector<Run> runs;  // one per direction
  RowPlan plan;
  std::vector<Fields<S>> fields;
};

// Arrays (directions, batch, units of a state).
template <class S>
States<S> states_of(const States<S>& all, const Run& run) {
  const Index before = run.direction * run.shape.batch;
  return {all.h ? all.h + before * run.shape.output : nullptr, all.c ? all.c + before * run.shape.hidden : nullptr};
}
// The columns of one direction in arrays (batch, steps, features).
template <class S>
SequenceView<S> columns_of(SequenceView<S> all, const Run& run) {
  if (all) all.values += run.direction * run.shape.output;
  return all;
}

// reverse: a single direction goes from the last step to the first. The second of two directions always does.
inline std::vector<Run> runs_of(const Spec& spec, const Shape& shape, const Regularizers& regularizers, bool reverse) {
  std::vector<Run> runs;
  for (int d = 0; d < shape.directions; d++) runs.push_back({spec, shape, regularizers, d, reverse || d == 1});
  return runs;
}

// Returns the input of layer_backward if `training`, otherwise null. lengths: null if all rows have all steps.
template <class S>
FUSEDLSTM_COLD std::unique_ptr<Saved<S>> layer_forward(const std::vector<Run>& all, const Index* lengths,
                                                       const S* parameters, SequenceView<const S> x,
                                                       States<const S> initial, SequenceView<S> y, States<S> final,
                                                       bool training, int threads) {
  const Shape& shape = all[0].shape;
  const Layout<S> layout(all[0].spec, shape);
  auto saved = std::make_unique<Saved<S>>(Saved<S>{all, RowPlan(shape.batch, shape.steps, lengths, threads), {}});
  const std::vector<Run>& runs = saved->runs;
  const RowPlan& plan = saved->plan;
  saved->fields.reserve(runs.size());
  std::vector<PackedWeights<S>> weights;
  weights.reserve(runs.size());
  std::vector<ForwardCall<S>> calls;
  calls.reserve(runs.size());
  for (const Run& run : runs) {
    weights.emplace_back(layout, Way::forward, true);
    if (training) saved->fields.emplace_back(run.spec, shape, run.regularizers, plan.saved_rows, true);
    calls.push_back({&run, &weights.back(), x, states_of(initial, run), columns_of(y, run), states_of(final, run),
                     &plan, training ? &saved->fields.back() : nullptr});
  }
  std::vector<ForwardShare<S>> work;  // [share][direction]
  work.reserve(plan.shards.size() * calls.size());
  for (const RowShard& share : plan.shards)
    for (const ForwardCall<S>& call : calls) work.emplace_back(call, share);

  run_team(int(plan.shards.size()), [&](const Team& team) {
    for (std::size_t d = 0; d < runs.size(); d++) weights[d].pack_part(team, parameters + Index(d) * layout.count);
    team.wait_for_all();
    const auto [first, last] = team.range(Index(plan.shards.size()));
    for (Index k = first * shape.directions; k < last * shape.directions; k++) work[std::size_t(k)].run();
  });
  if (!training) saved.reset();
  return saved;
}

// Consumes `saved`. dy, dfinal and dx may be null. The gradients of the weights are added to `gradients`.
template <class S>
FUSEDLSTM_COLD void layer_backward(const Saved<S>& saved, const S* parameters, SequenceView<const S> x,
                                   SequenceView<const S> dy, States<const S> dfinal, SequenceView<S> dx,
                                   States<S> dinitial, S* gradients) {
  const std::vector<Run>& runs = saved.runs;
  const RowPlan& plan = saved.plan;
  const Shape& shape = runs[0].shape;
  const Layout<S> layout(runs[0].spec, shape);
  const Index count = Index(plan.shards.size());

  // Masks of h' and gradients of vectors, one row per row of the batch.
  const Index masks = runs[0].regularizers.drops_h() ? whole_packets<S>(shape.output) : 0;
  const Index stride = row_stride<S>(masks + layout.packed);
  const MemoryBlock rows_block(std::size_t(shape.directions * shape.batch * stride) * sizeof(S));

  std::vector<PackedWeights<S>> weights;
  weights.reserve(runs.size());
  std::vector<BackwardCall<S>> calls;
  calls.reserve(runs.size());
  for (const Run& run : runs) {
    weights.emplace_back(layout, Way::backward, bool(dx));
    const Rows<S> rows{static_cast<S*>(rows_block.memory()) + run.direction * shape.batch * stride, stride};
    calls.push_back({&run, &weights.back(), x, columns_of(dy, run), states_of(dfinal, run), dx, run.direction > 0,
                     states_of(dinitial, run), gradients + run.direction * layout.count, &plan,
                     &saved.fields[std::size_t(run.direction)], masks > 0 ? rows : Rows<S>{},
                     Rows<S>{rows.values + masks, stride}});
  }
  std::vector<BackwardShare<S>> work;  // [share][direction]
  work.reserve(std::size_t(count) * calls.size());
  std::vector<WeightGradients<S>> sums;  // [thread][direction]
  sums.reserve(std::size_t(count) * calls.size());
  for (Index k = 0; k < count; k++)
    for (const BackwardCall<S>& call : calls) {
      work.emplace_back(call, plan.shards[std::size_t(k)]);
      sums.emplace_back(call, k, count);
    }

  run_team(int(count), [&](const Team& team) {
    for (std::size_t d = 0; d < runs.size(); d++) weights[d].pack_part(team, parameters + Index(d) * layout.count);
    team.wait_for_all();
    const auto [first, last] = team.range(count);
    for (Index k = first * shape.directions; k < last * shape.directions; k++) work[std::size_t(k)].run();
    team.wait_for_all();
    for (Index k = first * shape.directions; k < last * shape.directions; k++) sums[std::size_t(k)].run();
    if (team.member() == 0)
      for (const BackwardCall<S>& call : calls) add_vector_gradients(call);
  });
}

// The number of parameters of one direction.
template <class S>
FUSEDLSTM_COLD Index weight_count(const Spec& spec, const Shape& shape) {
  return Layout<S>(spec, shape).count;
}

// Compiled in layers.cpp.
#define FUSEDLSTM_STAGED_LAYER(declare, S)                                                                          \
  declare template Index weight_count<S>(const Spec&, const Shape&);                                                \
  declare template std::unique_ptr<Saved<S>> layer_forward(const std::vector<Run>&, const Index*, const S*,         \
                                                           SequenceView<const S>, States<const S>, SequenceView<S>, \
                                                           States<S>, bool, int);                                   \
  declare template void layer_backward(const Saved<S>&, const S*, SequenceView<const S>, SequenceView<const S>,     \
                                       States<const S>, SequenceView<S>, States<S>, S*)
FUSEDLSTM_STAGED_LAYER(extern, float);
FUSEDLSTM_STAGED_LAYER(extern, double);

}  // namespace fusedlstm::staged
