// Layer normalization in backward: from the gradient of z to those of W_ih x and W_hh h_prev, from the gradient of
// gain_c norm(c) + bias_c to that of c, and the gradients of the vectors. The gradient of a row is
//
//   drow = (dnormalized - mean(dnormalized) - normalized mean(dnormalized normalized)) inverse
#pragma once

#include "recurrent/backward_call.hpp"
#include "recurrent/row_norm.hpp"

namespace fusedlstm {

// The places of the vectors in a row of BackwardCall::norm_sums. The first three have one number per gate and unit.
template <class S>
struct NormSums {
  Index gain_ih, gain_hh, bias, gain_c, bias_c, count;
  explicit NormSums(const Groups<S>& groups)
      : gain_ih(0),
        gain_hh(groups.gate_row_size(1)),
        bias(2 * gain_hh),
        gain_c(3 * gain_hh),
        bias_c(gain_c + groups.padded_units()),
        count(bias_c + groups.padded_units()) {}
};

template <class S>
class BackwardNorm {
 public:
  BackwardNorm(const BackwardCall<S>& call, const RowShard& shard)
      : call_(call),
        shard_(shard),
        saved_(*call.saved),
        groups_(saved_.groups),
        sums_(groups_),
        block_(norm_block(call.shape.batch)) {}

  void lay_out(Arena& arena) {
    if (!call_.shape.sizes.layer_norm) return;
    for (RowGradients* part : {&x_, &h_, &c_})
      for (S** numbers : {&part->constant, &part->slope}) *numbers = arena.take<S>(whole_packets<S>(shard_.rows));
  }

  void clear_sums() {
    for (Index r = 0; r < shard_.rows && call_.norm_sums; r += block_) std::fill_n(sums_at(r), sums_.count, S(0));
  }

  // The functions compute the rows [begin, end) of step t. `begin` is a multiple of norm_row_block.

  // dc += the gradient of c, for the groups of a unit shard. dargument: the gradient of gain_c norm(c) + bias_c of all
  // groups.
  void add_to_dc(Index t, Index begin, Index end, const UnitShard& own, Grid<const S> dargument, Grid<S> dc) {
    const Grid<S> c = saved_.grid(saved_.c, 0, shard_.saved_row(t));
    const S *means = statistics(t, NormStatistics::c_mean), *inverses = statistics(t, NormStatistics::c_inverse);
    const auto normalized = [&](int g, Index r) FUSEDLSTM_LAMBDA_INLINE {
      return (load(c.at(g, r)) - fill(means[r])) * fill(inverses[r]);
    };
    const int last = groups_.count - 1;
    sum_rows<2, S>(
        begin, end,
        [&](Index r, Pack<S>(&sums)[2]) FUSEDLSTM_LAMBDA_INLINE {
          for (int g = 0; g <= last; g++) {
            Pack<S> d = load(call_.gain_c + g * pack_size<S>) * load(dargument.at(g, r)), value = normalized(g, r);
            if (g == last && groups_.is_tail(g)) {
              d = first_lanes(d, groups_.tail_units);
              value = first_lanes(value, groups_.tail_units);
            }
            sums[0] = sums[0] + d;
            sums[1] = fma(d, value, sums[1]);
          }
        },
        [&](Index r, const Pack<S>(&totals)[2]) FUSEDLSTM_LAMBDA_INLINE {
          const Pack<S> factor = fill(S(-1) / S(groups_.units)) * load(inverses + r);
          store(c_.constant + r, totals[0] * factor);
          store(c_.slope + r, totals[1] * factor);
        });
    for (Index first = begin; first < end; first += block_) {
      S* sums = sums_at(first);
      const Index last_row = std::min(first + block_, end);
      for (int g = own.first; g < own.last; g++) {
        const Pack<S> gain = load(call_.gain_c + g * pack_size<S>);
        Pack<S> of_gain = zero<S>(), of_bias = zero<S>();
        for (Index r = first; r < last_row; r++) {
          const Pack<S> d = load(dargument.at(g, r)), value = normalized(g, r);
          of_gain = fma(d, value, of_gain);
          of_bias = of_bias + d;
          add(dc.at(g, r), fma(gain * d, fill(inverses[r]), fma(value, fill(c_.slope[r]), fill(c_.constant[r]))));
        }
        add(sums + sums_.gain_c + g * pack_size<S>, of_gain);
        add(sums + sums_.bias_c + g * pack_size<S>, of_bias);
      }
    }
  }

