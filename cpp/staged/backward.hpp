// Backward over a sequence, from the last step to the first. In each step, the derivatives of the cell turn the saved
// activations into the gradients of the pre-activations, row by row. Products with the weights then give the gradients
// of h' and x. The gradients of vectors are summed per row of the batch. weight_gradients.hpp sums the gradients of
// matrices.
#pragma once

#include "cells/zoneout.hpp"
#include "staged/fields.hpp"
#include "staged/gru.hpp"
#include "staged/lstm.hpp"

namespace fusedlstm::staged {

template <class S>
struct BackwardCall {
  const Run* run;
  const PackedWeights<S>* weights;
  SequenceView<const S> x;
  SequenceView<const S> dy;
  States<const S> dfinal;
  SequenceView<S> dx;
  bool add_dx;  // dx += instead of dx =
  States<S> dinitial;
  S* gradients;  // of the direction's parameters, added to
  const RowPlan* plan;
  const Fields<S>* saved;
  Rows<S> dropout;  // masks of h', one row per row of the batch; may be absent
  Rows<S> sums;     // gradients of the vectors, one row per row of the batch

  Index row_of(Index sorted) const { return plan->row_of[std::size_t(sorted)]; }
  Index time(Index t, Index sorted) const { return run->time(t, plan->lengths[std::size_t(sorted)]); }
};

template <class S>
class BackwardShare {
 public:
  FUSEDLSTM_COLD BackwardShare(const BackwardCall<S>& call, const RowShard& share)
      : call_(call),
        run_(*call.run),
        weights_(*call.weights),
        fields_(*call.saved),
        share_(share),
        blocks_(Blocks(run_.spec).count),
        units_(whole_packets<S>(run_.shape.hidden)),
        outputs_(whole_packets<S>(run_.shape.output)),
        lstm_(run_.spec, run_.shape.hidden, weights_),
        gru_(run_.spec, run_.shape.hidden, weights_),
        dx_done_(share.steps) {
    lay_out(Arena());
    scratch_ = MemoryBlock(bytes_);
    lay_out(Arena(scratch_.memory()));
  }

  void run() {
    start();
    for (Index t = share_.steps - 1; t >= 0; t--) {
      step(t);
      if (call_.dx && (t == 0 || share_.saved_row(dx_done_) - share_.saved_row(t - 1) > most_dx_lines()))
        input_gradient(t);
    }
    finish();
  }

 private:
  Index first_row() const { return share_.first_row; }
  Index row_of(Index r) const { return call_.row_of(first_row() + r); }
  Index time(Index t, Index r) const { return call_.time(t, first_row() + r); }
  Index most_dx_lines() const { return std::max(Index(48), share_.rows); }
  Rows<S> lines(Rows<S> rows, Index t) const { return {rows.at(share_.saved_row(t)), rows.stride}; }
  Rows<S> block_of(Rows<S> rows, int block) const { return {rows.values + block * units_, rows.stride}; }

  void lay_out(Arena&& arena) {
    const auto take = [&](Rows<S>& rows, bool wanted, Index count, Index numbers) {
      if (!wanted) return;
      rows.stride = row_stride<S>(numbers);
      rows.values = arena.take<S>(count * rows.stride);
    };
    const Spec& spec = run_.spec;
    take(dhidden_, true, share_.rows, outputs_);
    take(dstate_, bool(fields_.state), share_.rows, units_);
    take(dnow_, spec.projection == 0, share_.rows, outputs_);
    take(dm_, spec.projection > 0, share_.rows, units_);
    take(dproduct_, true, share_.rows, outputs_);
    take(dgates_, spec.full_gate_recurrence, share_.rows, 3 * units_);
    take(dropped_, bool(call_.dropout) && spec.family == Family::gru, share_.rows, outputs_);
    take(dx_, bool(call_.dx), most_dx_lines(), whole_packets<S>(run_.shape.input));
    take(dstays_, bool(fields_.fresh), 1, units_);
    take(cell_scratch_, true, 1, 4 * units_);
    take(norm_scratch_, spec.layer_norm, 1, blocks_ * units_);
    take(mask_, true, 1, std::max(units_, outputs_));
    bytes_ = arena.used();
  }

