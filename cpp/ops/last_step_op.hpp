// LastStep as an op: the last step of each sequence. After a recurrent op, the final output of each direction.
#pragma once

#include "ops/op.hpp"

namespace fusedlstm {

// In a stream, every step is the last step so far.
template <class S>
class LastStepStream final : public OpStream<S> {
 public:
  const S* step(const S* x) override { return x; }
};

template <class S>
class LastStepOp final : public Op<S> {
 public:
  explicit LastStepOp(Index features) : Op<S>(traits_of(features)) {}

  void run(Values<S>& values) const override {
    const Index batch = values.batch, width = values.width, of_direction = width / values.directions;
    if (values.final_h && values.directions == 1 && !values.y) return values.become_vectors(values.final_h, width);
    S* rows = values.output(batch * width);
    for (Index b = 0; b < batch; b++) {
      for (int d = 0; d < values.directions; d++) {
        const bool ends_at_first = values.reverse || d == 1;
        const S* from = values.final_h ? values.final_h + (d * batch + b) * of_direction
                                       : values.x.at(b, ends_at_first ? 0 : values.length(b) - 1) + d * of_direction;
        std::copy_n(from, of_direction, rows + b * width + d * of_direction);
      }
    }
    values.become_vectors(rows, width);
  }

  std::unique_ptr<OpStream<S>> stream(Index) const override { return std::make_unique<LastStepStream<S>>(); }

 private:
  static OpTraits traits_of(Index features) {
    OpTraits traits{features, features};
    traits.reduces = true;
    traits.reads_steps = false;
    return traits;
  }
};

template <class S>
SharedOp<S> last_step_op(Index features) {
  return std::make_shared<LastStepOp<S>>(features);
}

// Compiled in layers.cpp.
#define FUSEDLSTM_LAST_STEP_OP(declare, S) declare template SharedOp<S> last_step_op(Index)
FUSEDLSTM_LAST_STEP_OP(extern, float);
FUSEDLSTM_LAST_STEP_OP(extern, double);

}  // namespace fusedlstm
