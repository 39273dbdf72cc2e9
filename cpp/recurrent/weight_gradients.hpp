// The gradients of the weights: sums over the saved rows of products of the gradients that BackwardPass left there with
// their sources (gradient_terms.hpp).
//
// The sum over a part of the rows is computed chunk by chunk, from the last steps to the first. The parts, the chunks
// and the order within a chunk depend only on the sizes and the lengths. A thread sums all chunks of its own parts, or
// the threads divide the elements of the gradients into tasks.
#pragma once

#include "recurrent/backward.hpp"
#include "recurrent/gradient_terms.hpp"
#include "runtime/team.hpp"

namespace fusedlstm {

// Saved rows that are summed at once: the rows [first_row, last_row) of the steps [first, last).
struct SumChunk {
  Index first, last;
  Index first_row, last_row;
};

// The maximum number of saved rows in a chunk: the gates of a group stay in or near L1.
inline constexpr Index max_chunk_rows = 128;

inline std::vector<SumChunk> sum_chunks(const RowPlan& plan, const RowPart& part) {
  std::vector<SumChunk> chunks;
  Index end = part.first;  // of the rows that are active at step `first - 1`
  for (Index last = plan.lengths[static_cast<std::size_t>(part.first)]; last > 0;) {
    Index first = last, saved_rows = 0;
    while (first > 0) {
      while (end < part.last && plan.lengths[static_cast<std::size_t>(end)] >= first) end++;
      if (first < last && saved_rows + end - part.first > max_chunk_rows) break;
      saved_rows += end - part.first;
      first--;
    }
    // A single step is divided by rows, which are the first ones. A chunk of several steps takes all rows.
    const bool one_step = last - first == 1;
    const Index rows = one_step ? saved_rows : part.last - part.first;
    const Index count = one_step ? (saved_rows + max_chunk_rows - 1) / max_chunk_rows : 1;
    for (Index k = 0; k < count; k++)
      chunks.push_back({first, last, part.first + rows * k / count, part.first + rows * (k + 1) / count});
    last = first;
  }
  return chunks;
}

// The sums of one direction and one part of the rows.
template <class S>
class WeightGradients {
 public:
  // A slice of the gradients of a term times a block of its source. Without a term: the unit weights of a group.
  struct Task {
    const GradientTerm<S>* term;
    int slice;
    Index block, columns;  // of the source
    S* sums;               // [column][numbers of the slice]
    Index numbers, cost;
  };

  explicit WeightGradients(const BackwardCall<S>& backward_call)
      : call(backward_call), terms(gradient_terms(backward_call)) {
    memory_ = allocate([&](Arena arena) { return lay_out(arena); });
  }
  WeightGradients(WeightGradients&&) = default;
  WeightGradients(const WeightGradients&) = delete;

  // Adds the sums of another part. The members of a team divide the tasks.
  void add(const WeightGradients& other, const Team& team) {
    const auto [first, last] = team.range(Index(tasks.size()));
    for (auto k = std::size_t(first); k < std::size_t(last); k++) {
      S* sums = tasks[k].sums;
      for (Index j = 0; j < tasks[k].numbers; j += pack_size<S>)
        store(sums + j, load(sums + j) + load(other.tasks[k].sums + j));
    }
  }

  const BackwardCall<S>& call;
  std::vector<GradientTerm<S>> terms;
  std::vector<Task> tasks;  // they point into `terms`; a move keeps the buffer

 private:
  // Runs twice, see `allocate`.
  std::size_t lay_out(Arena& arena) {
    constexpr Index unit_weight_cost = 4;
    const Groups<S>& groups = call.saved->groups;
    const int weights = call.shape.sizes.gates.unit_weights;
    int slices = groups.count;
    for (const GradientTerm<S>& term : terms) slices = std::max(slices, term.gradients.slices());
    tasks.clear();
    // All tasks of a slice come one after the other: the gradients stay in cache.
    for (int slice = 0; slice < slices; slice++) {
      for (const GradientTerm<S>& term : terms) {
        if (slice >= term.gradients.slices()) continue;
        const Index packets = term.gradients.slice(slice).packets;
        for (Index block = 0; block < term.source.blocks(); block++) {
          const Index columns =
              std::min(term.source.block_columns, term.source.columns - block * term.source.block_columns);
          const Index numbers = columns * packets * pack_size<S>;
          tasks.push_back({&term, slice, block, columns, arena.take<S>(numbers), numbers, columns * packets});
        }
      }
      if (weights > 0 && slice < groups.count) {
        const Index numbers = weights * pack_size<S>;
        tasks.push_back({nullptr, slice, 0, weights, arena.take<S>(numbers), numbers, unit_weight_cost * weights});
      }
    }
    return arena.used();
  }

