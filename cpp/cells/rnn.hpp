// The vanilla recurrent network (Elman 1990): h = tanh(z), or the positive part of z.
#pragma once

#include "cells/cell_loops.hpp"
#include "simd/activations.hpp"

namespace fusedlstm {

template <class S, bool Tanh>
struct RnnEquations {
  static constexpr Blocks blocks = Blocks::alike(1);
  static constexpr double factors[most_blocks] = {Tanh ? tanh_factor : 1};
  static constexpr double vector_factor = 1;
  static constexpr Carried carried = Carried::nothing;
  static constexpr bool has_candidate = false;

  template <class Units>
  static FUSEDLSTM_INLINE Pack<S> hidden(const Gates<S>& z, Pack<S>, const Units& units) {
    Pack<S> h;
    if constexpr (Tanh) {
      const Fraction<S> fraction = tanh_fraction(z.at[0]);
      h = fraction.numerator / fraction.denominator;
    } else {
      h = positive_part(z.at[0]);
    }
    units.keep_gate(0, h);
    units.keep_derived(h);
    return h;
  }

  template <class Units>
  static FUSEDLSTM_INLINE void backward(Pack<S> dh, Pack<S>, const Units&, S*, S* gates, S*) {
    const Pack<S> h = load(gates);
    store(gates, Tanh ? dh * tanh_slope(h) : where_positive(h, dh));
  }
};

}  // namespace fusedlstm