  // The means of the gradients of the normalized parts, over all groups.
  void measure_parts(Index t, Index begin, Index end) {
    const Index row = shard_.saved_row(t);
    const int whole = groups_.is_tail(groups_.count - 1) ? groups_.count - 1 : groups_.count;
    sum_rows<4, S>(
        begin, end,
        [&](Index r, Pack<S>(&sums)[4]) FUSEDLSTM_LAMBDA_INLINE {
          const S *x = saved_.x_part.at(row + r), *h = saved_.h_part.at(row + r);
          const auto add_packet = [&](Index k, Pack<S> d) FUSEDLSTM_LAMBDA_INLINE {
            const Pack<S> dx = load(call_.gain_ih + k) * d, dh = load(call_.gain_hh + k) * d;
            sums[0] = sums[0] + dx;
            sums[1] = fma(dx, load(x + k), sums[1]);
            sums[2] = sums[2] + dh;
            sums[3] = fma(dh, load(h + k), sums[3]);
          };
          const Index width = groups_.width();
          for (int g = 0; g < whole; g++) {
            const S* dz = saved_.gate_grid(g, row + r).at(0, 0);
            for (Index j = 0; j < width; j += pack_size<S>) add_packet(g * width + j, load(dz + j));
          }
          if (whole == groups_.count) return;
          const S* dz = saved_.gate_grid(whole, row + r).at(0, 0);
          const Index numbers = groups_.gates * Index(groups_.tail_units);
          for (Index j = 0; j < numbers; j += pack_size<S>)
            add_packet(whole * width + j, load_first(dz + j, numbers - j));
        },
        [&](Index r, const Pack<S>(&totals)[4]) FUSEDLSTM_LAMBDA_INLINE {
          const Pack<S> factor = fill(S(-1) / S(groups_.gates * groups_.units));
          const auto finish = [&](const RowGradients& part, int kind, Pack<S> total, Pack<S> along) {
            const Pack<S> inverse = load(statistics(t, kind) + r);
            store(part.constant + r, total * factor * inverse);
            store(part.slope + r, along * factor * inverse * inverse * inverse);
          };
          finish(x_, NormStatistics::x_inverse, totals[0], totals[1]);
          finish(h_, NormStatistics::h_inverse, totals[2], totals[3]);
        });
  }
  // Replaces the parts of the own groups by their gradients.
  void differentiate_parts(Index t, Index begin, Index end, const UnitShard& own) {
    for (Index r = begin; r < end; r += block_) {
      const Index rows = std::min(block_, end - r);
      if (rows == 4) differentiate_rows<4>(t, r, own);
      else if (rows == 3) differentiate_rows<3>(t, r, own);
      else if (rows == 2) differentiate_rows<2>(t, r, own);
      else differentiate_rows<1>(t, r, own);
    }
  }

 private:
  // The gradient of a row is inverse dnormalized + slope value + constant. Of c, `value` is the normalized number.
  struct RowGradients {
    S *constant = nullptr, *slope = nullptr;  // [row]
  };

