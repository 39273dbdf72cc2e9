// The weights of a layer, packed for forward or backward.
#pragma once

#include "recurrent/backward_call.hpp"
#include "recurrent/forward_call.hpp"
#include "recurrent/layer_shape.hpp"
#include "runtime/team.hpp"

namespace fusedlstm {

// The memory of column panels.
template <class S>
S* take_panels(Arena& arena, Index k_count, Index columns) {
  return arena.take<S>(column_panel_size<S>(k_count, columns));
}

// The weights of all directions, packed for forward.
template <class S>
class ForwardPanels {
 public:
  ForwardPanels(const Cell<S>& cell, const LayerShape& shape, const Groups<S>& groups) {
    memory_ = allocate([&](Arena arena) {
      for (int d = 0; d < shape.directions; d++) lay_out(cell, shape.sizes, groups, directions_[d], arena);
      return arena.used();
    });
  }
  const PackedDirection<S>& direction(int d) const { return directions_[d].view; }

  // Layer normalization: computes the means that `pack` reads.
  void prepare(const LayerShape& shape, const S* parameters) const {
    const Sizes& sizes = shape.sizes;
    for (int d = 0; d < shape.directions && sizes.layer_norm; d++) {
      const Weights<const S> weights = split_weights(parameters + d * weight_count(sizes), sizes);
      S* means = directions_[d].column_means;
      compute_column_means(weights.weight_ih, sizes.ih_rows(), sizes.input_size, means);
      compute_column_means(weights.weight_hh, sizes.hh_rows(), sizes.output_size, means + sizes.input_size);
    }
  }
  // Packs the part of a team member.
  void pack(const Cell<S>& cell, const LayerShape& shape, const Groups<S>& groups, const S* parameters,
            const Team& team) const {
    const Sizes& sizes = shape.sizes;
    const auto [first, last] = team.range(groups.count);
    for (int d = 0; d < shape.directions; d++) {
      const Weights<const S> weights = split_weights(parameters + d * weight_count(sizes), sizes);
      const Direction& to = directions_[d];
      pack_forward(sizes, groups, weights, cell.input_scale, to.column_means, int(first), int(last), to.panels,
                   to.bias);
      const auto pack_second = [&](const S* matrix, Index rows, double scale, S* panels) {
        const Panels<S> all = column_panels<S>(sizes.hidden_size, rows, panels);
        const auto [first_panel, last_panel] = team.range(all.count);
        pack_transposed(matrix, rows, sizes.hidden_size, S(scale), int(first_panel), int(last_panel), panels);
      };
      if (sizes.reset_before) pack_second(weights.weight_hn, sizes.hidden_size, cell.input_scale[0], to.hn);
      if (sizes.projection) pack_second(weights.weight_hr, sizes.output_size, 1, to.hr);
      if (team.member() > 0) continue;
      const S unit_scale = S(cell.unit_weight_scale);
      pack_unit_vectors(weights.unit_weights, sizes.gates.unit_weights, sizes.hidden_size, unit_scale, to.unit_weights);
      if (sizes.projection) {
        std::fill_n(to.bias_hr, whole_packets<S>(sizes.output_size), S(0));
        if (sizes.projection_bias) pack_unit_vectors(weights.bias_hr, 1, sizes.output_size, S(1), to.bias_hr);
      }
      if (!sizes.layer_norm) continue;
      pack_gate_vector(sizes, groups, weights.gain_ih, cell.input_scale, to.gain_ih);
      pack_gate_vector(sizes, groups, weights.gain_hh, cell.input_scale, to.gain_hh);
      pack_unit_vectors(weights.gain_c, 1, sizes.hidden_size, S(1), to.gain_c);
      pack_unit_vectors(weights.bias_c, 1, sizes.hidden_size, S(1), to.bias_c);
    }
  }

 private:
  struct Direction {
    S *panels, *bias, *unit_weights, *hn, *hr, *bias_hr, *gain_ih, *gain_hh, *gain_c, *bias_c, *column_means;
    PackedDirection<S> view;
  };
  static void lay_out(const Cell<S>& cell, const Sizes& sizes, const Groups<S>& groups, Direction& to, Arena& arena) {
    const Index gate_vector = groups.count * groups.width(), padded = groups.padded_units();
    const Index hidden = sizes.hidden_size, outputs = sizes.output_size;
    to = {};
    to.panels = arena.take<S>(groups.forward_panel_size(sizes.forward_k()));
    to.bias = arena.take<S>(gate_vector);
    to.unit_weights = arena.take<S>(sizes.gates.unit_weights * padded);
    if (sizes.reset_before) to.hn = take_panels<S>(arena, hidden, hidden);
    if (sizes.projection) {
      to.hr = take_panels<S>(arena, hidden, outputs);
      to.bias_hr = arena.take<S>(whole_packets<S>(outputs));
    }
    if (sizes.layer_norm) {
      for (S** vector : {&to.gain_ih, &to.gain_hh}) *vector = arena.take<S>(gate_vector);
      for (S** vector : {&to.gain_c, &to.bias_c}) *vector = arena.take<S>(padded);
      to.column_means = arena.take<S>(sizes.input_size + outputs);
    }
    to.view = {groups.forward_panels(to.panels, sizes.forward_k(), cell.gates.partly_fed()),
               to.bias,
               {to.unit_weights, padded},
               column_panels<S>(hidden, hidden, to.hn),
               column_panels<S>(hidden, outputs, to.hr),
               to.bias_hr,
               to.gain_ih,
               to.gain_hh,
               to.gain_c,
               to.bias_c};
  }

