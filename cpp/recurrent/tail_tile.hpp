// The tile of the last group of units, if the group has fewer units than a packet.
//
// Its pre-activations are packed densely, [row][gate][remaining units]. They are unpacked into one packet per gate for
// the equations, and the activations are packed again for the saved buffer.
#pragma once

#include "product/panels.hpp"
#include "recurrent/forward_call.hpp"

namespace fusedlstm {

// A row of each operand that feeds the pre-activations of a cell; null if absent.
template <class S>
struct FeedingRows {
  const S *x = nullptr, *h = nullptr, *carried_gates = nullptr;
};

template <class S>
class TailTile {
 public:
  void lay_out(const ForwardRange<S>& range, Arena& arena) {
    const Groups<S>& groups = range.groups;
    if (groups.tail_units == pack_size<S>) return;
    z_ = arena.take<S>(max_epilogue_rows * groups.width());
    gates_ = arena.take<S>(max_epilogue_rows * groups.width());
  }

  // Runs the forward equations on a tile. gate_rows: where the activations are kept, or null. rows_of(row): the
  // FeedingRows.
  template <class RowsOf>
  void forward(const ForwardRange<S>& range, const Tile<S>& tile, ForwardTile<S> cell_tile, int group, S* gate_rows,
               RowsOf&& rows_of) {
    const Groups<S>& groups = range.groups;
    unpack_tail(tile.values, tile.width, tile.width, groups.tail_units, groups.gates, tile.rows, z_);
    if (range.call.cell->gates.partly_fed() && !range.sizes().layer_norm)
      correct_partly_fed_sums(range, tile, group, rows_of);
    cell_tile.z = {z_, 0, groups.width()};
    if (gate_rows) cell_tile.gates = {gates_, 0, groups.width()};
    range.call.cell->forward(cell_tile);
    if (gate_rows) pack_tail(gates_, groups.tail_units, groups.gates, tile.rows, gate_rows, tile.width);
  }

  // Runs the second part of the equations. It reads the kept activations. Without tile.z, they are z, too.
  void forward_second(const ForwardRange<S>& range, ForwardTile<S> cell_tile, int group, S* gate_rows) {
    const Groups<S>& groups = range.groups;
    const Index width = groups.width_of(group);
    unpack_tail(gate_rows, width, width, groups.tail_units, groups.gates, cell_tile.rows, gates_);
    cell_tile.gates = {gates_, 0, groups.width()};
    if (!cell_tile.z.values) cell_tile.z = cell_tile.gates;
    range.call.cell->forward_second(cell_tile);
    pack_tail(gates_, groups.tail_units, groups.gates, cell_tile.rows, gate_rows, width);
  }

 private:
  // The panel of the tail holds zeros where an operand does not feed a gate. Infinity or NaN times zero is NaN. A sum
  // of such a gate that is NaN is therefore computed again, in the same order, from the operands that feed the gate.
  // Layer normalization adds the parts of the operands separately.
  template <class RowsOf>
  void correct_partly_fed_sums(const ForwardRange<S>& range, const Tile<S>& tile, int group, RowsOf&& rows_of) {
    Pack<S> all = zero<S>();
    for (int j = 0; j < tile.rows * range.groups.gates; j++) all = all + load(z_ + j * pack_size<S>);
    if (!is_nan(sum(all))) return;
    for (int gate = 0; gate < range.groups.gates; gate++)
      for (int r = 0; r < tile.rows; r++) {
        S* sums = z_ + (r * range.groups.gates + gate) * pack_size<S>;
        if (is_nan(sum(load(sums)))) sum_feeding_operands(range, rows_of(tile.first_row + r), group, gate, sums);
      }
  }
  FUSEDLSTM_COLD static void sum_feeding_operands(const ForwardRange<S>& range, const FeedingRows<S>& rows, int group,
                                                  int gate, S* sums) {
    const Groups<S>& groups = range.groups;
    const Sizes& sizes = range.sizes();
    const PackedDirection<S>& packed = range.call.weights;
    const Index width = groups.width_of(group), place = gate * groups.tail_units;
    const S* weights = packed.panels.values + group * packed.panels.stride + place;
    Pack<S> total = load_first(packed.bias + group * groups.width() + place, groups.tail_units);
    const auto add = [&](bool feeds, const S* values, Index k_count) {
      for (Index k = 0; k < k_count; k++, weights += width)
        if (feeds) total = fma(fill(values[k]), load_first(weights, groups.tail_units), total);
    };
    add(sizes.gates.weight_ih[gate] >= 0, rows.x, sizes.input_size);
    add(sizes.gates.weight_hh[gate] >= 0, rows.h, sizes.output_size);
    for (Index b = 0; b < sizes.carried_gates(); b += sizes.hidden_size)
      add(sizes.gates.weight_gates[gate] >= 0, rows.carried_gates + b / sizes.hidden_size * groups.padded_units(),
          sizes.hidden_size);
    store(sums, total);
  }

  S* z_ = nullptr;      // [row][gate][unit]
  S* gates_ = nullptr;  // [row][gate][unit]
};

}  // namespace fusedlstm
