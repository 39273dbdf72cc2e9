// Dense as an op, on vectors or on every step. Steps past the end of a sequence are skipped.
#pragma once

#include "ops/dense.hpp"
#include "ops/op.hpp"

namespace fusedlstm {

template <class S>
struct DenseConfig {
  DenseShape shape;  // of one row
  std::shared_ptr<const PackedDense<S>> packed;
  const S* parameters;  // used if `packed` is null
};

template <class S>
class DenseStream final : public OpStream<S> {
 public:
  DenseStream(const DenseConfig<S>& config, Index rows)
      : config_(config), shape_(config.shape), y_(static_cast<std::size_t>(rows * shape_.units)) {
    shape_.rows = rows;
  }
  const S* step(const S* x) override {
    dense_rows(shape_, *config_.packed, x, y_.data(), 0, shape_.rows);
    return y_.data();
  }

 private:
  DenseConfig<S> config_;
  DenseShape shape_;
  std::vector<S> y_;
};

template <class S>
class DenseOp final : public Op<S> {
 public:
  explicit DenseOp(DenseConfig<S> config) : Op<S>(traits_of(config)), config_(std::move(config)) {}

  void run(Values<S>& values) const override {
    const Index batch = values.batch, steps = values.steps, units = config_.shape.units;
    Index rows = batch * steps;
    if (values.lengths) {
      rows = 0;
      for (Index b = 0; b < batch; b++) rows += values.lengths[b];
    }
    const bool ragged = rows < batch * steps;
    const SequenceView<const S>& x = values.x;
    const bool in_one_piece =
        (steps == 1 || x.by_step == values.width) && (batch == 1 || x.by_row == steps * values.width);
    MemoryBlock gathered;
    const S* from = x.values;
    if (ragged || !in_one_piece) {
      gathered = MemoryBlock(std::size_t(rows * values.width) * sizeof(S));
      from = gather(values, static_cast<S*>(gathered.memory()));
    }
    S* y = values.output(batch * steps * units);
    MemoryBlock real;
    S* out = y;
    if (ragged) {
      real = MemoryBlock(std::size_t(rows * units) * sizeof(S));
      out = static_cast<S*>(real.memory());
    }
    forward(rows, from, out, values.threads);
    if (ragged) scatter(values, out, y);
    values.become_steps(y, units);
  }

  std::unique_ptr<OpStream<S>> stream(Index rows) const override {
    return std::make_unique<DenseStream<S>>(config_, rows);
  }

 private:
  static OpTraits traits_of(const DenseConfig<S>& config) {
    OpTraits traits{config.shape.features, config.shape.units};
    traits.work = dense_weight_count(config.shape);
    traits.packed = config.packed != nullptr;
    return traits;
  }
  void forward(Index rows, const S* x, S* y, int threads) const {
    DenseShape shape = config_.shape;
    shape.rows = rows;
    if (config_.packed) dense_forward(shape, *config_.packed, x, y, threads);
    else dense_forward(shape, config_.parameters, x, y, threads);
  }
  // Copies the steps of each sequence, without padding, one after the other.
  static const S* gather(const Values<S>& values, S* to) {
    S* row = to;
    for (Index b = 0; b < values.batch; b++)
      for (Index t = 0; t < values.length(b); t++, row += values.width)
        std::copy_n(values.x.at(b, t), values.width, row);
    return to;
  }
  // The reverse of gather. Padding becomes zero.
  void scatter(const Values<S>& values, const S* from, S* y) const {
    const Index row = values.steps * config_.shape.units;
    for (Index b = 0; b < values.batch; b++, y += row) {
      const Index real = values.length(b) * config_.shape.units;
      std::copy_n(from, real, y);
      std::fill(y + real, y + row, S(0));
      from += real;
    }
  }

  DenseConfig<S> config_;
};

template <class S>
std::shared_ptr<const PackedDense<S>> pack_dense_layer(const DenseShape& shape, const S* parameters) {
  return std::make_shared<PackedDense<S>>(shape, parameters);
}
template <class S>
SharedOp<S> dense_op(DenseConfig<S> config) {
  return std::make_shared<DenseOp<S>>(std::move(config));
}

// Compiled in layers.cpp.
#define FUSEDLSTM_DENSE_OP(declare, S)                                                                  \
  declare template std::shared_ptr<const PackedDense<S>> pack_dense_layer(const DenseShape&, const S*); \
  declare template SharedOp<S> dense_op(DenseConfig<S>)
FUSEDLSTM_DENSE_OP(extern, float);
FUSEDLSTM_DENSE_OP(extern, double);

}  // namespace fusedlstm
