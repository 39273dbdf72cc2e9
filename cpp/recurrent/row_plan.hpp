// The plan of a batch of sequences: the rows that are active at each step, the rows of each thread, and the place of
// each row and step in the saved buffer.
//
// Rows (sequences) are sorted by length, longest first, so that the active rows of a step are a prefix. Callers see
// only their own order. A thread owns a shard: consecutive sorted rows for all steps. A shard has one saved row per row
// and step, in the order of the steps. Step -1 is the initial state:
//
//   saved_row(shard, t) = shard.first_saved_row + (sum of the active rows of the steps -1 .. t - 1)
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "simd/packets.hpp"

namespace fusedlstm {

class RowShard {
 public:
  // The sorted rows [first, first + count). lengths: of these rows.
  RowShard(Index first, Index count, Index first_saved, const Index* lengths)
      : first_row(first), rows(count), steps(lengths[0]), first_saved_row(first_saved) {
    if (lengths[0] == lengths[rows - 1]) {
      saved_rows = rows * (steps + 1);
      return;
    }
    active_.resize(static_cast<std::size_t>(steps));
    saved_before_.resize(static_cast<std::size_t>(steps));
    saved_rows = rows;
    Index now_active = rows;
    for (Index t = 0; t < steps; t++) {
      while (lengths[now_active - 1] <= t) now_active--;
      active_[static_cast<std::size_t>(t)] = now_active;
      saved_before_[static_cast<std::size_t>(t)] = saved_rows;
      saved_rows += now_active;
    }
  }
  // The number of rows that are active at step t.
  Index active(Index t) const {
    if (t >= steps) return 0;
    return active_.empty() ? rows : active_[static_cast<std::size_t>(t)];
  }
  // The first saved row of step t, for -1 <= t <= steps.
  Index saved_row(Index t) const {
    if (t < 0) return first_saved_row;
    if (t == steps) return first_saved_row + saved_rows;
    return first_saved_row + (saved_before_.empty() ? (t + 1) * rows : saved_before_[static_cast<std::size_t>(t)]);
  }

  Index first_row, rows;
  Index steps;  // of the longest row
  Index first_saved_row, saved_rows;

 private:
  std::vector<Index> active_, saved_before_;  // per step; empty if all rows have the same length
};

// Sorted rows [first, last), which have weight gradients of their own.
struct RowPart {
  Index first, last;
};

class RowPlan {
 public:
  // given: one length per row, from 1 to steps; null if all rows have all steps. Shards and parts end at multiples of
  // `block`; there are fewer of them if there are not enough blocks.
  RowPlan(Index batch, Index steps, const Index* given, Index shard_count, Index part_count = 1, Index block = 1)
      : row_of(at(batch)), lengths(at(batch), steps) {
    std::iota(row_of.begin(), row_of.end(), Index(0));
    if (given) {
      std::stable_sort(row_of.begin(), row_of.end(), [&](Index a, Index b) { return given[a] > given[b]; });
      for (Index r = 0; r < batch; r++) lengths[at(r)] = given[row_of[at(r)]];
    }
    equal = lengths.front() == lengths.back();
    total_steps = std::accumulate(lengths.begin(), lengths.end(), Index(0));
    divide(part_count, block, [&](Index first, Index last) { parts.push_back({first, last}); });
    divide(shard_count, block, [&](Index first, Index last) {
      shards.emplace_back(first, last - first, saved_rows, lengths.data() + first);
      saved_rows += shards.back().saved_rows;
    });
    // From here on saved_rows is a stride: odd between groups, so that the groups of a saved row are in different sets
    // of the cache.
    saved_rows |= 1;
  }

  Index batch() const { return Index(row_of.size()); }
  Index longest() const { return lengths.front(); }

  std::vector<Index> row_of;   // sorted row -> the caller's row
  std::vector<Index> lengths;  // of sorted rows
  std::vector<RowPart> parts;
  std::vector<RowShard> shards;
  Index total_steps = 0;
  Index saved_rows = 0;  // the stride between groups in saved rows: those of all shards, made odd
  bool equal = true;     // all lengths are equal: the sorted order is the caller's order

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }

  // Divides the rows into ranges with about the same number of steps: range k ends at the row at which the steps so far
  // are nearest to total_steps (k + 1) / count. Each range has at least one block. Calls use(first, last).
  template <class Use>
  void divide(Index wanted, Index block, Use&& use) const {
    const Index count = std::max(Index(1), std::min(wanted, (batch() + block - 1) / block));
    Index row = 0, done = 0;
    for (Index k = 0; k < count; k++) {
      const Index first = row, still_needed = count - 1 - k;
      do {
        const Index end = std::min(row + block, batch());
        while (row < end) done += lengths[at(row++)];
      } while (row < batch() - still_needed * block &&
               (k == count - 1 || done + lengths[at(row)] * block / 2 < total_steps * (k + 1) / count));
      use(first, row);
    }
  }
};

}  // namespace fusedlstm
