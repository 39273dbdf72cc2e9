// The peak of a CPU, for benchmarks: independent multiply-adds on registers.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "runtime/team.hpp"

namespace fusedlstm {

namespace detail {

// Floating-point operations per second of chains of multiply-adds, where each depends on the one before.
template <class S, int chains>
double rate_of_chains(double seconds, int threads) {
  constexpr long burst = 2400000 / chains;
  std::vector<double> rates(std::size_t(threads), 0.0);
  run_full_team(threads, [&](const Team& team) {
    Pack<S> sums[chains];
    for (int c = 0; c < chains; c++) sums[c] = fill(S(1 + c));
    Pack<S> factor = fill(S(0.999)), term = fill(S(0.001));
    keep_in_register(factor);
    keep_in_register(term);
    double done = 0, elapsed = 0;
    team.wait_for_all();
    const auto start = Clock::now();
    while (elapsed < seconds) {
      for (long k = 0; k < burst; k++) {
        FUSEDLSTM_UNROLL
        for (int c = 0; c < chains; c++) sums[c] = fma(sums[c], factor, term);
      }
      done += 2.0 * burst * chains * pack_size<S>;
      elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    }
    Pack<S> all = sums[0];
    for (int c = 1; c < chains; c++) all = all + sums[c];
    // The use of the sum keeps the compiler from removing the loop. The sum is finite and positive.
    rates[std::size_t(team.member())] = sum(all) > S(0) ? done / elapsed : 0.0;
  });
  double total = 0;
  for (double rate : rates) total += rate;
  return total;
}

}  // namespace detail

// Floating-point operations per second on this many threads, over at least `seconds`.
template <class S>
double multiply_add_peak(double seconds, int threads) {
  return detail::rate_of_chains < S, vector_registers == 32 ? 24 : 12 > (seconds, threads);
}

// The number of multiply-adds of whole registers that a core completes in the latency of one. With a latency of 4
// cycles: 8 with two units as wide as a register, 4 with two units half as wide. Each rate is the best of five, because
// other processes slow down some.
template <class S>
double multiply_add_overlap(double seconds) {
  double loop = 0, chain = 0;
  for (int k = 0; k < 5; k++) {
    loop = std::max(loop, multiply_add_peak<S>(seconds, 1));
    chain = std::max(chain, detail::rate_of_chains<S, 1>(seconds, 1));
  }
  return loop / chain;
}

// Compiled in kernels.cpp.
extern template double multiply_add_peak<float>(double, int);
extern template double multiply_add_peak<double>(double, int);
extern template double multiply_add_overlap<float>(double);

}  // namespace fusedlstm
