// The peak of a CPU, for benchmarks: independent multiply-adds on registers.
#pragma once

#include <algorithm>
#include <chrono>

#include "runtime/team.hpp"

namespace fusedlstm {

// Floating-point operations per second on this many threads, over at least `seconds`.
template <class S>
double multiply_add_peak(double seconds, int threads) {
  constexpr int chains = vector_registers == 32 ? 24 : 12;
  constexpr long burst = 100000;
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

// Compiled in kernels.cpp.
extern template double multiply_add_peak<float>(double, int);
extern template double multiply_add_peak<double>(double, int);

}  // namespace fusedlstm
