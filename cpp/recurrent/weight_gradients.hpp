// The gradients of the weights: for each group of units, the product of [x, 1, h of the step before], across rows and
// steps, with the gate gradients that BackwardShare left in the saved records.
//
// The sum over lines goes block by block, from the last steps to the first; blocks and the order inside them depend on
// the lengths alone. Threads divide what is computed: parts, each one group's gates by either the inputs or the
// hidden units of one group, or the weights that its units have for themselves.
#pragma once

#include "recurrent/backward.hpp"

namespace fusedlstm {

// Lines that are summed in one go: the rows [first_row, last_row) of the steps [first, last).
struct SumBlock {
  Index first, last;
  Index first_row, last_row;
};

// The most lines of a block: a group's gates then stay in L1 or near it while they are multiplied.
inline constexpr Index lines_of_a_block = 128;

inline std::vector<SumBlock> sum_blocks(const Schedule& schedule) {
  std::vector<SumBlock> blocks;
  const Index longest = schedule.longest();
  Index running = 0;  // at the step at hand
  for (Index last = longest; last > 0;) {
    Index first = last, lines = 0;
    while (first > 0) {
      while (running < schedule.batch() && schedule.lengths[static_cast<std::size_t>(running)] >= first) running++;
      if (first < last && lines + running > lines_of_a_block) break;
      lines += running;
      first--;
    }
    // The rows that run at a step are the first ones. A block of several steps takes all of them.
    const bool one_step = last - first == 1;
    const Index rows = one_step ? lines : schedule.batch();
    const Index parts = one_step ? (lines + lines_of_a_block - 1) / lines_of_a_block : 1;
    for (Index k = 0; k < parts; k++) blocks.push_back({first, last, rows * k / parts, rows * (k + 1) / parts});
    last = first;
  }
  return blocks;
}

template <class S>
class WeightGradientWorker;

template <class S>
class WeightGradients {
 public:
  explicit WeightGradients(const BackwardCall<S>& call)
      : call_(call),
        saved_(*call.saved),
        groups_(saved_.groups),
        blocks_(call.problem.sizes.blocks),
        hidden_fed_(blocks_, blocks_.hidden),
        inputs_(call.problem.sizes.input + 1),
        depth_(inputs_ + groups_.units + blocks_.vectors),
        block_(static_cast<std::size_t>(groups_.count * depth_ * groups_.width()) * sizeof(S)),
        sums_(static_cast<S*>(block_.memory())) {}

  // Part (group, source): source 0 is the inputs and the one of the bias, source s the hidden units of group s - 1, the
  // last source the units' own weights, if they have any.
  Index parts() const { return groups_.count * sources(); }

 private:
  friend class WeightGradientWorker<S>;

  Index sources() const { return 1 + groups_.count + (blocks_.vectors > 0); }
  bool is_own(int source) const { return source > groups_.count; }
  // The packets of a group's gates that a source is multiplied with: all with the inputs, whose sums for blocks that x
  // does not feed nobody reads; with the hidden units those that h feeds.
  PartOfPanel<S> gates_of(const Panels<S>& panels, int group, int source) const {
    const bool some = source > 0 && !groups_.narrow(group);
    return some ? part_of_panel(panels, group, hidden_fed_.first, hidden_fed_.count) : part_of_panel(panels, group);
  }
  // The sums of a part: [its rows of the depth][packets].
  S* sums_of(int group, int source) const {
    const Index hidden = is_own(source) ? groups_.units : Index(source - 1) * pack_size<S>;
    const Index row = source == 0 ? 0 : inputs_ + hidden;
    return sums_ + group * depth_ * groups_.width() + row * groups_.width_of(group);
  }
  Index rows_of(int source) const {
    if (is_own(source)) return blocks_.vectors;
    return source == 0 ? inputs_ : groups_.units_of(source - 1);
  }

  const BackwardCall<S>& call_;
  const Saved<S>& saved_;
  Groups<S> groups_;
  Blocks blocks_;
  FedBlocks hidden_fed_;
  Index inputs_;  // I and one
  Index depth_;   // and H, and the vectors
  Block block_;
  S* sums_;
};

// The parts [first, last), for one thread.
template <class S>
class WeightGradientWorker {
 public:
  WeightGradientWorker(const WeightGradients<S>& all, Index first, Index last)
      : all_(all),
        first_(first),
        last_(last),
        gathered_stride_(odd_lines(all.inputs_)),
        gathered_block_(static_cast<std::size_t>(lines_of_a_block * gathered_stride_) * sizeof(S)),
        gathered_(static_cast<S*>(gathered_block_.memory())) {
    inputs_.reserve(lines_of_a_block);
    hidden_.reserve(lines_of_a_block);
  }

  void add(const SumBlock& block) {
    gather(block);
    const Saved<S>& saved = all_.saved_;
    const Panels<S> gates = all_.groups_.panels(saved.gates, saved.schedule.lines);
    for_parts([&](int group, int source) {
      if (all_.is_own(source)) return add_vectors(group);
      const std::vector<Operand<S>>& operands = source == 0 ? inputs_ : hidden_;
      S* sums = all_.sums_of(group, source);
      // The derived numbers of a group stand behind those of the group before: a shift of rows.
      const Index shift = source == 0 ? 0 : (source - 1) * saved.schedule.lines * pack_size<S>;
      multiply_across(all_.gates_of(gates, group, source), operands.data(), int(operands.size()), shift,
                      all_.rows_of(source), [&](const Tile<S>& tile) {
                        S* to = sums + tile.first_row * tile.width;
                        for (Index j = 0; j < tile.rows * tile.width; j += pack_size<S>) {
                          const Pack<S> sum = load(tile.values + j);
                          store(to + j, started_ ? load(to + j) + sum : sum);
                        }
                      });
    });
    started_ = true;
  }

