// The speed of the parts of an LSTM step from L1, for benchmarks: the product in register tiles, and the equations on a
// finished tile. Together they limit the speed of a layer.
#pragma once

#include "cells/list.hpp"
#include "product/panel_product.hpp"
#include "runtime/team.hpp"

namespace fusedlstm {

// Work per second of all threads together.
struct TileRates {
  double product = 0;  // floating-point operations
  // Hidden units of one row and step, in the equations:
  double forward = 0;  // without saved activations
  double saving = 0;   // with saved activations
  double backward = 0;
  TileRates operator+(const TileRates& other) const {
    return {product + other.product, forward + other.forward, saving + other.saving, backward + other.backward};
  }
};

namespace detail {

// Calls per second of the fastest burst within about `seconds`: other processes slow down some bursts.
template <class Work>
double call_rate(double seconds, Work&& work) {
  constexpr int burst = 32;
  double least = 1e300;
  const Clock::time_point start = Clock::now();
  Clock::time_point before = start;
  while (std::chrono::duration<double>(before - start).count() < seconds) {
    for (int k = 0; k < burst; k++) work();
    const Clock::time_point now = Clock::now();
    least = std::min(least, std::chrono::duration<double>(now - before).count());
    before = now;
  }
  return burst / least;
}

template <class S, std::size_t N>
void fill_with_fractions(S (&values)[N]) {
  for (std::size_t k = 0; k < N; k++) values[k] = S(int(k % 17) - 8) / S(16);
}

// One thread. All arrays of a measurement together take less than 32 KB.
template <class S>
TileRates tile_rates_of_thread(double seconds) {
  constexpr int rows = epilogue_rows, size = pack_size<S>, width = max_packets * size;
  TileRates rates;
  {
    // The same k four times: a long sum, so that the start and the end of a tile hardly count.
    constexpr int depth = 48, repeats = 4;
    alignas(64) S panel[depth * width];
    alignas(64) S a[rows * depth];
    fill_with_fractions(panel);
    fill_with_fractions(a);
    const OperandA<S> once = {a, depth, 0, depth};
    const OperandA<S> operands[repeats] = {once, once, once, once};
    const PanelProduct<S> product(Panels<S>{panel, 0, 1, 1, max_packets, max_packets}, rows);
    rates.product = 2.0 * rows * width * depth * repeats *
                    call_rate(seconds, [&] { product.compute(operands, repeats, {}, [](const Tile<S>&) {}); });
  }
  alignas(64) S z[rows * width];
  alignas(64) S gates[rows * width];
  alignas(64) S states[5][rows * size];
  fill_with_fractions(z);
  fill_with_fractions(gates);
  for (auto& state : states) fill_with_fractions(state);
  const auto grid = [&](int k) { return Grid<S>{states[k], 0, size}; };
  CellSpec spec;
  spec.family = "lstm";
  const Cell<S> cell = make_cell<S>(spec);

  ForwardTile<S> forward;
  forward.spec = &cell.spec;
  forward.groups = 1;
  forward.rows = rows;
  forward.z = {z, 0, width};
  forward.c_prev = grid(0);
  forward.c = grid(1);
  forward.h = grid(2);
  rates.forward = rows * size * call_rate(seconds, [&] { cell.forward(forward); });
  forward.gates = {gates, 0, width};
  forward.h_factor = grid(3);
  rates.saving = rows * size * call_rate(seconds, [&] { cell.forward(forward); });

  BackwardTile<S> backward;
  backward.spec = &cell.spec;
  backward.groups = 1;
  backward.rows = rows;
  backward.dh = grid(2);
  backward.c_prev = grid(0);
  backward.dc = grid(4);
  backward.gates = {gates, 0, width};
  backward.h_factor = grid(3);
  rates.backward = rows * size * call_rate(seconds, [&] { cell.backward(backward); });
  return rates;
}

}  // namespace detail

// Each of the four measurements takes about `seconds`.
template <class S>
TileRates tile_rates(double seconds, int threads) {
  std::vector<TileRates> rates(std::size_t(threads), TileRates{});
  run_full_team(threads, [&](const Team& team) {
    team.wait_for_all();
    rates[std::size_t(team.member())] = detail::tile_rates_of_thread<S>(seconds);
  });
  TileRates total;
  for (const TileRates& rate : rates) total = total + rate;
  return total;
}

// Compiled in kernels.cpp.
extern template TileRates tile_rates<float>(double, int);
extern template TileRates tile_rates<double>(double, int);

}  // namespace fusedlstm
