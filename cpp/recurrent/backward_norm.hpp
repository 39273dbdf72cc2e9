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
    dz_ = arena.take<S>(groups_.gate_row_size(1));
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
      const auto gain = [&](int g) { return load(call_.gain_c + g * pack_size<S>); };
      const auto dnormalized = [&](Index k) FUSEDLSTM_LAMBDA_INLINE {
        const int g = int(k / pack_size<S>);
        return load_first(call_.gain_c + k, units - k) * load_first(dargument.at(g, r), units - k);
      };
      const auto normalized = [&](Index k) FUSEDLSTM_LAMBDA_INLINE {
        return norm.normalize(load_first(c.at(int(k / pack_size<S>), 0), units - k));
      };
      const NormGradient<S> gradient = norm_gradient<S>(units, dnormalized, normalized);
      for (int g = own.first; g < own.last; g++) {
        const Pack<S> d = load(dargument.at(g, r)), of_c = norm.normalize(load(c.at(g, 0)));
        add(sums_at(r) + sums_.gain_c + g * pack_size<S>, d * of_c);
        add(sums_at(r) + sums_.bias_c + g * pack_size<S>, d);
        add(dc.at(g, r), gradient(gain(g) * d, of_c, norm.inverse));
      }
    }
  }

  // The means of the gradients of the normalized parts, over all groups.
  void measure_parts(Index t, Index active) {
    const Index count = groups_.gates * groups_.units;
    for (Index r = 0; r < active; r++) {
      gather_dz(t, r, 0, groups_.count);
      for (int part = 0; part < 2; part++) {
        const S *gain = gain_of(part), *row = part_of(part).at(shard_.saved_row(t) + r);
        const NormOfRow<S> norm = norm_at(t, r, part);
        part_gradients_[2 * r + part] = norm_gradient<S>(
            count,
            [&](Index k)
                FUSEDLSTM_LAMBDA_INLINE { return load_first(gain + k, count - k) * load_first(dz_ + k, count - k); },
            [&](Index k) FUSEDLSTM_LAMBDA_INLINE { return norm.normalize(load_first(row + k, count - k)); });
      }
    }
  }
  // Replaces the parts of the own groups by their gradients.
  void differentiate_parts(Index t, Index active, const UnitShard& own) {
    const Index first = own.first * groups_.width();
    const Index last = own.last == groups_.count ? groups_.gate_row_size(1) : own.last * groups_.width();
    for (Index r = 0; r < active; r++) {
      gather_dz(t, r, own.first, own.last);
      for (Index j = first; j < last; j += pack_size<S>) add(sums_at(r) + sums_.bias + j, load(dz_ + j));
      for (int part = 0; part < 2; part++) {
        const NormOfRow<S> norm = norm_at(t, r, part);
        S* row = part_of(part).at(shard_.saved_row(t) + r);
        S* sums = sums_at(r) + (part == NormStatistics::x ? sums_.gain_ih : sums_.gain_hh);
        for (Index j = first; j < last; j += pack_size<S>) {
          const Pack<S> dz = load(dz_ + j), normalized = norm.normalize(load(row + j));
          add(sums + j, dz * normalized);
          store(row + j, part_gradients_[2 * r + part](load(gain_of(part) + j) * dz, normalized, norm.inverse));
        }
      }
    }
  }

 private:
  static FUSEDLSTM_INLINE void add(S* to, Pack<S> value) { store(to, load(to) + value); }
  S* sums_at(Index row) const { return call_.norm_sums.at(shard_.first_row + row); }
  const Rows<S>& part_of(int part) const { return part == NormStatistics::x ? saved_.x_part : saved_.h_part; }
  const S* gain_of(int part) const { return part == NormStatistics::x ? call_.gain_ih : call_.gain_hh; }
  NormOfRow<S> norm_at(Index t, Index row, int kind) const {
    const S* statistics = saved_.statistics.at(shard_.saved_row(t) + row);
    return {statistics[2 * kind], statistics[2 * kind + 1]};
  }
  // dz of one row and some groups, side by side.
  void gather_dz(Index t, Index row, int first, int last) {
    for (int g = first; g < last; g++)
      copy(saved_.gates_of(g, shard_.saved_row(t) + row), groups_.width_of(g), dz_ + g * groups_.width());
  }

  const BackwardCall<S>& call_;
  const RowShard& shard_;
  const SavedDirection<S>& saved_;
  Groups<S> groups_;
  NormSums<S> sums_;
  S* dz_ = nullptr;
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
