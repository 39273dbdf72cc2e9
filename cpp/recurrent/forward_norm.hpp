// Layer normalization in forward. The pre-activations and the argument of act_output are
//
//   z = gain_ih norm(W_ih x) + gain_hh norm(W_hh h_prev) + b + W_gates [i, f, o]_prev
//   gain_c norm(c) + bias_c
//
// The columns of the packed W_ih and W_hh are centered, so that the means of W_ih x and W_hh h_prev are zero.
#pragma once

#include <type_traits>

#include "recurrent/row_norm.hpp"
#include "recurrent/step_rows.hpp"

namespace fusedlstm {

template <class S>
class ForwardNorm {
 public:
  explicit ForwardNorm(const ForwardRange<S>& range) : used_(range.sizes().layer_norm) {}

  void lay_out(const ForwardRange<S>& range, Arena& arena) {
    if (!used_) return;
    const Index rows = range.shard.rows;
    for (S*& values : statistics_) values = arena.take<S>(whole_packets<S>(rows));
    z_ = arena.take<S>(max_epilogue_rows * range.groups.width());
    if (range.sizes().carried_gates() == 0) return;
    gates_part_.stride = odd_cache_lines<S>(range.groups.gate_row_size(1));
    gates_part_.values = arena.take<S>(rows * gates_part_.stride);
  }

  // W_ih x, W_hh h_prev and W_gates [i, f, o]_prev for the own groups, and the squares. operands: x, h and, if there
  // are more, the gates.
  void multiply(const ForwardRange<S>& range, const PanelProduct<S>& product, const OperandA<S>* operands, int count,
                const Rows<S>& x_part, const Rows<S>& h_part, const StepRows<S>& rows) {
    const Index own = range.gate_shard.first * range.groups.width();
    const auto compute = [&](int first, int number, const Rows<S>& to, S* squares) {
      product.compute_into(operands + first, number, InitialC<S>{nullptr, 0}, to.values + own, to.stride,
                           [&](int panel, Index first_row, Index tile_rows) FUSEDLSTM_LAMBDA_INLINE {
                             if (!squares) return;
                             const int begin = range.gate_shard.first + panel * range.groups.groups_per_panel();
                             const int end = std::min(begin + range.groups.groups_per_panel(), range.groups.count);
                             for (int group = begin; group < end; group++)
                               with_packets(range.groups.packets_of(group), [&](auto packets) FUSEDLSTM_LAMBDA_INLINE {
                                 square<packets()>(range, group, first_row, tile_rows, to, squares);
                               });
                           });
    };
    compute(0, 1, x_part, rows.x_squares);
    compute(1, 1, h_part, rows.h_squares);
    if (count > 2) compute(2, count - 2, gates_part_, nullptr);
  }

  // The statistics of the parts, from the squares of all groups.
  void measure_parts(const ForwardRange<S>& range, Index rows, const StepRows<S>& from) {
    const Index count = range.groups.gates * range.groups.units;
    const Grid<S> x = group_major(from.x_squares, range.shard.rows), h = group_major(from.h_squares, range.shard.rows);
    const int groups = range.groups.count;
    sum_rows<2, S>(
        0, rows,
        [&](Index r, Pack<S>(&sums)[2]) FUSEDLSTM_LAMBDA_INLINE {
          for (int g = 0; g < groups; g++) {
            sums[0] = sums[0] + load(x.at(g, r));
            sums[1] = sums[1] + load(h.at(g, r));
          }
        },
        [&](Index r, const Pack<S>(&totals)[2]) FUSEDLSTM_LAMBDA_INLINE {
          store(statistics_[NormStatistics::x_inverse] + r, inverse_deviation(totals[0], count));
          store(statistics_[NormStatistics::h_inverse] + r, inverse_deviation(totals[1], count));
        });
  }
  void measure_c(const ForwardRange<S>& range, Index rows, Grid<const S> c) {
    const Groups<S>& groups = range.groups;
    const int whole = groups.is_tail(groups.count - 1) ? groups.count - 1 : groups.count;
    S *means = statistics_[NormStatistics::c_mean], *inverses = statistics_[NormStatistics::c_inverse];
    sum_rows<1, S>(
        0, rows,
        [&](Index r, Pack<S>(&sums)[1]) FUSEDLSTM_LAMBDA_INLINE {
          for (int g = 0; g < whole; g++) sums[0] = sums[0] + load(c.at(g, r));
          if (whole < groups.count) sums[0] = sums[0] + load_first(c.at(whole, r), groups.tail_units);
        },
        [&](Index r, const Pack<S>(&totals)[1])
            FUSEDLSTM_LAMBDA_INLINE { store(means + r, totals[0] * fill(S(1) / S(groups.units))); });
    sum_rows<1, S>(
        0, rows,
        [&](Index r, Pack<S>(&sums)[1]) FUSEDLSTM_LAMBDA_INLINE {
          const Pack<S> mean = fill(means[r]);
          for (int g = 0; g < whole; g++) {
            const Pack<S> centered = load(c.at(g, r)) - mean;
            sums[0] = fma(centered, centered, sums[0]);
          }
          if (whole == groups.count) return;
          const Pack<S> centered = first_lanes(load(c.at(whole, r)) - mean, groups.tail_units);
          sums[0] = fma(centered, centered, sums[0]);
        },
        [&](Index r, const Pack<S>(&totals)[1])
            FUSEDLSTM_LAMBDA_INLINE { store(inverses + r, inverse_deviation(totals[0], groups.units)); });
  }
  // Saves the statistics of some rows for backward, beginning with this saved row.
  void save(Index rows, const Rows<S>& statistics, Index saved_row) const {
    for (int k = 0; k < NormStatistics::count; k++) copy(statistics_[k], rows, statistics.at(k) + saved_row);
  }

