// The GRU with activations by name, and the original GRU, in which r multiplies h_prev before the product (Cho et al.
// 2014). The options are read at run time. Each line of the equations is a pass over a tile, which is in L1.
//
//   r, z = act_gate(z_r), act_gate(z_z)      h = (1 - z) n + z h_prev
//   n = act_candidate(z_x + r z_h) where z_h = W_hn h_prev + b_hn             reset after the product
//   n = act_candidate(z_n) where z_n = W_in x + b_n + W_hn (r h_prev)         reset before the product
//
// Reset before the product, `forward` gives r, z, r h_prev, and the part of z_n that comes from x. After the second
// product, `forward_second` gives h.
#pragma once

#include "cells/tile_activations.hpp"

namespace fusedlstm {

template <class S>
class GeneralGru {
 public:
  static bool matches(const CellSpec& spec) { return spec.has_no_lstm_options(); }
  static Cell<S> cell(const CellSpec& spec) {
    Cell<S> cell{};
    const double gate_scale = input_scale_of(spec.gate), candidate_scale = input_scale_of(spec.candidate);
    cell.recurrent_state = RecurrentState::h;
    cell.has_candidate = true;
    if (spec.reset_after) {
      // The gates z_x, z_r, z_z and z_h.
      cell.gates = {4, {2, 0, 1, -1}, {-1, 0, 1, 2}, {2, 0, 1, 3}, 0};
      cell.input_scale[N] = cell.input_scale[H] = candidate_scale;
      cell.forward = &forward;
      cell.backward = &backward;
    } else {
      // The gates z_n, z_r and z_z.
      cell.gates = {3, {2, 0, 1}, {-1, 0, 1}, {2, 0, 1}, 0};
      cell.input_scale[N] = candidate_scale;
      cell.forward = &forward_reset;
      cell.forward_second = &forward_second;
      cell.backward = &backward_z_and_n;
      cell.backward_second = &backward_reset;
    }
    cell.input_scale[R] = cell.input_scale[Z] = gate_scale;
    return cell;
  }

 private:
  static constexpr int N = 0, R = 1, Z = 2, H = 3;
  static constexpr int size = pack_size<S>;

  static void activate_gates(const ForwardTile<S>& tile) {
    for (int gate : {R, Z}) {
      const Grid<S> z = gate_of(tile.z, gate);
      activate_tile<S>(tile.spec->gate, tile.groups, tile.rows, 1, z, z);
    }
  }

