// Activations by name, on the packets of a tile.
#pragma once

#include "cells/cell.hpp"
#include "cells/shared_division.hpp"
#include "product/panel_product.hpp"

namespace fusedlstm {

// The packets of one gate.
template <class S>
FUSEDLSTM_INLINE Grid<S> gate_of(const Grid<S>& gates, int gate) {
  return {gates.values + gate * pack_size<S>, gates.by_group, gates.by_row};
}

// Calls work(group, row) for the packets of a tile.
template <class Tile, class Work>
FUSEDLSTM_INLINE void for_packets(const Tile& tile, Work&& work) {
  for (int group = 0; group < tile.groups; group++)
    for (int row = 0; row < tile.rows; row++) work(group, row);
}

// The factor of a pre-activation that `activate_tile` expects.
inline double input_scale_of(const Activation& activation) {
  if (activation.kind == Activation::sigmoid) return sigmoid_input_scale;
  if (activation.kind == Activation::tanh) return tanh_input_scale;
  return 1;
}

namespace detail {

// sigmoid and tanh of scaled pre-activations.
template <class S>
struct ScaledSigmoid {
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> z) const { return fill(S(1)) / sigmoid_denominator(z); }
};
template <class S>
struct ScaledTanhOfTile {
  FUSEDLSTM_INLINE Pack<S> value(Pack<S> z) const { return divide(tanh_fraction(z)); }
};

template <class S, class Function>
FUSEDLSTM_INLINE void map_tile(const Function& function, int groups, int rows, S factor, Grid<const S> z, Grid<S> y) {
  for (int group = 0; group < groups; group++)
    for (int row = 0; row < rows; row++) store(y.at(group, row), function.value(fill(factor) * load(z.at(group, row))));
}

}  // namespace detail

// y = f(z), where z times `factor` contains the input scale. y may be z.
template <class S>
void activate_tile(const Activation& activation, int groups, int rows, double factor, Grid<const S> z, Grid<S> y) {
  if (activation.kind == Activation::sigmoid)
    return detail::map_tile<S>(detail::ScaledSigmoid<S>{}, groups, rows, S(factor), z, y);
  if (activation.kind == Activation::tanh)
    return detail::map_tile<S>(detail::ScaledTanhOfTile<S>{}, groups, rows, S(factor), z, y);
  with_activation<S>(activation, [&](auto function) { detail::map_tile<S>(function, groups, rows, S(factor), z, y); });
}

// dL/dz of the pre-activation without input scale, from dL/dy and y. dz may be dy or y.
template <class S>
void activation_gradient_tile(const Activation& activation, int groups, int rows, Grid<const S> dy, Grid<const S> y,
                              Grid<S> dz) {
  with_activation<S>(activation, [&](auto function) {
    for (int group = 0; group < groups; group++)
      for (int row = 0; row < rows; row++)
        store(dz.at(group, row), function.gradient(load(dy.at(group, row)), load(y.at(group, row))));
  });
}

// Compiled in kernels.cpp.
#define FUSEDLSTM_TILE_ACTIVATIONS(declare, S)                                                      \
  declare template void activate_tile(const Activation&, int, int, double, Grid<const S>, Grid<S>); \
  declare template void activation_gradient_tile(const Activation&, int, int, Grid<const S>, Grid<const S>, Grid<S>)
FUSEDLSTM_TILE_ACTIVATIONS(extern, float);
FUSEDLSTM_TILE_ACTIVATIONS(extern, double);

}  // namespace fusedlstm