  MemoryBlock memory_;
};

// Consecutive tasks with about the same cost as those of every other thread.
template <class S>
class alignas(thread_alignment) WeightGradientWorker {
 public:
  using Task = typename WeightGradients<S>::Task;

  WeightGradientWorker(const WeightGradients<S>& all, Index member, Index members)
      : all_(all),
        saved_(*all.call.saved),
        operands_(all.terms.size()),
        gathered_stride_(odd_cache_lines<S>(all.call.shape.sizes.input_size + 1)),
        gathered_block_(static_cast<std::size_t>(max_chunk_rows * gathered_stride_) * sizeof(S)),
        gathered_(static_cast<S*>(gathered_block_.memory())) {
    // No memory is allocated inside the parallel region: a chunk has at most this many runs.
    runs_.reserve(max_chunk_rows);
    for (auto& operands : operands_) operands.reserve(max_chunk_rows);
    Index cost = 0, done = 0;
    for (const Task& task : all.tasks) cost += task.cost;
    const auto find_end = [&](std::size_t from, Index share) {
      for (; from < all.tasks.size() && done * members < cost * share; from++) done += all.tasks[from].cost;
      return from;
    };
    first_ = find_end(0, member);
    last_ = member + 1 == members ? all.tasks.size() : find_end(first_, member + 1);
  }

  void add(const SumChunk& chunk) {
    gather(chunk);
    for_tasks(first_, last_, [&](const Task& task) {
      if (!task.term) return add_unit_weights(task);
      const ThreadVector<OperandA<S>>& operands = operands_of(*task.term);
      multiply_transposed_into(task.term->gradients.slice(task.slice), operands.data(), int(operands.size()),
                               task.block * task.term->source.by_block, task.columns, task.sums, started_);
    });
    started_ = true;
  }

  // Adds the sums to the gradients, which have the layout of the weights. The members of a team divide the tasks.
  void add_to_gradients(const Team& team) {
    const auto [first, last] = team.range(Index(all_.tasks.size()));
    for_tasks(std::size_t(first), std::size_t(last), [&](const Task& task) {
      if (!task.term) return add_unit_weights_to_gradients(task);
      const GradientTerm<S>& term = *task.term;
      const GradientRows<S>& gradients = term.gradients;
      const Index width = gradients.slice(task.slice).packets * pack_size<S>, units = gradients.units_of(task.slice);
      const Index first_unit = Index(task.slice) * gradients.groups_per_slice * pack_size<S>;
      const Index first_column = task.block * term.source.block_columns;
      const Index columns = std::min(task.columns, term.columns() - first_column);
      const int gates = gradients.groups.gates, first_gate = gradients.first_gate_of(task.slice);
      const int last_gate = gradients.is_tail(task.slice) ? gates : first_gate + gradients.gate_count;
      for (int gate = first_gate; gate < last_gate; gate++) {
        const S* sums = task.sums + (gate - first_gate) * units;
        if (term.row_blocks[gate] >= 0) {
          S* to = term.matrix + (term.row_blocks[gate] * gradients.groups.units + first_unit) * term.matrix_columns +
                  first_column;
          for (Index unit = 0; unit < units; unit += pack_size<S>)
            add_transposed(sums + unit, width, int(std::min(Index(pack_size<S>), units - unit)), columns,
                           to + unit * term.matrix_columns, term.matrix_columns);
        }
        if (!term.bias) continue;
        S* bias = term.bias + term.bias_blocks[gate] * gradients.groups.units + first_unit;
        for (Index u = 0; u < units; u++) bias[u] += sums[columns * width + u];
      }
    });
  }

 private:
  // Calls work(task).
  template <class Work>
  void for_tasks(std::size_t first, std::size_t last, Work&& work) const {
    for (std::size_t task = first; task < last; task++) work(all_.tasks[task]);
  }
  ThreadVector<OperandA<S>>& operands_of(const GradientTerm<S>& term) {
    return operands_[static_cast<std::size_t>(&term - all_.terms.data())];
  }

