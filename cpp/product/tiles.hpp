// Products in register tiles: a few rows times a panel of a few packets, summed over a depth. One kernel serves
// the cells' pre-activations, the gradients of hidden state and input, the weight gradients and Dense;
// it knows none of them.
//
// A tile of 6 rows x 4 packets fills 24 of 32 vector registers; narrower panels take more rows. Each element
// of a product is one chain of fused multiply-adds: its start, then the operands in order, then their depths
// in order. So the bits do not depend on which rows share a tile, and therefore on neither batch nor threads.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "simd/packets.hpp"

namespace fusedlstm {

inline constexpr int max_packets = 4;

// How many rows a tile of this many packets holds so that accumulators, a packet of the panel and a row's value
// stay in registers.
constexpr int max_rows(int packets) {
  constexpr int few[] = {0, 8, 6, 4, 3};
  constexpr int many[] = {0, 14, 12, 8, 6};
  return vector_registers == 32 ? many[packets] : few[packets];
}
// With one or two rows a panel has too few independent sums to hide the latency of an addition, so several
// panels run side by side, if that many are left.
constexpr int side_by_side(Index rows, int panels) {
  if (rows == 1 && panels >= 4 && vector_registers == 32) return 4;
  if (rows == 1 && panels >= 2) return 2;
  if (rows == 2 && panels >= 2 && vector_registers == 32) return 2;
  return 1;
}

// Into how many chains a sum is divided where that is allowed (Multiplication::in_chains).
inline constexpr Index most_rows_in_chains = 3;
constexpr int chains(int packets) {
  constexpr int few[] = {0, 4, 2, 1, 1};
  constexpr int many[] = {0, 8, 4, 2, 2};
  return vector_registers == 32 ? many[packets] : few[packets];
}

// The packets of a whole panel that an operand feeds: with four packets, all, the first three or the last three.
enum class Span { all, but_last, but_first };

// What is multiplied with the depths [start, start + depth) of every panel.
// Along rows: element (row, k) is values[row * stride + k].
// Across rows: it is values[row + k * stride], as for a weight gradient, whose depth is the batch.
template <class S>
struct Operand {
  const S* values;
  Index stride;
  Index start;
  Index depth;
  Span span = Span::all;  // heeded only where the panels have spans
};

// Weights cut into panels of `packets` packets: panel p begins at values + p * stride and holds
// [depth][packets * pack_size]. The first `whole` are alike; one more, if count says so, is different.
// `spans`: operands feed a part of the whole panels; in the one that differs, zeros stand for the rest.
template <class S>
struct Panels {
  const S* values;
  Index stride;
  int count, whole;
  int packets, last_packets;
  bool spans = false;

