// Zoneout (Krueger et al. 2017) on tiles: a mask of 1 keeps the number of the step before, 0 takes the new one, and what
// lies between, at inference, mixes the two.
#pragma once

#include "cells/cell_loops.hpp"

namespace fusedlstm {

// result = mask before + (1 - mask) value; `result` may be `value`. `copy`, if it is there, gets the same.
template <class S>
void zone_out(int groups, int rows, Grid<const S> mask, Grid<const S> before, Grid<const S> value, Grid<S> result,
              Grid<S> copy = {}) {
  for (int group = 0; group < groups; group++)
    for (int row = 0; row < rows; row++) {
      const Pack<S> m = load(mask.at(group, row));
      const Pack<S> zoned = fma(m, load(before.at(group, row)), (fill(S(1)) - m) * load(value.at(group, row)));
      store(result.at(group, row), zoned);
      if (copy.values) store(copy.at(group, row), zoned);
    }
}

// in: `gradient` and `past` are the parts of the gradient of the result. out: the gradient of the value in `gradient`, that
// of the number of the step before in `past`.
template <class S>
void zone_out_backward(int groups, int rows, Grid<const S> mask, Grid<S> gradient, Grid<S> past) {
  for (int group = 0; group < groups; group++)
    for (int row = 0; row < rows; row++) {
      S *value = gradient.at(group, row), *before = past.at(group, row);
      const Pack<S> total = load(value) + load(before), stays = load(mask.at(group, row)) * total;
      store(before, stays);
      store(value, total - stays);
    }
}

}  // namespace fusedlstm