  // Adds the sums to the gradients.
  void finish() {
    const Sizes& sizes = all_.call_.problem.sizes;
    const Weights<S>& gradients = all_.call_.gradients;
    const Panels<S> gates = all_.groups_.panels(nullptr, 0);
    for_parts([&](int group, int source) {
      const Index width = all_.gates_of(gates, group, source).packets * pack_size<S>;
      const int units = all_.groups_.units_of(group);
      const auto row_of = [&](int rows) { return rows * sizes.hidden + Index(group) * pack_size<S>; };
      const S* all = all_.sums_of(group, source);
      if (all_.is_own(source)) {
        for (int v = 0; v < all_.blocks_.vectors; v++)
          for (int u = 0; u < units; u++) gradients.vectors[row_of(v) + u] += all[v * pack_size<S> + u];
        return;
      }
      const bool some = source > 0 && !all_.groups_.narrow(group);
      const int first = some ? all_.hidden_fed_.first : 0;
      for (int block = 0; block < all_.groups_.blocks; block++) {
        const S* sums = all + (block - first) * units;
        const int input = all_.blocks_.input[block], hidden = all_.blocks_.hidden[block];
        if (source > 0) {
          if (hidden >= 0)
            add_transposed(sums, width, units, all_.rows_of(source),
                           gradients.hidden + row_of(hidden) * sizes.hidden + Index(source - 1) * pack_size<S>,
                           sizes.hidden);
          continue;
        }
        if (input >= 0)
          add_transposed(sums, width, units, sizes.input, gradients.input + row_of(input) * sizes.input, sizes.input);
        const S* ones = sums + sizes.input * width;
        for (int u = 0; u < units; u++) gradients.bias[row_of(all_.blocks_.bias[block]) + u] += ones[u];
      }
    });
  }

 private:
  // An odd number of cache lines between rows: they then fall into different sets of the cache.
  static Index odd_lines(Index numbers) {
    const Index line = Index(cache_line / sizeof(S));
    return ((numbers + line - 1) / line | 1) * line;
  }

  template <class Work>
  void for_parts(Work&& work) const {
    for (Index part = first_; part < last_; part++)
      work(int(part / all_.sources()), int(part % all_.sources()));
  }

  // The gradients of the units' own weights from the lines of a block, in their order.
  void add_vectors(int group) {
    const Saved<S>& saved = all_.saved_;
    const Groups<S>& groups = all_.groups_;
    S* sums = all_.sums_of(group, int(all_.sources()) - 1);
    if (!started_) std::fill_n(sums, all_.blocks_.vectors * pack_size<S>, S(0));
    for (const Operand<S>& lines : hidden_) {
      // The operand's h, of the steps before, stand at the same lines as the states of the steps before.
      const Index before = (lines.values - saved.hidden()) / pack_size<S>;
      for (Index done = 0; done < lines.depth;) {
        const bool narrow = groups.narrow(group);
        const Index rows = narrow ? std::min(lines.depth - done, Index(most_rows_at_once)) : lines.depth;
        const S* records = saved.gates_of(group, lines.start + done);
        Grid<const S> dgates{records, 0, groups.width()};
        if (narrow) {
          widen(records, groups.width_of(group), groups.width_of(group), groups.tail, groups.blocks, rows, wide_);
          dgates.values = wide_;
        }
        all_.call_.cell->sum_vectors({dgates, saved.grid(saved.seen_state, group, before + done),
                                      saved.grid(saved.state, group, lines.start + done), rows, sums});
        done += rows;
      }
    }
  }

  // The operands of a block, step by step and row by row; lines that follow each other make one operand.
  void gather(const SumBlock& block) {
    const BackwardCall<S>& call = all_.call_;
    const Schedule& schedule = all_.saved_.schedule;
    inputs_.clear();
    hidden_.clear();
    Index gathered = 0;
    for (Index t = block.first; t < block.last; t++) {
      for (const Share& share : schedule.shares) {
        const Index first = std::max(block.first_row, share.first_row) - share.first_row;
        const Index last = std::min(block.last_row - share.first_row, share.running(t));
        if (first >= last) continue;
        const S* before = all_.saved_.hidden() + (share.line(t - 1) + first) * pack_size<S>;
        append(hidden_, {before, pack_size<S>, share.line(t) + first, last - first});
        append(inputs_, {gathered_ + gathered * gathered_stride_, gathered_stride_, share.line(t) + first, last - first});
        for (Index r = share.first_row + first; r < share.first_row + last; r++, gathered++) {
          S* row = gathered_ + gathered * gathered_stride_;
          copy(call.x.at(call.row_of(r), call.time(t, r)), call.problem.sizes.input, row);
          row[call.problem.sizes.input] = S(1);
        }
      }
    }
  }
  static void append(std::vector<Operand<S>>& operands, const Operand<S>& next) {
    if (!operands.empty()) {
      Operand<S>& last = operands.back();
      if (last.values + last.depth * last.stride == next.values && last.start + last.depth == next.start) {
        last.depth += next.depth;
        return;
      }
    }
    operands.push_back(next);
  }

  const WeightGradients<S>& all_;
  Index first_, last_;
  bool started_ = false;
  std::vector<Operand<S>> inputs_, hidden_;
  Index gathered_stride_;
  Block gathered_block_;
  S* gathered_;  // [line][input, one]
  alignas(64) S wide_[most_rows_at_once * max_packets * pack_size<S>];  // a narrow group's records
};

}  // namespace fusedlstm