  // The panels [first, last).
  Panels part(int first, int last) const {
    Panels some = *this;
    some.values += first * stride;
    some.count = last - first;
    some.whole = std::min(whole, last) - first;
    if (some.whole == some.count) some.last_packets = packets;
    return some;
  }
};

// Row r of panel p starts from values[p * packets * pack_size + r * stride], or from zero where null.
template <class S>
struct Start {
  const S* values;
  Index stride;
};

// Finished rows of a panel, or of panels side by side, in L1. Row r of panel p is at
// values + (p * rows + r) * width.
template <class S>
struct Tile {
  S* values;
  Index width;
  Index first_row;
  int rows;
  int first_panel;
  int panels;
};

namespace detail {

inline constexpr int most_sums = 24;  // packets of the largest tile
// Tiles of a panel are handed over once there are this many rows: a longer loop over them overlaps better.
inline constexpr int rows_at_once = 24;

// Everything one tile needs; `row` is its first row.
template <class S>
struct Product {
  const Operand<S>* operands;
  int count;
  Index row;
  const S* panel;
  Index panel_stride;
  Index depth_stride;  // from one depth of a panel to the next
  const S* start;
  Index start_panel_stride, start_row_stride;
  S* out;
  Index out_panel_stride, out_row_stride;
};

template <class S, int Side, int Rows, int Packets>
using Sums = Pack<S>[Side][Rows][Packets];

// Adds an operand times the packets [First, First + Count) of a panel.
template <bool Across, int First, int Count, class S, int Side, int Rows, int Packets>
FUSEDLSTM_INLINE void add_product(const Product<S>& p, const Operand<S>& operand, const S* panel,
                                  Sums<S, Side, Rows, Packets>& sums) {
  constexpr int size = pack_size<S>;
  // Along rows this is a constant of the compiled tile.
  const Index width = Across ? p.depth_stride : Packets * size;
  const S* weights = panel + operand.start * width + First * size;
  const S* values[Across ? 1 : Rows];
  if constexpr (Across) {
    values[0] = operand.values + p.row;
  } else {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) values[r] = operand.values + (p.row + r) * operand.stride;
  }
  const auto value = [&](int r, Index k) FUSEDLSTM_LAMBDA_INLINE {
    if constexpr (Across) return fill(values[0][r]);
    else return fill(values[r][k]);
  };
  for (Index k = 0; k < operand.depth; k++) {
    if constexpr (Side == 1 && Packets <= Rows) {
      Pack<S> w[Count];
      FUSEDLSTM_UNROLL
      for (int j = 0; j < Count; j++) {
        w[j] = load(weights + j * size);
        if constexpr (Rows > 1) keep_in_register(w[j]);
      }
      FUSEDLSTM_UNROLL
      for (int r = 0; r < Rows; r++) {
        const Pack<S> v = value(r, k);
        FUSEDLSTM_UNROLL
        for (int j = 0; j < Count; j++) sums[0][r][First + j] = fma(v, w[j], sums[0][r][First + j]);
      }
    } else {
      Pack<S> v[Rows];
      FUSEDLSTM_UNROLL
      for (int r = 0; r < Rows; r++) v[r] = value(r, k);
      FUSEDLSTM_UNROLL
      for (int s = 0; s < Side; s++) {
        FUSEDLSTM_UNROLL
        for (int j = 0; j < Count; j++) {
          Pack<S> w = load(weights + s * p.panel_stride + j * size);
          if constexpr (Rows > 1) keep_in_register(w);
          FUSEDLSTM_UNROLL
          for (int r = 0; r < Rows; r++) sums[s][r][First + j] = fma(v[r], w, sums[s][r][First + j]);
        }
      }
    }
    weights += width;
    if constexpr (Across) values[0] += operand.stride;
  }
}

// The sums of a tile, from their start over all operands. `skipped`: panels before the first.
template <bool Across, bool Spans = false, class S, int Side, int Rows, int Packets>
FUSEDLSTM_INLINE void sum_tile(const Product<S>& p, Sums<S, Side, Rows, Packets>& sums, Index skipped = 0) {
  constexpr int size = pack_size<S>;
  const S* start = p.start ? p.start + skipped * p.start_panel_stride + p.row * p.start_row_stride : nullptr;
  const S* panel = p.panel + skipped * p.panel_stride;
  FUSEDLSTM_UNROLL
  for (int s = 0; s < Side; s++) {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) {
      FUSEDLSTM_UNROLL
      for (int j = 0; j < Packets; j++)
        sums[s][r][j] =
            start ? load(start + s * p.start_panel_stride + r * p.start_row_stride + j * size) : zero<S>();
    }
  }
  for (int o = 0; o < p.count; o++) {
    const Operand<S> operand = p.operands[o];
    if constexpr (Spans) {
      if (operand.span == Span::but_last) add_product<Across, 0, Packets - 1>(p, operand, panel, sums);
      else if (operand.span == Span::but_first) add_product<Across, 1, Packets - 1>(p, operand, panel, sums);
      else add_product<Across, 0, Packets>(p, operand, panel, sums);
    } else {
      add_product<Across, 0, Packets>(p, operand, panel, sums);
    }
  }
}

