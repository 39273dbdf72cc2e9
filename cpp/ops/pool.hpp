// Pooling over the steps of a sequence, to one vector: the mean or the maximum.
//
// A sum is one chain of additions per number, in the order of the steps. It does not depend on the other sequences, the
// threads, or the pieces in which a sequence arrives.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include "ops/op.hpp"
#include "runtime/team.hpp"

namespace fusedlstm {

enum class Pooling { mean, max };

// x replaces the maximum so far if x is larger, or if x is the first NaN.
template <class S>
bool replaces(S x, S largest) {
  return !(x <= largest) & !is_nan(largest);
}

// The number of features that are pooled at a time.
inline constexpr Index pool_block = 64;

// Adds the steps of one sequence to `totals`, for `count` features.
template <class S>
void add_steps(const SequenceView<const S>& x, Index row, Index first, Index count, Index steps, S* totals) {
  S sums[pool_block];
  std::copy_n(totals, count, sums);
  for (Index t = 0; t < steps; t++) {
    const S* values = x.at(row, t) + first;
    for (Index f = 0; f < count; f++) sums[f] += values[f];
  }
  std::copy_n(sums, count, totals);
}

// Sets `largest` to the maximum of itself and the steps of one sequence, for `count` features.
template <class S>
void update_max(const SequenceView<const S>& x, Index row, Index first, Index count, Index steps, S* largest) {
  S best[pool_block];
  std::copy_n(largest, count, best);
  for (Index t = 0; t < steps; t++) {
    const S* values = x.at(row, t) + first;
    for (Index f = 0; f < count; f++) best[f] = replaces(values[f], best[f]) ? values[f] : best[f];
  }
  std::copy_n(best, count, largest);
}

// As above; also records the step of each value that replaces the maximum.
template <class S>
void update_max(const SequenceView<const S>& x, Index row, Index first, Index count, Index steps, S* largest,
                std::int64_t* argmax) {
  for (Index t = 0; t < steps; t++) {
    const S* values = x.at(row, t) + first;
    for (Index f = 0; f < count; f++) {
      if (!replaces(values[f], largest[f])) continue;
      largest[f] = values[f];
      argmax[f] = t;
    }
  }
}

struct PoolShape {
  Index batch, steps, features;
};

// totals: (batch, features), the sums for the mean, or the maxima. `before`: the totals of earlier steps, or null.
// `argmax`: (batch, features), the first step of each maximum, or -1 if the maximum is that of `before`; may be null.
template <class S>
void pool_forward(Pooling pooling, const PoolShape& shape, const Index* lengths, SequenceView<const S> x,
                  const S* before, S* totals, std::int64_t* argmax, int threads) {
  const Index blocks_per_row = (shape.features + pool_block - 1) / pool_block, tasks = shape.batch * blocks_per_row;
  const Index work = checked_product(checked_product(shape.batch, shape.steps), shape.features);
  const int team_size = int(std::min(Index(threads_for(work, threads)), tasks));
  run_team(team_size, [&](const Team& team) {
    const auto [first_task, last_task] = team.range(tasks);
    for (Index task = first_task; task < last_task; task++) {
      const Index row = task / blocks_per_row, first = task % blocks_per_row * pool_block,
                  at = row * shape.features + first;
      const Index count = std::min(pool_block, shape.features - first);
      const Index steps = lengths ? lengths[row] : shape.steps;
      S* to = totals + at;
      if (before) std::copy_n(before + at, count, to);
      else std::fill_n(to, count, pooling == Pooling::mean ? S(0) : -std::numeric_limits<S>::infinity());
      if (pooling == Pooling::mean) {
        add_steps(x, row, first, count, steps, to);
      } else if (argmax) {
        // Without earlier steps, a maximum of minus infinity is at step 0.
        std::fill_n(argmax + at, count, before ? -1 : 0);
        update_max(x, row, first, count, steps, to, argmax + at);
      } else {
        update_max(x, row, first, count, steps, to);
      }
    }
  });
}

// The state is the sums and the number of steps of each sequence, or the maxima.
template <class S>
class PoolStream final : public OpStream<S> {
 public:
  PoolStream(Pooling pooling, Index features, Index rows)
      : pooling_(pooling),
        features_(features),
        rows_(rows),
        totals_(static_cast<std::size_t>(rows * features)),
        means_(averages() ? totals_.size() : 0),
        counts_(averages() ? static_cast<std::size_t>(rows) : 0) {
    reset();
  }
  const S* step(const S* x) override {
    const SequenceView<const S> sequences = contiguous_view(x, 1, features_);
    for (Index row = 0; row < rows_; row++) {
      for (Index first = 0; first < features_; first += pool_block) {
        const Index count = std::min(pool_block, features_ - first);
        S* to = totals_.data() + row * features_ + first;
        if (averages()) add_steps(sequences, row, first, count, 1, to);
        else update_max(sequences, row, first, count, 1, to);
      }
    }
    if (!averages()) return totals_.data();
    for (Index row = 0; row < rows_; row++) {
      const S steps = S(++counts_[std::size_t(row)]);
      for (Index k = row * features_; k < (row + 1) * features_; k++)
        means_[std::size_t(k)] = totals_[std::size_t(k)] / steps;
    }
    return means_.data();
  }
  void reset() override {
    std::fill(totals_.begin(), totals_.end(), averages() ? S(0) : -std::numeric_limits<S>::infinity());
    std::fill(counts_.begin(), counts_.end(), 0);
  }
  std::vector<Index> state_columns() const override {
    if (averages()) return {features_, 1};
    return {features_};
  }
  void copy_state(S* const* arrays) const override {
    std::copy(totals_.begin(), totals_.end(), arrays[0]);
    for (std::size_t row = 0; row < counts_.size(); row++) arrays[1][row] = S(counts_[row]);
  }
  const char* state_error(const S* const* arrays) const override {
    if (averages())
      for (Index row = 0; row < rows_; row++)
        if (!(arrays[1][row] >= 0 && arrays[1][row] < max_steps && std::floor(arrays[1][row]) == arrays[1][row]))
          return "a number of steps must be a whole number, at least 0";
    return nullptr;
  }
  void set_state(const S* const* arrays) override {
    std::copy_n(arrays[0], totals_.size(), totals_.begin());
    for (std::size_t row = 0; row < counts_.size(); row++) counts_[row] = Index(arrays[1][row]);
  }

