// Forward over a sequence. Each step has several stages over whole rows: the products of h', the equations of the cell
// row by row, another product for some cells, and zoneout. W_ih x is computed in advance, for a block of steps.
#pragma once

#include <memory>

#include "cells/zoneout.hpp"
#include "staged/fields.hpp"
#include "staged/gru.hpp"
#include "staged/lstm.hpp"

namespace fusedlstm::staged {

// The lines of a block of W_ih x: enough to fill tiles, and few enough to stay in cache.
inline constexpr Index lines_ahead = 48;

template <class S>
struct ForwardCall {
  const Run* run;
  const PackedWeights<S>* weights;
  SequenceView<const S> x;
  States<const S> initial;
  SequenceView<S> y;  // zeros past the end of a sequence
  States<S> final;
  const RowPlan* plan;
  const Fields<S>* saved;  // null: inference
};

template <class S>
class ForwardShare {
 public:
  FUSEDLSTM_COLD ForwardShare(const ForwardCall<S>& call, const RowShard& share)
      : call_(call),
        run_(*call.run),
        weights_(*call.weights),
        share_(share),
        blocks_(Blocks(run_.spec).count),
        units_(whole_packets<S>(run_.shape.hidden)),
        outputs_(whole_packets<S>(run_.shape.output)),
        most_lines_(std::max(share.rows, std::min(lines_ahead, share.saved_row(share.steps) - share.saved_row(0)))),
        own_(call.saved ? nullptr
                        : std::make_unique<Fields<S>>(run_.spec, run_.shape, run_.regularizers,
                                                      share.rows + most_lines_, false)),
        fields_(own_ ? *own_ : *call.saved),
        lstm_(run_.spec, run_.shape.hidden, weights_),
        gru_(run_.spec, run_.shape.hidden, weights_) {
    lay_out(Arena());
    scratch_ = MemoryBlock(bytes_);
    lay_out(Arena(scratch_.memory()));
  }

  void run() {
    start();
    for (Index t = 0; t < share_.steps; t++) {
      if (t == ahead_) look_ahead(t);
      step(t);
      finish_rows(t);
    }
  }

 private:
  Index row_of(Index r) const { return call_.plan->row_of[std::size_t(share_.first_row + r)]; }
  Index length(Index r) const { return call_.plan->lengths[std::size_t(share_.first_row + r)]; }
  Index time(Index t, Index r) const { return run_.time(t, length(r)); }
  // The first line of step t. At inference, the lines are those of the step before the block, then those of the block.
  Index line(Index t) const {
    if (call_.saved) return share_.saved_row(t);
    return t < first_ ? 0 : share_.rows + share_.saved_row(t) - share_.saved_row(first_);
  }
  // The rows, beginning with this line and this block of gates.
  static Rows<S> from(Rows<S> rows, Index line) { return {rows.at(line), rows.stride}; }
  Rows<S> from(Rows<S> rows, Index line, int block) const { return {rows.at(line) + block * units_, rows.stride}; }
  InitialC<S> start_of(VectorName name) const { return {weights_.vector(name), 0}; }

  void lay_out(Arena&& arena) {
    const auto take = [&](Rows<S>& rows, bool wanted, Index lines, Index numbers) {
      if (!wanted) return;
      rows.stride = row_stride<S>(numbers);
      rows.values = arena.take<S>(lines * rows.stride);
    };
    const Regularizers& regularizers = run_.regularizers;
    take(gathered_, true, most_lines_, run_.shape.input);
    take(recurrent_gates_, run_.spec.full_gate_recurrence, share_.rows, 3 * units_);
    take(m_, run_.spec.projection > 0, share_.rows, units_);
    take(dropout_, regularizers.drops_h(), share_.rows, outputs_);
    take(dropped_, regularizers.drops_h(), share_.rows, outputs_);
    take(mask_, true, 1, std::max(units_, outputs_));
    bytes_ = arena.used();
  }

  FUSEDLSTM_COLD void start() {
    const Index before = line(-1), hidden = run_.shape.hidden, output = run_.shape.output;
    for (Index r = 0; r < share_.rows; r++) {
      const auto begin = [&](Rows<S> rows, const S* initial, Index width, Index units) {
        std::fill(rows.at(before + r), rows.at(before + r) + width, S(0));
        if (initial) copy(initial + row_of(r) * units, units, rows.at(before + r));
      };
      begin(fields_.hidden, call_.initial.h, outputs_, output);
      if (fields_.state) begin(fields_.state, call_.initial.c, units_, hidden);
      if (recurrent_gates_) begin(fields_.gates, nullptr, blocks_ * units_, hidden);
      if (dropout_) run_.draw(Mask::recurrent, row_of(r), 0, outputs_, dropout_.at(r));
      if (call_.y)
        for (Index time = length(r); time < run_.shape.steps; time++)
          std::fill_n(call_.y.at(row_of(r), time), output, S(0));
    }
  }

