// The original GRU (Cho et al. 2014), in which r multiplies h_prev before the product, with the standard activations:
//
//   r = sigmoid(z_r)      z = sigmoid(z_z)      n = tanh(z_n), z_n = W_in x + b_n + W_hn (r h_prev)
//   h = (1 - z) n + z h_prev
//
// The functions have the same parts as those of GeneralGru, but each makes one pass over the tile. z and n share a
// division, not z and r: a NaN of z stays in its unit, while r feeds all units.
#pragma once

#include "cells/general_gru.hpp"
#include "simd/activations.hpp"

namespace fusedlstm {

template <class S>
class GruResetBefore {
 public:
  static bool matches(const CellSpec& spec) {
    return !spec.reset_after && spec.has_default_activations() && spec.has_no_lstm_options();
  }
  static Cell<S> cell(const CellSpec& spec) {
    Cell<S> cell = GeneralGru<S>::cell(spec);
    cell.forward = &forward;
    cell.forward_second = &forward_second;
    cell.backward = &backward;
    cell.backward_second = &backward_second;
    return cell;
  }

 private:
  static constexpr int size = pack_size<S>;
  static constexpr int N = 0 * size, R = 1 * size, Z = 2 * size;

  // r, r h_prev, the denominator of z, which stays among the gates, and the part of z_n that comes from x, which tile.h
  // gets.
  static void forward(const ForwardTile<S>& arrays) {
    const ForwardTile<S> tile = arrays;  // a copy, which the stores cannot alias
    for (int group = 0; group < tile.groups; group++)
      for (int row = 0; row < tile.rows; row++) {
        const S* z = tile.z.at(group, row);
        S* gates = tile.gates.at(group, row);
        const Pack<S> r = fill(S(1)) / sigmoid_denominator(load(z + R));
        store(gates + R, r);
        store(gates + Z, sigmoid_denominator(load(z + Z)));
        store(tile.h.at(group, row), load(z + N));
        store(tile.reset_h.at(group, row), r * load(tile.h_prev.at(group, row)));
      }
  }

  // z and h from z_n, which tile.z holds as one packet per group. c of the tile is h.
  static void forward_second(const ForwardTile<S>& tile) {
    if (tile.candidate_mask.values) forward_second_of<true, true>(tile);
    else if (tile.h_factor.values) forward_second_of<true, false>(tile);
    else forward_second_of<false, false>(tile);
  }
  template <bool Training, bool Masked>
  static void forward_second_of(const ForwardTile<S>& arrays) {
    const ForwardTile<S> tile = arrays;
    for (int group = 0; group < tile.groups; group++)
      for (int row = 0; row < tile.rows; row++) {
        S* gates = tile.gates.at(group, row);
        const auto [z, n, zn] = gate_and_value(load(gates + Z), tanh_fraction(load(tile.z.at(group, row))));
        if constexpr (Training) {
          store(gates + N, n);
          store(gates + Z, z);
        }
        Pack<S> dropped_n = n;
        if constexpr (Masked) dropped_n = n * load(tile.candidate_mask.at(group, row));
        const Pack<S> h = fma(z, load(tile.c_prev.at(group, row)) - dropped_n, dropped_n);
        store(tile.c.at(group, row), h);
        store(tile.h.at(group, row), h);
      }
  }

  //   dz_z = dh (h_prev - n) z (1 - z)      dz_n = dh (1 - z) (1 - n^2)      dc = dh z
  static void backward(const BackwardTile<S>& tile) {
    if (tile.candidate_mask.values) backward_of<true>(tile);
    else backward_of<false>(tile);
  }
  template <bool Masked>
  static void backward_of(const BackwardTile<S>& arrays) {
    const BackwardTile<S> tile = arrays;
    for (int group = 0; group < tile.groups; group++)
      for (int row = 0; row < tile.rows; row++) {
        S *gates = tile.gates.at(group, row), *dc = tile.dc.at(group, row);
        const Pack<S> z = load(gates + Z), n = load(gates + N);
        const Pack<S> dh = load(tile.dh.at(group, row)) + load(dc), dh_prev = dh * z;
        Pack<S> dn = dh - dh_prev, dropped_n = n;
        if constexpr (Masked) {
          const Pack<S> mask = load(tile.candidate_mask.at(group, row));
          dn = dn * mask;
          dropped_n = n * mask;
        }
        store(gates + Z, dh_prev * (load(tile.c_prev.at(group, row)) - dropped_n) * (fill(S(1)) - z));
        store(gates + N, dn * tanh_slope(n));
        store(dc, dh_prev);
      }
  }

  // dz_r from dh, which is the gradient of r h_prev. dc += its part of dh_prev.
  static void backward_second(const BackwardTile<S>& tile) {
    if (tile.recurrent_mask.values) backward_second_of<true>(tile);
    else backward_second_of<false>(tile);
  }
  template <bool Masked>
  static void backward_second_of(const BackwardTile<S>& arrays) {
    const BackwardTile<S> tile = arrays;
    for (int group = 0; group < tile.groups; group++)
      for (int row = 0; row < tile.rows; row++) {
        S *gates = tile.gates.at(group, row), *dc = tile.dc.at(group, row);
        const Pack<S> r = load(gates + R);
        Pack<S> dreset = load(tile.dh.at(group, row));
        if constexpr (Masked) dreset = dreset * load(tile.recurrent_mask.at(group, row));
        const Pack<S> dh_prev = dreset * r;
        store(dc, load(dc) + dh_prev);
        store(gates + R, dh_prev * load(tile.c_prev.at(group, row)) * (fill(S(1)) - r));
      }
  }
};

}  // namespace fusedlstm
