// Weights into panels, and gradients out of panels.
//
// Units are divided into groups of one packet. A forward panel holds one group: for each k (the inputs, then the hidden
// units), the weights of all gates of the group side by side, [k][gate][unit]. The last group may have fewer units. It
// is packed densely, [k][gate][remaining units], so that it costs only the packets that it needs. The activations that
// are saved for backward have the same layout: one gate row per step, sequence and group. With a single gate, a panel
// and a gate row hold up to four groups, as many as fill a tile.
//
// Backward multiplies gate rows with the weights as they are stored. Its panels hold up to four packets of columns, and
// k runs over the rows of the weights in the order of the gate rows.
#pragma once

#include <vector>

#include "product/layout.hpp"
#include "product/panel_product.hpp"

namespace fusedlstm {

template <class S>
constexpr Index whole_packets(Index units) {
  return (units + pack_size<S> - 1) / pack_size<S> * pack_size<S>;
}

// The units of a layer in groups.
template <class S>
struct Groups {
  Index units;
  int gates;
  int count;
  int tail_units;  // units of the last group, 1 to pack_size

  Groups(Index unit_count, Index gate_count)
      : units(unit_count),
        gates(int(gate_count)),
        count(int((unit_count + pack_size<S> - 1) / pack_size<S>)),
        tail_units(int(unit_count - (count - 1) * pack_size<S>)) {}

