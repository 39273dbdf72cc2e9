// A model that reads its sequences one step at a time: layers with packed weights and their states, so that a step is its
// arithmetic and little more. Bits are those of the layers' own calls over the whole sequence.
#pragma once

#include <memory>

#include "dense.hpp"
#include "layer.hpp"

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
  RecurrentStream(const Cell<S>& cell, Index rows, Index input, Index hidden, const Regularisers& regularisers,
                  const S* parameters, States<const S> initial)
      : shape_{{input, hidden, cell.blocks}, 1, rows, 1, false, regularisers},
        groups_(hidden, cell.blocks.count),
        packed_(shape_, groups_),
        schedule_(rows, 1, nullptr, 1),
        hidden_(static_cast<std::size_t>(rows * hidden)),
        state_(hidden_.size()),
        first_hidden_(static_cast<std::size_t>(hidden)),
        first_state_(first_hidden_.size()) {
    if (initial.hidden) std::copy_n(initial.hidden, hidden, first_hidden_.begin());
    if (initial.state) std::copy_n(initial.state, hidden, first_state_.begin());
    reset();
    pack_layer(cell, shape_, groups_, parameters, packed_, Team(0, 1));
    const bool has_state = cell.carried == Carried::state;
    const States<S> states{hidden_.data(), has_state ? state_.data() : nullptr};
    call_ = std::make_unique<ForwardCall<S>>(forward_call(cell, shape_, groups_, packed_, 0, {nullptr, input, input},
                                                          {states.hidden, states.state}, {}, states, schedule_,
                                                          static_cast<const Saved<S>*>(nullptr)));
    share_ = std::make_unique<ForwardShare<S>>(*call_, schedule_.shares[0]);
  }
  const S* step(const S* x) override {
    call_->x.values = x;
    share_->run();
    return hidden_.data();
  }
  void reset() override {
    for (Index row = 0; row < shape_.batch; row++) {
      std::copy(first_hidden_.begin(), first_hidden_.end(), hidden_.begin() + row * shape_.sizes.hidden);
      std::copy(first_state_.begin(), first_state_.end(), state_.begin() + row * shape_.sizes.hidden);
    }
  }

 private:
  LayerShape shape_;
  Groups<S> groups_;
  PackedLayer<S> packed_;
  Schedule schedule_;
  std::vector<S> hidden_, state_;              // (rows, hidden)
  std::vector<S> first_hidden_, first_state_;  // (hidden,)
  std::unique_ptr<ForwardCall<S>> call_;
  std::unique_ptr<ForwardShare<S>> share_;
};

template <class S>
class DenseStream final : public StreamLayer<S> {
 public:
  DenseStream(const DenseShape& shape, const S* parameters)
      : shape_(shape), packed_(shape, parameters), y_(static_cast<std::size_t>(shape.rows * shape.units)) {}
  const S* step(const S* x) override {
    dense_rows(shape_, packed_, x, y_.data(), 0, shape_.rows);
    return y_.data();
  }

 private:
  DenseShape shape_;
  PackedDense<S> packed_;
  std::vector<S> y_;
};

template <class S>
class Stream {
 public:
  Stream(Index rows, Index features) : rows_(rows), features_(features), outputs_(features) {}
  void add(std::unique_ptr<StreamLayer<S>> layer, Index outputs) {
    layers_.push_back(std::move(layer));
    outputs_ = outputs;
  }
  Index rows() const { return rows_; }
  Index features() const { return features_; }
  Index outputs() const { return outputs_; }

  void step(const S* x, S* y) {
    const FlushSubnormals flush;
    for (const auto& layer : layers_) x = layer->step(x);
    std::copy_n(x, rows_ * outputs_, y);
  }
  void reset() {
    for (const auto& layer : layers_) layer->reset();
  }

 private:
  Index rows_, features_, outputs_;
  std::vector<std::unique_ptr<StreamLayer<S>>> layers_;
};

}  // namespace fusedlstm
