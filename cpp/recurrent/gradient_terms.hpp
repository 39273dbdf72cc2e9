// The matrices of weights as sums of products. Each matrix W with z = W s has the gradient
//
//   dW = sum over rows and steps of dz s^T
//
// A term pairs the rows of dz with the rows of s, its source.
#pragma once

#include "recurrent/backward_call.hpp"

namespace fusedlstm {

// Rows of gradients, one per saved row, divided into slices: the gates of a group that a source feeds, or up to four
// packets of units.
template <class S>
struct GradientRows {
  const S* values;               // saved row 0 of slice 0
  Index by_slice;                // numbers between slices
  Index by_row, by_row_of_last;  // numbers between saved rows, and those of the last slice
  Groups<S> groups;
  int groups_per_slice;
  int first_gate, gate_count;  // of a slice that is not the tail; the tail has all gates

  int slices() const { return (groups.count + groups_per_slice - 1) / groups_per_slice; }
  bool is_tail(int slice) const { return groups.gates > 1 && groups.is_tail(slice); }
  int first_gate_of(int slice) const { return is_tail(slice) ? 0 : first_gate; }
  Index units_of(int slice) const {
    const Index first = Index(slice) * groups_per_slice * pack_size<S>;
    return std::min(groups.units - first, Index(groups_per_slice) * pack_size<S>);
  }
  PanelSlice<S> slice(int number) const {
    const S* from = values + number * by_slice;
    const Index between = number == slices() - 1 ? by_row_of_last : by_row;
    if (is_tail(number)) return {from, between, groups.packets_of(number)};
    const int packets = groups.gates > 1 ? gate_count : int(whole_packets<S>(units_of(number)) / pack_size<S>);
    return {from + first_gate * pack_size<S>, between, packets};
  }
};

// Rows of a source, divided into blocks of columns.
template <class S>
struct SourceRows {
  const S* values;         // saved row 0 of block 0; null: x and a column of ones, which the worker gathers
  Index by_block, by_row;  // numbers between blocks, and between saved rows
  Index columns, block_columns;
  bool of_previous_step;  // the row of step t - 1 belongs to the gradients of step t

  Index blocks() const { return (columns + block_columns - 1) / block_columns; }
};

template <class S>
struct GradientTerm {
  GradientRows<S> gradients;
  SourceRows<S> source;
  S* matrix;                  // the gradient of W, row-major
  Index matrix_columns;       // columns of W
  int row_blocks[max_gates];  // the block of rows of W for each gate; -1: none
  S* bias;                    // the gradient of the bias, from the last column of the source; may be null
  int bias_blocks[max_gates];

  Index columns() const { return bias ? source.columns - 1 : source.columns; }  // of the source that belong to W
};

template <class S>
std::vector<GradientTerm<S>> gradient_terms(const BackwardCall<S>& call) {
  static constexpr S one = 1;
  const SavedDirection<S>& saved = *call.saved;
  const Sizes& sizes = call.shape.sizes;
  const GateLayout& gates = sizes.gates;
  const Groups<S>& groups = saved.groups;
  const Weights<S>& to = call.gradients;
  const Index saved_rows = saved.plan.saved_rows;

  const auto gate_rows = [&](int first, int count, const Rows<S>& part = {}) -> GradientRows<S> {
    if (part) return {part.values, groups.width(), part.stride, part.stride, groups, 1, first, count};
    const int per_panel = groups.groups_per_panel();
    return {saved.gates,
            saved_rows * per_panel * groups.width(),
            per_panel * groups.width(),
            groups.panel_width(groups.panel_count() - 1),
            groups,
            per_panel,
            first,
            count};
  };
  const auto fed_rows = [&](const int(&rows)[max_gates], const Rows<S>& part = {}) {
    const FedGates fed(gates, rows);
    return gate_rows(fed.first, fed.count, part);
  };
  // One packet of units per block, [group][saved row][unit].
  const auto units = [&](const S* values, bool of_previous_step) -> SourceRows<S> {
    return {values, saved_rows * pack_size<S>, pack_size<S>, sizes.hidden_size, pack_size<S>, of_previous_step};
  };
  const auto rows = [&](const Rows<S>& from, Index first, Index columns, bool of_previous_step) -> SourceRows<S> {
    constexpr Index block = 48;  // whole tiles
    return {from.values + first, block, from.stride, columns, block, of_previous_step};
  };
  std::vector<GradientTerm<S>> terms;
  const auto add = [&](const GradientRows<S>& gradients, const SourceRows<S>& source, S* matrix, Index columns,
                       const int(&row_blocks)[max_gates]) -> GradientTerm<S>& {
    terms.push_back({gradients, source, matrix, columns, {}, nullptr, {}});
    std::copy_n(row_blocks, max_gates, terms.back().row_blocks);
    return terms.back();
  };
  constexpr int first_block[max_gates] = {0, -1, -1, -1};

  // The source is [x, 1], so this term has all gates. A gate without rows in W_ih gets only its bias.
  SourceRows<S> inputs{nullptr, 0, 0, sizes.input_size, sizes.input_size + 1, false};
  if (!sizes.layer_norm) inputs.columns++;
  GradientTerm<S>& ih =
      add(gate_rows(0, groups.gates, saved.x_part), inputs, to.weight_ih, sizes.input_size, gates.weight_ih);
  if (!sizes.layer_norm) {
    ih.bias = to.bias;
    std::copy_n(gates.bias, max_gates, ih.bias_blocks);
  }
  const SourceRows<S> h_prev =
      sizes.projection ? rows(saved.projected_h, 0, sizes.output_size, true) : units(saved.h(), true);
  add(fed_rows(gates.weight_hh, saved.h_part), h_prev, to.weight_hh, sizes.output_size, gates.weight_hh);
  if (sizes.reset_before)
    add(gate_rows(0, 1), rows(saved.reset_h, 0, sizes.hidden_size, false), to.weight_hn, sizes.hidden_size,
        first_block);
  for (int k = 0; k < 3 && sizes.carried_gates() > 0; k++)
    add(fed_rows(gates.weight_gates), rows(saved.carried_gates, k * groups.padded_units(), sizes.hidden_size, true),
        to.weight_gates + k * sizes.hidden_size, sizes.carried_gates(), gates.weight_gates);
  if (!sizes.projection) return terms;
  const Rows<S>& dh = saved.dprojected_h;
  const GradientRows<S> projected{
      dh.values, max_packets * pack_size<S>, dh.stride, dh.stride, Groups<S>(sizes.output_size, 1), max_packets, 0, 1};
  add(projected, units(saved.h_factor, false), to.weight_hr, sizes.hidden_size, first_block);
  if (sizes.projection_bias) add(projected, {&one, 0, 0, 1, 1, false}, to.bias_hr, 1, first_block);
  return terms;
}

}  // namespace fusedlstm
