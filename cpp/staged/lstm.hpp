// The equations of the LSTM on one row of units, between the products. spec.hpp has the formulas.
#pragma once

#include "staged/rows.hpp"
#include "staged/weights.hpp"

namespace fusedlstm::staged {

template <class S>
struct LstmForwardRow {
  S* gates;                  // in: pre-activations; out: i, f, g, o
  const S* recurrent_gates;  // W_gates [i', f', o'], or null
  const S* state_before;
  const S* mask;              // of the candidate, or null
  S* state;                   // out: c, before zoneout
  S* output;                  // out: act_output(c)
  S *norm_state, *deviation;  // out, with layer norm
  S* m;                       // out: o act_output(c)
};

template <class S>
struct LstmBackwardRow {
  S* gates;                       // in: i, f, g, o; out: their dz
  const S* dgates_after;          // gradient of i, f, o from the next step, or null
  const S *state_before, *state;  // c', and c before zoneout
  const S* mask;
  S* output;  // in: act_output(c); out: m
  S* norm_state;
  const S* deviation;
  const S* dm;
  S* dc;       // in: dL/dc from the next step; out: dL/dc'
  S* scratch;  // four blocks
  S* sums;     // added to: gradients of the vectors from this row
};

template <class S>
class Lstm {
 public:
  Lstm(const Spec& spec, Index units, const PackedWeights<S>& weights)
      : spec_(spec), blocks_(spec), units_(units), width_(whole_packets<S>(units)), weights_(weights) {}

  void forward(const LstmForwardRow<S>& row) const {
    S *z_i = at(row.gates, blocks_.i), *z_f = at(row.gates, blocks_.f);
    S *z_g = at(row.gates, blocks_.g), *z_o = at(row.gates, blocks_.o);
    if (row.recurrent_gates) {
      add(row.recurrent_gates, width_, z_i);
      add(row.recurrent_gates + width_, width_, z_f);
      add(row.recurrent_gates + 2 * width_, width_, z_o);
    }
    if (const S* p = weights_.vector(peephole_i)) add_products(p, row.state_before, width_, z_i);
    if (const S* p = weights_.vector(peephole_f)) add_products(p, row.state_before, width_, z_f);
    activate(spec_.gate, row.gates, blocks_.g * width_, row.gates);  // the blocks before g are i and f
    activate(spec_.candidate, z_g, width_, z_g);

    const Pack<S> one = fill(S(1)), clip = fill(S(spec_.cell_clip));
    for (Index j = 0; j < width_; j += pack_size<S>) {
      const Pack<S> f = z_f ? load(z_f + j) : one;
      const Pack<S> i = spec_.coupled ? one - f : z_i ? load(z_i + j) : one;
      const Pack<S> g = row.mask ? load(z_g + j) * load(row.mask + j) : load(z_g + j);
      store(row.state + j, clamp(fma(f, load(row.state_before + j), i * g), zero<S>() - clip, clip));
    }

    if (spec_.layer_norm) {
      copy(row.state, width_, row.norm_state);
      *row.deviation = normalize(row.norm_state, 1, units_);
      scale_and_shift(row.norm_state, weights_.vector(gain_state), weights_.vector(bias_state), width_, row.output);
      activate(spec_.output, row.output, width_, row.output);
    } else {
      activate(spec_.output, row.state, width_, row.output);
    }
    if (!z_o) return copy(row.output, width_, row.m);
    if (const S* p = weights_.vector(peephole_o)) add_products(p, row.state, width_, z_o);
    activate(spec_.gate, z_o, width_, z_o);
    for (Index j = 0; j < width_; j += pack_size<S>) store(row.m + j, load(z_o + j) * load(row.output + j));
  }

