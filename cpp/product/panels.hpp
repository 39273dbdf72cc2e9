// Weights into panels, and gradients out of them.
//
// Units come in groups of one packet. A forward panel holds one group: for each depth k (the inputs, then the
// hidden units) the group's weights of every gate side by side, [k][gate][unit]. The last group may have
// fewer units; it is packed densely, [k][gate][units left], so that it costs as many packets as it needs.
// Records of gates, saved for backward, have the same form. Backward multiplies gate records with the weights as
// they stand: its panels hold up to four packets of columns, their depths in the order of the records.
#pragma once

#include "product/layout.hpp"
#include "product/tiles.hpp"

namespace fusedlstm {

// The units of a layer in groups, each with `blocks` gates.
template <class S>
struct Groups {
  Index units;
  int blocks;
  int count;
  int tail;  // units of the last group, 1 to pack_size

  Groups(Index units_, Index blocks_)
      : units(units_),
        blocks(int(blocks_)),
        count(int((units_ + pack_size<S> - 1) / pack_size<S>)),
        tail(int(units_ - (count - 1) * pack_size<S>)) {}

  bool narrow(int group) const { return group == count - 1 && tail < pack_size<S>; }
  int units_of(int group) const { return group == count - 1 ? tail : pack_size<S>; }
  int packets_of(int group) const { return (blocks * units_of(group) + pack_size<S> - 1) / pack_size<S>; }
  Index width_of(int group) const { return Index(packets_of(group)) * pack_size<S>; }
  Index width() const { return Index(blocks) * pack_size<S>; }
  Index padded_units() const { return Index(count) * pack_size<S>; }
  // Numbers in `rows` records of all groups; the records of a group lie together.
  Index record_count(Index rows) const { return rows * ((count - 1) * width() + width_of(count - 1)); }
  // A forward panel holds so many groups: with one block a unit, as many as fill a tile.
  int groups_of_a_panel() const { return blocks == 1 ? max_packets : 1; }
  Panels<S> forward_panels(const S* values, Index depth, bool divided) const {
    if (blocks > 1) return panels(values, depth, divided);
    const int panels = (count + max_packets - 1) / max_packets, last = count - (panels - 1) * max_packets;
    return {values, depth * max_packets * pack_size<S>, panels, last == max_packets ? panels : panels - 1, max_packets,
            last};
  }
  Index forward_panel_count(Index depth) const {
    const Panels<S> panels = forward_panels(nullptr, depth, false);
    return panels.count * panels.stride;
  }
  // `divided`: operands feed some of the blocks (Blocks::divided).
  Panels<S> panels(const S* values, Index depth, bool divided = false) const {
    return {values, depth * width(), count,  narrow(count - 1) ? count - 1 : count, blocks, packets_of(count - 1),
            divided};
  }
};

// The groups [first, last), whose panels are [first_panel, last_panel).
struct UnitPart {
  int first_panel, last_panel, first, last;
  // Part `part` of `parts`. A panel holds so many groups.
  UnitPart(int groups, int groups_of_a_panel, int part, int parts) {
    const int panels = (groups + groups_of_a_panel - 1) / groups_of_a_panel;
    first_panel = panels * part / parts;
    last_panel = panels * (part + 1) / parts;
    first = first_panel * groups_of_a_panel;
    last = std::min(groups, last_panel * groups_of_a_panel);
  }
  int count() const { return last - first; }
};

// to[k * to_stride + u] = from[u * from_stride + k] * factor, for `units` rows u and `depth` columns k.
template <class S>
void transpose_scaled(const S* from, Index from_stride, int units, Index depth, S factor, S* to, Index to_stride) {
  if (units < pack_size<S>) {
    for (Index k = 0; k < depth; k++)
      for (int u = 0; u < units; u++) to[k * to_stride + u] = from[u * from_stride + k] * factor;
    return;
  }
  for (Index k = 0; k < depth; k += pack_size<S>) {
    Square<S> square;
    for (int u = 0; u < pack_size<S>; u++)
      square.rows[u] = load_first(from + u * from_stride + k, depth - k) * fill(factor);
    transpose(square);
    for (int j = 0; j < pack_size<S> && k + j < depth; j++) store(to + (k + j) * to_stride, square.rows[j]);
  }
}

// to[u * to_stride + k] += from[k * from_stride + u], the way back.
template <class S>
void add_transposed(const S* from, Index from_stride, int units, Index depth, S* to, Index to_stride) {
  if (units < pack_size<S>) {
    for (Index k = 0; k < depth; k++)
      for (int u = 0; u < units; u++) to[u * to_stride + k] += from[k * from_stride + u];
    return;
  }
  for (Index k = 0; k < depth; k += pack_size<S>) {
    Square<S> square;
    for (int j = 0; j < pack_size<S>; j++)
      square.rows[j] = k + j < depth ? load(from + (k + j) * from_stride) : zero<S>();
    transpose(square);
    for (int u = 0; u < pack_size<S>; u++) {
      S* row = to + u * to_stride + k;
      store_first(row, load_first(row, depth - k) + square.rows[u], depth - k);
    }
  }
}

// The blocks that an operand feeds: a run of `count` from `first`, and what of a whole panel that is.
struct FedBlocks {
  int first = 0, count = 0;
  Span span = Span::all;
  FedBlocks(const Blocks& blocks, const int (&rows)[most_blocks]) : count(blocks.present(rows)) {
    while (rows[first] < 0) first++;
    if (count < blocks.count) span = first == 0 ? Span::but_last : Span::but_first;
  }
};

// Forward panels of the groups [first, last): input part, then hidden part; and their biases, [group][width].
template <class S>
void pack_forward(const Sizes& sizes, const Groups<S>& groups, const Weights<const S>& weights, const double* factors,
                  int first, int last, S* panels, S* bias) {
  const Index depth = sizes.input + sizes.hidden;
  for (int group = first; group < last; group++) {
    const int units = groups.units_of(group), several = groups.groups_of_a_panel();
    const int first_of_panel = group / several * several, in_panel = std::min(several, groups.count - first_of_panel);
    const Index width = several == 1 ? groups.width_of(group) : in_panel * Index(pack_size<S>);
    S* panel = panels + first_of_panel * depth * groups.width() + (group - first_of_panel) * pack_size<S>;
    S* panel_bias = bias + group * groups.width();
    const Blocks& blocks = sizes.blocks;
    if (groups.narrow(group))
      for (Index k = 0; k < depth; k++) std::fill_n(panel + k * width, groups.width_of(group), S(0));
    std::fill_n(panel_bias, groups.width_of(group), S(0));
    for (int block = 0; block < groups.blocks; block++) {
      const auto row_of = [&](int rows) { return rows * sizes.hidden + Index(group) * pack_size<S>; };
      const S factor = S(factors[block]);
      S* lanes = panel + block * units;
      if (blocks.input[block] >= 0)
        transpose_scaled(weights.input + row_of(blocks.input[block]) * sizes.input, sizes.input, units, sizes.input,
                         factor, lanes, width);
      if (blocks.hidden[block] >= 0)
        transpose_scaled(weights.hidden + row_of(blocks.hidden[block]) * sizes.hidden, sizes.hidden, units,
                         sizes.hidden, factor, lanes + sizes.input * width, width);
      const S* bias_row = weights.bias + row_of(blocks.bias[block]);
      for (int u = 0; u < units; u++) panel_bias[block * units + u] = bias_row[u] * factor;
    }
  }
}

// The units' own weights, times a factor, padded with zeros: [vector][padded units].
template <class S>
void pack_vectors(const Sizes& sizes, const Groups<S>& groups, const S* vectors, S factor, S* packed) {
  for (int v = 0; v < sizes.blocks.vectors; v++)
    for (Index u = 0; u < groups.padded_units(); u++)
      packed[v * groups.padded_units() + u] = u < sizes.hidden ? vectors[v * sizes.hidden + u] * factor : S(0);
}

// Panels of up to four packets of columns each, over a depth.
template <class S>
Panels<S> column_panels(Index depth, Index columns, const S* values) {
  const int packets = int((columns + pack_size<S> - 1) / pack_size<S>);
  const int count = (packets + max_packets - 1) / max_packets;
  const int last_packets = packets - (count - 1) * max_packets;
  return {values, depth * max_packets * pack_size<S>, count, last_packets == max_packets ? count : count - 1,
          max_packets, last_packets};
}
// How many numbers they take.
template <class S>
Index column_panel_count(Index depth, Index columns) {
  const Panels<S> panels = column_panels<S>(depth, columns, nullptr);
  return panels.stride * panels.count;
}
// The column panels [first, last) of a matrix of weights, its rows in the order of the records: the blocks that have
// rows in it, of one group after the other.
template <class S>
void pack_backward(const Sizes& sizes, const int (&rows)[most_blocks], const Groups<S>& groups, const S* matrix,
                   Index columns, int first, int last, S* values) {
  const Panels<S> panels = column_panels<S>(sizes.blocks.present(rows) * sizes.hidden, columns, values);
  for (int panel = first; panel < last; panel++) {
    const Index width = (panel == panels.count - 1 ? panels.last_packets : panels.packets) * pack_size<S>;
    const Index column = Index(panel) * max_packets * pack_size<S>;
    const Index present = std::min(width, columns - column);
    S* to = values + panel * panels.stride;
    for (int group = 0; group < groups.count; group++) {
      for (int block = 0; block < groups.blocks; block++) {
        if (rows[block] < 0) continue;
        const S* from = matrix + (rows[block] * sizes.hidden + Index(group) * pack_size<S>) * columns + column;
        for (int u = 0; u < groups.units_of(group); u++, from += columns, to += width) {
          for (Index j = 0; j < width; j += pack_size<S>)
            store(to + j, j < present ? load_first(from + j, present - j) : zero<S>());
        }
      }
    }
  }
}

// Records of a narrow group, `rows` of them, into gates of one packet each, and back. What a packet holds beyond the
// group's units is arbitrary.
template <class S>
void widen(const S* records, Index stride, Index width, int units, int blocks, Index rows, S* wide) {
  S lanes[(max_packets + 1) * pack_size<S>] = {};
  for (Index row = 0; row < rows; row++) {
    for (Index j = 0; j < width; j += pack_size<S>) store(lanes + j, load(records + row * stride + j));
    for (int block = 0; block < blocks; block++)
      store(wide + (row * blocks + block) * pack_size<S>, load(lanes + block * units));
  }
}
template <class S>
void narrow(const S* wide, int units, int blocks, Index rows, S* records, Index width) {
  S lanes[(max_packets + 1) * pack_size<S>] = {};
  for (Index row = 0; row < rows; row++) {
    for (int block = 0; block < blocks; block++)
      store(lanes + block * units, load(wide + (row * blocks + block) * pack_size<S>));
    for (Index j = 0; j < width; j += pack_size<S>) store(records + row * width + j, load(lanes + j));
  }
}

}  // namespace fusedlstm
