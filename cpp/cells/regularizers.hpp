// Random masks of a recurrent layer in training, and what stands for them at inference.
//
// A mask is a function of its place - key, kind, direction, row of the caller's batch, step, unit - and of nothing
// else: backward draws again what forward drew, and threads, batch splits and the order of the work change nothing.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/memory.hpp"
#include "simd/packets.hpp"

namespace fusedlstm {

enum class Mask : std::uint64_t { recurrent, candidate, zoneout_hidden, zoneout_state };

struct Regularisers {
  bool training = false;  // masks are drawn; otherwise they have their expected value
  std::uint64_t key = 0;
  double recurrent_dropout = 0;  // of h on its way into the product, one mask a sequence (Gal and Ghahramani 2016)
  double candidate_dropout = 0;  // of the candidate, a mask a step (Semeniuta, Severyn and Barth 2016)
  double zoneout_hidden = 0;     // h and c keep their values from the step before (Krueger et al. 2017)
  double zoneout_state = 0;

  // Whether they do anything; dropout is scaled in training, so that it vanishes at inference.
  bool drops_hidden() const { return training && recurrent_dropout > 0; }
  bool drops_candidate() const { return training && candidate_dropout > 0; }
  bool zones_out() const { return zoneout_hidden > 0 || zoneout_state > 0; }
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

// Where a mask of one row stands. `step` counts from the start of the row's own run; 0 for a mask of a sequence.
struct MaskPlace {
  Mask kind;
  int direction;
  Index row, step;
};

// A mask's rate and values. Dropout: 0 or 1 / (1 - rate). Zoneout: 1 where the old value stays, else 0; at inference
// the rate.
template <class S>
class MaskLaw {
 public:
  MaskLaw(const Regularisers& all, Mask kind) {
    const double rates[] = {all.recurrent_dropout, all.candidate_dropout, all.zoneout_hidden, all.zoneout_state};
    const double rate = rates[static_cast<int>(kind)];
    const bool dropout = kind == Mask::recurrent || kind == Mask::candidate;
    drawn = all.training && rate > 0;
    expected = dropout ? S(1) : S(rate);
    hit_ = dropout ? S(0) : S(1);
    missed_ = dropout ? S(1 / (1 - rate)) : S(0);
    threshold_ = std::uint32_t(rate * 4294967296.0);  // rate < 1
  }
  FUSEDLSTM_INLINE S value(std::uint32_t number) const { return number < threshold_ ? hit_ : missed_; }

  bool drawn;
  S expected;  // of all units, where it is not drawn

 private:
  S hit_, missed_;
  std::uint32_t threshold_;
};

// The numbers that decide masks: mixed from one of the unit and one of kind, row and step. Both are mixed already and
// only the high bits count, so that less than a whole mixing does.
class MaskNumbers {
 public:
  MaskNumbers(const Regularisers& all, int direction)
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
  static FUSEDLSTM_INLINE std::uint32_t number(std::uint32_t unit, std::uint64_t step) {
    const std::uint32_t x = (unit ^ std::uint32_t(step)) * 0x7feb352du;
    return (x ^ (x >> 15) ^ std::uint32_t(step >> 32)) * 0x846ca68bu;
  }

 private:
  static constexpr std::uint64_t odd = 0x9e3779b97f4a7c15u;
  std::uint64_t seed_;
};

template <class S>
void draw_mask(const Regularisers& all, const MaskPlace& place, Index units, S* mask) {
  const MaskLaw<S> law(all, place.kind);
  if (!law.drawn) return std::fill(mask, mask + units, law.expected);
  const MaskNumbers numbers(all, place.direction);
  const std::uint64_t step = MaskNumbers::step(numbers.row(place.kind, place.row), place.step);
  for (Index u = 0; u < units; u++) mask[u] = law.value(MaskNumbers::number(numbers.unit(u), step));
}

// Masks of one kind, [row][unit], for rows that go through their steps together; the units are whole packets.
template <class S>
class RowMasks {
 public:
  RowMasks(const Regularisers& all, Mask kind, Index rows, Index units, bool wanted)
      : law_(all, kind), kind_(kind), rows_(wanted ? rows : 0), units_(units) {}
  explicit operator bool() const { return rows_ > 0; }

  void lay_out(Carver& carver) {
    if (rows_ == 0) return;
    values_ = carver.take<S>(rows_ * units_);
    if (law_.drawn) of_rows_ = carver.take<std::uint64_t>(rows_);
  }
  // row_of(r): the caller's number of the row r.
  template <class RowOf>
  void start(const MaskNumbers& numbers, RowOf&& row_of) {
    if (rows_ == 0) return;
    if (!law_.drawn) return std::fill(values_, values_ + rows_ * units_, law_.expected);
    for (Index r = 0; r < rows_; r++) of_rows_[r] = numbers.row(kind_, row_of(r));
  }
  // Those of step t, of the first `rows` rows.
  void draw(Index t, Index rows, const std::uint32_t* of_units) {
    if (rows_ == 0 || !law_.drawn) return;
    const MaskLaw<S> law = law_;  // a copy of its own: what is written cannot change it
    const Index units = units_;
    for (Index r = 0; r < rows; r++) {
      const std::uint64_t step = MaskNumbers::step(of_rows_[r], t);
      S* value = values_ + r * units;
      for (Index u = 0; u < units; u++) value[u] = law.value(MaskNumbers::number(of_units[u], step));
    }
  }
  S* values() const { return values_; }

 private:
  MaskLaw<S> law_;
  Mask kind_;
  Index rows_, units_;
  S* values_ = nullptr;
  std::uint64_t* of_rows_ = nullptr;
};

// All masks of rows that go through their steps together.
template <class S>
class LayerMasks {
 public:
  LayerMasks(const Regularisers& all, int direction, Index rows, Index units)
      : recurrent(all, Mask::recurrent, rows, units, all.drops_hidden()),
        candidate(all, Mask::candidate, rows, units, all.drops_candidate()),
        hidden(all, Mask::zoneout_hidden, rows, units, all.zoneout_hidden > 0),
        state(all, Mask::zoneout_state, rows, units, all.zoneout_state > 0),
        numbers_(all, direction),
        units_(recurrent || candidate || hidden || state ? units : 0) {}
  void lay_out(Carver& carver) {
    if (units_ == 0) return;
    of_units_ = carver.take<std::uint32_t>(units_);
    for (RowMasks<S>* masks : {&recurrent, &candidate, &hidden, &state}) masks->lay_out(carver);
  }
  template <class RowOf>
  void start(Index rows, RowOf&& row_of) {
    for (Index u = 0; u < units_; u++) of_units_[u] = numbers_.unit(u);
    for (RowMasks<S>* masks : {&recurrent, &candidate, &hidden, &state}) masks->start(numbers_, row_of);
    recurrent.draw(0, rows, of_units_);
  }
  void draw(Index t, Index rows) {
    for (RowMasks<S>* masks : {&candidate, &hidden, &state}) masks->draw(t, rows, of_units_);
  }

  RowMasks<S> recurrent, candidate, hidden, state;

 private:
  MaskNumbers numbers_;
  Index units_;
  std::uint32_t* of_units_ = nullptr;
};

}  // namespace fusedlstm