  FUSEDLSTM_COLD void start() {
    for (Index r = 0; r < share_.rows; r++) {
      const Index sorted = first_row() + r, hidden = run_.shape.hidden, output = run_.shape.output;
      const auto begin = [&](Rows<S> rows, const S* from, Index width, Index units) {
        std::fill(rows.at(r), rows.at(r) + width, S(0));
        if (from) copy(from + row_of(r) * units, units, rows.at(r));
      };
      begin(dhidden_, call_.dfinal.h, outputs_, output);
      if (dstate_) begin(dstate_, call_.dfinal.c, units_, hidden);
      if (dgates_) {
        begin(dgates_, nullptr, 3 * units_, hidden);
        S* before = fields_.kept_gates.at(share_.saved_row(-1) + r);
        std::fill(before, before + blocks_ * units_, S(0));
      }
      std::fill(call_.sums.at(sorted), call_.sums.at(sorted) + weights_.layout().packed, S(0));
      if (call_.dropout) run_.draw(Mask::recurrent, row_of(r), 0, outputs_, call_.dropout.at(sorted));
      if (call_.dx && !call_.add_dx)
        for (Index time = call_.plan->lengths[std::size_t(sorted)]; time < run_.shape.steps; time++)
          std::fill_n(call_.dx.at(row_of(r), time), run_.shape.input, S(0));
    }
  }

  void step(Index t) {
    const Index running = share_.active(t);
    if (run_.spec.projection > 0) dnow_ = lines(fields_.dprojected, t);
    for (Index r = 0; r < running; r++) start_row(t, r);
    if (run_.spec.family == Family::lstm) lstm_step(t, running);
    else if (run_.spec.family == Family::gru) gru_step(t, running);
    else rnn_step(t, running);
    for (Index r = 0; r < running; r++) {
      const S* mask = call_.dropout ? call_.dropout.at(first_row() + r) : nullptr;
      if (mask) add_products(dproduct_.at(r), mask, outputs_, dhidden_.at(r));
      else add(dproduct_.at(r), outputs_, dhidden_.at(r));
    }
  }

  // Divides the gradient of h, which comes from later steps and dy, into the gradient of h before zoneout and the part
  // that bypasses the cell to h'.
  void start_row(Index t, Index r) {
    S* dh = dhidden_.at(r);
    if (call_.dy) {
      const S* dy = call_.dy.at(row_of(r), time(t, r));
      for (Index j = 0; j < run_.shape.output; j += pack_size<S>)
        store(dh + j, load(dh + j) + load_first(dy + j, run_.shape.output - j));
    }
    copy(dh, outputs_, dnow_.at(r));
    std::fill(dh, dh + outputs_, S(0));
    if (run_.regularizers.zoneout_h > 0) divide(Mask::zoneout_h, t, r, outputs_, dnow_.at(r), dh);
  }
  // Divides the gradient `dnow` of a value after zoneout: `dnow` becomes the gradient of the new value, `dbefore` the
  // gradient of the value of the previous step.
  void divide(Mask kind, Index t, Index r, Index width, S* dnow, S* dbefore) {
    run_.draw(kind, row_of(r), t, width, mask_.values);
    zone_out_backward<S>(int(width / pack_size<S>), 1, grid_of(mask_.values), grid_of(dnow), grid_of(dbefore));
  }

  const S* candidate_mask(Index t, Index r) {
    if (!run_.regularizers.drops_candidate()) return nullptr;
    run_.draw(Mask::candidate, row_of(r), t, units_, mask_.values);
    return mask_.values;
  }

  // dproduct = sum over the blocks [0, blocks) of gradients times the hidden weights
  void multiply_hidden(Rows<S> gradients, int blocks, Index running, InitialC<S> start) {
    OperandA<S> operands[4];
    for (int b = 0; b < blocks; b++) operands[b] = operand(block_of(gradients, b), run_.shape.hidden, b);
    multiply(weights_.panels(hidden_matrix), operands, blocks, running, start, dproduct_);
  }