  void backward(const LstmBackwardRow<S>& row) const {
    S *i = at(row.gates, blocks_.i), *f = at(row.gates, blocks_.f);
    S *g = at(row.gates, blocks_.g), *o = at(row.gates, blocks_.o);
    S *d_i = row.scratch, *d_f = d_i + width_, *d_o = d_f + width_, *d_a = d_o + width_;
    const Pack<S> one = fill(S(1));

    // m = o a, a = act_output(c)
    for (Index j = 0; j < width_; j += pack_size<S>) {
      const Pack<S> dm = load(row.dm + j), a = load(row.output + j);
      if (!o) {
        store(d_a + j, dm);
        continue;
      }
      store(d_a + j, dm * load(o + j));
      store(d_o + j, row.dgates_after ? fma(dm, a, load(row.dgates_after + 2 * width_ + j)) : dm * a);
    }
    activation_gradient(spec_.output, d_a, row.output, width_, d_a);
    if (spec_.layer_norm) {
      add(d_a, width_, sums(row, bias_state));
      add_products(d_a, row.norm_state, width_, sums(row, gain_state));
      const S* gain = weights_.vector(gain_state);
      for (Index j = 0; j < width_; j += pack_size<S>) store(d_a + j, load(d_a + j) * load(gain + j));
      normalize_gradient(d_a, row.norm_state, 1, units_, *row.deviation);
      add(row.norm_state, width_, row.dc);
    } else {
      add(d_a, width_, row.dc);
    }
    if (o) {
      for (Index j = 0; j < width_; j += pack_size<S>) store(row.output + j, load(row.output + j) * load(o + j));
      activation_gradient(spec_.gate, d_o, o, width_, o);
      if (const S* p = weights_.vector(peephole_o)) {
        add_products(p, o, width_, row.dc);
        add_products(o, row.state, width_, sums(row, peephole_o));
      }
    }

    // c = f c' + i g, clipped
    const Pack<S> clip = fill(S(spec_.cell_clip));
    for (Index j = 0; j < width_; j += pack_size<S>) {
      const Pack<S> f_now = f ? load(f + j) : one;
      const Pack<S> i_now = spec_.coupled ? one - f_now : i ? load(i + j) : one;
      const Pack<S> scale = row.mask ? load(row.mask + j) : one;
      const Pack<S> c = load(row.state + j);
      const Pack<S> dc = where_positive(clip - relu(c) - negative_part(c), load(row.dc + j));
      const Pack<S> by_i = dc * load(g + j) * scale, by_f = dc * load(row.state_before + j);
      if (i) store(d_i + j, row.dgates_after ? by_i + load(row.dgates_after + j) : by_i);
      if (f) {
        const Pack<S> d = spec_.coupled ? by_f - by_i : by_f;
        store(d_f + j, row.dgates_after ? d + load(row.dgates_after + width_ + j) : d);
      }
      store(d_a + j, dc * i_now * scale);
      store(row.dc + j, dc * f_now);
    }
    activation_gradient(spec_.candidate, d_a, g, width_, g);
    if (i) activation_gradient(spec_.gate, d_i, i, width_, i);
    if (f) activation_gradient(spec_.gate, d_f, f, width_, f);
    if (const S* p = weights_.vector(peephole_i)) {
      add_products(p, i, width_, row.dc);
      add_products(i, row.state_before, width_, sums(row, peephole_i));
    }
    if (const S* p = weights_.vector(peephole_f)) {
      add_products(p, f, width_, row.dc);
      add_products(f, row.state_before, width_, sums(row, peephole_f));
    }
    add(row.gates, blocks_.count * width_, sums(row, bias));
  }

 private:
  S* at(S* gates, int block) const { return block < 0 ? nullptr : gates + block * width_; }
  S* sums(const LstmBackwardRow<S>& row, VectorName name) const {
    return row.sums + weights_.layout().vectors[name].packed;
  }

  const Spec& spec_;
  Blocks blocks_;
  Index units_, width_;
  const PackedWeights<S>& weights_;
};

}  // namespace fusedlstm::staged
