// A model that reads its sequences one step at a time: packed weights, which it may share, and states of its own, so that a
// step is its arithmetic and little more. Bits are those of the layers' own calls over the whole sequence.
#pragma once

#include <cstring>

#include "whole_model.hpp"

namespace fusedlstm {

// A layer at work on one step of `rows` sequences.
template <class S>
class StreamLayer {
 public:
  virtual ~StreamLayer() = default;
  // Returns the output, (rows, units); it stays until the next call.
  virtual const S* step(const S* x) = 0;
  virtual void reset() {}
};

template <class S>
class RecurrentStream final : public StreamLayer<S> {
 public:
  RecurrentStream(const RecurrentPart<S>& part, Index rows)
      : part_(part), rows_(rows), schedule_(rows, 1, nullptr, 1) {
    LayerShape shape = part.shape;
    shape.batch = rows;
    const Index input = shape.sizes.input;
    hidden_.resize(static_cast<std::size_t>(rows * units()));
    state_.resize(hidden_.size());
    reset();
    const Cell<S>& cell = *part.cell;
    const States<S> states{hidden_.data(), cell.carried == Carried::state ? state_.data() : nullptr};
    call_ = std::make_unique<ForwardCall<S>>(forward_call(
        cell, shape, part.packed->groups(), part.packed->panels, 0, {nullptr, input, input},
        {states.hidden, states.state}, {}, states, schedule_, static_cast<const Saved<S>*>(nullptr)));
    share_ = std::make_unique<ForwardShare<S>>(*call_, schedule_.shares[0]);
  }
  const S* step(const S* x) override {
    call_->x.values = x;
    share_->run();
    return hidden_.data();
  }
  void reset() override {
    start(part_.hidden, hidden_);
    start(part_.state, state_);
  }

 private:
  Index units() const { return part_.shape.sizes.hidden; }
  void start(const std::vector<S>& first, std::vector<S>& rows) const {
    std::fill(rows.begin(), rows.end(), S(0));
    for (Index row = 0; row < rows_ && !first.empty(); row++)
      std::copy(first.begin(), first.end(), rows.begin() + row * units());
  }

  RecurrentPart<S> part_;
  Index rows_;
  Schedule schedule_;
  std::vector<S> hidden_, state_;  // (rows, hidden)
  std::unique_ptr<ForwardCall<S>> call_;
  std::unique_ptr<ForwardShare<S>> share_;
};

// One sequence through a cell that has a path for a row alone: straight to the equations, in the same order of additions.
template <class S>
class RowStream final : public StreamLayer<S> {
 public:
  static bool takes(const RecurrentPart<S>& part, Index rows) {
    const bool whole_packets = part.packed->groups().tail == pack_size<S>;
    return rows == 1 && part.cell->forward_row && whole_packets && !part.shape.regularisers.zones_out();
  }
  explicit RowStream(const RecurrentPart<S>& part) : part_(part), cell_(*part.cell) {
    const PackedRecurrent<S>& weights = *part.packed;
    const Groups<S> groups = weights.groups();
    const Sizes& sizes = weights.shape.sizes;
    const auto layout = [&](Carver carver) {
      hidden_ = carver.take<S>(sizes.hidden);
      next_ = carver.take<S>(sizes.hidden);
      state_ = carver.take<S>(sizes.hidden);
      return carver.used();
    };
    block_ = Block(layout(Carver()));
    layout(Carver(block_.memory()));
    tile_.groups = groups.count;
    tile_.rows = 1;
    tile_.state = {state_, pack_size<S>, pack_size<S>};
    tile_.state_before = tile_.state;
    tile_.hidden = {next_, pack_size<S>, sizes.hidden};
    tile_.units = {weights.panels.vectors[0], sizes.hidden};
    operands_[0] = {nullptr, sizes.input, 0, sizes.input, FedBlocks(sizes.blocks, sizes.blocks.input).span};
    operands_[1] = {nullptr, sizes.hidden, sizes.input, sizes.hidden, FedBlocks(sizes.blocks, sizes.blocks.hidden).span};
    const Panels<S> panels =
        groups.forward_panels(weights.panels.panels[0], sizes.input + sizes.hidden, cell_.blocks.divided());
    product_ = {operands_, 2,       0, panels.values, panels.stride, groups.width(), weights.panels.bias[0],
                groups.width(), 0, nullptr,       0,             0};
    reset();
  }
  const S* step(const S* x) override {
    operands_[0].values = x;
    operands_[1].values = hidden_;
    tile_.hidden.values = next_;
    cell_.forward_row({product_, tile_});
    std::swap(hidden_, next_);
    return hidden_;
  }
  void reset() override {
    start(part_.hidden, hidden_);
    start(cell_.carried == Carried::hidden ? part_.hidden : part_.state, state_);
  }

