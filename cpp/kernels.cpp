// Instantiates the functions that run once per element or tile: register tiles, cells, the check for NaN and infinity,
// standardization, losses, and the peaks for benchmarks.
#include "cells/list.hpp"
#include "ops/all_finite.hpp"
#include "ops/losses.hpp"
#include "ops/standardize.hpp"
#include "recurrent/tile_rates.hpp"
#include "runtime/build_info.hpp"
#include "runtime/peak.hpp"

#define FUSEDLSTM_TEXT_(x) #x
#define FUSEDLSTM_TEXT(x) FUSEDLSTM_TEXT_(x)

namespace fusedlstm {

namespace detail {
FUSEDLSTM_TILES(, float);
FUSEDLSTM_TILES(, double);
}  // namespace detail

FUSEDLSTM_TILE_ACTIVATIONS(, float);
FUSEDLSTM_TILE_ACTIVATIONS(, double);
FUSEDLSTM_CELLS(, float);
FUSEDLSTM_CELLS(, double);

template bool all_within(const float*, Index, float);
template bool all_within(const double*, Index, double);

template bool standardize(const float*, Index, const double*, const double*, float*);
template bool standardize(const float*, Index, const double*, const double*, double*);
template bool standardize(const double*, Index, const double*, const double*, float*);
template bool standardize(const double*, Index, const double*, const double*, double*);

FUSEDLSTM_LOSSES(, float);
FUSEDLSTM_LOSSES(, double);

template double multiply_add_peak<float>(double, int);
template double multiply_add_peak<double>(double, int);
template double multiply_add_overlap<float>(double);

template TileRates tile_rates<float>(double, int);
template TileRates tile_rates<double>(double, int);

const BuildInfo& build_info() {
  static const BuildInfo info = {FUSEDLSTM_TEXT(FUSEDLSTM_VARIANT), Eigen::SimdInstructionSetsInUse(),
                                 FUSEDLSTM_TEXT(EIGEN_WORLD_VERSION) "." FUSEDLSTM_TEXT(
                                     EIGEN_MAJOR_VERSION) "." FUSEDLSTM_TEXT(EIGEN_MINOR_VERSION)};
  return info;
}

}  // namespace fusedlstm
