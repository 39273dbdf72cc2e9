// The part of the pre-activations that comes from x: W_ih x + b.
//
// With three or more rows, x is an operand of the product of each step, beside h. One or two rows do not fill a tile.
// For them, W_ih x + b is computed in advance for many steps, which are then the rows of the tiles. Both ways are the
// same chain of additions: b, then x, then h. Layer normalization reads W_ih x alone.
#pragma once

#include "product/panels.hpp"
#include "recurrent/forward_call.hpp"

namespace fusedlstm {

template <class S>
class XProduct {
 public:
  explicit XProduct(const ForwardRange<S>& range)
      : fed_(range.sizes().gates, range.sizes().gates.weight_ih),
        in_advance_(range.shard.rows <= 2 && !range.sizes().layer_norm) {
    if (in_advance_) steps_ahead_ = count_steps_ahead(range);
  }
  bool in_advance() const { return in_advance_; }

  void lay_out(const ForwardRange<S>& range, Arena& arena) {
    if (in_advance_) ahead_ = arena.take<S>(range.shard.rows * steps_ahead_ * range.own_width());
    if (in_advance_ || range.call.plan->equal) return;
    gathered_stride_ = whole_packets<S>(range.input_size());
    gathered_ = arena.take<S>(range.shard.rows * gathered_stride_);
    first_x_ = arena.take<const S*>(range.shard.rows);
  }
  void start(const ForwardRange<S>& range) {
    end_ = 0;
    if (first_x_)
      for (Index r = 0; r < range.shard.rows; r++) first_x_[r] = range.x_at(r, 0);
  }

  // x of step t for the active rows: in place if all lengths are equal, otherwise gathered.
  OperandA<S> operand(const ForwardRange<S>& range, Index t, Index active) {
    const Index inputs = range.input_size();
    if (range.call.plan->equal) {
      const Index time = range.call.shape.time(t, range.shard.steps);
      return {range.call.x.at(range.shard.first_row, time), range.call.x.by_row, 0, inputs, fed_.span};
    }
    const Index offset = t * range.step_stride(range.call.x.by_step);
    for (Index r = 0; r < active; r++)
      for (Index j = 0; j < inputs; j += pack_size<S>)
        store(gathered_ + r * gathered_stride_ + j, load_first(first_x_[r] + offset + j, inputs - j));
    return {gathered_, gathered_stride_, 0, inputs, fed_.span};
  }

  // W_ih x + b of step t as the initial value of the product with h.
  InitialC<S> initial_c(const ForwardRange<S>& range, const Panels<S>& panels, Index t) {
    const Index width = range.own_width();
    if (t == end_) compute_ahead(range, panels, t);
    return {ahead_ + (t - (end_ - steps_ahead_)) * width, steps_ahead_ * width};
  }

 private:
  // Enough steps to fill tiles, and few enough to stay in L1.
  static Index count_steps_ahead(const ForwardRange<S>& range) {
    const Index numbers = range.shard.rows * range.own_width();
    const Index fitting = Index(16 * 1024) / Index(sizeof(S)) / numbers;
    return std::max(Index(max_rows(max_packets)), std::min(fitting, range.shard.steps));
  }

  // The steps [t, t + steps_ahead).
  void compute_ahead(const ForwardRange<S>& range, const Panels<S>& panels, Index t) {
    end_ = t + steps_ahead_;
    const SequenceView<const S>& x = range.call.x;
    const Index by_step = range.call.shape.reverse ? -x.by_step : x.by_step, width = range.own_width();
    for (Index r = 0; r < range.shard.rows; r++) {
      const Index steps = std::min(steps_ahead_, range.length(r) - t);
      if (steps <= 0) break;
      const OperandA<S> operand{range.x_at(r, t), by_step, 0, range.input_size(), fed_.span};
      PanelProduct<S>(panels, steps)
          .compute_into(&operand, 1, InitialC<S>{range.bias(), 0}, ahead_ + r * steps_ahead_ * width, width);
    }
  }

  FedGates fed_;
  bool in_advance_;
  Index steps_ahead_ = 0, end_ = 0;  // the steps [end - steps_ahead, end) are in `ahead_`
  S* ahead_ = nullptr;               // [row][step][group][width]
  // With unequal lengths: x of a step, [row][input], and x of step 0 of each row in the caller's array.
  S* gathered_ = nullptr;
  Index gathered_stride_ = 0;
  const S** first_x_ = nullptr;
};

}  // namespace fusedlstm
