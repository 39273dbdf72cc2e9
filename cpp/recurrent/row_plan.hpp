// Which rows of a batch run at which step, on which thread, and where their saved numbers stand.
//
// Rows are taken longest first, so that those still running at a step are a prefix; callers see only their own
// order. A thread owns a share: neighbouring rows for the whole of their sequences. A share saves its rows
// step by step, one line a row and step, the initial state as step -1:
//
//   line(share, t) = share.first_line + (rows running at steps -1 .. t - 1)
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "simd/packets.hpp"

namespace fusedlstm {

class Share {
 public:
  // Rows [first, first + lengths of the share) of the sorted batch.
  Share(Index first_row, Index rows, Index first_line, const Index* lengths)
      : first_row(first_row), rows(rows), steps(lengths[0]), first_line(first_line) {
    if (lengths[0] == lengths[rows - 1]) {
      lines = rows * (steps + 1);
      return;
    }
    running_.resize(static_cast<std::size_t>(steps));
    before_.resize(static_cast<std::size_t>(steps));
    lines = rows;
    Index running = rows;
    for (Index t = 0; t < steps; t++) {
      while (lengths[running - 1] <= t) running--;
      running_[static_cast<std::size_t>(t)] = running;
      before_[static_cast<std::size_t>(t)] = lines;
      lines += running;
    }
  }
  // Rows running at step t.
  Index running(Index t) const {
    if (t >= steps) return 0;
    return running_.empty() ? rows : running_[static_cast<std::size_t>(t)];
  }
  // First line of step t, from -1 to the number of steps.
  Index line(Index t) const {
    if (t < 0) return first_line;
    if (t == steps) return first_line + lines;
    return first_line + (before_.empty() ? (t + 1) * rows : before_[static_cast<std::size_t>(t)]);
  }

  Index first_row, rows;
  Index steps;  // of its longest row
  Index first_line, lines;

 private:
  std::vector<Index> running_, before_;  // a step each, empty while all rows have the same length
};

class Schedule {
 public:
  // lengths: one a row, 1 to steps; null if all rows have all steps.
  Schedule(Index batch, Index steps, const Index* given, Index threads) : row_of(batch), lengths(batch, steps) {
    std::iota(row_of.begin(), row_of.end(), Index(0));
    if (given) {
      std::stable_sort(row_of.begin(), row_of.end(), [&](Index a, Index b) { return given[a] > given[b]; });
      for (Index r = 0; r < batch; r++) lengths[at(r)] = given[row_of[at(r)]];
    }
    equal = lengths.front() == lengths.back();
    total_steps = std::accumulate(lengths.begin(), lengths.end(), Index(0));
    divide(std::max(Index(1), std::min(threads, batch)));
    lines |= 1;  // an odd number: the groups of a line then fall into different sets of the cache
  }

  Index batch() const { return Index(row_of.size()); }
  Index longest() const { return lengths.front(); }

  std::vector<Index> row_of;   // sorted position -> the caller's row
  std::vector<Index> lengths;  // of sorted rows
  std::vector<Share> shares;
  Index total_steps = 0;
  Index lines = 0;
  bool equal = true;  // all lengths the same: sorted order is the caller's order

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }

  // Shares of about the same number of steps.
  void divide(Index count) {
    Index row = 0, done = 0;
    for (Index k = 0; k < count; k++) {
      const Index first = row, still_needed = count - 1 - k;
      do done += lengths[at(row++)];
      while (row < batch() - still_needed && (k == count - 1 || done + lengths[at(row)] / 2 < total_steps * (k + 1) / count));
      shares.emplace_back(first, row - first, lines, lengths.data() + first);
      lines += shares.back().lines;
    }
  }
};

}  // namespace fusedlstm
