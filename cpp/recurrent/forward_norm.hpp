// Layer normalization in forward. The pre-activations and the argument of act_output are
//
//   z = gain_ih norm(W_ih x) + gain_hh norm(W_hh h_prev) + b + W_gates [i, f, o]_prev
//   gain_c norm(c) + bias_c
#pragma once

#include "recurrent/row_norm.hpp"
#include "recurrent/step_rows.hpp"

namespace fusedlstm {

template <class S>
class ForwardNorm {
 public:
  explicit ForwardNorm(const ForwardRange<S>& range) : used_(range.sizes().layer_norm) {}
  explicit operator bool() const { return used_; }

  void lay_out(const ForwardRange<S>& range, Arena& arena) {
    if (!used_) return;
    const Index rows = range.shard.rows;
    norms_ = arena.take<NormOfRow<S>>(rows * NormStatistics::count);
    z_ = arena.take<S>(max_epilogue_rows * range.groups.width());
    if (range.sizes().carried_gates() == 0) return;
    gates_part_.stride = odd_cache_lines<S>(range.groups.gate_row_size(1));
    gates_part_.values = arena.take<S>(rows * gates_part_.stride);
  }

  // W_ih x, W_hh h_prev and W_gates [i, f, o]_prev for the own groups. operands: x, h and, if there are more, the
  // gates.
  void multiply(const ForwardRange<S>& range, const PanelProduct<S>& product, const OperandA<S>* operands, int count,
                const Rows<S>& x_part, const Rows<S>& h_part) {
    const Index own = range.gate_shard.first * range.groups.width();
    const auto compute = [&](int first, int number, const Rows<S>& to) {
      product.compute_into(operands + first, number, InitialC<S>{nullptr, 0}, to.values + own, to.stride);
    };
    compute(0, 1, x_part);
    compute(1, 1, h_part);
    if (count > 2) compute(2, count - 2, gates_part_);
  }

  // The norms of the parts of all groups.
  void measure_parts(const ForwardRange<S>& range, Index rows, const Rows<S>& x_part, const Rows<S>& h_part) {
    const Index count = range.groups.gates * range.groups.units;
    for (const auto& [part, kind] : {std::pair{&x_part, NormStatistics::x}, std::pair{&h_part, NormStatistics::h}})
      norms_of_rows<S>(
          rows, count, [p = *part](Index r, Index k) FUSEDLSTM_LAMBDA_INLINE { return load(p.at(r) + k); },
          norms_ + kind, NormStatistics::count);
  }
  void measure_c(const ForwardRange<S>& range, Index rows, Grid<const S> c) {
    norms_of_rows<S>(
        rows, range.groups.units,
        [c](Index r, Index k) FUSEDLSTM_LAMBDA_INLINE { return load(c.at(k / pack_size<S>, r)); },
        norms_ + NormStatistics::c, NormStatistics::count);
  }
  // Saves the norms of some rows for backward.
  void save(Index rows, const Rows<S>& statistics) const {
    for (Index r = 0; r < rows; r++)
      for (int k = 0; k < NormStatistics::count; k++) {
        statistics.at(r)[2 * k] = norm(r, k).mean;
        statistics.at(r)[2 * k + 1] = norm(r, k).inverse;
      }
  }

  // The pre-activations of a group and some rows, as a finished tile. The number of the panel is that of the group in
  // the unit shard.
  Tile<S> preactivations(const ForwardRange<S>& range, int group, Index first_row, int rows, const Rows<S>& x_part,
                         const Rows<S>& h_part) {
    const Groups<S>& groups = range.groups;
    const PackedDirection<S>& weights = range.call.weights;
    const Index width = groups.width_of(group), from = group * groups.width();
    // The carried gates do not feed g, which comes first.
    const Index fed_from = range.sizes().carried_gates() > 0 ? groups.units_of(group) : width;
    for (int k = 0; k < rows; k++) {
      const Index row = first_row + k;
      const NormOfRow<S> x = norm(row, NormStatistics::x), h = norm(row, NormStatistics::h);
      S* z = z_ + k * width;
      for (Index j = 0; j < width; j += pack_size<S>) {
        const Pack<S> of_x = fma(load(weights.gain_ih + from + j), x.normalize(load(x_part.at(row) + from + j)),
                                 load(weights.bias + from + j));
        store(z + j, fma(load(weights.gain_hh + from + j), h.normalize(load(h_part.at(row) + from + j)), of_x));
      }
      const Index numbers = groups.gates * Index(groups.units_of(group));
      for (Index j = fed_from; j < numbers; j += pack_size<S>) {
        const Index n = numbers - j;
        store_first(z + j, load_first(z + j, n) + load_first(gates_part_.at(row) + from + j, n), n);
      }
    }
    return {z_, width, first_row, rows, group - range.gate_shard.first, 1};
  }

  // argument = gain_c norm(c) + bias_c for a group and some rows.
  void scale_c(const ForwardRange<S>& range, int group, Index first_row, int rows, Grid<const S> c,
               Grid<S> argument) const {
    const Pack<S> gain = load(range.call.weights.gain_c + group * pack_size<S>);
    const Pack<S> bias = load(range.call.weights.bias_c + group * pack_size<S>);
    for (int k = 0; k < rows; k++)
      store(argument.at(0, k), fma(gain, norm(first_row + k, NormStatistics::c).normalize(load(c.at(0, k))), bias));
  }

 private:
  NormOfRow<S>& norm(Index row, int kind) const { return norms_[row * NormStatistics::count + kind]; }

  bool used_;
  NormOfRow<S>* norms_ = nullptr;  // [row][kind]
  Rows<S> gates_part_;             // W_gates [i, f, o]_prev as gate rows
  S* z_ = nullptr;                 // [row][gate row of a group]
};

}  // namespace fusedlstm
