// The vanilla recurrent network with any activation: h = act(W_ih x + W_hh h_prev + b).
#pragma once

#include "cells/tile_activations.hpp"

namespace fusedlstm {

template <class S>
struct GeneralRnn {
  static bool matches(const CellSpec& spec) { return spec.has_no_lstm_options() && spec.reset_after; }
  static Cell<S> cell(const CellSpec& spec) {
    Cell<S> cell{};
    cell.gates = GateLayout::uniform(1);
    cell.input_scale[0] = input_scale_of(spec.candidate);
    cell.recurrent_state = RecurrentState::none;
    cell.forward = &forward;
    cell.backward = &backward;
    return cell;
  }

 private:
  static void forward(const ForwardTile<S>& tile) {
    activate_tile<S>(tile.spec->candidate, tile.groups, tile.rows, 1, tile.z, tile.h);
    if (!tile.h_factor.values) return;
    for_packets(tile, [&](int group, int row) FUSEDLSTM_LAMBDA_INLINE {
      store(tile.h_factor.at(group, row), load(tile.h.at(group, row)));
    });
  }
  static void backward(const BackwardTile<S>& tile) {
    activation_gradient_tile<S>(tile.spec->candidate, tile.groups, tile.rows, tile.dh, tile.h_factor, tile.gates);
  }
};

}  // namespace fusedlstm