  template <int Count>
  void differentiate_rows(Index t, Index first, const UnitShard& own) {
    const Index row = shard_.saved_row(t) + first;
    const S *x_inverse = statistics(t, NormStatistics::x_inverse) + first, *x_slope = x_.slope + first;
    const S *h_inverse = statistics(t, NormStatistics::h_inverse) + first, *h_slope = h_.slope + first;
    const S *x_constant = x_.constant + first, *h_constant = h_.constant + first;
    const S *gain_ih = call_.gain_ih, *gain_hh = call_.gain_hh;
    S *x = saved_.x_part.at(row), *h = saved_.h_part.at(row), *sums = sums_at(first);
    const Index x_stride = saved_.x_part.stride, h_stride = saved_.h_part.stride;
    const NormSums<S> at = sums_;
    for (int g = own.first; g < own.last; g++) {
      const Grid<S> dz = saved_.gate_grid(g, row);
      const Index width = groups_.width_of(g), from = g * groups_.width();
      for (Index j = 0; j < width; j += pack_size<S>) {
        const Index k = from + j;
        const Pack<S> of_ih = load(gain_ih + k), of_hh = load(gain_hh + k);
        Pack<S> bias = zero<S>(), ih = zero<S>(), hh = zero<S>();
        FUSEDLSTM_UNROLL
        for (int r = 0; r < Count; r++) {
          const Pack<S> d = load(dz.at(0, r) + j), value_x = load(x + r * x_stride + k);
          const Pack<S> value_h = load(h + r * h_stride + k), dx = d * fill(x_inverse[r]), dh = d * fill(h_inverse[r]);
          bias = bias + d;
          ih = fma(dx, value_x, ih);
          hh = fma(dh, value_h, hh);
          store(x + r * x_stride + k, fma(dx, of_ih, fma(value_x, fill(x_slope[r]), fill(x_constant[r]))));
          store(h + r * h_stride + k, fma(dh, of_hh, fma(value_h, fill(h_slope[r]), fill(h_constant[r]))));
        }
        add(sums + at.bias + k, bias);
        add(sums + at.gain_ih + k, ih);
        add(sums + at.gain_hh + k, hh);
      }
    }
  }

  static FUSEDLSTM_INLINE void add(S* to, Pack<S> value) { store(to, load(to) + value); }
  S* sums_at(Index row) const { return call_.norm_sums.at((shard_.first_row + row) / block_); }
  // One of NormStatistics of all rows at a step.
  const S* statistics(Index t, int kind) const { return saved_.statistics.at(kind) + shard_.saved_row(t); }

  const BackwardCall<S>& call_;
  const RowShard& shard_;
  const SavedDirection<S>& saved_;
  Groups<S> groups_;
  NormSums<S> sums_;
  const Index block_;
  RowGradients x_, h_, c_;
};

// Adds the gradients of the vectors: the sums over the blocks of rows, in their order.
template <class S>
void add_norm_gradients(const BackwardCall<S>& call) {
  const Groups<S>& groups = call.saved->groups;
  const GateLayout& gates = call.shape.sizes.gates;
  const NormSums<S> places(groups);
  const auto total = [&](Index place) {
    S sum = 0;
    for (Index k = 0; k * norm_block(call.shape.batch) < call.shape.batch; k++) sum += call.norm_sums.at(k)[place];
    return sum;
  };
  for (int group = 0; group < groups.count; group++) {
    const int units = groups.units_of(group);
    for (int u = 0; u < units; u++) {
      const Index unit = Index(group) * pack_size<S> + u;
      call.gradients.gain_c[unit] += total(places.gain_c + unit);
      call.gradients.bias_c[unit] += total(places.bias_c + unit);
      for (int gate = 0; gate < groups.gates; gate++) {
        const Index from = group * groups.width() + gate * units + u;
        const Index to = gates.bias[gate] * groups.units + unit;
        call.gradients.gain_ih[to] += total(places.gain_ih + from);
        call.gradients.gain_hh[to] += total(places.gain_hh + from);
        call.gradients.bias[to] += total(places.bias + from);
      }
    }
  }
}

}  // namespace fusedlstm
