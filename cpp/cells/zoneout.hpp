// Zoneout (Krueger et al. 2017) on tiles. A mask of 1 keeps the value of the previous step and a mask of 0 takes the
// new value. At inference the mask is the rate and mixes the two.
#pragma once

#include "cells/cell.hpp"

namespace fusedlstm {

// result = mask before + (1 - mask) value. `result` may be `value`. `copy`, unless it is null, gets the same values.
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

// On entry, the gradient of the result is dresult = dvalue + dbefore: a sum of two parts. On return,
// dvalue = (1 - mask) dresult and dbefore = mask dresult.
template <class S>
void zone_out_backward(int groups, int rows, Grid<const S> mask, Grid<S> dvalue, Grid<S> dbefore) {
  for (int group = 0; group < groups; group++)
    for (int row = 0; row < rows; row++) {
      S *value = dvalue.at(group, row), *before = dbefore.at(group, row);
      const Pack<S> dresult = load(value) + load(before), masked = load(mask.at(group, row)) * dresult;
      store(before, masked);
      store(value, dresult - masked);
    }
}

}  // namespace fusedlstm
