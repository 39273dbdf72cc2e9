// Matrix products in register tiles: a few rows of A times a panel of B, summed over k. One kernel computes the
// pre-activations of the cells, the gradients of h and x, the weight gradients and Dense.
//
//   C[row][column] = C0[row][column] + sum over operands, sum over k of A[row][k] B[k][column]
//
// A tile of 6 rows x 4 packets fills 24 of 32 vector registers; narrower panels take more rows. Each element of C is
// one chain of fused multiply-adds in a fixed order: the initial value, then operand by operand, each with rising k;
// except PanelProduct::in_chains.
// The bits do not depend on which rows share a tile, and therefore depend neither on the batch nor on the threads.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "simd/packets.hpp"

namespace fusedlstm {

inline constexpr int max_packets = 4;        // packets of a panel
inline constexpr int max_tile_packets = 24;  // packets of the largest tile

// The maximum number of rows of a tile with this many packets: the sums, a packet of the panel and a value of A fit
// into the registers.
constexpr int max_rows(int packets) {
  constexpr int with_16_registers[] = {0, 8, 6, 4, 3};
  constexpr int with_32_registers[] = {0, 14, 12, 8, 6};
  return vector_registers == 32 ? with_32_registers[packets] : with_16_registers[packets];
}
// The number of panels in one tile. With one or two rows, a single panel has too few independent sums to hide the
// latency of an addition. Several panels then run side by side.
constexpr int side_by_side(Index rows, int panels) {
  if (rows == 1 && panels >= 4 && vector_registers == 32) return 4;
  if (rows == 1 && panels >= 2) return 2;
  if (rows == 2 && panels >= 2 && vector_registers == 32) return 2;
  return 1;
}

// The maximum number of rows of PanelProduct::in_chains.
inline constexpr Index max_rows_in_chains = 3;
// The number of chains that it divides each sum into.
constexpr int chains(int packets) {
  constexpr int with_16_registers[] = {0, 4, 2, 1, 1};
  constexpr int with_32_registers[] = {0, 8, 4, 2, 2};
  return vector_registers == 32 ? with_32_registers[packets] : with_16_registers[packets];
}

// The packets of a whole panel that an operand feeds: all, all but the last, or all but the first.
enum class Span { all, but_last, but_first };

// A piece of A, which is multiplied with the rows [first_k, first_k + k_count) of B.
// A[row][k] is values[row * stride + k]. In a transposed product A[row][k] is values[row + k * stride]: weight
// gradients are such products, with k over the rows of the batch.
template <class S>
struct OperandA {
  const S* values;
  Index stride;
  Index first_k;
  Index k_count;
  Span span = Span::all;  // used only if Panels::spans is set
};

// B, cut into panels of `packets` packets. Panel p begins at values + p * stride and holds [k][packets * pack_size].
// The first `whole` panels have this width. If count > whole, the last panel has `last_packets` packets.
// `spans`: operands feed only some packets of a whole panel. The last panel holds zeros in its other packets.
template <class S>
struct Panels {
  const S* values;
  Index stride;
  int count, whole;
  int packets, last_packets;
  bool spans = false;

