// The tile of the last group of units, if the group has fewer units than a packet.
//
// Its pre-activations are packed densely, [row][gate][remaining units]. They are unpacked into one packet per gate for
// the equations, and the activations are packed again for the saved buffer.
#pragma once

#include "product/panels.hpp"
#include "recurrent/forward_call.hpp"

namespace fusedlstm {

template <class S>
class TailTile {
 public:
  void lay_out(const ForwardRange<S>& range, Arena& arena) {
    const Groups<S>& groups = range.groups;
    if (groups.tail_units == pack_size<S>) return;
    z_ = arena.take<S>(max_epilogue_rows * groups.width());
    if (range.call.saved) gates_ = arena.take<S>(max_epilogue_rows * groups.width());
  }

  // Runs the forward equations on the tile of step t. h_rows: the h of the product, [row][padded units].
  void forward(const ForwardRange<S>& range, Index t, const Tile<S>& tile, ForwardTile<S> cell_tile, int group,
               const S* h_rows) {
    const Groups<S>& groups = range.groups;
    unpack_tail(tile.values, tile.width, tile.width, groups.tail_units, groups.gates, tile.rows, z_);
    if (range.call.cell->gates.partly_fed())
      correct_partly_fed_sums(range, t, tile.first_row, tile.rows, group, h_rows);
    cell_tile.z = {z_, 0, groups.width()};
    if (range.call.saved) cell_tile.gates = {gates_, 0, groups.width()};
    range.call.cell->forward(cell_tile);
    if (range.call.saved)
      pack_tail(gates_, groups.tail_units, groups.gates, tile.rows,
                range.call.saved->gates_of(group, range.shard.saved_row(t) + tile.first_row), tile.width);
  }

 private:
  // The panel of the tail holds zeros where x or h does not feed a gate. Infinity or NaN times zero is NaN. A sum of
  // such a gate that is NaN is therefore computed again, in the same order, from the only operand that feeds the gate.
  void correct_partly_fed_sums(const ForwardRange<S>& range, Index t, Index first_row, int rows, int group,
                               const S* h_rows) {
    Pack<S> all = zero<S>();
    for (int j = 0; j < rows * range.groups.gates; j++) all = all + load(z_ + j * pack_size<S>);
    if (is_nan(sum(all))) correct_nan_sums(range, t, first_row, rows, group, h_rows);
  }
  FUSEDLSTM_COLD void correct_nan_sums(const ForwardRange<S>& range, Index t, Index first_row, int rows, int group,
                                       const S* h_rows) {
    const GateLayout& gates = range.call.shape.sizes.gates;
    for (int gate = 0; gate < gates.count; gate++) {
      if (gates.weight_ih[gate] >= 0 && gates.weight_hh[gate] >= 0) continue;
      for (int r = 0; r < rows; r++) {
        S* sums = z_ + (r * gates.count + gate) * pack_size<S>;
        if (is_nan(sum(load(sums)))) sum_one_operand(range, t, first_row + r, group, gate, h_rows, sums);
      }
    }
  }
  static void sum_one_operand(const ForwardRange<S>& range, Index t, Index row, int group, int gate, const S* h_rows,
                              S* sums) {
    const Groups<S>& groups = range.groups;
    const bool of_x = range.call.shape.sizes.gates.weight_ih[gate] >= 0;
    const S* values = of_x ? range.x_at(row, t) : h_rows + row * groups.padded_units();
    const Index k_count = of_x ? range.input_size() : groups.units, width = groups.width_of(group);
    const S* weights = range.call.panels.values + group * range.call.panels.stride + gate * groups.tail_units;
    if (!of_x) weights += range.input_size() * width;
    Pack<S> total = load_first(range.call.bias + group * groups.width() + gate * groups.tail_units, groups.tail_units);
    for (Index k = 0; k < k_count; k++, weights += width)
      total = fma(fill(values[k]), load_first(weights, groups.tail_units), total);
    store(sums, total);
  }

  S* z_ = nullptr;      // [row][gate][unit]
  S* gates_ = nullptr;  // [row][gate][unit], for training
};

}  // namespace fusedlstm
