// Weights packed for a call: matrices into panels, vectors into whole packets.
//
// Forward multiplies rows of x, h', ... with W^T: k of the panels runs over the columns of W. Backward multiplies rows
// of dz with W: k runs over the rows of W. The result is a row of blocks in whole packets.
#pragma once

#include "product/panels.hpp"
#include "runtime/memory.hpp"
#include "runtime/team.hpp"
#include "staged/spec.hpp"

namespace fusedlstm::staged {

enum class Way { forward, backward };

template <class S>
Panels<S> panels_of(const Matrix& matrix, Way way, const S* values) {
  const bool forward = way == Way::forward;
  const Index depth = forward ? matrix.column_blocks * matrix.columns : matrix.row_blocks * matrix.rows;
  const Index columns = forward ? matrix.row_blocks * whole_packets<S>(matrix.rows)
                                : matrix.column_blocks * whole_packets<S>(matrix.columns);
  return column_panels<S>(depth, columns, values);
}

// The panels [first, last).
template <class S>
void pack(const Matrix& matrix, Way way, const S* weights, int first, int last, S* values) {
  const Panels<S> panels = panels_of<S>(matrix, way, values);
  const Index columns = matrix.column_blocks * matrix.columns, rows = matrix.row_blocks * matrix.rows;
  const Index units = way == Way::forward ? matrix.rows : matrix.columns, block = whole_packets<S>(units);
  for (int panel = first; panel < last; panel++) {
    const int packets = panel < panels.whole ? panels.packets : panels.last_packets;
    const Index width = Index(packets) * pack_size<S>;
    for (int packet = 0; packet < packets; packet++) {
      const Index at = (Index(panel) * max_packets + packet) * pack_size<S>;
      const Index unit = at / block * units + at % block, present = std::min(Index(pack_size<S>), units - at % block);
      S* lanes = values + panel * panels.stride + packet * pack_size<S>;
      if (way == Way::backward) {
        for (Index k = 0; k < rows; k++) store(lanes + k * width, load_first(weights + k * columns + unit, present));
      } else {
        if (present < pack_size<S>)
          for (Index k = 0; k < columns; k++) store(lanes + k * width, zero<S>());
        transpose_scaled(weights + unit * columns, columns, int(present), columns, S(1), lanes, width);
      }
    }
  }
}

template <class S>
class PackedWeights {
 public:
  // layout: of one direction. with_input: pack W_ih, too.
  FUSEDLSTM_COLD PackedWeights(const Layout<S>& layout, Way way, bool with_input) : layout_(layout), way_(way) {
    const auto lay_out = [&](Arena arena) {
      for (int name = with_input ? input_matrix : input_matrix + 1; name < matrix_names; name++) {
        if (!layout.matrices[name]) continue;
        const Panels<S> panels = panels_of<S>(layout.matrices[name], way, nullptr);
        matrices_[name] = arena.take<S>(panels.stride * panels.count);
      }
      vectors_ = arena.take<S>(layout.packed);
      return arena.used();
    };
    block_ = MemoryBlock(lay_out(Arena()));
    lay_out(Arena(block_.memory()));
  }

  // Packs the part of a team member.
  FUSEDLSTM_COLD void pack_part(const Team& team, const S* parameters) const {
    for (int name = 0; name < matrix_names; name++) {
      if (!matrices_[name]) continue;
      const auto [first, last] = team.range(panels(MatrixName(name)).count);
      pack(layout_.matrices[name], way_, parameters + layout_.matrices[name].offset, int(first), int(last),
           matrices_[name]);
    }
    if (team.member() > 0) return;
    for (const Vector& vector : layout_.vectors) {
      const Index block = whole_packets<S>(vector.units);
      for (int b = 0; b < vector.blocks; b++) {
        S* to = vectors_ + vector.packed + b * block;
        std::fill(to, to + block, S(0));
        copy(parameters + vector.offset + b * vector.units, vector.units, to);
      }
    }
  }

  const Layout<S>& layout() const { return layout_; }
  Panels<S> panels(MatrixName name) const { return panels_of<S>(layout_.matrices[name], way_, matrices_[name]); }
  // Null if the vector is absent.
  const S* vector(VectorName name) const {
    return layout_.vectors[name] ? vectors_ + layout_.vectors[name].packed : nullptr;
  }

 private:
  const Layout<S>& layout_;
  Way way_;
  MemoryBlock block_;
  S* matrices_[matrix_names] = {};
  S* vectors_ = nullptr;
};

// Rows of blocks in memory.
template <class S>
struct Rows {
  S* values = nullptr;
  Index stride = 0;
  S* at(Index row) const { return values + row * stride; }
  explicit operator bool() const { return values != nullptr; }
};

// An operand of the product with a matrix: the numbers at `values`, times block `block` of the columns (forward) or
// rows (backward) of the matrix. units: of a block.
template <class S>
OperandA<S> operand(Rows<S> values, Index units, int block) {
  return {values.values, values.stride, block * units, units};
}

// out = start + product. out may be the array of start.
template <class S>
void multiply(const Panels<S>& panels, const OperandA<S>* operands, int count, Index rows, InitialC<S> start,
              Rows<S> out) {
  const PanelProduct<S> multiplication(panels, rows);
  if (rows > 2) return multiplication.compute_into(operands, count, start, out.values, out.stride);
  // With one or two rows, panels run side by side: the sums of one panel would not fill the pipelines.
  multiplication.compute(operands, count, start, [&](const Tile<S>& tile) {
    for (int p = 0; p < tile.panels; p++)
      for (int r = 0; r < tile.rows; r++)
        copy(tile.values + (p * tile.rows + r) * tile.width, tile.width,
             out.at(tile.first_row + r) + (tile.first_panel + p) * panels.packets * pack_size<S>);
  });
}

}  // namespace fusedlstm::staged