  void lstm_step(Index t, Index running) {
    const Rows<S> gates = lines(fields_.gates, t);
    if (run_.spec.projection > 0) {
      const OperandA<S> projected = operand(dnow_, run_.shape.output, 0);
      multiply(weights_.panels(projection_matrix), &projected, 1, running, InitialC<S>{nullptr, 0}, dm_);
      if (const Vector& vector = weights_.layout().vectors[bias_projection])
        for (Index r = 0; r < running; r++) add(dnow_.at(r), outputs_, call_.sums.at(first_row() + r) + vector.packed);
    }
    for (Index r = 0; r < running; r++) lstm_row(t, r);
    if (run_.spec.layer_norm) {
      for (Index r = 0; r < running; r++) normalize_row(t, r);
      multiply_hidden(lines(fields_.norm_hidden, t), blocks_, running, InitialC<S>{nullptr, 0});
    } else {
      multiply_hidden(gates, blocks_, running, InitialC<S>{nullptr, 0});
    }
    if (!dgates_) return;
    const OperandA<S> gradients[] = {operand(gates, run_.shape.hidden, 0),
                                     operand(block_of(gates, 1), run_.shape.hidden, 1),
                                     operand(block_of(gates, 3), run_.shape.hidden, 2)};
    multiply(weights_.panels(gates_matrix), gradients, 3, running, InitialC<S>{nullptr, 0}, dgates_);
  }

  void lstm_row(Index t, Index r) {
    const Index line = share_.saved_row(t) + r;
    S *dc = dstate_.at(r), *dstays = dstays_.values;
    if (dstays) {
      std::fill(dstays, dstays + units_, S(0));
      divide(Mask::zoneout_c, t, r, units_, dc, dstays);
    }
    if (fields_.kept_gates) copy(fields_.gates.at(line), blocks_ * units_, fields_.kept_gates.at(line));
    const Rows<S> fresh = fields_.fresh ? fields_.fresh : fields_.state;
    lstm_.backward({fields_.gates.at(line), dgates_ ? dgates_.at(r) : nullptr,
                    fields_.state.at(share_.saved_row(t - 1) + r), fresh.at(line), candidate_mask(t, r),
                    fields_.output.at(line), fields_.norm_state ? fields_.norm_state.at(line) : nullptr,
                    fields_.deviations ? fields_.deviations.at(line) + 2 : nullptr, dm_ ? dm_.at(r) : dnow_.at(r), dc,
                    cell_scratch_.values, call_.sums.at(first_row() + r)});
    if (dstays) add(dstays, units_, dc);
  }

  // Backward through the layer norms of W_ih x and W_hh h'.
  void normalize_row(Index t, Index r) {
    const Index line = share_.saved_row(t) + r, width = blocks_ * units_;
    const S* dz = fields_.gates.at(line);
    S* sums = call_.sums.at(first_row() + r);
    const auto through = [&](Rows<S> normed, VectorName gain_name, S inverse) {
      const S* gain = weights_.vector(gain_name);
      add_products(dz, normed.at(line), width, sums + weights_.layout().vectors[gain_name].packed);
      for (Index j = 0; j < width; j += pack_size<S>) store(norm_scratch_.values + j, load(dz + j) * load(gain + j));
      normalize_gradient(norm_scratch_.values, normed.at(line), blocks_, run_.shape.hidden, inverse);
    };
    through(fields_.norm_input, gain_input, fields_.deviations.at(line)[0]);
    through(fields_.norm_hidden, gain_hidden, fields_.deviations.at(line)[1]);
  }

