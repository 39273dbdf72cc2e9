// Random masks of a recurrent layer in training, and their expected values at inference.
//
// A mask is a function only of its counter: key, kind, direction, row of the caller's batch, step and unit. Steps are
// counted in the order in which the layer takes them. The step is 0 for recurrent dropout, whose mask is the same at
// all steps. Backward computes the masks of forward again. Threads, batch splits and the order of the work do not
// change them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/memory.hpp"
#include "simd/packets.hpp"

namespace fusedlstm {

enum class Mask : std::uint64_t { recurrent, candidate, zoneout_h, zoneout_c };

struct Regularizers {
  bool training = false;  // draw masks; otherwise masks have their expected values
  std::uint64_t key = 0;
  double recurrent_dropout = 0;  // of h_prev in the product, one mask per sequence (Gal and Ghahramani 2016)
  double candidate_dropout = 0;  // of the candidate, one mask per step (Semeniuta, Severyn and Barth 2016)
  double zoneout_h = 0;          // h and c keep their values of the previous step (Krueger et al. 2017)
  double zoneout_c = 0;

  // Dropout is scaled in training and has no effect at inference.
  bool drops_h() const { return training && recurrent_dropout > 0; }
  bool drops_candidate() const { return training && candidate_dropout > 0; }
  bool zones_out() const { return zoneout_h > 0 || zoneout_c > 0; }
};

namespace detail {

// The finalizers of SplitMix64 and of a 32-bit multiply-xorshift hash.
inline std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
FUSEDLSTM_INLINE std::uint32_t mix(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

}  // namespace detail

// The values of a mask. Dropout: 0 with probability `rate`, otherwise 1 / (1 - rate). Zoneout: 1 (keep the previous
// value) with probability `rate`, otherwise 0; at inference, the rate.
template <class S>
class MaskDistribution {
 public:
  MaskDistribution(const Regularizers& all, Mask kind) {
    const double rates[] = {all.recurrent_dropout, all.candidate_dropout, all.zoneout_h, all.zoneout_c};
    const double rate = rates[static_cast<int>(kind)];
    const bool dropout = kind == Mask::recurrent || kind == Mask::candidate;
    drawn = all.training && rate > 0;
    expected = dropout ? S(1) : S(rate);
    below_threshold_ = dropout ? S(0) : S(1);
    above_threshold_ = dropout ? S(1 / (1 - rate)) : S(0);
    threshold_ = std::uint32_t(rate * 4294967296.0);  // rate < 1
  }
  FUSEDLSTM_INLINE S value(std::uint32_t hash) const { return hash < threshold_ ? below_threshold_ : above_threshold_; }

  bool drawn;
  S expected;  // of all units, if the mask is not drawn

 private:
  S below_threshold_, above_threshold_;
  std::uint32_t threshold_;
};

// The hash of a counter: a hash of the unit, combined with a hash of kind, row and step. Both are well mixed, and only
// the high bits of the result matter. `combine` can therefore do less than `mix`.
class CounterHash {
 public:
  CounterHash(const Regularizers& all, int direction)
      : seed_(detail::mix(all.key + std::uint64_t(direction + 1) * odd)) {}
  FUSEDLSTM_INLINE std::uint32_t unit(Index u) const {
    return detail::mix(std::uint32_t(seed_) + std::uint32_t(u) * std::uint32_t(odd));
  }
  std::uint64_t row(Mask kind, Index r) const {
    return detail::mix(detail::mix(seed_ + (std::uint64_t(kind) + 1) * odd) + std::uint64_t(r) * odd);
  }
  static FUSEDLSTM_INLINE std::uint64_t step(std::uint64_t row, Index t) {
    return detail::mix(row + std::uint64_t(t) * odd);
  }
  static FUSEDLSTM_INLINE std::uint32_t combine(std::uint32_t unit, std::uint64_t step) {
    const std::uint32_t x = (unit ^ std::uint32_t(step)) * 0x7feb352du;
    return (x ^ (x >> 15) ^ std::uint32_t(step >> 32)) * 0x846ca68bu;
  }