  // W_ih x + b of the next steps; with layer norm, gain_ih norm(W_ih x) + b.
  void look_ahead(Index t) {
    if (!call_.saved) {
      for (Index r = 0; t > 0 && r < share_.active(t); r++) {
        carry_over(fields_.hidden, outputs_, line(t - 1) + r, r);
        if (fields_.state) carry_over(fields_.state, units_, line(t - 1) + r, r);
        if (recurrent_gates_) carry_over(fields_.gates, blocks_ * units_, line(t - 1) + r, r);
      }
      first_ = t;
    }
    Index lines = 0;
    for (ahead_ = t; ahead_ < share_.steps && lines + share_.active(ahead_) <= most_lines_; ahead_++)
      for (Index r = 0; r < share_.active(ahead_); r++, lines++)
        copy(call_.x.at(row_of(r), time(ahead_, r)), run_.shape.input, gathered_.at(lines));

    const OperandA<S> x = operand(gathered_, run_.shape.input, 0);
    if (!run_.spec.layer_norm)
      return multiply(weights_.panels(input_matrix), &x, 1, lines, start_of(bias), from(fields_.gates, line(t)));
    multiply(weights_.panels(input_matrix), &x, 1, lines, InitialC<S>{nullptr, 0}, from(fields_.norm_input, line(t)));
    for (Index k = line(t); k < line(t) + lines; k++) {
      fields_.deviations.at(k)[0] = normalize(fields_.norm_input.at(k), blocks_, run_.shape.hidden);
      scale_and_shift(fields_.norm_input.at(k), weights_.vector(gain_input), weights_.vector(bias), blocks_ * units_,
                      fields_.gates.at(k));
    }
  }
  static void carry_over(Rows<S> rows, Index width, Index from, Index to) { copy(rows.at(from), width, rows.at(to)); }

  void step(Index t) {
    const Index running = share_.active(t);
    const Rows<S> hidden_before = dropped_before(t, running);
    if (run_.spec.family == Family::lstm) lstm_step(t, running, hidden_before);
    else if (run_.spec.family == Family::gru) gru_step(t, running, hidden_before);
    else rnn_step(t, running, hidden_before);
    for (Index r = 0; r < running; r++) {
      zone_out_row(t, r);
      if (call_.y) copy(fields_.hidden.at(line(t) + r), run_.shape.output, call_.y.at(row_of(r), time(t, r)));
    }
  }

  // The h' that the products read.
  Rows<S> dropped_before(Index t, Index running) {
    const Rows<S> before = from(fields_.hidden, line(t - 1));
    if (!dropped_) return before;
    for (Index r = 0; r < running; r++)
      for (Index j = 0; j < outputs_; j += pack_size<S>)
        store(dropped_.at(r) + j, load(before.at(r) + j) * load(dropout_.at(r) + j));
    return dropped_;
  }
  const S* candidate_mask(Index t, Index r) {
    if (!run_.regularizers.drops_candidate()) return nullptr;
    run_.draw(Mask::candidate, row_of(r), t, units_, mask_.values);
    return mask_.values;
  }

  void lstm_step(Index t, Index running, Rows<S> hidden_before) {
    const Rows<S> gates = from(fields_.gates, line(t)), gates_before = from(fields_.gates, line(t - 1));
    const OperandA<S> hidden = operand(hidden_before, run_.shape.output, 0);
    if (run_.spec.layer_norm) {
      const Rows<S> normed = from(fields_.norm_hidden, line(t));
      multiply(weights_.panels(hidden_matrix), &hidden, 1, running, InitialC<S>{nullptr, 0}, normed);
      for (Index r = 0; r < running; r++) {
        fields_.deviations.at(line(t) + r)[1] = normalize(normed.at(r), blocks_, run_.shape.hidden);
        add_products(weights_.vector(gain_hidden), normed.at(r), blocks_ * units_, gates.at(r));
      }
    } else {
      multiply(weights_.panels(hidden_matrix), &hidden, 1, running, InitialC<S>{gates.values, gates.stride}, gates);
    }
    if (recurrent_gates_) {
      const Index units = run_.shape.hidden;
      const OperandA<S> before[] = {operand(gates_before, units, 0), operand(from(gates_before, 0, 1), units, 1),
                                    operand(from(gates_before, 0, 3), units, 2)};
      multiply(weights_.panels(gates_matrix), before, 3, running, InitialC<S>{nullptr, 0}, recurrent_gates_);
    }
    const Rows<S> m = m_ ? m_ : from(fields_.hidden, line(t));
    const Rows<S> fresh = fields_.fresh ? fields_.fresh : fields_.state;
    for (Index r = 0; r < running; r++) {
      const Index k = line(t) + r;
      lstm_.forward({gates.at(r), recurrent_gates_ ? recurrent_gates_.at(r) : nullptr,
                     fields_.state.at(line(t - 1) + r), candidate_mask(t, r), fresh.at(k), fields_.output.at(k),
                     fields_.norm_state ? fields_.norm_state.at(k) : nullptr,
                     fields_.deviations ? fields_.deviations.at(k) + 2 : nullptr, m.at(r)});
    }
    if (!m_) return;
    const OperandA<S> projected = operand(m_, run_.shape.hidden, 0);
    multiply(weights_.panels(projection_matrix), &projected, 1, running, start_of(bias_projection),
             from(fields_.hidden, line(t)));
  }

