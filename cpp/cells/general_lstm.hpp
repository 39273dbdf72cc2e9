// The LSTM with every option: activations by name, clipping, layer normalization, full gate recurrence, and any
// combination of gates and peepholes. It matches all specifications, and computes those that no other LSTM file
// matches. The options are read at run time. Each line of the equations is a pass over a tile, which is in L1.
//
//   z_i += p_i c_prev      z_f += p_f c_prev      i, f = act_gate(z)      g = act_candidate(z_g)
//   c = f c_prev + i g, clipped to +-cell_clip
//   z_o += p_o c           o = act_gate(z_o)      h = o act_output(c)
//
// i = 1 - f with coupled gates. An absent gate is 1. The product of full gate recurrence is a part of z. With layer
// normalization, act_output gets the normalized c.
#pragma once

#include "cells/cell_loops.hpp"
#include "cells/tile_activations.hpp"

namespace fusedlstm {

template <class S>
class GeneralLstm {
 public:
  static bool matches(const CellSpec& spec) { return spec.reset_after; }
  static Cell<S> cell(const CellSpec& spec) {
    const Places at(spec);
    Cell<S> cell{};
    cell.gates = at.layout;
    cell.input_scale[at.g] = input_scale_of(spec.candidate);
    for (int gate : {at.i, at.f, at.o})
      if (gate >= 0) cell.input_scale[gate] = input_scale_of(spec.gate);
    cell.unit_weight_scale = input_scale_of(spec.gate);
    cell.recurrent_state = RecurrentState::c;
    cell.has_candidate = true;
    cell.forward = spec.layer_norm ? &forward_c : &forward;
    cell.backward = spec.layer_norm ? &backward_h : &backward;
    if (spec.layer_norm) {
      cell.forward_second = &forward_h;
      cell.backward_second = &backward_c;
    }
    if (at.layout.unit_weights > 0) cell.sum_unit_weights = &sum_unit_weights;
    return cell;
  }

 private:
  // The positions of the gates in a tile and of the peepholes among the unit weights; -1: absent. g is first, so that
  // i, f and o, which read the gates of the previous step, are adjacent. The weights are in the order i, f, g, o.
  struct Places {
    int g = 0, i = -1, f = -1, o = -1, p_i = -1, p_f = -1, p_o = -1;
    GateLayout layout{};
    explicit Places(const CellSpec& spec) {
      int gates = 1;
      if (spec.has_input_gate()) i = gates++;
      if (spec.forget_gate) f = gates++;
      if (spec.output_gate) o = gates++;
      int peepholes = 0;
      if (spec.peepholes && i >= 0) p_i = peepholes++;
      if (spec.peepholes && f >= 0) p_f = peepholes++;
      if (spec.peepholes && o >= 0) p_o = peepholes++;
      layout = GateLayout::uniform(gates, peepholes);
      int block = 0;
      for (int gate : {i, f, g, o}) {
        if (gate < 0) continue;
        layout.weight_ih[gate] = layout.weight_hh[gate] = layout.bias[gate] = block++;
      }
      if (!spec.full_gate_recurrence) return;
      int carried = 0;
      for (int gate : {i, f, o}) layout.weight_gates[gate] = carried++;
    }
  };

  static Pack<S> unit_weight(const UnitWeights<S>& all, int group, int weight) {
    return load(all.values + weight * all.by_weight + group * pack_size<S>);
  }

  static void forward(const ForwardTile<S>& tile) {
    forward_c(tile);
    const Places at(*tile.spec);
    activate_tile<S>(tile.spec->output, tile.groups, tile.rows, input_scale_of(tile.spec->output), tile.c, tile.h);
    apply_output_gate(tile, at);
  }

