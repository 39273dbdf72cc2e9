// The division of a call among threads, and of its rows into parts.
#pragma once

#include <algorithm>
#include <numeric>

#include "product/panels.hpp"
#include "recurrent/layer_shape.hpp"
#include "runtime/team.hpp"

namespace fusedlstm {

// The division of a call among threads. Each thread has a shard of the rows. If there are not more rows than threads
// and there is enough work, each thread has all rows and a shard of the units.
struct Division {
  int threads = 1;
  int unit_shards = 1;  // more than 1: there is one shard of rows

  template <class S>
  static Division of(const LayerShape& shape, int threads) {
    const Index work = shape.batch * weight_count(shape.sizes) * shape.directions;  // of a step
    const Index useful_threads = force_threads() ? threads : work / min_work_per_thread;
    const Index panels = column_panels<S>(0, shape.sizes.hidden_size, nullptr).count;
    const int unit_shards = int(std::min({Index(threads), useful_threads, panels}));
    if (unit_shards > 1 && unit_shards >= shape.batch) return {unit_shards, unit_shards};
    const bool is_even = unit_shards == threads && panels % threads == 0;
    if (unit_shards > 1 && is_even && weight_count(shape.sizes) * Index(sizeof(S)) > max_weight_bytes)
      return {unit_shards, unit_shards};
    return {int(std::min(Index(threads), shape.batch)), 1};
  }
  // The parts are the shards if the threads can divide them evenly.
  Index row_shards(Index parts) const { return unit_shards > 1 ? 1 : parts % threads == 0 ? parts : threads; }

 private:
  static constexpr Index min_work_per_thread = 3 << 14;  // multiply-adds, nearly a microsecond
  static constexpr Index max_weight_bytes = 3 << 19;     // of a thread: most of its L2 cache
};

// The number of parts of the rows. The weight gradients of a part are summed separately, so that a thread can sum those
// of its own parts while they are in its cache. Does not depend on the number of threads, because the bits depend on
// it.
template <class S>
Index part_count(const LayerShape& shape, const Index* lengths) {
  constexpr Index max_parts = 8, min_steps = 512;  // of a part
  const Index bytes = weight_count(shape.sizes) * Index(sizeof(S));
  if (bytes > Index(1) << 19) return 1;
  const Index steps = lengths ? std::accumulate(lengths, lengths + shape.batch, Index(0)) : shape.batch * shape.steps;
  Index parts = 1;
  // Longer parts for larger weights, which every part reads in every step.
  const auto min_rows = [&] { return bytes > Index(1) << 18 ? 32 : parts == 1 ? 8 : 16; };
  while (parts < max_parts && shape.batch >= 2 * parts * min_rows() && steps >= 2 * parts * min_steps) parts *= 2;
  return parts;
}

}  // namespace fusedlstm