template <class S, int Rows, int Packets, int Side, bool Across, bool Spans = false>
void multiply_tile(const Product<S>& p) {
  Sums<S, Side, Rows, Packets> sums;
  sum_tile<Across, Spans>(p, sums);
  FUSEDLSTM_UNROLL
  for (int s = 0; s < Side; s++) {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) {
      FUSEDLSTM_UNROLL
      for (int j = 0; j < Packets; j++)
        store(p.out + s * p.out_panel_stride + r * p.out_row_stride + j * pack_size<S>, sums[s][r][j]);
    }
  }
}

// One to three rows times a panel that is the only one: too few independent sums to hide the latency of an addition.
// Here each is divided into chains, depth k of an operand going to chain k mod Chains.
template <class S, int Rows, int Packets, int Chains>
void multiply_in_chains(const Product<S>& p) {
  constexpr int size = pack_size<S>, width = Packets * size;
  Pack<S> sums[Chains][Rows][Packets];
  FUSEDLSTM_UNROLL
  for (int c = 0; c < Chains; c++) {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) {
      FUSEDLSTM_UNROLL
      for (int j = 0; j < Packets; j++)
        sums[c][r][j] = c == 0 && p.start ? load(p.start + r * p.start_row_stride + j * size) : zero<S>();
    }
  }
  for (int o = 0; o < p.count; o++) {
    const Operand<S> operand = p.operands[o];
    const S* weights = p.panel + operand.start * width;
    const S* values[Rows];
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) values[r] = operand.values + r * operand.stride;
    Index k = 0;
    for (; k + Chains <= operand.depth; k += Chains) {
      FUSEDLSTM_UNROLL
      for (int c = 0; c < Chains; c++) {
        FUSEDLSTM_UNROLL
        for (int j = 0; j < Packets; j++) {
          const Pack<S> w = load(weights + (c * Packets + j) * size);
          FUSEDLSTM_UNROLL
          for (int r = 0; r < Rows; r++) sums[c][r][j] = fma(fill(values[r][k + c]), w, sums[c][r][j]);
        }
      }
      weights += Chains * width;
    }
    for (; k < operand.depth; k++, weights += width) {
      FUSEDLSTM_UNROLL
      for (int j = 0; j < Packets; j++) {
        const Pack<S> w = load(weights + j * size);
        FUSEDLSTM_UNROLL
        for (int r = 0; r < Rows; r++) sums[0][r][j] = fma(fill(values[r][k]), w, sums[0][r][j]);
      }
    }
  }
  FUSEDLSTM_UNROLL
  for (int r = 0; r < Rows; r++) {
    FUSEDLSTM_UNROLL
    for (int j = 0; j < Packets; j++) {
      FUSEDLSTM_UNROLL
      for (int c = 1; c < Chains; c++) sums[0][r][j] = sums[0][r][j] + sums[c][r][j];
      store(p.out + r * p.out_row_stride + j * size, sums[0][r][j]);
    }
  }
}

// The compiled tiles, by number of rows. A tile with panels side by side exists only for whole panels.
template <class S>
using TileFunction = void (*)(const Product<S>&);
template <class S, int Packets, bool Across, bool Spans, std::size_t... R>
constexpr std::array<TileFunction<S>, sizeof...(R)> tile_functions(std::index_sequence<R...>) {
  return {&multiply_tile<S, int(R) + 1, Packets, 1, Across, Spans>...};
}
template <class S, int Packets, bool Across, bool Spans = false>
inline constexpr auto tiles = tile_functions<S, Packets, Across, Spans>(std::make_index_sequence<max_rows(Packets)>{});

