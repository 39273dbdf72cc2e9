// The gradients of the weights. For each group of units, they are the product of [x, 1, h_prev], transposed, with the
// gate gradients that BackwardPass left in the saved gate rows, summed over all rows and steps:
//
//   dW_ih = sum dz x^T      db = sum dz      dW_hh = sum dz h_prev^T
//
// The sum over the saved rows is computed chunk by chunk, from the last steps to the first. The chunks and the order
// within a chunk depend only on the lengths. Threads do not divide the sums. They divide the elements of the gradients
// into tasks: the gates of one group times one source, which is the inputs, the hidden units of one group, or the unit
// weights.
#pragma once

#include "recurrent/backward.hpp"

namespace fusedlstm {

// Saved rows that are summed at once: the rows [first_row, last_row) of the steps [first, last).
struct SumChunk {
  Index first, last;
  Index first_row, last_row;
};

// The maximum number of saved rows in a chunk: the gates of a group stay in or near L1.
inline constexpr Index max_chunk_rows = 128;

inline std::vector<SumChunk> sum_chunks(const RowPlan& plan) {
  std::vector<SumChunk> chunks;
  Index active = 0;  // at step `first - 1`
  for (Index last = plan.longest(); last > 0;) {
    Index first = last, saved_rows = 0;
    while (first > 0) {
      while (active < plan.batch() && plan.lengths[static_cast<std::size_t>(active)] >= first) active++;
      if (first < last && saved_rows + active > max_chunk_rows) break;
      saved_rows += active;
      first--;
    }
    // A single step is divided by rows, which are the first ones. A chunk of several steps takes all rows.
    const bool one_step = last - first == 1;
    const Index rows = one_step ? saved_rows : plan.batch();
    const Index count = one_step ? (saved_rows + max_chunk_rows - 1) / max_chunk_rows : 1;
    for (Index k = 0; k < count; k++) chunks.push_back({first, last, rows * k / count, rows * (k + 1) / count});
    last = first;
  }
  return chunks;
}

template <class S>
class WeightGradientWorker;

// The sums of one direction.
template <class S>
class WeightGradients {
 public:
  explicit WeightGradients(const BackwardCall<S>& call)
      : call_(call),
        saved_(*call.saved),
        groups_(saved_.groups),
        gates_(call.shape.sizes.gates),
        hh_fed_(gates_, gates_.weight_hh),
        inputs_(call.shape.sizes.input_size + 1),
        sum_rows_(inputs_ + groups_.units + gates_.unit_weights),
        block_(static_cast<std::size_t>(groups_.count * sum_rows_ * groups_.width()) * sizeof(S)),
        sums_(static_cast<S*>(block_.memory())) {}

  // Task (group, source). Source 0: the inputs and the 1 of the bias. Source s: the hidden units of group s - 1. The
  // last source: the unit weights, if there are any.
  Index tasks() const { return groups_.count * sources(); }

 private:
  friend class WeightGradientWorker<S>;

  Index sources() const { return 1 + groups_.count + (gates_.unit_weights > 0); }
  bool is_unit_weights(int source) const { return source > groups_.count; }
  // Hidden units are multiplied only with the gates that h feeds. Inputs are multiplied with all gates; the sums of
  // gates that x does not feed are ignored.
  bool uses_fed_gates(int group, int source) const { return source > 0 && !groups_.is_tail(group); }
  PanelSlice<S> gates_of(const Panels<S>& panels, int group, int source) const {
    return uses_fed_gates(group, source) ? panel_slice(panels, group, hh_fed_.first, hh_fed_.count)
                                         : panel_slice(panels, group);
  }
  // The sums of a task: [input, hidden unit or unit weight][gates].
  S* sums_of(int group, int source) const {
    const Index hidden = is_unit_weights(source) ? groups_.units : Index(source - 1) * pack_size<S>;
    const Index row = source == 0 ? 0 : inputs_ + hidden;
    return sums_ + group * sum_rows_ * groups_.width() + row * groups_.width_of(group);
  }
  Index rows_of(int source) const {
    if (is_unit_weights(source)) return gates_.unit_weights;
    return source == 0 ? inputs_ : groups_.units_of(source - 1);
  }

  const BackwardCall<S>& call_;
  const SavedDirection<S>& saved_;
  Groups<S> groups_;
  GateLayout gates_;
  FedGates hh_fed_;
  Index inputs_;    // I + 1
  Index sum_rows_;  // I + 1 + H + unit weights
  MemoryBlock block_;
  S* sums_;
};

// The tasks [first, last), for one thread.
template <class S>
class WeightGradientWorker {
 public:
  WeightGradientWorker(const WeightGradients<S>& all, Index first, Index last)
      : all_(all),
        first_(first),
        last_(last),
        gathered_stride_(odd_cache_lines(all.inputs_)),
        gathered_block_(static_cast<std::size_t>(max_chunk_rows * gathered_stride_) * sizeof(S)),
        gathered_(static_cast<S*>(gathered_block_.memory())) {
    inputs_.reserve(max_chunk_rows);
    h_prev_.reserve(max_chunk_rows);
  }

