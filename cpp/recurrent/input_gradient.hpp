// The gradient of x: dx[t] = sum over gates of W_ih^T dz[t], for several steps at once.
#pragma once

#include "recurrent/backward_call.hpp"

namespace fusedlstm {

// dx for the rows of a shard.
template <class S>
class InputGradient {
 public:
  static constexpr Index min_rows = 16;  // the minimum number of saved rows in a product, except the last

  InputGradient(const BackwardCall<S>& call, const RowShard& shard)
      : call_(call),
        shard_(shard),
        operands_(*call.saved, call.shape.sizes.gates, call.shape.sizes.gates.weight_ih, call.saved->x_part),
        done_from_(shard.steps) {
    destinations_.reserve(static_cast<std::size_t>(shard.rows + min_rows));
  }

  // The steps [t, done_from) have enough saved rows to fill tiles.
  bool is_due(Index t) const { return shard_.saved_row(done_from_) - shard_.saved_row(t) >= min_rows; }

  // dx of the steps [first, done_from). The gate gradients of these steps are complete, for all units.
  void compute(Index first) {
    if (!call_.dx) return;
    if (done_from_ == shard_.steps && !call_.add_dx) clear_past_ends();
    destinations_.clear();
    for (Index t = first; t < done_from_; t++)
      for (Index r = shard_.first_row; r < shard_.first_row + shard_.active(t); r++)
        destinations_.push_back(call_.dx.at(call_.row_of(r), call_.time(t, r)));
    const OperandA<S>* operands = operands_.at(shard_.saved_row(first));
    PanelProduct<S>(call_.ih_panels, Index(destinations_.size()))
        .compute(operands, operands_.count(), InitialC<S>{nullptr, 0}, [&](const Tile<S>& tile) {
          for (int k = 0; k < tile.rows; k++)
            for (int p = 0; p < tile.panels; p++)
              write_columns(tile.values + (p * tile.rows + k) * tile.width,
                            destinations_[static_cast<std::size_t>(tile.first_row + k)],
                            (tile.first_panel + p) * max_packets * pack_size<S>, tile.width,
                            call_.shape.sizes.input_size, call_.add_dx);
        });
    done_from_ = first;
  }

  // Unit shards divide dx by steps: computes the steps of number `index` of `shards` unit shards.
  void compute_steps_of(int index, int shards) {
    const Index first = shard_.steps * index / shards;
    done_from_ = shard_.steps * (index + 1) / shards;
    for (Index t = done_from_ - 1; t >= first; t--)
      if (t == first || is_due(t)) compute(t);
  }

 private:
  void clear_past_ends() {
    for (Index r = shard_.first_row; r < shard_.first_row + shard_.rows; r++)
      for (Index time = call_.length(r); time < call_.shape.steps; time++)
        std::fill_n(call_.dx.at(call_.row_of(r), time), call_.shape.sizes.input_size, S(0));
  }

  const BackwardCall<S>& call_;
  const RowShard& shard_;
  GateOperands<S> operands_;
  ThreadVector<S*> destinations_;  // the rows of dx of a product
  Index done_from_;                // dx of this step and later steps is complete
};

}  // namespace fusedlstm
