// The product of rows with all panels of a matrix, tile by tile. An epilogue gets each finished tile while it is in L1.
#pragma once

#include "product/tiles.hpp"

namespace fusedlstm {

// The tiles of a panel are collected for the epilogue until they have this many rows: the processor overlaps the rows
// of a longer loop better.
inline constexpr int epilogue_rows = 24;
// The maximum number of rows that an epilogue gets at a time.
inline constexpr int max_epilogue_rows = epilogue_rows - 1 + max_rows(1);

namespace detail {

// The tiles of a panel. The rows are spread evenly over as few tiles as possible: 32 = 6 + 6 + 5 + 5 + 5 + 5.
template <class S, bool Transposed>
struct TileRows {
  Index tiles = 0, rows = 0, longer = 0;  // the first `longer` tiles have one more row
  TileFunction<S> function = nullptr, longer_function = nullptr;

  TileRows() = default;
  TileRows(Index all, int packets, bool spans = false) {
    const Index limit = max_rows(packets);
    tiles = all <= limit ? 1 : (all + limit - 1) / limit;
    rows = tiles == 1 ? all : all / tiles;
    longer = all - rows * tiles;
    function = tile_function<S, Transposed>(int(rows), packets, spans);
    if (longer > 0) longer_function = tile_function<S, Transposed>(int(rows) + 1, packets, spans);
  }
  // Calls done(tile_rows) after each tile.
  template <class Done>
  FUSEDLSTM_INLINE void compute(TileProduct<S>& p, Done&& done) const {
    for (Index t = 0; t < tiles; t++) {
      const bool is_longer = t < longer;
      (is_longer ? longer_function : function)(p);
      done(rows + is_longer);
      p.row += rows + is_longer;
    }
  }
};

}  // namespace detail

// The product of a fixed number of rows of A with all panels of B. The constructor computes everything that depends on
// the number of rows, so that a step of a short sequence has little overhead.
template <class S>
class PanelProduct {
 public:
  PanelProduct(const Panels<S>& panels, Index rows)
      : panels_(panels),
        rows_(rows),
        whole_(rows, panels.packets, panels.spans),
        last_(rows, panels.last_packets, panels.spans && panels.whole == panels.count) {}
  Index rows() const { return rows_; }

  // If there is only one panel, each sum is divided into chains. The bits differ from those of undivided sums, so that
  // the choice must not depend on how rows are divided among threads.
  static PanelProduct in_chains(const Panels<S>& panels, Index rows) {
    PanelProduct product(panels, rows);
    if (panels.count == 1)
      product.whole_.function = product.last_.function = detail::chains_function<S>(int(rows), panels.last_packets);
    return product;
  }

  // Calls epilogue(tile) for the finished rows of each panel.
  template <class Epilogue>
  void compute(const OperandA<S>* operands, int count, InitialC<S> initial_c, Epilogue&& epilogue) const {
    alignas(64) S buffer[(epilogue_rows * max_packets + max_tile_packets) * pack_size<S>];
    const Index panel_width = panels_.packets * pack_size<S>;
    TileProduct<S> p = tile_product(operands, count, initial_c);
    p.out = buffer;
    p.out_panel_stride = rows_ * panel_width;
    p.out_row_stride = panel_width;
    const Index prefetched = rows_ > max_rows(max_packets) ? prefetched_by(operands, count) : 0;
    for (int panel = 0; panel < panels_.count;) {
      const int side = panels_.packets == max_packets ? side_by_side(rows_, panels_.whole - panel) : 1;
      p.row = 0;
      if (side > 1) {
        const auto function =
            panels_.spans ? detail::side_by_side_function<S, true> : detail::side_by_side_function<S, false>;
        function(int(rows_), side)(p);
        epilogue(Tile<S>{buffer, panel_width, 0, int(rows_), panel, side});
      } else {
        const bool whole = panel < panels_.whole;
        const Index width = p.out_row_stride = (whole ? panels_.packets : panels_.last_packets) * pack_size<S>;
        Index first_row = 0;  // the first row in the buffer
        const S* next = p.prefetch = next_panel(p, panel);
        (whole ? whole_ : last_).compute(p, [&](Index tile_rows) {
          advance_prefetch(p, next, prefetched);
          const Index done = p.row + tile_rows;
          p.out += tile_rows * width;
          if (done - first_row < epilogue_rows && done < rows_) return;
          p.out = buffer;
          epilogue(Tile<S>{buffer, width, first_row, int(done - first_row), panel, 1});
          first_row = done;
        });
      }
      panel += side;
      p.panel += side * panels_.stride;
      if (p.initial_c) p.initial_c += side * panel_width;
    }
  }

