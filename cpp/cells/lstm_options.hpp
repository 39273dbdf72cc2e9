// The LSTM of lstm.hpp with layer normalization (Ba, Kiros and Hinton 2016), with c clipped to +-cell_clip, or with
// both.
//
// The equations are those of lstm.hpp. With layer normalization, h = o tanh(gain_c norm(c) + bias_c): the driver
// computes the argument of tanh between the equations of c and those of h.
#pragma once

#include "cells/lstm.hpp"

namespace fusedlstm {

template <class S>
class LstmWithOptions {
  using Equations = LstmEquations<S>;

 public:
  static bool matches(const CellSpec& spec) {
    CellSpec without = spec;
    without.layer_norm = false;
    without.cell_clip = CellSpec().cell_clip;
    return Equations::matches(without);
  }
  static Cell<S> cell(const CellSpec& spec) {
    Cell<S> cell = CellLoops<S, Equations>::template cell<false>();
    cell.forward = spec.layer_norm ? &forward_c : &forward;
    cell.backward = spec.layer_norm ? &backward_h : &backward;
    if (spec.layer_norm) {
      cell.forward_second = &forward_h;
      cell.backward_second = &backward_c;
    }
    return cell;
  }

 private:
  static constexpr int size = pack_size<S>;

  static void forward(const ForwardTile<S>& tile) {
    if (tile.candidate_mask.values) return forward_both<true, true>(tile);
    if (tile.gates.values) forward_both<true, false>(tile);
    else forward_both<false, false>(tile);
  }
  template <bool Training, bool Masked>
  static void forward_both(const ForwardTile<S>& arrays) {
    const ForwardTile<S> tile = arrays;  // a copy, which the stores cannot alias
    detail::forward_c<S, Equations, Training, Masked>(tile);
    clip(tile);
    detail::forward_h<S, Equations, Training, Masked>(tile, tile.c);
  }
  static void clip(const ForwardTile<S>& tile) {
    const Pack<S> limit = fill(S(tile.spec->cell_clip));
    for (int group = 0; group < tile.groups; group++)
      for (int row = 0; row < tile.rows; row++) {
        S* c = tile.c.at(group, row);
        store(c, clamp(load(c), zero<S>() - limit, limit));
      }
  }

  // Layer normalization: c. z_o stays among the gates.
  static void forward_c(const ForwardTile<S>& arrays) {
    const ForwardTile<S> tile = arrays;
    if (tile.candidate_mask.values) detail::forward_c<S, Equations, true, true>(tile);
    else if (tile.h_factor.values) detail::forward_c<S, Equations, true, false>(tile);
    else detail::forward_c<S, Equations, false, false>(tile);
    if (tile.spec->clips()) clip(tile);
    constexpr int o = Equations::O * size;
    for (int group = 0; group < tile.groups; group++)
      for (int row = 0; row < tile.rows; row++) store(tile.gates.at(group, row) + o, load(tile.z.at(group, row) + o));
  }
  // tile.h: in, the argument of tanh; out, h. tile.z: the gates.
  static void forward_h(const ForwardTile<S>& arrays) {
    const ForwardTile<S> tile = arrays;
    if (tile.h_factor.values) detail::forward_h<S, Equations, true, false>(tile, tile.h);
    else detail::forward_h<S, Equations, false, false>(tile, tile.h);
  }

  // The equations of c. With layer normalization, tile.dc has the whole gradient; otherwise those of h come first.
  template <bool Normed, bool Masked, bool Clipped>
  static void backward_of(const BackwardTile<S>& arrays) {
    const BackwardTile<S> tile = arrays;  // a copy, which the stores cannot alias
    const Pack<S> limit = fill(S(tile.spec->cell_clip));
    detail::Units<S, 0, false, Masked> units;
    for (int group = 0; group < tile.groups; group++)
      for (int row = 0; row < tile.rows; row++) {
        if constexpr (Masked) units.mask = tile.candidate_mask.at(group, row);
        S *gates = tile.gates.at(group, row), *dc_array = tile.dc.at(group, row);
        Pack<S> dc = load(dc_array);
        if constexpr (!Normed) {
          const Pack<S> dh = load(tile.dh.at(group, row));
          dc = fma(dh, Equations::backward_h(dh, gates, tile.h_factor.at(group, row)), dc);
        }
        if constexpr (Clipped) dc = clip_gradient<S>(load(tile.c.at(group, row)), limit, dc);
        Equations::backward_c(dc, load(tile.c_prev.at(group, row)), units, dc_array, gates);
      }
  }
  static void backward(const BackwardTile<S>& tile) {
    if (tile.candidate_mask.values) backward_of<false, true, true>(tile);
    else backward_of<false, false, true>(tile);
  }
  static void backward_c(const BackwardTile<S>& tile) {
    const bool clips = tile.spec->clips();
    if (tile.candidate_mask.values) clips ? backward_of<true, true, true>(tile) : backward_of<true, true, false>(tile);
    else clips ? backward_of<true, false, true>(tile) : backward_of<true, false, false>(tile);
  }
  // Layer normalization: dh becomes the gradient of the argument of tanh.
  static void backward_h(const BackwardTile<S>& arrays) {
    const BackwardTile<S> tile = arrays;
    for (int group = 0; group < tile.groups; group++)
      for (int row = 0; row < tile.rows; row++) {
        S* dh = tile.dh.at(group, row);
        const Pack<S> d = load(dh);
        store(dh, d * Equations::backward_h(d, tile.gates.at(group, row), tile.h_factor.at(group, row)));
      }
  }
};

}  // namespace fusedlstm