  // c. With layer normalization, forward_h runs later: z_o stays among the gates.
  static void forward_c(const ForwardTile<S>& tile) {
    const CellSpec& spec = *tile.spec;
    const Places at(spec);
    add_peephole(tile, at.i, at.p_i, tile.c_prev);
    add_peephole(tile, at.f, at.p_f, tile.c_prev);
    for (int gate : {at.i, at.f}) activate_gate(tile, spec.gate, gate);
    activate_gate(tile, spec.candidate, at.g);
    const Pack<S> one = fill(S(1)), limit = fill(S(spec.cell_clip));
    const bool masked = tile.candidate_mask.values;
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      const S* z = tile.z.at(group, row);
      const Pack<S> f = at.f >= 0 ? load(z + at.f * pack_size<S>) : one;
      const Pack<S> i = spec.coupled ? one - f : at.i >= 0 ? load(z + at.i * pack_size<S>) : one;
      Pack<S> g = load(z + at.g * pack_size<S>);
      if (masked) g = g * load(tile.candidate_mask.at(group, row));
      const Pack<S> c = fma(f, load(tile.c_prev.at(group, row)), i * g);
      store(tile.c.at(group, row), clamp(c, zero<S>() - limit, limit));
    });
    carry_gate(tile, at.i, 0);
    carry_gate(tile, at.f, 1);
    if (!tile.gates.values) return;
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      const S* z = tile.z.at(group, row);
      S* gates = tile.gates.at(group, row);
      for (int gate = 0; gate < at.layout.count; gate++)
        store(gates + gate * pack_size<S>, load(z + gate * pack_size<S>));
    });
  }
  // tile.h: in, the normalized c; out, h. tile.z: the gates.
  static void forward_h(const ForwardTile<S>& tile) {
    const double factor = input_scale_of(tile.spec->output);
    activate_tile<S>(tile.spec->output, tile.groups, tile.rows, factor, tile.h, tile.h);
    apply_output_gate(tile, Places(*tile.spec));
  }

  // tile.h: in, a = act_output(c); out, h.
  static void apply_output_gate(const ForwardTile<S>& tile, const Places& at) {
    add_peephole(tile, at.o, at.p_o, tile.c);
    activate_gate(tile, tile.spec->gate, at.o);
    carry_gate(tile, at.o, 2);
    const bool saves = tile.h_factor.values;
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      S* h = tile.h.at(group, row);
      const Pack<S> a = load(h);
      if (saves) store(tile.h_factor.at(group, row), a);
      if (at.o < 0) return;
      const Pack<S> o = load(tile.z.at(group, row) + at.o * pack_size<S>);
      if (saves) store(tile.gates.at(group, row) + at.o * pack_size<S>, o);
      store(h, o * a);
    });
  }

  // z[gate] += p c
  static void add_peephole(const ForwardTile<S>& tile, int gate, int peephole, Grid<const S> c) {
    if (peephole < 0) return;
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      S* z = tile.z.at(group, row) + gate * pack_size<S>;
      store(z, fma(unit_weight(tile.unit_weights, group, peephole), load(c.at(group, row)), load(z)));
    });
  }
  static void activate_gate(const ForwardTile<S>& tile, const Activation& activation, int gate) {
    if (gate < 0) return;
    const Grid<S> z = gate_of(tile.z, gate);
    activate_tile<S>(activation, tile.groups, tile.rows, 1, z, z);
  }
  static void carry_gate(const ForwardTile<S>& tile, int gate, int place) {
    if (!tile.carried_gates.values) return;
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      store(tile.carried_gates.at(group, row) + place * tile.by_carried_gate,
            load(tile.z.at(group, row) + gate * pack_size<S>));
    });
  }

  static void backward(const BackwardTile<S>& tile) {
    backward_h(tile);
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      S* dc = tile.dc.at(group, row);
      store(dc, load(dc) + load(tile.dh.at(group, row)));
    });
    backward_c(tile);
  }

  // dz_o, and dh becomes the gradient of the argument of act_output. h_factor becomes h. With peepholes,
  // dc += dz_o p_o.
  static void backward_h(const BackwardTile<S>& tile) {
    const CellSpec& spec = *tile.spec;
    const Places at(spec);
    if (at.o < 0)
      return activation_gradient_tile<S>(spec.output, tile.groups, tile.rows, tile.dh, tile.h_factor, tile.dh);
    alignas(64) S products[max_epilogue_rows * pack_size<S>];  // dh a, then dh o
    for (int group = 0; group < tile.groups; group++) {
      const BackwardTile<S> one = group_of(tile, group);
      const Grid<S> scratch{products, 0, pack_size<S>};
      const Grid<S> o = gate_of(one.gates, at.o);
      for (int row = 0; row < tile.rows; row++) {
        const Pack<S> dh = load(one.dh.at(0, row)), a = load(one.h_factor.at(0, row)), o_now = load(o.at(0, row));
        store(scratch.at(0, row), one.dcarried_gates.values
                                      ? fma(dh, a, load(one.dcarried_gates.at(0, row) + 2 * tile.by_carried_gate))
                                      : dh * a);
        store(one.dh.at(0, row), dh * o_now);
      }
      activation_gradient_tile<S>(spec.output, 1, tile.rows, one.dh, one.h_factor, one.dh);
      for (int row = 0; row < tile.rows; row++)
        store(one.h_factor.at(0, row), load(one.h_factor.at(0, row)) * load(o.at(0, row)));
      activation_gradient_tile<S>(spec.gate, 1, tile.rows, scratch, o, o);
      add_through_peephole(one, at.o, at.p_o);
    }
  }

  // dz_i, dz_f, dz_g and dc_prev from dc.
  static void backward_c(const BackwardTile<S>& tile) {
    const CellSpec& spec = *tile.spec;
    const Places at(spec);
    const Pack<S> one = fill(S(1)), limit = fill(S(spec.cell_clip));
    constexpr int stride = max_epilogue_rows * pack_size<S>;
    alignas(64) S products[3 * stride];  // dL/di, dL/df and dL/dg
    for (int group = 0; group < tile.groups; group++) {
      const BackwardTile<S> here = group_of(tile, group);
      const bool masked = here.candidate_mask.values, carried = here.dcarried_gates.values;
      for (int row = 0; row < tile.rows; row++) {
        const S* gates = here.gates.at(0, row);
        const Pack<S> f = at.f >= 0 ? load(gates + at.f * pack_size<S>) : one;
        const Pack<S> i = spec.coupled ? one - f : at.i >= 0 ? load(gates + at.i * pack_size<S>) : one;
        const Pack<S> mask = masked ? load(here.candidate_mask.at(0, row)) : one;
        Pack<S> dc = load(here.dc.at(0, row));
        if (spec.clips()) dc = clip_gradient<S>(load(here.c.at(0, row)), limit, dc);
        const Pack<S> di = dc * load(gates + at.g * pack_size<S>) * mask;
        Pack<S> df = dc * load(here.c_prev.at(0, row));
        if (spec.coupled) df = df - di;
        S* to = products + row * pack_size<S>;
        const S* from = carried ? here.dcarried_gates.at(0, row) : nullptr;
        store(to, carried ? di + load(from) : di);
        store(to + stride, carried ? df + load(from + tile.by_carried_gate) : df);
        store(to + 2 * stride, dc * i * mask);
        store(here.dc.at(0, row), dc * f);
      }
      const auto differentiate = [&](const Activation& activation, int gate, int product) {
        if (gate < 0) return;
        const Grid<S> of_gate = gate_of(here.gates, gate);
        activation_gradient_tile<S>(activation, 1, tile.rows, Grid<S>{products + product * stride, 0, pack_size<S>},
                                    of_gate, of_gate);
      };
      differentiate(spec.gate, at.i, 0);
      differentiate(spec.gate, at.f, 1);
      differentiate(spec.candidate, at.g, 2);
      add_through_peephole(here, at.i, at.p_i);
      add_through_peephole(here, at.f, at.p_f);
    }
  }

  static BackwardTile<S> group_of(const BackwardTile<S>& tile, int group) {
    BackwardTile<S> one = tile.from(group, 0);
    one.dh = tile.dh.from(group, 0);
    one.groups = 1;
    one.rows = tile.rows;
    return one;
  }
  // dc += dz[gate] p
  static void add_through_peephole(const BackwardTile<S>& tile, int gate, int peephole) {
    if (peephole < 0) return;
    const Pack<S> weight = unit_weight(tile.unit_weights, 0, peephole);
    for (int row = 0; row < tile.rows; row++) {
      S* dc = tile.dc.at(0, row);
      store(dc, fma(load(tile.gates.at(0, row) + gate * pack_size<S>), weight, load(dc)));
    }
  }

  // dp_i += dz_i c_prev      dp_f += dz_f c_prev      dp_o += dz_o c
  static void sum_unit_weights(const UnitWeightSums<S>& all, const CellSpec& spec) {
    const Places at(spec);
    const auto add = [&](int gate, int peephole, Grid<const S> c) {
      if (peephole < 0) return;
      S* sum = all.sums + peephole * pack_size<S>;
      Pack<S> total = load(sum);
      for (Index row = 0; row < all.rows; row++)
        total = fma(load(all.dgates.at(0, row) + gate * pack_size<S>), load(c.at(0, row)), total);
      store(sum, total);
    };
    add(at.i, at.p_i, all.c_prev);
    add(at.f, at.p_f, all.c_prev);
    add(at.o, at.p_o, all.c);
  }
};

}  // namespace fusedlstm