  // The pre-activations of a group and some rows, as a finished tile. The number of the panel is that of the group in
  // the unit shard.
  Tile<S> preactivations(const ForwardRange<S>& range, int group, Index first_row, int rows, const Rows<S>& x_part,
                         const Rows<S>& h_part) {
    const Groups<S>& groups = range.groups;
    const Index width = groups.width_of(group), from = group * groups.width();
    with_packets(groups.packets_of(group), [&](auto packets) FUSEDLSTM_LAMBDA_INLINE {
      add_parts<packets()>(range, from, first_row, rows, x_part, h_part);
    });
    if (range.sizes().carried_gates() > 0) {
      // The carried gates do not feed g, which comes first.
      const Index fed_from = groups.units_of(group), numbers = groups.gates * fed_from;
      for (int k = 0; k < rows; k++)
        for (Index j = fed_from; j < numbers; j += pack_size<S>) {
          S* z = z_ + k * width + j;
          const Index n = numbers - j;
          store_first(z, load_first(z, n) + load_first(gates_part_.at(first_row + k) + from + j, n), n);
        }
    }
    return {z_, width, first_row, rows, group - range.gate_shard.first, 1};
  }

  // argument = gain_c norm(c) + bias_c for a group and some rows.
  void scale_c(const ForwardRange<S>& range, int group, Index first_row, int rows, Grid<const S> c,
               Grid<S> argument) const {
    const Pack<S> gain = load(range.call.weights.gain_c + group * pack_size<S>);
    const Pack<S> bias = load(range.call.weights.bias_c + group * pack_size<S>);
    const S* means = statistics_[NormStatistics::c_mean] + first_row;
    const S* inverses = statistics_[NormStatistics::c_inverse] + first_row;
    for (int k = 0; k < rows; k++)
      store(argument.at(0, k), fma(gain, (load(c.at(0, k)) - fill(means[k])) * fill(inverses[k]), bias));
  }

 private:
  // Calls work(packets) with the number of packets, 1 to 4, as a compile-time constant.
  template <class Work>
  static FUSEDLSTM_INLINE void with_packets(int packets, Work&& work) {
    if (packets == 4) work(std::integral_constant<int, 4>());
    else if (packets == 3) work(std::integral_constant<int, 3>());
    else if (packets == 2) work(std::integral_constant<int, 2>());
    else work(std::integral_constant<int, 1>());
  }

  // The sums of the squares of the gates of a group, one packet per row.
  template <int Packets>
  static FUSEDLSTM_INLINE void square(const ForwardRange<S>& range, int group, Index first_row, Index rows,
                                      const Rows<S>& part, S* squares) {
    const Index stride = part.stride;
    const S* from = part.at(first_row) + group * range.groups.width();
    S* to = squares + (group * range.shard.rows + first_row) * pack_size<S>;
    for (Index r = 0; r < rows; r++, from += stride, to += pack_size<S>) {
      Pack<S> total = load(from) * load(from);
      FUSEDLSTM_UNROLL
      for (int j = 1; j < Packets; j++) {
        const Pack<S> value = load(from + j * pack_size<S>);
        total = fma(value, value, total);
      }
      store(to, total);
    }
  }

  // z of the packets [from, from + Packets) of some rows, without the carried gates.
  template <int Packets>
  void add_parts(const ForwardRange<S>& range, Index from, Index first_row, int rows, const Rows<S>& x_part,
                 const Rows<S>& h_part) {
    const PackedDirection<S>& weights = range.call.weights;
    Pack<S> bias[Packets], gain_ih[Packets], gain_hh[Packets];
    FUSEDLSTM_UNROLL
    for (int j = 0; j < Packets; j++) {
      const Index k = from + j * pack_size<S>;
      bias[j] = load(weights.bias + k);
      gain_ih[j] = load(weights.gain_ih + k);
      gain_hh[j] = load(weights.gain_hh + k);
    }
    const S *x_inverse = statistics_[NormStatistics::x_inverse], *h_inverse = statistics_[NormStatistics::h_inverse];
    S* z = z_;
    for (Index row = first_row; row < first_row + rows; row++, z += Packets * pack_size<S>) {
      const S *x = x_part.at(row) + from, *h = h_part.at(row) + from;
      const Pack<S> of_x = fill(x_inverse[row]), of_h = fill(h_inverse[row]);
      FUSEDLSTM_UNROLL
      for (int j = 0; j < Packets; j++) {
        const Pack<S> sum = fma(gain_ih[j], of_x * load(x + j * pack_size<S>), bias[j]);
        store(z + j * pack_size<S>, fma(gain_hh[j], of_h * load(h + j * pack_size<S>), sum));
      }
    }
  }

  bool used_;
  S* statistics_[NormStatistics::count] = {};  // [row]
  Rows<S> gates_part_;                         // W_gates [i, f, o]_prev as gate rows
  S* z_ = nullptr;                             // [row][gate row of a group]
};

}  // namespace fusedlstm
