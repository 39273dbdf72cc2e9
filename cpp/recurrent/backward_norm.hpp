// Layer normalization in backward: from the gradient of z to those of W_ih x and W_hh h_prev, from the gradient of
// gain_c norm(c) + bias_c to that of c, and the gradients of the vectors.
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
      : call_(call), shard_(shard), saved_(*call.saved), groups_(saved_.groups), sums_(groups_) {}

  void lay_out(Arena& arena) {
    if (!call_.shape.sizes.layer_norm) return;
    part_gradients_ = arena.take<NormGradient<S>>(2 * shard_.rows);
  }

  void clear_sums() {
    for (Index r = 0; r < shard_.rows && call_.norm_sums; r++) std::fill_n(sums_at(r), sums_.count, S(0));
  }

  // dc += the gradient of c, for the groups of a unit shard. dargument: the gradient of gain_c norm(c) + bias_c of all
  // groups.
  void add_to_dc(Index t, Index active, const UnitShard& own, Grid<const S> dargument, Grid<S> dc) {
    const Index units = groups_.units;
    for (Index r = 0; r < active; r++) {
      const NormOfRow<S> norm = norm_at(t, r, NormStatistics::c);
      const Grid<S> c = saved_.grid(saved_.c, 0, shard_.saved_row(t) + r);
      const auto normalized = [&](Index g) FUSEDLSTM_LAMBDA_INLINE { return norm.normalize(load(c.at(g, 0))); };
      const auto dnormalized = [&](Index g) FUSEDLSTM_LAMBDA_INLINE {
        return load(call_.gain_c + g * pack_size<S>) * load(dargument.at(g, r));
      };
      NormGradientSums<S> sums;
      for_packets_of<S>(units, [&](Index k, bool all) FUSEDLSTM_LAMBDA_INLINE {
        const Index g = k / pack_size<S>;
        sums.add(all ? dnormalized(g) : first_lanes(dnormalized(g), units - k),
                 all ? normalized(g) : first_lanes(normalized(g), units - k));
      });
      const NormGradient<S> gradient = sums.means(units);
      for (int g = own.first; g < own.last; g++) {
        const Pack<S> d = load(dargument.at(g, r)), of_c = normalized(g);
        add(sums_at(r) + sums_.gain_c + g * pack_size<S>, d * of_c);
        add(sums_at(r) + sums_.bias_c + g * pack_size<S>, d);
        add(dc.at(g, r), gradient(dnormalized(g), of_c, norm.inverse));
      }
    }
  }

  // The means of the gradients of the normalized parts, over all groups.
  void measure_parts(Index t, Index active) {
    const Index count = groups_.gates * groups_.units;
    for (Index r = 0; r < active; r++) {
      const Index saved_row = shard_.saved_row(t) + r;
      const NormOfRow<S> x_norm = norm_at(t, r, NormStatistics::x), h_norm = norm_at(t, r, NormStatistics::h);
      const S *x = saved_.x_part.at(saved_row), *h = saved_.h_part.at(saved_row);
      NormGradientSums<S> x_sums, h_sums;
      for_groups(saved_row, 0, groups_.count, [&](Index first, Index width, const S* dz) FUSEDLSTM_LAMBDA_INLINE {
        for (Index j = 0; j < width; j += pack_size<S>) {
          const Index k = first + j;
          Pack<S> d = load(dz + j), of_x = x_norm.normalize(load(x + k)), of_h = h_norm.normalize(load(h + k));
          if (k + pack_size<S> > count) {
            d = first_lanes(d, count - k);
            of_x = first_lanes(of_x, count - k);
            of_h = first_lanes(of_h, count - k);
          }
          x_sums.add(load(call_.gain_ih + k) * d, of_x);
          h_sums.add(load(call_.gain_hh + k) * d, of_h);
        }
      });
      part_gradients_[2 * r] = x_sums.means(count);
      part_gradients_[2 * r + 1] = h_sums.means(count);
    }
  }
  // Replaces the parts of the own groups by their gradients.
  void differentiate_parts(Index t, Index active, const UnitShard& own) {
    for (Index r = 0; r < active; r++) {
      const Index saved_row = shard_.saved_row(t) + r;
      const NormOfRow<S> x_norm = norm_at(t, r, NormStatistics::x), h_norm = norm_at(t, r, NormStatistics::h);
      const NormGradient<S> x_gradient = part_gradients_[2 * r], h_gradient = part_gradients_[2 * r + 1];
      S *x = saved_.x_part.at(saved_row), *h = saved_.h_part.at(saved_row), *sums = sums_at(r);
      for_groups(saved_row, own.first, own.last, [&](Index first, Index width, const S* dz) FUSEDLSTM_LAMBDA_INLINE {
        for (Index j = 0; j < width; j += pack_size<S>) {
          const Index k = first + j;
          const Pack<S> d = load(dz + j), of_x = x_norm.normalize(load(x + k)), of_h = h_norm.normalize(load(h + k));
          add(sums + sums_.bias + k, d);
          add(sums + sums_.gain_ih + k, d * of_x);
          add(sums + sums_.gain_hh + k, d * of_h);
          store(x + k, x_gradient(load(call_.gain_ih + k) * d, of_x, x_norm.inverse));
          store(h + k, h_gradient(load(call_.gain_hh + k) * d, of_h, h_norm.inverse));
        }
      });
    }
  }

 private:
  static FUSEDLSTM_INLINE void add(S* to, Pack<S> value) { store(to, load(to) + value); }
  S* sums_at(Index row) const { return call_.norm_sums.at(shard_.first_row + row); }
  NormOfRow<S> norm_at(Index t, Index row, int kind) const {
    const S* statistics = saved_.statistics.at(shard_.saved_row(t) + row);
    return {statistics[2 * kind], statistics[2 * kind + 1]};
  }
  // Calls work(first number, numbers, dz) for the groups [first, last) of a row.
  template <class Work>
  FUSEDLSTM_INLINE void for_groups(Index saved_row, int first, int last, Work&& work) const {
    for (int g = first; g < last; g++)
      work(g * groups_.width(), groups_.width_of(g), saved_.gate_grid(g, saved_row).at(0, 0));
  }

  const BackwardCall<S>& call_;
  const RowShard& shard_;
  const SavedDirection<S>& saved_;
  Groups<S> groups_;
  NormSums<S> sums_;
  NormGradient<S>* part_gradients_ = nullptr;  // [row][part]
};

// Adds the gradients of the vectors: the sums over the rows, in their order.
template <class S>
void add_norm_gradients(const BackwardCall<S>& call) {
  const Groups<S>& groups = call.saved->groups;
  const GateLayout& gates = call.shape.sizes.gates;
  const NormSums<S> places(groups);
  const auto total = [&](Index place) {
    S sum = 0;
    for (Index row = 0; row < call.shape.batch; row++) sum += call.norm_sums.at(row)[place];
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