  // The gradients of the unit weights from the saved rows of a chunk, in their order.
  void add_unit_weights(const Task& task) {
    const Groups<S>& groups = saved_.groups;
    const int group = task.slice;
    const bool is_tail = groups.is_tail(group);
    if (!started_) std::fill_n(task.sums, task.columns * pack_size<S>, S(0));
    for (const SavedRun& run : runs_)
      for (Index done = 0; done < run.rows;) {
        const Index count = is_tail ? std::min(run.rows - done, Index(max_epilogue_rows)) : run.rows;
        const S* gate_rows = saved_.gates_of(group, run.row + done);
        Grid<const S> dgates{gate_rows, 0, groups.width()};
        if (is_tail) {
          unpack_tail(gate_rows, groups.width_of(group), groups.width_of(group), groups.tail_units, groups.gates, count,
                      tail_gates_);
          dgates.values = tail_gates_;
        }
        all_.call.cell->sum_unit_weights({dgates, saved_.grid(saved_.c_after_zoneout, group, run.previous_row + done),
                                          saved_.grid(saved_.c, group, run.row + done), count, task.sums},
                                         all_.call.cell->spec);
        done += count;
      }
  }
  void add_unit_weights_to_gradients(const Task& task) {
    const Index hidden = saved_.groups.units;
    for (Index w = 0; w < task.columns; w++)
      for (int u = 0; u < saved_.groups.units_of(task.slice); u++)
        all_.call.gradients.unit_weights[w * hidden + task.slice * Index(pack_size<S>) + u] +=
            task.sums[w * pack_size<S> + u];
  }

  // Consecutive saved rows, and those of the previous step.
  struct SavedRun {
    Index row, previous_row, rows;
    Index gathered;  // the first of their rows in `gathered_`
  };

  // The saved rows of a chunk, step by step and row by row, and the operands of each term.
  void gather(const SumChunk& chunk) {
    const BackwardCall<S>& call = all_.call;
    const Index inputs = call.shape.sizes.input_size;
    runs_.clear();
    Index gathered = 0;
    for (Index t = chunk.first; t < chunk.last; t++) {
      for (const RowShard& shard : saved_.plan.shards) {
        const Index first = std::max(chunk.first_row - shard.first_row, Index(0));
        const Index last = std::min(chunk.last_row - shard.first_row, shard.active(t));
        if (first >= last) continue;
        runs_.push_back({shard.saved_row(t) + first, shard.saved_row(t - 1) + first, last - first, gathered});
        for (Index r = shard.first_row + first; r < shard.first_row + last; r++, gathered++) {
          S* row = gathered_ + gathered * gathered_stride_;
          copy(call.x.at(call.row_of(r), call.time(t, r)), inputs, row);
          row[inputs] = S(1);
        }
      }
    }
    for (const GradientTerm<S>& term : all_.terms) {
      ThreadVector<OperandA<S>>& operands = operands_of(term);
      operands.clear();
      for (const SavedRun& run : runs_) append(operands, operand(term.source, run));
    }
  }
  OperandA<S> operand(const SourceRows<S>& source, const SavedRun& run) const {
    if (!source.values) return {gathered_ + run.gathered * gathered_stride_, gathered_stride_, run.row, run.rows};
    const Index row = source.of_previous_step ? run.previous_row : run.row;
    return {source.values + row * source.by_row, source.by_row, run.row, run.rows};
  }
  static void append(ThreadVector<OperandA<S>>& operands, const OperandA<S>& next) {
    if (!operands.empty()) {
      OperandA<S>& last = operands.back();
      if (last.values + last.k_count * last.stride == next.values && last.first_k + last.k_count == next.first_k) {
        last.k_count += next.k_count;
        return;
      }
    }
    operands.push_back(next);
  }

  const WeightGradients<S>& all_;
  const SavedDirection<S>& saved_;
  std::size_t first_ = 0, last_ = 0;  // the own tasks
  bool started_ = false;
  ThreadVector<SavedRun> runs_;                      // of the chunk
  std::vector<ThreadVector<OperandA<S>>> operands_;  // of each term, for block 0
  Index gathered_stride_;
  MemoryBlock gathered_block_;
  S* gathered_;                                                               // [saved row][x, 1]
  alignas(64) S tail_gates_[max_epilogue_rows * max_packets * pack_size<S>];  // [row][gate][unit]
};

}  // namespace fusedlstm