  static void forward(const ForwardTile<S>& tile) {
    activate_gates(tile);
    const Grid<S> n = gate_of(tile.z, N);
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      S* z = tile.z.at(group, row);
      store(z + N * size, fma(load(z + R * size), load(z + H * size), load(z + N * size)));
    });
    activate_tile<S>(tile.spec->candidate, tile.groups, tile.rows, 1, n, n);
    const Pack<S> unscale = fill(S(1 / input_scale_of(tile.spec->candidate)));
    if (tile.gates.values)
      for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
        const S* z = tile.z.at(group, row);
        S* gates = tile.gates.at(group, row);
        for (int gate : {N, R, Z}) store(gates + gate * size, load(z + gate * size));
        store(gates + H * size, load(z + H * size) * unscale);
      });
    mix(tile, gate_of(tile.z, Z), n);
  }

  // tile.h: out, the part of z_n.
  static void forward_reset(const ForwardTile<S>& tile) {
    activate_gates(tile);
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      const S* z = tile.z.at(group, row);
      S* gates = tile.gates.at(group, row);
      for (int gate : {R, Z}) store(gates + gate * size, load(z + gate * size));
      store(tile.h.at(group, row), load(z + N * size));
      store(tile.reset_h.at(group, row), load(z + R * size) * load(tile.h_prev.at(group, row)));
    });
  }
  // tile.z: z_n, one packet per group.
  static void forward_second(const ForwardTile<S>& tile) {
    activate_tile<S>(tile.spec->candidate, tile.groups, tile.rows, 1, tile.z, gate_of(tile.gates, N));
    mix(tile, gate_of(tile.gates, Z), gate_of(tile.gates, N));
  }
  // h = (1 - z) n + z h_prev. c of the tile is h.
  static void mix(const ForwardTile<S>& tile, Grid<const S> z_of, Grid<const S> n_of) {
    const bool masked = tile.candidate_mask.values, saves = tile.h_factor.values;
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      Pack<S> n = load(n_of.at(group, row));
      if (masked) n = n * load(tile.candidate_mask.at(group, row));
      const Pack<S> z = load(z_of.at(group, row));
      const Pack<S> h = fma(z, load(tile.c_prev.at(group, row)), (fill(S(1)) - z) * n);
      store(tile.c.at(group, row), h);
      store(tile.h.at(group, row), h);
      if (saves) store(tile.h_factor.at(group, row), h);
    });
  }

  // dz of z and n, and dc becomes z dh, the part of dh_prev that does not come from a product.
  static void backward_z_and_n(const BackwardTile<S>& tile) {
    const Pack<S> one = fill(S(1));
    alignas(64) S products[max_epilogue_rows * size];
    for (int group = 0; group < tile.groups; group++) {
      const auto dz_z = Grid<S>{products, 0, size}, dn = tile.dh.from(group, 0);
      const Grid<S> gates = tile.gates.from(group, 0);
      for (int row = 0; row < tile.rows; row++) {
        const S* values = gates.at(0, row);
        const Pack<S> z = load(values + Z * size), n = load(values + N * size);
        const Pack<S> mask = tile.candidate_mask.values ? load(tile.candidate_mask.at(group, row)) : one;
        S* dc = tile.dc.at(group, row);
        const Pack<S> dh = load(dn.at(0, row)) + load(dc);
        store(dz_z.at(0, row), dh * (load(tile.c_prev.at(group, row)) - n * mask));
        store(dn.at(0, row), dh * (one - z) * mask);
        store(dc, dh * z);
      }
      const auto differentiate = [&](const Activation& activation, int gate, Grid<S> dy) {
        activation_gradient_tile<S>(activation, 1, tile.rows, dy, gate_of(gates, gate), gate_of(gates, gate));
      };
      differentiate(tile.spec->gate, Z, dz_z);
      differentiate(tile.spec->candidate, N, dn);
    }
  }
  // Reset after the product: dz of all gates.
  static void backward(const BackwardTile<S>& tile) {
    backward_z_and_n(tile);
    alignas(64) S products[max_epilogue_rows * size];
    for (int group = 0; group < tile.groups; group++) {
      const Grid<S> gates = tile.gates.from(group, 0), dr = {products, 0, size};
      for (int row = 0; row < tile.rows; row++) {
        S* values = gates.at(0, row);
        const Pack<S> dn = load(values + N * size);
        store(dr.at(0, row), dn * load(values + H * size));
        store(values + H * size, dn * load(values + R * size));
      }
      activation_gradient_tile<S>(tile.spec->gate, 1, tile.rows, dr, gate_of(gates, R), gate_of(gates, R));
    }
  }
  // Reset before the product: dz of r from dh, which is the gradient of r h_prev. dc += its part of dh_prev.
  static void backward_reset(const BackwardTile<S>& tile) {
    const bool masked = tile.recurrent_mask.values;
    for (int group = 0; group < tile.groups; group++) {
      const Grid<S> r_of = gate_of(tile.gates.from(group, 0), R), dreset = tile.dh.from(group, 0);
      for (int row = 0; row < tile.rows; row++) {
        const Pack<S> d = load(dreset.at(0, row));
        Pack<S> dh_prev = d * load(r_of.at(0, row));
        if (masked) dh_prev = dh_prev * load(tile.recurrent_mask.at(group, row));
        S* dc = tile.dc.at(group, row);
        store(dc, load(dc) + dh_prev);
        Pack<S> h_prev = load(tile.c_prev.at(group, row));
        if (masked) h_prev = h_prev * load(tile.recurrent_mask.at(group, row));
        store(dreset.at(0, row), d * h_prev);
      }
      activation_gradient_tile<S>(tile.spec->gate, 1, tile.rows, dreset, r_of, r_of);
    }
  }
};

}  // namespace fusedlstm