  // Stores row r of panel p at out + p * panels.packets * pack_size + r * out_stride. Calls done(panel, first row,
  // rows) after each tile.
  template <class Done>
  void compute_into(const OperandA<S>* operands, int count, InitialC<S> initial_c, S* out, Index out_stride,
                    Done&& done) const {
    const Index panel_width = panels_.packets * pack_size<S>;
    TileProduct<S> p = tile_product(operands, count, initial_c);
    p.out_row_stride = out_stride;
    for (int panel = 0; panel < panels_.count; panel++) {
      p.row = 0;
      p.out = out + panel * panel_width;
      (panel < panels_.whole ? whole_ : last_).compute(p, [&](Index tile_rows) {
        p.out += tile_rows * out_stride;
        done(panel, p.row, tile_rows);
      });
      p.panel += panels_.stride;
      if (p.initial_c) p.initial_c += panel_width;
    }
  }
  void compute_into(const OperandA<S>* operands, int count, InitialC<S> initial_c, S* out, Index out_stride) const {
    compute_into(operands, count, initial_c, out, out_stride, [](int, Index, Index) {});
  }

 private:
  TileProduct<S> tile_product(const OperandA<S>* operands, int count, InitialC<S> initial_c) const {
    TileProduct<S> p;
    p.operands = operands;
    p.count = count;
    p.panel = panels_.values;
    p.panel_stride = panels_.stride;
    p.prefetch = panels_.values;
    p.k_stride = panels_.packets * pack_size<S>;
    p.initial_c = initial_c.values;
    p.c_panel_stride = p.k_stride;
    p.c_row_stride = initial_c.stride;
    return p;
  }

  // The panel that the next tiles read. After the last panel it is the first one, for the next step.
  const S* next_panel(const TileProduct<S>& p, int panel) const {
    return panel + 1 < panels_.count ? p.panel + panels_.stride : panels_.values;
  }
  // The tiles of a panel divide the next panel among them. Further tiles begin again.
  void advance_prefetch(TileProduct<S>& p, const S* next, Index prefetched) const {
    p.prefetch += prefetched;
    if (p.prefetch >= next + panels_.stride) p.prefetch = next;
  }

  Panels<S> panels_;
  Index rows_;
  detail::TileRows<S, false> whole_, last_;
};

// Some packets of one panel.
template <class S>
struct PanelSlice {
  const S* values;
  Index k_stride;
  int packets;
};
// The packets [first, first + count) of a panel, or fewer if the panel ends before.
template <class S>
PanelSlice<S> panel_slice(const Panels<S>& panels, int panel, int first = 0, int count = max_packets) {
  const int packets = panel < panels.whole ? panels.packets : panels.last_packets;
  return {panels.values + panel * panels.stride + first * pack_size<S>, packets * pack_size<S>,
          std::min(count, packets - first)};
}

// The product of a transposed A with a slice of a panel: the rows [first_row, first_row + rows) of C, added to `out` or
// stored there. The rows of `out` are contiguous.
template <class S>
void multiply_transposed_into(const PanelSlice<S>& slice, const OperandA<S>* operands, int count, Index first_row,
                              Index rows, S* out, bool add) {
  const Index width = slice.packets * pack_size<S>;
  TileProduct<S> p;
  p.operands = operands;
  p.count = count;
  p.row = first_row;
  p.panel = slice.values;
  p.k_stride = slice.k_stride;
  p.out = out;
  p.out_row_stride = width;
  p.add = add;
  p.prefetch = out;
  detail::TileRows<S, true>(rows, slice.packets).compute(p, [&](Index tile_rows) {
    p.out += tile_rows * width;
    p.prefetch = p.out;
  });
}

}  // namespace fusedlstm
