// What a cell is to the driver.
//
// A cell is a product, which the driver and its tiles compute, followed by pointwise equations on packets of units,
// which stand in cells/<name>.hpp. A struct of those equations becomes a Cell here: loops over the rows and
// groups of finished tiles, which are in L1 when they are handed over. The equations know nothing of tiles,
// time, threads or lengths, the driver nothing of gates.
#pragma once

#include "tiles.hpp"

namespace fusedlstm {


// A packet of every unit group of every row: element (group, row) stands at values + group * by_group + row * by_row.
template <class S>
struct Grid {
  S* values = nullptr;
  Index by_group = 0, by_row = 0;
  S* at(Index group, Index row) const { return values + group * by_group + row * by_row; }
  Grid from(Index group, Index row) const { return {at(group, row), by_group, by_row}; }
  operator Grid<const S>() const { return {values, by_group, by_row}; }
};

template <class S>
struct ForwardTile {
  int groups = 0, rows = 0;
  Grid<const S> z;             // pre-activations, blocks side by side, times the phase's factors
  Grid<const S> state_before;  // the second state (c)
  Grid<S> state;
  Grid<S> hidden;  // h
  // For training; null values at inference.
  Grid<S> gates;    // activations, blocks side by side
  Grid<S> derived;  // one more number a unit that backward wants

  // The same arrays from this group and row on.
  FUSEDLSTM_INLINE ForwardTile from(Index group, Index row) const {
    ForwardTile tile;
    tile.state_before = state_before.from(group, row);
    tile.state = state.from(group, row);
    tile.hidden = hidden.from(group, row);
    if (gates.values) {
      tile.gates = gates.from(group, row);
      tile.derived = derived.from(group, row);
    }
    return tile;
  }
};

template <class S>
struct BackwardTile {
  int groups = 0, rows = 0;
  Grid<const S> dhidden;       // dL/dh of this step
  Grid<const S> state_before;  // as in forward
  Grid<S> dstate;              // in: dL/dc from the step after; out: for the step before
  Grid<S> gates;               // in: activations; out: gradients of the pre-activations
  Grid<S> derived;             // in: as forward left it; out: h

  FUSEDLSTM_INLINE BackwardTile from(Index group, Index row) const {
    BackwardTile tile;
    tile.state_before = state_before.from(group, row);
    tile.dstate = dstate.from(group, row);
    tile.gates = gates.from(group, row);
    tile.derived = derived.from(group, row);
    return tile;
  }
};

// One row's step for the groups [0, groups): its product and the equations in one go, with no tile in between.
template <class S>
struct RowStep {
  const detail::Product<S>& product;
  const ForwardTile<S>& tile;
};

template <class S>
struct Cell {
  const char* name;
  int blocks;                   // gates, in the order of the weights
  double factors[max_packets];  // multiply each block's weights when they are packed
  void (*forward)(const ForwardTile<S>&);
  void (*forward_row)(const RowStep<S>&);
  void (*backward)(const BackwardTile<S>&);
};

namespace detail {

// What of a unit's packet is kept when training, null at inference.
template <class S, bool Training>
struct Kept {
  S *gates = nullptr, *derived = nullptr;
  Kept(const ForwardTile<S>& tile, int group, int row) {
    if constexpr (Training) {
      gates = tile.gates.at(group, row);
      derived = tile.derived.at(group, row);
    }
  }
  FUSEDLSTM_INLINE void gate(int block, Pack<S> value) const {
    if constexpr (Training) store(gates + block * pack_size<S>, value);
  }
  FUSEDLSTM_INLINE void derive(Pack<S> value) const {
    if constexpr (Training) store(derived, value);
  }
};

// Two passes, first all states, then all outputs: their chains of dependent operations are half as long, so that
// more rows overlap.
template <class S, class Equations, bool Training>
void forward_tile(const ForwardTile<S>& tile) {
  const auto gates_of = [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
    typename Equations::Gates z;
    FUSEDLSTM_UNROLL
    for (int block = 0; block < Equations::blocks; block++)
      z.at[block] = load(tile.z.at(group, row) + block * pack_size<S>);
    return z;
  };
  for (int group = 0; group < tile.groups; group++)
    for (int row = 0; row < tile.rows; row++)
      store(tile.state.at(group, row), Equations::state(gates_of(group, row), load(tile.state_before.at(group, row)),
                                                        Kept<S, Training>(tile, group, row)));
  for (int group = 0; group < tile.groups; group++)
    for (int row = 0; row < tile.rows; row++)
      store(tile.hidden.at(group, row), Equations::hidden(gates_of(group, row), load(tile.state.at(group, row)),
                                                          Kept<S, Training>(tile, group, row)));
}

template <class S, class Equations, bool Training, int Side>
void forward_row_groups(const RowStep<S>& step, int first) {
  Sums<S, Side, 1, Equations::blocks> sums;
  sum_tile<false>(step.product, sums, first);
  FUSEDLSTM_UNROLL
  for (int s = 0; s < Side; s++) {
    const int group = first + s;
    typename Equations::Gates z;
    FUSEDLSTM_UNROLL
    for (int block = 0; block < Equations::blocks; block++) z.at[block] = sums[s][0][block];
    const Kept<S, Training> kept(step.tile, group, 0);
    const Pack<S> state = Equations::state(z, load(step.tile.state_before.at(group, 0)), kept);
    store(step.tile.state.at(group, 0), state);
    store(step.tile.hidden.at(group, 0), Equations::hidden(z, state, kept));
  }
}
template <class S, class Equations, bool Training>
void forward_row(const RowStep<S>& step) {
  int group = 0;
  if constexpr (vector_registers == 32)
    for (; group + 4 <= step.tile.groups; group += 4) forward_row_groups<S, Equations, Training, 4>(step, group);
  for (; group + 2 <= step.tile.groups; group += 2) forward_row_groups<S, Equations, Training, 2>(step, group);
  if (group < step.tile.groups) forward_row_groups<S, Equations, Training, 1>(step, group);
}

}  // namespace detail

// The equations of a cell, looped.
template <class S, class Equations>
struct CellLoops {
  static void forward(const ForwardTile<S>& tile) {
    if (tile.gates.values) detail::forward_tile<S, Equations, true>(tile);
    else detail::forward_tile<S, Equations, false>(tile);
  }
  static void forward_row(const RowStep<S>& step) {
    if (step.tile.gates.values) detail::forward_row<S, Equations, true>(step);
    else detail::forward_row<S, Equations, false>(step);
  }
  static void backward(const BackwardTile<S>& tile) {
    for (int group = 0; group < tile.groups; group++)
      for (int row = 0; row < tile.rows; row++)
        Equations::backward(load(tile.dhidden.at(group, row)), load(tile.state_before.at(group, row)),
                            tile.dstate.at(group, row), tile.gates.at(group, row), tile.derived.at(group, row));
  }
  static constexpr Cell<S> cell(const char* name, const double (&factors)[max_packets]) {
    return {name, Equations::blocks, {factors[0], factors[1], factors[2], factors[3]}, &forward, &forward_row, &backward};
  }
};

}  // namespace fusedlstm
