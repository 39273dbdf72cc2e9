// Dense, y = activation(x W^T + b), forward and backward, with the tiles of the cells. Unlike a BLAS, the result of a
// row does not depend on the other rows.
#pragma once

#include "product/panels.hpp"
#include "runtime/memory.hpp"
#include "runtime/team.hpp"
#include "simd/named_activations.hpp"

namespace fusedlstm {

struct DenseShape {
  Index rows, features, units;
  Activation activation;
};
// In the flat vector of parameters: weights (units, features), then bias (units,).
inline Index dense_weight_count(const DenseShape& shape) { return shape.units * (shape.features + 1); }

inline int dense_threads(const DenseShape& shape, int threads) {
  const Index work = checked_product(checked_product(shape.rows, shape.features), shape.units);
  return int(std::min(Index(threads_for(work, threads)), shape.rows));
}

// Weights in column panels and the padded bias. Packed once, they can be shared by any number of calls, threads and
// streams.
template <class S>
struct PackedDense {
  DenseShape shape;  // the rows are not used
  Panels<S> panels;
  S* bias = nullptr;
  MemoryBlock memory;

  PackedDense(const DenseShape& dense_shape, const S* parameters)
      : shape(dense_shape), panels(column_panels<S>(shape.features, shape.units, nullptr)) {
    S* weights = nullptr;
    memory = allocate([&](Arena arena) {
      weights = arena.take<S>(panels.stride * panels.count);
      bias = arena.take<S>(panels.count * max_packets * pack_size<S>);
      return arena.used();
    });
    panels.values = weights;

    const Groups<S> groups(shape.units, 1);
    std::fill(weights, weights + panels.stride * panels.count, S(0));
    std::fill(bias, bias + panels.count * max_packets * pack_size<S>, S(0));
    for (int group = 0; group < groups.count; group++) {
      const int panel = group / max_packets, packet = group % max_packets;
      const Index width = (panel < panels.whole ? panels.packets : panels.last_packets) * pack_size<S>;
      const Index first = Index(group) * pack_size<S>;
      transpose_scaled(parameters + first * shape.features, shape.features, groups.units_of(group), shape.features,
                       S(1), weights + panel * panels.stride + packet * pack_size<S>, width);
      std::copy_n(parameters + shape.units * shape.features + first, groups.units_of(group), bias + first);
    }
  }
};

// The rows [first, last) of y = activation(x W^T + b).
template <class S>
void dense_rows(const DenseShape& shape, const PackedDense<S>& packed, const S* x, S* y, Index first, Index last) {
  const OperandA<S> operand{x + first * shape.features, shape.features, 0, shape.features};
  S* out = y + first * shape.units;
  PanelProduct<S>(packed.panels, last - first)
      .compute(&operand, 1, InitialC<S>{packed.bias, 0}, [&](const Tile<S>& tile) {
        for (int p = 0; p < tile.panels; p++) {
          const Index column = (tile.first_panel + p) * max_packets * pack_size<S>;
          for (int r = 0; r < tile.rows; r++) {
            const S* from = tile.values + (p * tile.rows + r) * tile.width;
            S* to = out + (tile.first_row + r) * shape.units + column;
            activate(shape.activation, from, std::min(tile.width, shape.units - column), to);
          }
        }
      });
}

template <class S>
void dense_forward(const DenseShape& shape, const PackedDense<S>& packed, const S* x, S* y, int threads) {
  run_team(dense_threads(shape, threads), [&](const Team& team) {
    const auto [first, last] = team.range(shape.rows);
    dense_rows(shape, packed, x, y, first, last);
  });
}

template <class S>
void dense_forward(const DenseShape& shape, const S* parameters, const S* x, S* y, int threads) {
  dense_forward(shape, PackedDense<S>(shape, parameters), x, y, threads);
}

// dz = dy activation'(y)      dx = dz W      dW += dz^T x      db += sum of dz
// dx may be null.
template <class S>
void dense_backward(const DenseShape& shape, const S* parameters, const S* x, const S* y, const S* dy, S* dx,
                    S* gradients, int threads) {
  constexpr Index panel_width = max_packets * pack_size<S>, features_per_task = 64, rows_per_chunk = 128;
  const Sizes sizes{shape.features, shape.units, shape.units, GateLayout::uniform(1)};
  const Groups<S> groups(shape.units, 1);
  Panels<S> dz = column_panels<S>(shape.rows, shape.units, nullptr);  // [panel][row][width]
  Panels<S> weights = column_panels<S>(shape.units, shape.features, nullptr);
  S *dz_values = nullptr, *weight_values = nullptr, *sums = nullptr;
  const MemoryBlock memory = allocate([&](Arena arena) {
    dz_values = arena.take<S>(dz.stride * dz.count);
    if (dx) weight_values = arena.take<S>(weights.stride * weights.count);
    sums = arena.take<S>(dz.count * (shape.features + 1) * panel_width);
    return arena.used();
  });
  dz.values = dz_values;
  weights.values = weight_values;
  if (dx)
    pack_backward(sizes, sizes.gates.weight_ih, groups, parameters, shape.features, shape.features, 0, weights.count,
                  weight_values);

  const auto width_of = [&](int panel) {
    return (panel < dz.whole ? dz.packets : dz.last_packets) * Index(pack_size<S>);
  };
  const int team_size = dense_threads(shape, threads);
  std::vector<std::vector<OperandA<S>>> operands(std::size_t(team_size),
                                                 std::vector<OperandA<S>>(std::size_t(dz.count)));

  run_team(team_size, [&](const Team& team) {
    const auto rows = team.range(shape.rows);  // not a structured binding, which a lambda cannot capture
    const Index first = rows.first, last = rows.second;
    for (int p = 0; p < dz.count; p++) {
      const Index width = width_of(p), column = p * panel_width;
      for (Index row = first; row < last; row++) {
        const Index at = row * shape.units + column;
        activation_gradient(shape.activation, dy + at, y + at, std::min(width, shape.units - column),
                            dz_values + p * dz.stride + row * width);
      }
    }
    if (dx) {
      std::vector<OperandA<S>>& mine = operands[std::size_t(team.member())];
      for (int p = 0; p < dz.count; p++)
        mine[std::size_t(p)] = {dz_values + p * dz.stride + first * width_of(p), width_of(p), p * panel_width,
                                std::min(panel_width, shape.units - p * panel_width)};
      PanelProduct<S>(weights, last - first)
          .compute(mine.data(), dz.count, InitialC<S>{nullptr, 0}, [&](const Tile<S>& tile) {
            for (int p = 0; p < tile.panels; p++) {
              const Index column = (tile.first_panel + p) * panel_width;
              for (int r = 0; r < tile.rows; r++) {
                const S* from = tile.values + (p * tile.rows + r) * tile.width;
                S* to = dx + (first + tile.first_row + r) * shape.features + column;
                for (Index j = 0; j < tile.width && column + j < shape.features; j += pack_size<S>)
                  store_first(to + j, load(from + j), shape.features - column - j);
              }
            }
          });
    }
    team.wait_for_all();

    // Weight gradients. A task is the columns of one panel times some features, summed over all rows in order.
    const Index ranges = (shape.features + features_per_task - 1) / features_per_task;
    const auto [first_task, last_task] = team.range(dz.count * ranges);
    for (Index task = first_task; task < last_task; task++) {
      const int panel = int(task / ranges);
      const Index first_feature = task % ranges * features_per_task, width = width_of(panel);
      const Index features = std::min(features_per_task, shape.features - first_feature);
      S* task_sums = sums + panel * (shape.features + 1) * panel_width + first_feature * width;
      S* ones = sums + panel * (shape.features + 1) * panel_width + shape.features * width;
      std::fill(task_sums, task_sums + features * width, S(0));
      if (first_feature == 0) std::fill(ones, ones + width, S(0));
      for (Index row = 0; row < shape.rows; row += rows_per_chunk) {
        const Index k_count = std::min(rows_per_chunk, shape.rows - row);
        const OperandA<S> operand{x + row * shape.features, shape.features, row, k_count};
        multiply_transposed_into(panel_slice(dz, panel), &operand, 1, first_feature, features, task_sums, true);
        if (first_feature > 0) continue;
        for (Index j = 0; j < width; j += pack_size<S>) {
          Pack<S> total = zero<S>();
          for (Index k = row; k < row + k_count; k++)
            total = total + load(dz_values + panel * dz.stride + k * width + j);
          store(ones + j, load(ones + j) + total);
        }
      }
      for (Index j = 0; j < width; j += pack_size<S>) {
        const Index unit = panel * panel_width + j;
        const int units = int(std::min(Index(pack_size<S>), shape.units - unit));
        if (units <= 0) break;
        add_transposed(task_sums + j, width, units, features, gradients + unit * shape.features + first_feature,
                       shape.features);
        if (first_feature > 0) continue;
        for (int u = 0; u < units; u++) gradients[shape.units * shape.features + unit + u] += ones[j + u];
      }
    }
  });
}

// Compiled in layers.cpp.
#define FUSEDLSTM_DENSE(declare, S)                                                                 \
  declare template void dense_forward(const DenseShape&, const PackedDense<S>&, const S*, S*, int); \
  declare template void dense_forward(const DenseShape&, const S*, const S*, S*, int);              \
  declare template void dense_backward(const DenseShape&, const S*, const S*, const S*, const S*, S*, S*, int)
FUSEDLSTM_DENSE(extern, float);
FUSEDLSTM_DENSE(extern, double);

}  // namespace fusedlstm