  // The panels [first, last).
  Panels slice(int first, int last) const {
    Panels some = *this;
    some.values += first * stride;
    some.count = last - first;
    some.whole = std::min(whole, last) - first;
    if (some.whole == some.count) some.last_packets = packets;
    return some;
  }
};

// The initial value of C: row r of panel p is at values + p * packets * pack_size + r * stride. Null: zero.
template <class S>
struct InitialC {
  const S* values;
  Index stride;
};

// Finished rows of C in L1, of one panel or of panels side by side. Row r of panel p is at
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

// The arguments of one tile.
template <class S>
struct TileProduct {
  const OperandA<S>* operands = nullptr;
  int count = 0;  // of operands
  Index row = 0;  // the first row of the tile
  const S* panel = nullptr;
  Index panel_stride = 0;
  Index k_stride = 0;  // between two rows of B in a panel
  const S* initial_c = nullptr;
  Index c_panel_stride = 0, c_row_stride = 0;
  S* out = nullptr;
  Index out_panel_stride = 0, out_row_stride = 0;
  bool add = false;             // adds to `out`
  const S* prefetch = nullptr;  // see `prefetches`
};

// Large tiles read a cache line of later operands into the L2 cache for every two k: the next panel, or for a
// transposed A the sums of the next tiles. Otherwise they would wait for memory if the weights are larger than the
// cache. With 16 registers the two k of an iteration do not fit, and the sums would be spilled.
template <int Side, int Rows, int Packets>
inline constexpr bool prefetches = vector_registers == 32 && Side == 1 && 2 * Rows > max_rows(Packets);

// The numbers that a tile prefetches.
template <class S>
Index prefetched_by(const OperandA<S>* operands, int count) {
  Index lines = 0;
  for (int o = 0; o < count; o++) lines += operands[o].k_count / 2;
  return lines * line_size<S>;
}

// Side: the number of panels side by side.
template <class S, int Side, int Rows, int Packets>
using TileSums = Pack<S>[Side][Rows][Packets];

// Adds an operand times the packets [First, First + Count) of a panel.
template <bool Transposed, int First, int Count, class S, int Side, int Rows, int Packets>
FUSEDLSTM_INLINE void add_product(const TileProduct<S>& p, const OperandA<S>& operand, const S* panel,
                                  const S*& prefetch, TileSums<S, Side, Rows, Packets>& sums) {
  constexpr int size = pack_size<S>;
  // A compile-time constant unless A is transposed.
  const Index width = Transposed ? p.k_stride : Packets * size;
  const S* weights = panel + operand.first_k * width + First * size;
  const S* values[Transposed ? 1 : Rows];
  if constexpr (Transposed) {
    values[0] = operand.values + p.row;
  } else {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) values[r] = operand.values + (p.row + r) * operand.stride;
  }
  const auto value = [&](int r, Index k) FUSEDLSTM_LAMBDA_INLINE {
    if constexpr (Transposed) return fill(values[0][r]);
    else return fill(values[r][k]);
  };
  const auto add_k = [&](Index k) FUSEDLSTM_LAMBDA_INLINE {
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
    if constexpr (Transposed) values[0] += operand.stride;
  };
  Index k = 0;
  if constexpr (prefetches<Side, Rows, Packets>) {
    for (; k + 1 < operand.k_count; k += 2) {
      prefetch_to_l2(prefetch);
      prefetch += line_size<S>;
      add_k(k);
      add_k(k + 1);
    }
  }
  for (; k < operand.k_count; k++) add_k(k);
}

// The sums of a tile over all operands, beginning with the initial C. The tile begins `skipped` panels after p.panel.
template <bool Transposed, bool Spans = false, class S, int Side, int Rows, int Packets>
FUSEDLSTM_INLINE void sum_tile(const TileProduct<S>& p, TileSums<S, Side, Rows, Packets>& sums, Index skipped = 0) {
  constexpr int size = pack_size<S>;
  const S* initial_c = p.initial_c ? p.initial_c + skipped * p.c_panel_stride + p.row * p.c_row_stride : nullptr;
  const S* panel = p.panel + skipped * p.panel_stride;
  const S* prefetch = p.prefetch;
  FUSEDLSTM_UNROLL
  for (int s = 0; s < Side; s++) {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) {
      FUSEDLSTM_UNROLL
      for (int j = 0; j < Packets; j++)
        sums[s][r][j] = initial_c ? load(initial_c + s * p.c_panel_stride + r * p.c_row_stride + j * size) : zero<S>();
    }
  }
  for (int o = 0; o < p.count; o++) {
    const OperandA<S> operand = p.operands[o];
    if constexpr (Spans) {
      if (operand.span == Span::but_last) add_product<Transposed, 0, Packets - 1>(p, operand, panel, prefetch, sums);
      else if (operand.span == Span::but_first)
        add_product<Transposed, 1, Packets - 1>(p, operand, panel, prefetch, sums);
      else add_product<Transposed, 0, Packets>(p, operand, panel, prefetch, sums);
    } else {
      add_product<Transposed, 0, Packets>(p, operand, panel, prefetch, sums);
    }
  }
}