  void gru_step(Index t, Index running) {
    const Rows<S> gates = lines(fields_.gates, t), candidate = lines(fields_.candidate, t);
    const Rows<S> before = lines(fields_.hidden, t - 1), n = block_of(gates, 2);
    const Rows<S> dropped = dropped_ ? dropped_ : before;
    if (dropped_)
      for (Index r = 0; r < running; r++) {
        std::fill(dropped_.at(r), dropped_.at(r) + outputs_, S(0));
        add_products(before.at(r), call_.dropout.at(first_row() + r), outputs_, dropped_.at(r));
      }
    const auto row = [&](Index r, const S* mask) {
      return GruBackwardRow<S>{
          gates.at(r), candidate.at(r), dropped.at(r),   before.at(r),         mask,
          dnow_.at(r), dhidden_.at(r),  dproduct_.at(r), cell_scratch_.values, call_.sums.at(first_row() + r)};
    };
    for (Index r = 0; r < running; r++) gru_.backward(row(r, candidate_mask(t, r)));
    const OperandA<S> gradient = operand(run_.spec.reset_after ? candidate : n, run_.shape.hidden, 0);
    multiply(weights_.panels(candidate_matrix), &gradient, 1, running, InitialC<S>{nullptr, 0}, dproduct_);
    if (!run_.spec.reset_after)
      for (Index r = 0; r < running; r++) gru_.backward_reset(row(r, nullptr));
    multiply_hidden(gates, 2, running, InitialC<S>{dproduct_.values, dproduct_.stride});
  }

  void rnn_step(Index t, Index running) {
    const Rows<S> gates = lines(fields_.gates, t);
    for (Index r = 0; r < running; r++) {
      activation_gradient(run_.spec.candidate, dnow_.at(r), gates.at(r), units_, gates.at(r));
      add(gates.at(r), units_, call_.sums.at(first_row() + r) + weights_.layout().vectors[bias].packed);
    }
    multiply_hidden(gates, 1, running, InitialC<S>{nullptr, 0});
  }

  // dx of the steps [first, dx_done_).
  void input_gradient(Index first) {
    const Rows<S> gradients = lines(fields_.norm_input ? fields_.norm_input : fields_.gates, first);
    const Index count = share_.saved_row(dx_done_) - share_.saved_row(first), inputs = run_.shape.input;
    OperandA<S> operands[4];
    for (int b = 0; b < blocks_; b++) operands[b] = operand(block_of(gradients, b), run_.shape.hidden, b);
    multiply(weights_.panels(input_matrix), operands, blocks_, count, InitialC<S>{nullptr, 0}, dx_);
    Index line = 0;
    for (Index t = first; t < dx_done_; t++)
      for (Index r = 0; r < share_.active(t); r++, line++) {
        S* to = call_.dx.at(row_of(r), time(t, r));
        const S* from = dx_.at(line);
        if (!call_.add_dx) {
          copy(from, inputs, to);
          continue;
        }
        for (Index j = 0; j < inputs; j += pack_size<S>)
          store_first(to + j, load_first(to + j, inputs - j) + load(from + j), inputs - j);
      }
    dx_done_ = first;
  }

  FUSEDLSTM_COLD void finish() {
    if (!call_.dinitial.h) return;
    for (Index r = 0; r < share_.rows; r++) {
      const Index hidden = run_.shape.hidden, output = run_.shape.output;
      copy(dhidden_.at(r), output, call_.dinitial.h + row_of(r) * output);
      if (dstate_) copy(dstate_.at(r), hidden, call_.dinitial.c + row_of(r) * hidden);
    }
  }

  const BackwardCall<S>& call_;
  const Run& run_;
  const PackedWeights<S>& weights_;
  const Fields<S>& fields_;
  const RowShard& share_;
  int blocks_;
  Index units_, outputs_;  // of a block and of h, in whole packets
  Lstm<S> lstm_;
  Gru<S> gru_;
  Index dx_done_;  // dx of this step and later steps is complete
  std::size_t bytes_ = 0;
  // One row per row of the share.
  Rows<S> dhidden_, dstate_;  // of h and c, from later steps
  Rows<S> dnow_;              // of h before zoneout
  Rows<S> dm_;                // of m, which the projection reads
  Rows<S> dproduct_;          // of the h' that the products read
  Rows<S> dgates_;            // of i, f, o, from the next step
  Rows<S> dropped_;           // h' times its mask
  Rows<S> dx_;                // a block of steps
  // For one row.
  Rows<S> dstays_;  // of c', past the cell by zoneout
  Rows<S> cell_scratch_, norm_scratch_, mask_;
  MemoryBlock scratch_;
};

}  // namespace fusedlstm::staged
