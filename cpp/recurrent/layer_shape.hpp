// The sizes of a call of a recurrent layer, and views of its arrays by direction.
#pragma once

#include "recurrent/arrays.hpp"

namespace fusedlstm {

inline constexpr int max_directions = 2;  // the second direction goes from the last step to the first

// Parameters and gradients hold the weights of the first direction, then those of the second.
struct LayerShape {
  Sizes sizes;
  Index steps, batch;
  int directions;
  bool reverse;  // the only direction goes from the last step to the first
  Regularizers regularizers;
  DirectionShape direction_shape(int direction) const {
    return {sizes, steps, batch, direction, reverse || direction == 1, regularizers};
  }
  Index features() const { return directions * sizes.output_size; }  // of an output step
};

// One direction of arrays (directions, batch, numbers).
template <class S>
States<S> states_of(const States<S>& all, const LayerShape& shape, int direction) {
  const Index rows = direction * shape.batch, hidden = shape.sizes.hidden_size;
  return {all.h ? all.h + rows * shape.sizes.output_size : nullptr, all.c ? all.c + rows * hidden : nullptr,
          all.gates ? all.gates + rows * shape.sizes.carried_gates() : nullptr};
}
// The columns of one direction in arrays (batch, steps, features).
template <class S>
SequenceView<S> columns_of(SequenceView<S> all, const LayerShape& shape, int direction) {
  if (all) all.values += direction * shape.sizes.output_size;
  return all;
}

}  // namespace fusedlstm