template <class S, bool Across>
TileFunction<S> tile_function(int rows, int packets, bool spans) {
  const std::size_t r = static_cast<std::size_t>(rows - 1);
  if constexpr (!Across)
    if (spans) return tiles<S, max_packets, false, true>[r];
  switch (packets) {
    case 1: return tiles<S, 1, Across>[r];
    case 2: return tiles<S, 2, Across>[r];
    case 3: return tiles<S, 3, Across>[r];
    default: return tiles<S, 4, Across>[r];
  }
}
template <class S, bool Spans>
TileFunction<S> side_by_side_function(int rows, int panels) {
  if (rows == 1 && panels == 4) return &multiply_tile<S, 1, max_packets, 4, false, Spans>;
  if (rows == 1) return &multiply_tile<S, 1, max_packets, 2, false, Spans>;
  return &multiply_tile<S, 2, max_packets, 2, false, Spans>;
}

template <class S, int Packets>
inline constexpr TileFunction<S> tiles_in_chains[] = {&multiply_in_chains<S, 1, Packets, chains(Packets)>,
                                                      &multiply_in_chains<S, 2, Packets, chains(Packets)>,
                                                      &multiply_in_chains<S, 3, Packets, chains(Packets)>};
template <class S>
TileFunction<S> chains_function(int rows, int packets) {
  switch (packets) {
    case 1: return tiles_in_chains<S, 1>[rows - 1];
    case 2: return tiles_in_chains<S, 2>[rows - 1];
    case 3: return tiles_in_chains<S, 3>[rows - 1];
    default: return tiles_in_chains<S, 4>[rows - 1];
  }
}

// Compiled in kernels.cpp.
#define FUSEDLSTM_TILES(declare, S)                                      \
  declare template TileFunction<S> tile_function<S, false>(int, int, bool); \
  declare template TileFunction<S> tile_function<S, true>(int, int, bool);  \
  declare template TileFunction<S> side_by_side_function<S, false>(int, int); \
  declare template TileFunction<S> side_by_side_function<S, true>(int, int);  \
  declare template TileFunction<S> chains_function<S>(int, int)
FUSEDLSTM_TILES(extern, float);
FUSEDLSTM_TILES(extern, double);

// The tiles of a panel: rows spread evenly over as few as hold them, 32 = 6 + 6 + 5 + 5 + 5 + 5.
template <class S, bool Across>
struct TileRows {
  Index tiles = 0, rows = 0, longer = 0;  // the first `longer` tiles have one row more
  TileFunction<S> function = nullptr, longer_function = nullptr;

  TileRows() = default;
  TileRows(Index all, int packets, bool spans = false) {
    const Index most = max_rows(packets);
    tiles = all <= most ? 1 : (all + most - 1) / most;
    rows = tiles == 1 ? all : all / tiles;
    longer = all - rows * tiles;
    function = tile_function<S, Across>(int(rows), packets, spans);
    if (longer > 0) longer_function = tile_function<S, Across>(int(rows) + 1, packets, spans);
  }
  // done(rows of the tile) after each.
  template <class Done>
  FUSEDLSTM_INLINE void run(Product<S>& p, Done&& done) const {
    for (Index t = 0; t < tiles; t++) {
      const bool is_longer = t < longer;
      (is_longer ? longer_function : function)(p);
      done(rows + is_longer);
      p.row += rows + is_longer;
    }
  }
};

}  // namespace detail

// The most rows of a panel that are handed over at once.
inline constexpr int most_rows_at_once = detail::rows_at_once - 1 + max_rows(1);

// Products of some number of rows with panels. What depends on that number is worked out once, so that a step of a
// short sequence costs little more than its arithmetic.
template <class S>
class Multiplication {
 public:
  Multiplication(const Panels<S>& panels, Index rows)
      : panels_(panels),
        rows_(rows),
        whole_(rows, panels.packets, panels.spans),
        last_(rows, panels.last_packets, panels.spans && panels.whole == panels.count) {}
  Index rows() const { return rows_; }

  // The same with every sum divided into chains, if there is only one panel. Its bits differ from those of `run`
  // without: whether to call this must not depend on how rows are divided among threads.
  static Multiplication in_chains(const Panels<S>& panels, Index rows) {
    Multiplication m(panels, rows);
    if (panels.count == 1)
      m.whole_.function = m.last_.function = detail::chains_function<S>(int(rows), panels.last_packets);
    return m;
  }