  // The group has fewer units than a packet.
  bool is_tail(int group) const { return group == count - 1 && tail_units < pack_size<S>; }
  int units_of(int group) const { return group == count - 1 ? tail_units : pack_size<S>; }
  int packets_of(int group) const { return (gates * units_of(group) + pack_size<S> - 1) / pack_size<S>; }
  // The numbers in a gate row of a group, and of a group that is not the tail.
  Index width_of(int group) const { return Index(packets_of(group)) * pack_size<S>; }
  Index width() const { return Index(gates) * pack_size<S>; }
  Index padded_units() const { return Index(count) * pack_size<S>; }
  // The numbers in `rows` gate rows of all groups. The rows of a group are contiguous.
  Index gate_row_size(Index rows) const { return rows * ((count - 1) * width() + width_of(count - 1)); }
  // With one gate, a forward panel and a gate row hold as many groups as fill a tile.
  int groups_per_panel() const { return gates == 1 ? max_packets : 1; }
  int panel_count() const { return (count + groups_per_panel() - 1) / groups_per_panel(); }
  int groups_in_panel(int panel) const { return std::min(groups_per_panel(), count - panel * groups_per_panel()); }
  Index panel_units(int panel) const {
    const int last = panel * groups_per_panel() + groups_in_panel(panel) - 1;
    return Index(groups_in_panel(panel) - 1) * pack_size<S> + units_of(last);
  }
  // The numbers in a gate row of a panel.
  Index panel_width(int panel) const {
    return gates > 1 ? width_of(panel) : Index(groups_in_panel(panel)) * pack_size<S>;
  }
  Panels<S> forward_panels(const S* values, Index k_count, bool partly_fed) const {
    if (gates > 1) return gate_panels(values, k_count, partly_fed);
    const int panels = (count + max_packets - 1) / max_packets, last = count - (panels - 1) * max_packets;
    return {values,      k_count * max_packets * pack_size<S>,
            panels,      last == max_packets ? panels : panels - 1,
            max_packets, last};
  }
  Index forward_panel_size(Index k_count) const {
    const Panels<S> panels = forward_panels(nullptr, k_count, false);
    return panels.count * panels.stride;
  }
  // One panel per group. `partly_fed`: see GateLayout::partly_fed.
  Panels<S> gate_panels(const S* values, Index k_count, bool partly_fed = false) const {
    const int whole = is_tail(count - 1) ? count - 1 : count;
    return {values, k_count * width(), count, whole, gates, packets_of(count - 1), partly_fed};
  }
};

// The groups [first, last), whose panels are [first_panel, last_panel).
struct UnitShard {
  int first_panel, last_panel, first, last;
  // Number `index` of `shards`, which divide the panels evenly.
  UnitShard(int groups, int groups_per_panel, int index, int shards) {
    const int panels = (groups + groups_per_panel - 1) / groups_per_panel;
    first_panel = panels * index / shards;
    last_panel = panels * (index + 1) / shards;
    first = first_panel * groups_per_panel;
    last = std::min(groups, last_panel * groups_per_panel);
  }
  int count() const { return last - first; }
};

// to[k * to_stride + u] = from[u * from_stride + k] * scale, for `units` rows u and `k_count` columns k.
template <class S>
void transpose_scaled(const S* from, Index from_stride, int units, Index k_count, S scale, S* to, Index to_stride) {
  if (units < pack_size<S>) {
    for (Index k = 0; k < k_count; k++)
      for (int u = 0; u < units; u++) to[k * to_stride + u] = from[u * from_stride + k] * scale;
    return;
  }
  for (Index k = 0; k < k_count; k += pack_size<S>) {
    Square<S> square;
    for (int u = 0; u < pack_size<S>; u++)
      square.rows[u] = load_first(from + u * from_stride + k, k_count - k) * fill(scale);
    transpose(square);
    for (int j = 0; j < pack_size<S> && k + j < k_count; j++) store(to + (k + j) * to_stride, square.rows[j]);
  }
}

// to[u * to_stride + k] += from[k * from_stride + u]
template <class S>
void add_transposed(const S* from, Index from_stride, int units, Index k_count, S* to, Index to_stride) {
  if (units < pack_size<S>) {
    for (Index k = 0; k < k_count; k++)
      for (int u = 0; u < units; u++) to[u * to_stride + k] += from[k * from_stride + u];
    return;
  }
  for (Index k = 0; k < k_count; k += pack_size<S>) {
    Square<S> square;
    for (int j = 0; j < pack_size<S>; j++)
      square.rows[j] = k + j < k_count ? load(from + (k + j) * from_stride) : zero<S>();
    transpose(square);
    for (int u = 0; u < pack_size<S>; u++) {
      S* row = to + u * to_stride + k;
      store_first(row, load_first(row, k_count - k) + square.rows[u], k_count - k);
    }
  }
}

// The gates that x or h feeds: `count` neighbors, beginning with `first`.
struct FedGates {
  int first = 0, count = 0;
  Span span = Span::all;  // their packets in a whole panel
  FedGates(const GateLayout& gates, const int (&rows)[max_gates]) : count(gates.present(rows)) {
    while (count > 0 && rows[first] < 0) first++;
    if (count < gates.count) span = first == 0 ? Span::but_last : Span::but_first;
  }
};

// Subtracts from each lane the mean of its row of B: means[k] of the lanes [0, numbers) of the rows [0, k_count).
template <class S>
void center_panel(const S* means, Index k_count, Index numbers, Index width, S* panel) {
  for (Index k = 0; k < k_count; k++, panel += width)
    for (Index j = 0; j < numbers; j += pack_size<S>)
      store_first(panel + j, load_first(panel + j, numbers - j) - fill(means[k]), numbers - j);
}
// The means of the columns of a matrix (rows, columns), row-major.
template <class S>
void compute_column_means(const S* matrix, Index rows, Index columns, S* means) {
  std::fill_n(means, columns, S(0));
  for (Index row = 0; row < rows; row++)
    for (Index k = 0; k < columns; k++) means[k] += matrix[row * columns + k];
  for (Index k = 0; k < columns; k++) means[k] /= S(rows);
}

// Packs the groups [first, last) for forward. Along k, a panel holds W_ih, W_hh and W_gates. bias: [group][width].
// Layer normalization reads the products of W_ih and W_hh without input scale. Their columns are centered: the mean of
// the product over all gates and units is then zero, and norm(W x) is the same. column_means: of W_ih, then of W_hh.
template <class S>
void pack_forward(const Sizes& sizes, const Groups<S>& groups, const Weights<const S>& weights,
                  const double* input_scale, const S* column_means, int first, int last, S* panels, S* bias) {
  const Index inputs = sizes.input_size, hidden = sizes.hidden_size, outputs = sizes.output_size;
  const Index carried = sizes.carried_gates(), k_count = sizes.forward_k();
  const GateLayout& gates = sizes.gates;
  for (int group = first; group < last; group++) {
    const int units = groups.units_of(group), per_panel = groups.groups_per_panel();
    const int first_of_panel = group / per_panel * per_panel;
    const int in_panel = std::min(per_panel, groups.count - first_of_panel);
    const Index width = per_panel == 1 ? groups.width_of(group) : in_panel * Index(pack_size<S>);
    S* panel = panels + first_of_panel * k_count * groups.width() + (group - first_of_panel) * pack_size<S>;
    S* group_bias = bias + group * groups.width();
    // Lanes that no weight fills are zero.
    if (groups.is_tail(group))
      for (Index k = 0; k < k_count; k++) std::fill_n(panel + k * width, groups.width_of(group), S(0));
    std::fill_n(group_bias, groups.width_of(group), S(0));
    for (int gate = 0; gate < groups.gates; gate++) {
      const auto row_of = [&](int rows) { return rows * hidden + Index(group) * pack_size<S>; };
      const S scale = S(input_scale[gate]), product_scale = sizes.layer_norm ? S(1) : scale;
      S* lanes = panel + gate * units;
      if (gates.weight_ih[gate] >= 0)
        transpose_scaled(weights.weight_ih + row_of(gates.weight_ih[gate]) * inputs, inputs, units, inputs,
                         product_scale, lanes, width);
      if (gates.weight_hh[gate] >= 0)
        transpose_scaled(weights.weight_hh + row_of(gates.weight_hh[gate]) * outputs, outputs, units, outputs,
                         product_scale, lanes + inputs * width, width);
      if (gates.weight_gates[gate] >= 0)
        transpose_scaled(weights.weight_gates + row_of(gates.weight_gates[gate]) * carried, carried, units, carried,
                         scale, lanes + (inputs + outputs) * width, width);
      const S* from = weights.bias + row_of(gates.bias[gate]);
      for (int u = 0; u < units; u++) group_bias[gate * units + u] = from[u] * scale;
    }
    if (sizes.layer_norm) center_panel(column_means, inputs + outputs, Index(gates.count) * units, width, panel);
  }
}

// Packs a vector with one number per gate and unit like the bias: [group][width], times the scale of each gate.
template <class S>
void pack_gate_vector(const Sizes& sizes, const Groups<S>& groups, const S* vector, const double* scale, S* packed) {
  std::fill_n(packed, groups.count * groups.width(), S(0));
  for (int group = 0; group < groups.count; group++)
    for (int gate = 0; gate < groups.gates; gate++) {
      const S* from = vector + sizes.gates.bias[gate] * sizes.hidden_size + Index(group) * pack_size<S>;
      const int units = groups.units_of(group);
      for (int u = 0; u < units; u++) packed[group * groups.width() + gate * units + u] = from[u] * S(scale[gate]);
    }
}

// Packs `count` vectors, times a scale and padded with zeros: [vector][padded units].
template <class S>
void pack_unit_vectors(const S* vectors, Index count, Index units, S scale, S* packed) {
  const Index padded = whole_packets<S>(units);
  for (Index v = 0; v < count; v++)
    for (Index u = 0; u < padded; u++) packed[v * padded + u] = u < units ? vectors[v * units + u] * scale : S(0);
}

// Panels of up to four packets of columns.
template <class S>
Panels<S> column_panels(Index k_count, Index columns, const S* values) {
  const int packets = int((columns + pack_size<S> - 1) / pack_size<S>);
  const int count = (packets + max_packets - 1) / max_packets;
  const int last_packets = packets - (count - 1) * max_packets;
  return {values,      k_count * max_packets * pack_size<S>,
          count,       last_packets == max_packets ? count : count - 1,
          max_packets, last_packets};
}
// Packs the column panels [first, last) of the transpose of a matrix (columns, k_count), row-major, times a scale.
template <class S>
void pack_transposed(const S* matrix, Index columns, Index k_count, S scale, int first, int last, S* values) {
  const Panels<S> panels = column_panels<S>(k_count, columns, values);
  for (int panel = first; panel < last; panel++) {
    const int packets = panel < panels.whole ? panels.packets : panels.last_packets;
    const Index width = Index(packets) * pack_size<S>;
    for (int packet = 0; packet < packets; packet++) {
      const Index column = (Index(panel) * max_packets + packet) * pack_size<S>;
      const int units = int(std::min(Index(pack_size<S>), columns - column));
      S* lanes = values + panel * panels.stride + packet * pack_size<S>;
      if (units < pack_size<S>)
        for (Index k = 0; k < k_count; k++) store(lanes + k * width, zero<S>());
      transpose_scaled(matrix + column * k_count, k_count, units, k_count, scale, lanes, width);
    }
  }
}
// The numbers in all column panels.
template <class S>
Index column_panel_size(Index k_count, Index columns) {
  const Panels<S> panels = column_panels<S>(k_count, columns, nullptr);
  return panels.stride * panels.count;
}
// Packs the column panels [first, last) of some columns of a matrix of weights, whose rows are `stride` apart. k runs
// over the groups, and in each group over the gates that have rows in the matrix.
template <class S>
void pack_backward(const Sizes& sizes, const int (&rows)[max_gates], const Groups<S>& groups, const S* matrix,
                   Index stride, Index columns, int first, int last, S* values) {
  const Panels<S> panels = column_panels<S>(sizes.gates.present(rows) * sizes.hidden_size, columns, values);
  for (int panel = first; panel < last; panel++) {
    const Index width = (panel == panels.count - 1 ? panels.last_packets : panels.packets) * pack_size<S>;
    const Index column = Index(panel) * max_packets * pack_size<S>;
    const Index present = std::min(width, columns - column);
    S* to = values + panel * panels.stride;
    for (int group = 0; group < groups.count; group++) {
      for (int gate = 0; gate < groups.gates; gate++) {
        if (rows[gate] < 0) continue;
        const S* from = matrix + (rows[gate] * sizes.hidden_size + Index(group) * pack_size<S>)*stride + column;
        for (int u = 0; u < groups.units_of(group); u++, from += stride, to += width) {
          for (Index j = 0; j < width; j += pack_size<S>)
            store(to + j, j < present ? load_first(from + j, present - j) : zero<S>());
        }
      }
    }
  }
}

// Convert between the dense gate rows of the tail group, [row][gate][remaining units], and whole packets,
// [row][gate][unit]. The lanes beyond the units of the tail are arbitrary.
template <class S>
void unpack_tail(const S* gate_rows, Index stride, Index width, int units, int gates, Index rows, S* packets) {
  S lanes[(max_packets + 1) * pack_size<S>] = {};
  for (Index row = 0; row < rows; row++) {
    for (Index j = 0; j < width; j += pack_size<S>) store(lanes + j, load(gate_rows + row * stride + j));
    for (int gate = 0; gate < gates; gate++)
      store(packets + (row * gates + gate) * pack_size<S>, load(lanes + gate * units));
  }
}
template <class S>
void pack_tail(const S* packets, int units, int gates, Index rows, S* gate_rows, Index width) {
  S lanes[(max_packets + 1) * pack_size<S>] = {};
  for (Index row = 0; row < rows; row++) {
    for (int gate = 0; gate < gates; gate++)
      store(lanes + gate * units, load(packets + (row * gates + gate) * pack_size<S>));
    for (Index j = 0; j < width; j += pack_size<S>) store(gate_rows + row * width + j, load(lanes + j));
  }
}

}  // namespace fusedlstm
