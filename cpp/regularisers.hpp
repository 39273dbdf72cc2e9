// Random masks of a recurrent layer in training, and what stands for them at inference.
//
// A mask is a function of its place - key, kind, direction, row of the caller's batch, step, unit - and of nothing
// else: backward draws again what forward drew, and threads, batch splits and the order of the work change nothing.
#pragma once

#include <algorithm>
#include <cstdint>

#include "simd.hpp"

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

// Dropout: 0 or 1 / (1 - rate). Zoneout: 1 where the old value stays, else 0; at inference the rate.
template <class S>
void draw_mask(const Regularisers& all, const MaskPlace& place, Index units, S* mask) {
  const double rates[] = {all.recurrent_dropout, all.candidate_dropout, all.zoneout_hidden, all.zoneout_state};
  const double rate = rates[static_cast<int>(place.kind)];
  const bool dropout = place.kind == Mask::recurrent || place.kind == Mask::candidate;
  if (!all.training || rate == 0) return std::fill(mask, mask + units, dropout ? S(1) : S(rate));

  std::uint64_t seed = all.key;
  for (std::uint64_t part : {std::uint64_t(place.kind) * 2 + std::uint64_t(place.direction), std::uint64_t(place.row),
                             std::uint64_t(place.step)})
    seed = detail::mix(seed + (part + 1) * 0x9e3779b97f4a7c15u);
  const auto low = std::uint32_t(seed), high = std::uint32_t(seed >> 32);
  const auto threshold = std::uint32_t(rate * 4294967296.0);  // rate < 1
  const S hit = dropout ? S(0) : S(1), missed = dropout ? S(1 / (1 - rate)) : S(0);
  for (Index u = 0; u < units; u++) {
    const std::uint32_t number = detail::mix(detail::mix(low + std::uint32_t(u) * 0x9e3779b9u) ^ high);
    mask[u] = number < threshold ? hit : missed;
  }
}

}  // namespace fusedlstm