 private:
  static constexpr S max_steps = S(Index(1) << 62);

  bool averages() const { return pooling_ == Pooling::mean; }

  Pooling pooling_;
  Index features_, rows_;
  std::vector<S> totals_, means_;  // (rows, features)
  std::vector<Index> counts_;      // the number of steps
};

template <class S>
class PoolOp final : public Op<S> {
 public:
  PoolOp(Pooling pooling, Index features) : Op<S>(traits_of(features)), pooling_(pooling) {}

  void run(Values<S>& values) const override {
    const Index batch = values.batch, width = values.width;
    S* y = values.output(batch * width);
    pool_forward(pooling_, {batch, values.steps, width}, values.lengths, values.x, static_cast<const S*>(nullptr), y,
                 static_cast<std::int64_t*>(nullptr), values.threads);
    if (pooling_ == Pooling::mean) divide(values, y);
    values.become_vectors(y, width);
  }

  std::unique_ptr<OpStream<S>> stream(Index rows) const override {
    return std::make_unique<PoolStream<S>>(pooling_, this->traits.features, rows);
  }

 private:
  static OpTraits traits_of(Index features) {
    OpTraits traits{features, features};
    traits.work = features;
    traits.takes_vectors = false;
    traits.reduces = true;
    return traits;
  }
  static void divide(const Values<S>& values, S* totals) {
    const FlushSubnormals flush;  // as a stream does
    for (Index b = 0; b < values.batch; b++) {
      const S steps = S(values.length(b));
      for (Index f = 0; f < values.width; f++) totals[b * values.width + f] /= steps;
    }
  }

  Pooling pooling_;
};

template <class S>
SharedOp<S> pool_op(Pooling pooling, Index features) {
  return std::make_shared<PoolOp<S>>(pooling, features);
}

// Compiled in layers.cpp.
#define FUSEDLSTM_POOL_OP(declare, S)                                                                              \
  declare template void pool_forward(Pooling, const PoolShape&, const Index*, SequenceView<const S>, const S*, S*, \
                                     std::int64_t*, int);                                                          \
  declare template SharedOp<S> pool_op(Pooling, Index)
FUSEDLSTM_POOL_OP(extern, float);
FUSEDLSTM_POOL_OP(extern, double);

}  // namespace fusedlstm
