// A staged recurrent layer over a batch, forward and backward: packing, threads, one or two directions.
#pragma once

#include <memory>

#include "staged/forward.hpp"
#include "staged/weight_gradients.hpp"

namespace fusedlstm::staged {

// What forward leaves for backward.
template <class S>
struct Saved {
  std::vector<Run> runs;  // a direction each
  Schedule schedule;
  std::vector<Fields<S>> fields;
};

// Arrays (directions, batch, units of a state).
template <class S>
States<S> states_of(const States<S>& all, const Run& run) {
  const Index before = run.direction * run.shape.batch;
  return {all.hidden ? all.hidden + before * run.shape.output : nullptr,
          all.state ? all.state + before * run.shape.hidden : nullptr};
}
// The columns of one direction in arrays (batch, steps, features).
template <class S>
Sequences<S> columns_of(Sequences<S> all, const Run& run) {
  if (all) all.values += run.direction * run.shape.output;
  return all;
}

// `reverse`: a single direction goes from the last step to the first, as the second of two always does.
inline std::vector<Run> runs_of(const Spec& spec, const Shape& shape, const Regularisers& regularisers, bool reverse) {
  std::vector<Run> runs;
  for (int d = 0; d < shape.directions; d++) runs.push_back({spec, shape, regularisers, d, reverse || d == 1});
  return runs;
}

// Returns what backward needs if `training`, else null. lengths may be null: all rows have all steps.
template <class S>
FUSEDLSTM_ONCE_A_CALL std::unique_ptr<Saved<S>> layer_forward(
    const std::vector<Run>& all, const Index* lengths, const S* parameters, Sequences<const S> x,
    States<const S> initial, Sequences<S> y, States<S> final, bool training, int threads) {
  const Shape& shape = all[0].shape;
  const Layout<S> layout(all[0].spec, shape);
  auto saved = std::make_unique<Saved<S>>(Saved<S>{all, Schedule(shape.batch, shape.steps, lengths, threads), {}});
  const std::vector<Run>& runs = saved->runs;
  const Schedule& schedule = saved->schedule;
  saved->fields.reserve(runs.size());
  std::vector<PackedWeights<S>> weights;
  weights.reserve(runs.size());
  std::vector<ForwardCall<S>> calls;
  calls.reserve(runs.size());
  for (const Run& run : runs) {
    weights.emplace_back(layout, Way::forward, true);
    if (training) saved->fields.emplace_back(run.spec, shape, run.regularisers, schedule.lines, true);
    calls.push_back({&run, &weights.back(), x, states_of(initial, run), columns_of(y, run), states_of(final, run),
                     &schedule, training ? &saved->fields.back() : nullptr});
  }
  std::vector<ForwardShare<S>> work;  // [share][direction]
  work.reserve(schedule.shares.size() * calls.size());
  for (const Share& share : schedule.shares)
    for (const ForwardCall<S>& call : calls) work.emplace_back(call, share);

  run_team(int(schedule.shares.size()), [&](const Team& team) {
    for (std::size_t d = 0; d < runs.size(); d++) weights[d].pack_part(team, parameters + Index(d) * layout.count);
    team.wait_for_all();
    const auto [first, last] = team.part(Index(schedule.shares.size()));
    for (Index k = first * shape.directions; k < last * shape.directions; k++) work[std::size_t(k)].run();
  });
  if (!training) saved.reset();
  return saved;
}

// Consumes `saved`. dy, dfinal and dx may be null; the gradients of the weights are added to `gradients`.
template <class S>
FUSEDLSTM_ONCE_A_CALL void layer_backward(
    const Saved<S>& saved, const S* parameters, Sequences<const S> x, Sequences<const S> dy, States<const S> dfinal,
    Sequences<S> dx, States<S> dinitial, S* gradients) {
  const std::vector<Run>& runs = saved.runs;
  const Schedule& schedule = saved.schedule;
  const Shape& shape = runs[0].shape;
  const Layout<S> layout(runs[0].spec, shape);
  const Index count = Index(schedule.shares.size());

  // Masks of h' and sums of vectors, a row of the batch each.
  const Index masks = runs[0].regularisers.drops_hidden() ? whole_packets<S>(shape.output) : 0;
  const Index stride = row_stride<S>(masks + layout.packed);
  const Block rows_block(std::size_t(shape.directions * shape.batch * stride) * sizeof(S));

  std::vector<PackedWeights<S>> weights;
  weights.reserve(runs.size());
  std::vector<BackwardCall<S>> calls;
  calls.reserve(runs.size());
  for (const Run& run : runs) {
    weights.emplace_back(layout, Way::backward, bool(dx));
    const Rows<S> rows{static_cast<S*>(rows_block.memory()) + run.direction * shape.batch * stride, stride};
    calls.push_back({&run, &weights.back(), x, columns_of(dy, run), states_of(dfinal, run), dx, run.direction > 0,
                     states_of(dinitial, run), gradients + run.direction * layout.count, &schedule,
                     &saved.fields[std::size_t(run.direction)], masks > 0 ? rows : Rows<S>{},
                     Rows<S>{rows.values + masks, stride}});
  }
  std::vector<BackwardShare<S>> work;  // [share][direction]
  work.reserve(std::size_t(count) * calls.size());
  std::vector<WeightGradients<S>> sums;  // [thread][direction]
  sums.reserve(std::size_t(count) * calls.size());
  for (Index k = 0; k < count; k++)
    for (const BackwardCall<S>& call : calls) {
      work.emplace_back(call, schedule.shares[std::size_t(k)]);
      sums.emplace_back(call, k, count);
    }

  run_team(int(count), [&](const Team& team) {
    for (std::size_t d = 0; d < runs.size(); d++) weights[d].pack_part(team, parameters + Index(d) * layout.count);
    team.wait_for_all();
    const auto [first, last] = team.part(count);
    for (Index k = first * shape.directions; k < last * shape.directions; k++) work[std::size_t(k)].run();
    team.wait_for_all();
    for (Index k = first * shape.directions; k < last * shape.directions; k++) sums[std::size_t(k)].run();
    if (team.member() == 0)
      for (const BackwardCall<S>& call : calls) add_vector_gradients(call);
  });
}

// Parameters of one direction.
template <class S>
FUSEDLSTM_ONCE_A_CALL Index weight_count(const Spec& spec, const Shape& shape) {
  return Layout<S>(spec, shape).count;
}

// Compiled in layers.cpp.
#define FUSEDLSTM_STAGED_LAYER(declare, S)                                                                       \
  declare template Index weight_count<S>(const Spec&, const Shape&);                                             \
  declare template std::unique_ptr<Saved<S>> layer_forward(const std::vector<Run>&, const Index*, const S*,      \
                                                           Sequences<const S>, States<const S>, Sequences<S>,    \
                                                           States<S>, bool, int);                                \
  declare template void layer_backward(const Saved<S>&, const S*, Sequences<const S>, Sequences<const S>,        \
                                       States<const S>, Sequences<S>, States<S>, S*)
FUSEDLSTM_STAGED_LAYER(extern, float);
FUSEDLSTM_STAGED_LAYER(extern, double);

}  // namespace fusedlstm::staged