namespace detail {

template <class S, int Rows, int Packets, int Side, bool Transposed, bool Spans = false>
void multiply_tile(const TileProduct<S>& p) {
  TileSums<S, Side, Rows, Packets> sums;
  sum_tile<Transposed, Spans>(p, sums);
  FUSEDLSTM_UNROLL
  for (int s = 0; s < Side; s++) {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) {
      FUSEDLSTM_UNROLL
      for (int j = 0; j < Packets; j++) {
        S* out = p.out + s * p.out_panel_stride + r * p.out_row_stride + j * pack_size<S>;
        if constexpr (Transposed) store(out, p.add ? load(out) + sums[s][r][j] : sums[s][r][j]);
        else store(out, sums[s][r][j]);
      }
    }
  }
}

// One to three rows times a single panel have too few independent sums to hide the latency of an addition. Each sum is
// divided into chains: the product with index k of an operand goes to chain k mod Chains. p.row is 0: all
// rows are one tile.
template <class S, int Rows, int Packets, int Chains>
void multiply_in_chains(const TileProduct<S>& p) {
  constexpr int size = pack_size<S>, width = Packets * size;
  Pack<S> sums[Chains][Rows][Packets];
  FUSEDLSTM_UNROLL
  for (int c = 0; c < Chains; c++) {
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) {
      FUSEDLSTM_UNROLL
      for (int j = 0; j < Packets; j++)
        sums[c][r][j] = c == 0 && p.initial_c ? load(p.initial_c + r * p.c_row_stride + j * size) : zero<S>();
    }
  }
  for (int o = 0; o < p.count; o++) {
    const OperandA<S> operand = p.operands[o];
    const S* weights = p.panel + operand.first_k * width;
    const S* values[Rows];
    FUSEDLSTM_UNROLL
    for (int r = 0; r < Rows; r++) values[r] = operand.values + r * operand.stride;
    Index k = 0;
    for (; k + Chains <= operand.k_count; k += Chains) {
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
    for (; k < operand.k_count; k++, weights += width) {
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

// The compiled tiles, indexed by rows - 1. Tiles with panels side by side exist only for whole panels.
template <class S>
using TileFunction = void (*)(const TileProduct<S>&);
template <class S, int Packets, bool Transposed, bool Spans, std::size_t... R>
constexpr std::array<TileFunction<S>, sizeof...(R)> tile_functions(std::index_sequence<R...>) {
  return {&multiply_tile<S, int(R) + 1, Packets, 1, Transposed, Spans>...};
}
template <class S, int Packets, bool Transposed, bool Spans = false>
inline constexpr auto compiled_tiles =
    tile_functions<S, Packets, Transposed, Spans>(std::make_index_sequence<max_rows(Packets)>{});

template <class S, bool Transposed>
TileFunction<S> tile_function(int rows, int packets, bool spans) {
  const std::size_t r = static_cast<std::size_t>(rows - 1);
  if constexpr (!Transposed)
    if (spans) return packets == 3 ? compiled_tiles<S, 3, false, true>[r] : compiled_tiles<S, 4, false, true>[r];
  switch (packets) {
    case 1: return compiled_tiles<S, 1, Transposed>[r];
    case 2: return compiled_tiles<S, 2, Transposed>[r];
    case 3: return compiled_tiles<S, 3, Transposed>[r];
    default: return compiled_tiles<S, 4, Transposed>[r];
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
#define FUSEDLSTM_TILES(declare, S)                                           \
  declare template TileFunction<S> tile_function<S, false>(int, int, bool);   \
  declare template TileFunction<S> tile_function<S, true>(int, int, bool);    \
  declare template TileFunction<S> side_by_side_function<S, false>(int, int); \
  declare template TileFunction<S> side_by_side_function<S, true>(int, int);  \
  declare template TileFunction<S> chains_function<S>(int, int)
FUSEDLSTM_TILES(extern, float);
FUSEDLSTM_TILES(extern, double);

}  // namespace detail

}  // namespace fusedlstm