 private:
  static constexpr std::uint64_t odd = 0x9e3779b97f4a7c15u;
  std::uint64_t seed_;
};

// The masks of one kind, [row][unit], for rows that take their steps together. `units` fills whole packets.
template <class S>
class RowMasks {
 public:
  RowMasks(const Regularizers& all, Mask kind, Index rows, Index units, bool wanted)
      : distribution_(all, kind), kind_(kind), rows_(wanted ? rows : 0), units_(units) {}
  explicit operator bool() const { return rows_ > 0; }

  void lay_out(Arena& arena) {
    if (rows_ == 0) return;
    values_ = arena.take<S>(rows_ * units_);
    if (distribution_.drawn) row_hashes_ = arena.take<std::uint64_t>(rows_);
  }
  // row_of(r): the caller's number of the row r.
  template <class RowOf>
  void start(const CounterHash& hash, RowOf&& row_of) {
    if (rows_ == 0) return;
    if (!distribution_.drawn) return std::fill(values_, values_ + rows_ * units_, distribution_.expected);
    for (Index r = 0; r < rows_; r++) row_hashes_[r] = hash.row(kind_, row_of(r));
  }
  // Draws the masks of step t for the first `rows` rows.
  void draw(Index t, Index rows, const std::uint32_t* unit_hashes) {
    if (rows_ == 0 || !distribution_.drawn) return;
    const MaskDistribution<S> distribution = distribution_;  // a copy, which the stores below cannot alias
    const Index units = units_;
    for (Index r = 0; r < rows; r++) {
      const std::uint64_t step = CounterHash::step(row_hashes_[r], t);
      S* value = values_ + r * units;
      for (Index u = 0; u < units; u++) value[u] = distribution.value(CounterHash::combine(unit_hashes[u], step));
    }
  }
  S* values() const { return values_; }

 private:
  MaskDistribution<S> distribution_;
  Mask kind_;
  Index rows_, units_;
  S* values_ = nullptr;
  std::uint64_t* row_hashes_ = nullptr;
};

// All masks of rows that take their steps together.
template <class S>
class LayerMasks {
 public:
  // units: of c. outputs: units of h. Both fill whole packets.
  LayerMasks(const Regularizers& all, int direction, Index rows, Index units, Index outputs)
      : recurrent(all, Mask::recurrent, rows, outputs, all.drops_h()),
        candidate(all, Mask::candidate, rows, units, all.drops_candidate()),
        zoneout_h(all, Mask::zoneout_h, rows, outputs, all.zoneout_h > 0),
        zoneout_c(all, Mask::zoneout_c, rows, units, all.zoneout_c > 0),
        hash_(all, direction),
        units_(recurrent || candidate || zoneout_h || zoneout_c ? std::max(units, outputs) : 0) {}
  void lay_out(Arena& arena) {
    if (units_ == 0) return;
    unit_hashes_ = arena.take<std::uint32_t>(units_);
    for (RowMasks<S>* masks : {&recurrent, &candidate, &zoneout_h, &zoneout_c}) masks->lay_out(arena);
  }
  template <class RowOf>
  void start(Index rows, RowOf&& row_of) {
    for (Index u = 0; u < units_; u++) unit_hashes_[u] = hash_.unit(u);
    for (RowMasks<S>* masks : {&recurrent, &candidate, &zoneout_h, &zoneout_c}) masks->start(hash_, row_of);
    recurrent.draw(0, rows, unit_hashes_);
  }
  void draw(Index t, Index rows) {
    for (RowMasks<S>* masks : {&candidate, &zoneout_h, &zoneout_c}) masks->draw(t, rows, unit_hashes_);
  }

  RowMasks<S> recurrent, candidate, zoneout_h, zoneout_c;

 private:
  CounterHash hash_;
  Index units_;
  std::uint32_t* unit_hashes_ = nullptr;
};

}  // namespace fusedlstm