  // Hands the finished rows of each panel to `finish`.
  template <class Finish>
  void run(const Operand<S>* operands, int count, Start<S> start, Finish&& finish) const {
    alignas(64) S buffer[(detail::rows_at_once * max_packets + detail::most_sums) * pack_size<S>];
    const Index panel_width = panels_.packets * pack_size<S>;
    detail::Product<S> p{operands,    count,        0,      panels_.values,      panels_.stride, panel_width, start.values,
                         panel_width, start.stride, buffer, rows_ * panel_width, panel_width};
    for (int panel = 0; panel < panels_.count;) {
      const int side = panels_.packets == max_packets ? side_by_side(rows_, panels_.whole - panel) : 1;
      p.row = 0;
      if (side > 1) {
        (panels_.spans ? detail::side_by_side_function<S, true> : detail::side_by_side_function<S, false>)(int(rows_),
                                                                                                         side)(p);
        finish(Tile<S>{buffer, panel_width, 0, int(rows_), panel, side});
      } else {
        const bool whole = panel < panels_.whole;
        const Index width = p.out_row_stride = (whole ? panels_.packets : panels_.last_packets) * pack_size<S>;
        Index handed_over = 0;
        (whole ? whole_ : last_).run(p, [&](Index now) {
          const Index done = p.row + now;
          p.out += now * width;
          if (done - handed_over < detail::rows_at_once && done < rows_) return;
          p.out = buffer;
          finish(Tile<S>{buffer, width, handed_over, int(done - handed_over), panel, 1});
          handed_over = done;
        });
      }
      panel += side;
      p.panel += side * panels_.stride;
      if (p.start) p.start += side * panel_width;
    }
  }

  // Into memory: row r of panel p to out + p * panels.packets * pack_size + r * out_stride.
  void run_into(const Operand<S>* operands, int count, Start<S> start, S* out, Index out_stride) const {
    const Index panel_width = panels_.packets * pack_size<S>;
    detail::Product<S> p{operands,    count,        0,       panels_.values, panels_.stride, panel_width, start.values,
                         panel_width, start.stride, nullptr, 0,              out_stride};
    for (int panel = 0; panel < panels_.count; panel++) {
      p.row = 0;
      p.out = out + panel * panel_width;
      (panel < panels_.whole ? whole_ : last_).run(p, [&](Index now) { p.out += now * out_stride; });
      p.panel += panels_.stride;
      if (p.start) p.start += panel_width;
    }
  }

 private:
  Panels<S> panels_;
  Index rows_;
  detail::TileRows<S, false> whole_, last_;
};

// The packets [first, first + packets) of one panel.
template <class S>
struct PartOfPanel {
  const S* values;
  Index depth_stride;
  int packets;
};
template <class S>
PartOfPanel<S> part_of_panel(const Panels<S>& panels, int panel, int first = 0, int count = max_packets) {
  const int packets = panel < panels.whole ? panels.packets : panels.last_packets;
  return {panels.values + panel * panels.stride + first * pack_size<S>, packets * pack_size<S>,
          std::min(count, packets - first)};
}

// Across rows, for one panel and the rows [first_row, first_row + rows); tiles count rows from 0.
template <class S, class Finish>
void multiply_across(const PartOfPanel<S>& panel, const Operand<S>* operands, int count, Index first_row, Index rows,
                     Finish&& finish) {
  alignas(64) S buffer[detail::most_sums * pack_size<S>];
  const Index width = panel.packets * pack_size<S>;
  detail::Product<S> p{operands, count, first_row, panel.values, 0, panel.depth_stride, nullptr, 0, 0, buffer, 0, width};
  detail::TileRows<S, true>(rows, panel.packets).run(p, [&](Index now) {
    finish(Tile<S>{buffer, width, p.row - first_row, int(now), 0, 1});
  });
}

}  // namespace fusedlstm