  void gru_step(Index t, Index running, Rows<S> hidden_before) {
    const Rows<S> gates = from(fields_.gates, line(t)), candidate = from(fields_.candidate, line(t));
    const Rows<S> n = from(gates, 0, 2);
    const OperandA<S> hidden = operand(hidden_before, run_.shape.hidden, 0);
    const auto row = [&](Index r, const S* mask) {
      return GruForwardRow<S>{gates.at(r),
                              candidate.at(r),
                              hidden_before.at(r),
                              fields_.hidden.at(line(t - 1) + r),
                              mask,
                              fields_.hidden.at(line(t) + r)};
    };
    multiply(weights_.panels(hidden_matrix), &hidden, 1, running, InitialC<S>{gates.values, gates.stride}, gates);
    if (run_.spec.reset_after) {
      multiply(weights_.panels(candidate_matrix), &hidden, 1, running, start_of(bias_hidden), candidate);
      for (Index r = 0; r < running; r++) gru_.forward_gates(row(r, nullptr));
    } else {
      for (Index r = 0; r < running; r++) {
        gru_.forward_gates(row(r, nullptr));
        gru_.reset(row(r, nullptr));
      }
      const OperandA<S> reset = operand(candidate, run_.shape.hidden, 0);
      multiply(weights_.panels(candidate_matrix), &reset, 1, running, InitialC<S>{n.values, n.stride}, n);
    }
    for (Index r = 0; r < running; r++) gru_.forward(row(r, candidate_mask(t, r)));
  }

  void rnn_step(Index t, Index running, Rows<S> hidden_before) {
    const Rows<S> gates = from(fields_.gates, line(t)), now = from(fields_.hidden, line(t));
    const OperandA<S> hidden = operand(hidden_before, run_.shape.hidden, 0);
    multiply(weights_.panels(hidden_matrix), &hidden, 1, running, InitialC<S>{gates.values, gates.stride}, gates);
    for (Index r = 0; r < running; r++) {
      activate(run_.spec.candidate, gates.at(r), units_, gates.at(r));
      copy(gates.at(r), units_, now.at(r));
    }
  }

  void zone_out_row(Index t, Index r) {
    const auto mix = [&](Mask kind, Rows<S> rows, Rows<S> fresh, Index width) {
      run_.draw(kind, row_of(r), t, width, mask_.values);
      zone_out<S>(int(width / pack_size<S>), 1, grid_of(mask_.values), grid_of(rows.at(line(t - 1) + r)),
                  grid_of(fresh.at(line(t) + r)), grid_of(rows.at(line(t) + r)));
    };
    if (run_.regularizers.zoneout_h > 0) mix(Mask::zoneout_h, fields_.hidden, fields_.hidden, outputs_);
    if (fields_.fresh) mix(Mask::zoneout_c, fields_.state, fields_.fresh, units_);
  }

  // The final states of the rows that end with step t.
  void finish_rows(Index t) {
    for (Index r = share_.active(t + 1); r < share_.active(t); r++) {
      const Index hidden = run_.shape.hidden, output = run_.shape.output;
      copy(fields_.hidden.at(line(t) + r), output, call_.final.h + row_of(r) * output);
      if (fields_.state) copy(fields_.state.at(line(t) + r), hidden, call_.final.c + row_of(r) * hidden);
    }
  }

  const ForwardCall<S>& call_;
  const Run& run_;
  const PackedWeights<S>& weights_;
  const RowShard& share_;
  int blocks_;             // of the gates
  Index units_, outputs_;  // of a block and of h, in whole packets
  Index most_lines_;       // in a block of steps
  std::unique_ptr<Fields<S>> own_;
  const Fields<S>& fields_;
  Lstm<S> lstm_;
  Gru<S> gru_;
  Index first_ = 0, ahead_ = 0;  // the block of steps whose W_ih x is computed
  std::size_t bytes_ = 0;
  Rows<S> gathered_;         // x of the block
  Rows<S> recurrent_gates_;  // W_gates [i', f', o']
  Rows<S> m_;                // the input of the projection
  Rows<S> dropout_;          // the mask of h'
  Rows<S> dropped_;          // h' times this mask
  Rows<S> mask_;             // of one row
  MemoryBlock scratch_;
};

}  // namespace fusedlstm::staged
