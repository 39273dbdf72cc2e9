// Dense as an op, on vectors or on every real step.
#pragma once

#include "ops/dense.hpp"
#include "ops/op.hpp"

namespace fusedlstm {

// Weights that are packed once, so that any number of calls, threads and streams may share them.
template <class S>
struct PackedDenseLayer {
  DenseShape shape;  // of one row
  PackedDense<S> panels;

  PackedDenseLayer(const DenseShape& shape_, const S* parameters) : shape(shape_), panels(shape, parameters) {}
};

template <class S>
struct DenseConfig {
  DenseShape shape;  // of one row
  std::shared_ptr<const PackedDenseLayer<S>> packed;
  const S* parameters;  // where there are no packed weights
};

template <class S>
class DenseStream final : public RunningOp<S> {
 public:
  DenseStream(const DenseConfig<S>& config, Index rows)
      : config_(config), shape_(config.shape), y_(static_cast<std::size_t>(rows * shape_.units)) {
    shape_.rows = rows;
  }
  const S* step(const S* x) override {
    dense_rows(shape_, config_.packed->panels, x, y_.data(), 0, shape_.rows);
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
    const Sequences<const S>& x = values.x;
    const bool in_one_piece =
        (steps == 1 || x.by_step == values.width) && (batch == 1 || x.by_row == steps * values.width);
    Block gathered;
    const S* from = x.values;
    if (ragged || !in_one_piece) {
      gathered = Block(std::size_t(rows * values.width) * sizeof(S));
      from = gather(values, static_cast<S*>(gathered.memory()));
    }
    S* y = values.output(batch * steps * units);
    Block real;
    S* out = y;
    if (ragged) {
      real = Block(std::size_t(rows * units) * sizeof(S));
      out = static_cast<S*>(real.memory());
    }
    forward(rows, from, out, values.threads);
    if (ragged) scatter(values, out, y);
    values.become_steps(y, units);
  }

  std::unique_ptr<RunningOp<S>> stream(Index rows) const override {
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
    if (config_.packed) dense_forward(shape, config_.packed->panels, x, y, threads);
    else dense_forward(shape, config_.parameters, x, y, threads);
  }
  // The real steps, one after the other.
  static const S* gather(const Values<S>& values, S* to) {
    S* row = to;
    for (Index b = 0; b < values.batch; b++)
      for (Index t = 0; t < values.length(b); t++, row += values.width)
        std::copy_n(values.x.at(b, t), values.width, row);
    return to;
  }
  // The way back; steps past the end are zero.
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
std::shared_ptr<const PackedDenseLayer<S>> packed_layer(const DenseShape& shape, const S* parameters) {
  return std::make_shared<PackedDenseLayer<S>>(shape, parameters);
}
template <class S>
SharedOp<S> dense_op(DenseConfig<S> config) {
  return std::make_shared<DenseOp<S>>(std::move(config));
}

// Compiled in layers.cpp.
#define FUSEDLSTM_DENSE_OP(declare, S)                                                                         \
  declare template std::shared_ptr<const PackedDenseLayer<S>> packed_layer(const DenseShape&, const S*); \
  declare template SharedOp<S> dense_op(DenseConfig<S>)
FUSEDLSTM_DENSE_OP(extern, float);
FUSEDLSTM_DENSE_OP(extern, double);

}  // namespace fusedlstm