 private:
  void start(const std::vector<S>& first, S* values) const {
    if (first.empty()) std::fill_n(values, part_.shape.sizes.hidden, S(0));
    else std::copy(first.begin(), first.end(), values);
  }

  RecurrentPart<S> part_;
  const Cell<S>& cell_;
  Block block_;
  S *hidden_ = nullptr, *next_ = nullptr, *state_ = nullptr;  // (hidden,)
  ForwardTile<S> tile_{};
  Operand<S> operands_[2];
  detail::Product<S> product_{};
};

template <class S>
class DenseStream final : public StreamLayer<S> {
 public:
  DenseStream(const DensePart<S>& part, Index rows)
      : part_(part), shape_(part.shape), y_(static_cast<std::size_t>(rows * shape_.units)) {
    shape_.rows = rows;
  }
  const S* step(const S* x) override {
    dense_rows(shape_, part_.packed->panels, x, y_.data(), 0, shape_.rows);
    return y_.data();
  }

 private:
  DensePart<S> part_;
  DenseShape shape_;
  std::vector<S> y_;
};

template <class S>
std::unique_ptr<StreamLayer<S>> stream_layer(const RecurrentPart<S>& part, Index rows) {
  if (RowStream<S>::takes(part, rows)) return std::make_unique<RowStream<S>>(part);
  return std::make_unique<RecurrentStream<S>>(part, rows);
}
template <class S>
std::unique_ptr<StreamLayer<S>> stream_layer(const DensePart<S>& part, Index rows) {
  return std::make_unique<DenseStream<S>>(part, rows);
}

// Compiled in layers.cpp.
#define FUSEDLSTM_STREAM_LAYERS(declare, S)                                                        \
  declare template std::unique_ptr<StreamLayer<S>> stream_layer(const RecurrentPart<S>&, Index);  \
  declare template std::unique_ptr<StreamLayer<S>> stream_layer(const DensePart<S>&, Index)
FUSEDLSTM_STREAM_LAYERS(extern, float);
FUSEDLSTM_STREAM_LAYERS(extern, double);

template <class S>
class Stream {
 public:
  // Of packed weights; every layer reads forward.
  Stream(const WholeModel<S>& model, Index rows)
      : rows_(rows),
        features_(model.features()),
        outputs_(model.outputs()),
        work_(checked_product(rows, model.work())) {
    for (const auto& part : model.parts()) {
      if (const auto* recurrent = std::get_if<RecurrentPart<S>>(&part))
        layers_.push_back(stream_layer(*recurrent, rows));
      if (const auto* dense = std::get_if<DensePart<S>>(&part)) layers_.push_back(stream_layer(*dense, rows));
    }
  }
  Index rows() const { return rows_; }
  Index features() const { return features_; }
  Index outputs() const { return outputs_; }
  Index work() const { return work_; }  // of a step, in multiply-adds

  // Returns the output, (rows, outputs); it stays until the next step.
  const S* step(const S* x) {
    const FlushSubnormals flush;
    for (const auto& layer : layers_) x = layer->step(x);
    return x;
  }
  // y may overlap x.
  void step(const S* x, S* y) { std::memmove(y, step(x), static_cast<std::size_t>(rows_ * outputs_) * sizeof(S)); }
  void reset() {
    for (const auto& layer : layers_) layer->reset();
  }

 private:
  Index rows_, features_, outputs_, work_;
  std::vector<std::unique_ptr<StreamLayer<S>>> layers_;
};

}  // namespace fusedlstm
