// A whole model in one call: its ops, one after the other. The weights are packed before, or the caller's parameters
// are packed in every call. The result has the same bits as calls of the single layers.
#pragma once

#include <algorithm>
#include <stdexcept>

#include "ops/op.hpp"

namespace fusedlstm {

template <class S>
class Program {
 public:
  explicit Program(Index features) : features_(features), outputs_(features) {}

  // Throws std::invalid_argument if the op cannot follow the ops before it.
  void add(const SharedOp<S>& op) {
    const OpTraits& traits = op->traits;
    if (reduces_ && !traits.takes_vectors)
      throw std::invalid_argument("a layer for sequences must not follow one that reduces them");
    if (!gives_steps_ && traits.reads_steps)
      throw std::invalid_argument("a layer that reads steps must not follow one that gives final states only");
    if (traits.features != outputs_) throw std::invalid_argument("the layer has another number of inputs");
    ops_.push_back(op);
    work_ += traits.work;
    outputs_ = traits.outputs;
    widest_ = std::max(widest_, outputs_);
    reduces_ |= traits.reduces;
    packed_ &= traits.packed;
    causal_ &= traits.causal;
    gives_steps_ = traits.gives_steps;
  }

  const std::vector<SharedOp<S>>& ops() const { return ops_; }
  Index features() const { return features_; }
  Index outputs() const { return outputs_; }
  Index widest() const { return widest_; }   // the largest number of outputs of an op
  Index work() const { return work_; }       // per step, in multiply-adds
  bool reduces() const { return reduces_; }  // the output is vectors
  bool packed() const { return packed_; }
  bool causal() const { return causal_; }
  bool complete() const { return gives_steps_; }  // the last op gives more than final states

  // y: (batch, outputs) if the program reduces, otherwise (batch, steps, outputs). lengths may be null.
  void predict(Index batch, Index steps, const Index* lengths, SequenceView<const S> x, S* y, int threads) const {
    Values<S> values(batch, steps, lengths, x, features_, threads);
    for (std::size_t number = 0; number < ops_.size(); number++) {
      if (number + 1 == ops_.size()) values.y = y;
      ops_[number]->run(values);
    }
    if (!ops_.empty()) return;
    for (Index b = 0; b < batch; b++)
      for (Index t = 0; t < steps; t++) std::copy_n(x.at(b, t), features_, y + (b * steps + t) * features_);
  }

 private:
  Index features_, outputs_, widest_ = 0, work_ = 0;
  bool reduces_ = false, packed_ = true, causal_ = true, gives_steps_ = true;
  std::vector<SharedOp<S>> ops_;
};

}  // namespace fusedlstm