  void add(const SumChunk& chunk) {
    gather(chunk);
    const SavedDirection<S>& saved = all_.saved_;
    const Panels<S> gates = all_.groups_.gate_panels(saved.gates, saved.plan.saved_rows);
    for_tasks([&](int group, int source) {
      if (all_.is_unit_weights(source)) return add_unit_weights(group);
      const std::vector<OperandA<S>>& operands = source == 0 ? inputs_ : h_prev_;
      S* sums = all_.sums_of(group, source);
      // The operands point to the h of group 0. `shift` is the distance to the h of the source's group.
      const Index shift = source == 0 ? 0 : (source - 1) * saved.plan.saved_rows * pack_size<S>;
      multiply_transposed(all_.gates_of(gates, group, source), operands.data(), int(operands.size()), shift,
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

  // Adds the sums to the gradients, which have the layout of the weights.
  void add_to_gradients() {
    const Sizes& sizes = all_.call_.shape.sizes;
    const Weights<S>& gradients = all_.call_.gradients;
    const Panels<S> gates = all_.groups_.gate_panels(nullptr, 0);
    for_tasks([&](int group, int source) {
      const Index width = all_.gates_of(gates, group, source).packets * pack_size<S>;
      const int units = all_.groups_.units_of(group);
      const auto row_of = [&](int rows) { return rows * sizes.hidden_size + Index(group) * pack_size<S>; };
      const S* all_sums = all_.sums_of(group, source);
      if (all_.is_unit_weights(source)) {
        for (int w = 0; w < all_.gates_.unit_weights; w++)
          for (int u = 0; u < units; u++) gradients.unit_weights[row_of(w) + u] += all_sums[w * pack_size<S> + u];
        return;
      }
      const int first = all_.uses_fed_gates(group, source) ? all_.hh_fed_.first : 0;
      for (int gate = 0; gate < all_.groups_.gates; gate++) {
        const S* sums = all_sums + (gate - first) * units;
        const int ih = all_.gates_.weight_ih[gate], hh = all_.gates_.weight_hh[gate];
        if (source > 0) {
          if (hh >= 0)
            add_transposed(sums, width, units, all_.rows_of(source),
                           gradients.weight_hh + row_of(hh) * sizes.hidden_size + Index(source - 1) * pack_size<S>,
                           sizes.hidden_size);
          continue;
        }
        if (ih >= 0)
          add_transposed(sums, width, units, sizes.input_size, gradients.weight_ih + row_of(ih) * sizes.input_size,
                         sizes.input_size);
        const S* ones = sums + sizes.input_size * width;
        for (int u = 0; u < units; u++) gradients.bias[row_of(all_.gates_.bias[gate]) + u] += ones[u];
      }
    });
  }

 private:
  // An odd number of cache lines between rows: the rows are then in different sets of the cache.
  static Index odd_cache_lines(Index numbers) {
    const Index line = Index(cache_line / sizeof(S));
    return ((numbers + line - 1) / line | 1) * line;
  }

  // Calls work(group, source).
  template <class Work>
  void for_tasks(Work&& work) const {
    for (Index task = first_; task < last_; task++) work(int(task / all_.sources()), int(task % all_.sources()));
  }

  // The gradients of the unit weights from the saved rows of a chunk, in their order.
  void add_unit_weights(int group) {
    const SavedDirection<S>& saved = all_.saved_;
    const Groups<S>& groups = all_.groups_;
    S* sums = all_.sums_of(group, int(all_.sources()) - 1);
    if (!started_) std::fill_n(sums, all_.gates_.unit_weights * pack_size<S>, S(0));
    for (const OperandA<S>& rows : h_prev_) {
      // c_prev is in the same saved rows as h_prev.
      const Index prev = (rows.values - saved.h()) / pack_size<S>;
      for (Index done = 0; done < rows.k_count;) {
        const bool is_tail = groups.is_tail(group);
        const Index count = is_tail ? std::min(rows.k_count - done, Index(max_epilogue_rows)) : rows.k_count;
        const S* gate_rows = saved.gates_of(group, rows.first_k + done);
        Grid<const S> dgates{gate_rows, 0, groups.width()};
        if (is_tail) {
          unpack_tail(gate_rows, groups.width_of(group), groups.width_of(group), groups.tail_units, groups.gates, count,
                      tail_gates_);
          dgates.values = tail_gates_;
        }
        all_.call_.cell->sum_unit_weights({dgates, saved.grid(saved.c_after_zoneout, group, prev + done),
                                           saved.grid(saved.c, group, rows.first_k + done), count, sums});
        done += count;
      }
    }
  }

  // The operands of a chunk, step by step and row by row. Consecutive saved rows make one operand.
  void gather(const SumChunk& chunk) {
    const BackwardCall<S>& call = all_.call_;
    const Index inputs = call.shape.sizes.input_size;
    inputs_.clear();
    h_prev_.clear();
    Index gathered = 0;
    for (Index t = chunk.first; t < chunk.last; t++) {
      for (const RowShard& shard : all_.saved_.plan.shards) {
        const Index first = std::max(chunk.first_row - shard.first_row, Index(0));
        const Index last = std::min(chunk.last_row - shard.first_row, shard.active(t));
        if (first >= last) continue;
        const S* h_prev = all_.saved_.h() + (shard.saved_row(t - 1) + first) * pack_size<S>;
        append(h_prev_, {h_prev, pack_size<S>, shard.saved_row(t) + first, last - first});
        append(inputs_,
               {gathered_ + gathered * gathered_stride_, gathered_stride_, shard.saved_row(t) + first, last - first});
        for (Index r = shard.first_row + first; r < shard.first_row + last; r++, gathered++) {
          S* row = gathered_ + gathered * gathered_stride_;
          copy(call.x.at(call.row_of(r), call.time(t, r)), inputs, row);
          row[inputs] = S(1);
        }
      }
    }
  }
  static void append(std::vector<OperandA<S>>& operands, const OperandA<S>& next) {
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
  Index first_, last_;
  bool started_ = false;
  std::vector<OperandA<S>> inputs_, h_prev_;  // of the chunk, for group 0
  Index gathered_stride_;
  MemoryBlock gathered_block_;
  S* gathered_;                                                               // [saved row][x, 1]
  alignas(64) S tail_gates_[max_epilogue_rows * max_packets * pack_size<S>];  // [row][gate][unit]
};

}  // namespace fusedlstm