  Direction directions_[max_directions] = {};
  MemoryBlock memory_;
};

// The weights of all directions, packed for backward.
template <class S>
class BackwardPanels {
 public:
  BackwardPanels(const LayerShape& shape, const Groups<S>& groups, bool with_ih) : with_ih_(with_ih) {
    const Sizes& sizes = shape.sizes;
    const Index hidden = sizes.hidden_size, padded = groups.padded_units();
    memory_ = allocate([&](Arena arena) {
      for (int d = 0; d < shape.directions; d++) {
        Direction& to = directions_[d];
        to.hh = take_panels<S>(arena, sizes.hh_rows(), sizes.output_size);
        if (with_ih) to.ih = take_panels<S>(arena, sizes.ih_rows(), sizes.input_size);
        if (sizes.reset_before) to.hn = take_panels<S>(arena, hidden, hidden);
        if (sizes.projection) to.hr = take_panels<S>(arena, sizes.output_size, hidden);
        if (sizes.carried_gates() > 0)
          for (S*& panels : to.gates) panels = take_panels<S>(arena, sizes.carried_gates(), hidden);
        to.unit_weights = arena.take<S>(sizes.gates.unit_weights * padded);
        if (sizes.layer_norm) {
          for (S** vector : {&to.gain_ih, &to.gain_hh}) *vector = arena.take<S>(groups.count * groups.width());
          to.gain_c = arena.take<S>(padded);
        }
      }
      return arena.used();
    });
  }

  // Points a call of backward to the panels of its direction.
  void attach(const LayerShape& shape, const Groups<S>& groups, BackwardCall<S>& call) const {
    const Sizes& sizes = shape.sizes;
    const Direction& from = directions_[call.shape.direction];
    call.hh_panels = column_panels<S>(sizes.hh_rows(), sizes.output_size, from.hh);
    call.ih_panels = column_panels<S>(sizes.ih_rows(), sizes.input_size, from.ih);
    call.hn_panels = column_panels<S>(sizes.hidden_size, sizes.hidden_size, from.hn);
    call.hr_panels = column_panels<S>(sizes.output_size, sizes.hidden_size, from.hr);
    for (int k = 0; k < 3; k++)
      call.gates_panels[k] = column_panels<S>(sizes.carried_gates(), sizes.hidden_size, from.gates[k]);
    call.unit_weights = {from.unit_weights, groups.padded_units()};
    call.gain_ih = from.gain_ih;
    call.gain_hh = from.gain_hh;
    call.gain_c = from.gain_c;
  }

  // Packs the part of a team member.
  void pack(const LayerShape& shape, const Groups<S>& groups, const S* parameters, const Team& team) const {
    static constexpr int only_first[max_gates] = {0, -1, -1, -1};
    static constexpr double unscaled[max_gates] = {1, 1, 1, 1};
    const Sizes& sizes = shape.sizes;
    const Index hidden = sizes.hidden_size, outputs = sizes.output_size;
    for (int d = 0; d < shape.directions; d++) {
      const Weights<const S> weights = split_weights(parameters + d * weight_count(sizes), sizes);
      const Direction& to = directions_[d];
      // Some columns of a matrix, whose rows are `stride` apart.
      const auto pack_matrix = [&](const int(&rows)[max_gates], const Groups<S>& row_groups, const Sizes& of_rows,
                                   const S* matrix, Index stride, Index columns, S* panels) {
        const auto [first, last] = team.range(column_panels<S>(0, columns, panels).count);
        pack_backward(of_rows, rows, row_groups, matrix, stride, columns, int(first), int(last), panels);
      };
      const GateLayout& gates = sizes.gates;
      pack_matrix(gates.weight_hh, groups, sizes, weights.weight_hh, outputs, outputs, to.hh);
      if (with_ih_)
        pack_matrix(gates.weight_ih, groups, sizes, weights.weight_ih, sizes.input_size, sizes.input_size, to.ih);
      // W_hn and W_hr have one gate.
      const auto pack_one_gate = [&](const S* matrix, Index rows, S* panels) {
        Sizes of_rows = sizes;
        of_rows.hidden_size = rows;
        pack_matrix(only_first, Groups<S>(rows, 1), of_rows, matrix, hidden, hidden, panels);
      };
      if (sizes.reset_before) pack_one_gate(weights.weight_hn, hidden, to.hn);
      if (sizes.projection) pack_one_gate(weights.weight_hr, outputs, to.hr);
      if (sizes.carried_gates() > 0)
        for (int k = 0; k < 3; k++)
          pack_matrix(gates.weight_gates, groups, sizes, weights.weight_gates + k * hidden, 3 * hidden, hidden,
                      to.gates[k]);
      if (team.member() > 0) continue;
      pack_unit_vectors(weights.unit_weights, gates.unit_weights, hidden, S(1), to.unit_weights);
      if (!sizes.layer_norm) continue;
      pack_gate_vector(sizes, groups, weights.gain_ih, unscaled, to.gain_ih);
      pack_gate_vector(sizes, groups, weights.gain_hh, unscaled, to.gain_hh);
      pack_unit_vectors(weights.gain_c, 1, hidden, S(1), to.gain_c);
    }
  }

 private:
  struct Direction {
    S *hh, *ih, *hn, *hr, *gates[3], *unit_weights, *gain_ih, *gain_hh, *gain_c;
  };
  Direction directions_[max_directions] = {};
  bool with_ih_;
  MemoryBlock memory_;
};

}  // namespace fusedlstm
