// The equations of the GRU on one row of units, between the products (Cho et al. 2014; reset after the product as in
// cuDNN).
#pragma once

#include "staged/rows.hpp"
#include "staged/weights.hpp"

namespace fusedlstm::staged {

template <class S>
struct GruForwardRow {
  S* gates;                 // in: pre-activations; out: r, z, n
  S* candidate;             // reset after: in W_hn h' + b_hn; before: out r h'
  const S* dropped_before;  // the h' that the products read: with dropout, if there is any
  const S* hidden_before;
  const S* mask;  // of the candidate, or null
  S* hidden;      // out: h before zoneout
};

template <class S>
struct GruBackwardRow {
  S* gates;      // in: r, z, n; out: their dz
  S* candidate;  // reset after: in W_hn h' + b_hn; out its gradient
  const S* dropped_before;
  const S* hidden_before;
  const S* mask;
  const S* dh;  // dL/dh
  S* dbefore;   // added to: the part of dL/dh' that does not go through a product
  S* dreset;    // reset before: in dL/d(r h'); out the part of the gradient of the dropped h' from r h'
  S* scratch;   // two blocks
  S* sums;      // added to: gradients of the vectors from this row
};

template <class S>
class Gru {
 public:
  Gru(const Spec& spec, Index units, const PackedWeights<S>& weights)
      : spec_(spec), width_(whole_packets<S>(units)), weights_(weights) {}

  // r and z.
  void forward_gates(const GruForwardRow<S>& row) const { activate(spec_.gate, row.gates, 2 * width_, row.gates); }
  // Reset before: r h', the operand of the second product.
  void reset(const GruForwardRow<S>& row) const {
    for (Index j = 0; j < width_; j += pack_size<S>)
      store(row.candidate + j, load(row.gates + j) * load(row.dropped_before + j));
  }
  // n and h.
  void forward(const GruForwardRow<S>& row) const {
    const S* z = row.gates + width_;
    S* n = row.gates + 2 * width_;
    if (spec_.reset_after) add_products(row.gates, row.candidate, width_, n);
    activate(spec_.candidate, n, width_, n);
    for (Index j = 0; j < width_; j += pack_size<S>) {
      const Pack<S> stays = load(z + j);
      const Pack<S> now = row.mask ? load(n + j) * load(row.mask + j) : load(n + j);
      store(row.hidden + j, fma(stays, load(row.hidden_before + j), (fill(S(1)) - stays) * now));
    }
  }

  // dz of z and n. Reset after: also dz of r and the gradient of W_hn h' + b_hn.
  void backward(const GruBackwardRow<S>& row) const {
    S *z = row.gates + width_, *n = z + width_, *d_z = row.scratch, *d_n = d_z + width_;
    for (Index j = 0; j < width_; j += pack_size<S>) {
      const Pack<S> dh = load(row.dh + j), stays = load(z + j), before = load(row.hidden_before + j);
      const Pack<S> scale = row.mask ? load(row.mask + j) : fill(S(1));
      store(d_z + j, dh * (before - load(n + j) * scale));
      store(d_n + j, dh * (fill(S(1)) - stays) * scale);
      store(row.dbefore + j, fma(dh, stays, load(row.dbefore + j)));
    }
    activation_gradient(spec_.gate, d_z, z, width_, z);
    activation_gradient(spec_.candidate, d_n, n, width_, n);
    if (!spec_.reset_after) return;
    S* d_r = d_z;
    for (Index j = 0; j < width_; j += pack_size<S>) {
      const Pack<S> dn = load(n + j), r = load(row.gates + j);
      store(d_r + j, dn * load(row.candidate + j));
      store(row.candidate + j, dn * r);
    }
    activation_gradient(spec_.gate, d_r, row.gates, width_, row.gates);
    add(row.candidate, width_, row.sums + weights_.layout().vectors[bias_hidden].packed);
    add(row.gates, 3 * width_, row.sums + weights_.layout().vectors[bias].packed);
  }
  // Reset before: dz of r, after the product with the gradient of n.
  void backward_reset(const GruBackwardRow<S>& row) const {
    S* d_r = row.scratch;
    for (Index j = 0; j < width_; j += pack_size<S>) {
      const Pack<S> d = load(row.dreset + j);
      store(d_r + j, d * load(row.dropped_before + j));
      store(row.dreset + j, d * load(row.gates + j));
    }
    activation_gradient(spec_.gate, d_r, row.gates, width_, row.gates);
    add(row.gates, 3 * width_, row.sums + weights_.layout().vectors[bias].packed);
  }

 private:
  const Spec& spec_;
  Index width_;
  const PackedWeights<S>& weights_;
};

}  // namespace fusedlstm::staged
