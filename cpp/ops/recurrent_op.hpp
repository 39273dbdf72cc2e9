// A recurrent layer as an op.
#pragma once

#include "ops/op.hpp"
#include "recurrent/driver.hpp"

namespace fusedlstm {

// Weights that are packed once, so that any number of calls, threads and streams may share them.
template <class S>
struct PackedRecurrent {
  const Cell<S>* cell;
  LayerShape shape;  // of one step of one sequence
  PackedLayer<S> panels;

  PackedRecurrent(const Cell<S>& cell_, const LayerShape& shape_, const S* parameters)
      : cell(&cell_), shape(shape_), panels(shape, groups()) {
    const FlushSubnormals flush;
    pack_layer(*cell, shape, groups(), parameters, panels, Team(0, 1));
  }
  Groups<S> groups() const { return Groups<S>(shape.sizes.hidden, cell->blocks.count); }
};

template <class S>
struct RecurrentConfig {
  const Cell<S>* cell;
  LayerShape shape;  // of one step of one sequence
  std::shared_ptr<const PackedRecurrent<S>> packed;
  const S* parameters;           // where there are no packed weights
  std::vector<S> hidden, state;  // initial, (directions, hidden); empty: zero
  bool all_steps;                // false: LastStep follows, which reads the final states alone
};

// One step of some sequences.
template <class S>
class RecurrentStream final : public RunningOp<S> {
 public:
  RecurrentStream(const RecurrentConfig<S>& config, Index rows)
      : config_(config), rows_(rows), schedule_(rows, 1, nullptr, 1) {
    LayerShape shape = config.shape;
    shape.batch = rows;
    const Index input = shape.sizes.input;
    hidden_.resize(static_cast<std::size_t>(rows * units()));
    state_.resize(hidden_.size());
    reset();
    const Cell<S>& cell = *config.cell;
    const States<S> states{hidden_.data(), carries_state() ? state_.data() : nullptr};
    call_ = std::make_unique<ForwardCall<S>>(forward_call(
        cell, shape, config.packed->groups(), config.packed->panels, 0, {nullptr, input, input},
        {states.hidden, states.state}, {}, states, schedule_, static_cast<const Saved<S>*>(nullptr)));
    share_ = std::make_unique<ForwardShare<S>>(*call_, schedule_.shares[0]);
  }
  const S* step(const S* x) override {
    call_->x.values = x;
    share_->run();
    return hidden_.data();
  }
  void reset() override {
    start(config_.hidden, hidden_);
    start(config_.state, state_);
  }
  std::vector<Index> state_columns() const override {
    return std::vector<Index>(carries_state() ? 2 : 1, units());
  }
  void copy_state(S* const* arrays) const override {
    std::copy(hidden_.begin(), hidden_.end(), arrays[0]);
    if (carries_state()) std::copy(state_.begin(), state_.end(), arrays[1]);
  }
  void set_state(const S* const* arrays) override {
    std::copy_n(arrays[0], hidden_.size(), hidden_.begin());
    if (carries_state()) std::copy_n(arrays[1], state_.size(), state_.begin());
  }

 private:
  Index units() const { return config_.shape.sizes.hidden; }
  bool carries_state() const { return config_.cell->carried == Carried::state; }
  void start(const std::vector<S>& first, std::vector<S>& rows) const {
    std::fill(rows.begin(), rows.end(), S(0));
    for (Index row = 0; row < rows_ && !first.empty(); row++)
      std::copy(first.begin(), first.end(), rows.begin() + row * units());
  }

  RecurrentConfig<S> config_;
  Index rows_;
  Schedule schedule_;
  std::vector<S> hidden_, state_;  // (rows, hidden)
  std::unique_ptr<ForwardCall<S>> call_;
  std::unique_ptr<ForwardShare<S>> share_;
};

// One sequence through a cell that has a path for a row alone: straight to the equations, in the same order of additions.
template <class S>
class RowStream final : public RunningOp<S> {
 public:
  static bool takes(const RecurrentConfig<S>& config, Index rows) {
    const bool whole_packets = config.packed->groups().tail == pack_size<S>;
    return rows == 1 && config.cell->forward_row && whole_packets && !config.shape.regularisers.zones_out();
  }
  explicit RowStream(const RecurrentConfig<S>& config) : config_(config), cell_(*config.cell) {
    const PackedRecurrent<S>& weights = *config.packed;
    const Groups<S> groups = weights.groups();
    const Sizes& sizes = weights.shape.sizes;
    const auto layout = [&](Carver carver) {
      hidden_ = carver.take<S>(sizes.hidden);
      next_ = carver.take<S>(sizes.hidden);
      state_ = carver.take<S>(sizes.hidden);
      return carver.used();
    };
    block_ = Block(layout(Carver()));
    layout(Carver(block_.memory()));
    tile_.groups = groups.count;
    tile_.rows = 1;
    tile_.state = {state_, pack_size<S>, pack_size<S>};
    tile_.state_before = tile_.state;
    tile_.hidden = {next_, pack_size<S>, sizes.hidden};
    tile_.units = {weights.panels.vectors[0], sizes.hidden};
    operands_[0] = {nullptr, sizes.input, 0, sizes.input, FedBlocks(sizes.blocks, sizes.blocks.input).span};
    operands_[1] = {nullptr, sizes.hidden, sizes.input, sizes.hidden, FedBlocks(sizes.blocks, sizes.blocks.hidden).span};
    const Panels<S> panels =
        groups.forward_panels(weights.panels.panels[0], sizes.input + sizes.hidden, cell_.blocks.divided());
    product_ = {operands_, 2,       0, panels.values, panels.stride, groups.width(), weights.panels.bias[0],
                groups.width(), 0, nullptr,       0,             0};
    reset();
  }
  const S* step(const S* x) override {
    operands_[0].values = x;
    operands_[1].values = hidden_;
    tile_.hidden.values = next_;
    cell_.forward_row({product_, tile_});
    std::swap(hidden_, next_);
    return hidden_;
  }
  void reset() override {
    start(config_.hidden, hidden_);
    start(cell_.carried == Carried::hidden ? config_.hidden : config_.state, state_);
  }
  std::vector<Index> state_columns() const override {
    return std::vector<Index>(cell_.carried == Carried::state ? 2 : 1, units());
  }
  void copy_state(S* const* arrays) const override {
    std::copy_n(hidden_, units(), arrays[0]);
    if (cell_.carried == Carried::state) std::copy_n(state_, units(), arrays[1]);
  }
  void set_state(const S* const* arrays) override {
    std::copy_n(arrays[0], units(), hidden_);
    if (cell_.carried != Carried::nothing)
      std::copy_n(arrays[cell_.carried == Carried::state ? 1 : 0], units(), state_);
  }

 private:
  Index units() const { return config_.shape.sizes.hidden; }
  void start(const std::vector<S>& first, S* values) const {
    if (first.empty()) std::fill_n(values, units(), S(0));
    else std::copy(first.begin(), first.end(), values);
  }

  RecurrentConfig<S> config_;
  const Cell<S>& cell_;
  Block block_;
  S *hidden_ = nullptr, *next_ = nullptr, *state_ = nullptr;  // (hidden,)
  ForwardTile<S> tile_{};
  Operand<S> operands_[2];
  detail::Product<S> product_{};
};

template <class S>
class RecurrentOp final : public Op<S> {
 public:
  explicit RecurrentOp(RecurrentConfig<S> config) : Op<S>(traits_of(config)), config_(std::move(config)) {}

  void run(Values<S>& values) const override {
    LayerShape shape = config_.shape;
    shape.steps = values.steps;
    shape.batch = values.batch;
    const Index hidden = shape.sizes.hidden, batch = shape.batch, steps = shape.steps;
    const Index states = shape.directions * batch * hidden;
    const bool repeats = !config_.hidden.empty();
    const Block initial(repeats ? std::size_t(2 * states) * sizeof(S) : 0);
    States<const S> first;
    if (repeats) {
      S* rows = static_cast<S*>(initial.memory());
      first.hidden = repeat(config_.hidden, batch, rows);
      if (!config_.state.empty()) first.state = repeat(config_.state, batch, rows + states);
    }
    S *all = nullptr, *final_hidden = nullptr;
    if (config_.all_steps) all = values.output(batch * steps * shape.features());
    else final_hidden = values.output(states);
    layer_forward(*config_.cell, shape, values.lengths, config_.parameters,
                  config_.packed ? &config_.packed->panels : nullptr, values.x, first,
                  contiguous_sequences(all, steps, shape.features()), States<S>{final_hidden, nullptr}, false,
                  threads_for(batch * steps * work_of(shape), values.threads));
    values.become_steps(all, shape.features());
    values.directions = shape.directions;
    values.reverse = shape.reverse;
    values.final_hidden = final_hidden;
  }

  std::unique_ptr<RunningOp<S>> stream(Index rows) const override {
    if (RowStream<S>::takes(config_, rows)) return std::make_unique<RowStream<S>>(config_);
    return std::make_unique<RecurrentStream<S>>(config_, rows);
  }

 private:
  static Index work_of(const LayerShape& shape) { return shape.directions * weight_count(shape.sizes); }
  static OpTraits traits_of(const RecurrentConfig<S>& config) {
    constexpr Index cost_of_a_unit = 64;  // its nonlinearities, in multiply-adds
    const LayerShape& shape = config.shape;
    OpTraits traits{shape.sizes.input, shape.features()};
    traits.work = work_of(shape) + shape.features() * cost_of_a_unit;
    traits.packed = config.packed != nullptr;
    traits.causal = shape.directions == 1 && !shape.reverse;
    traits.takes_vectors = false;
    traits.gives_steps = config.all_steps;
    return traits;
  }
  // A row of states for each direction, for every sequence of the batch.
  const S* repeat(const std::vector<S>& row, Index batch, S* to) const {
    const Index hidden = config_.shape.sizes.hidden;
    for (Index k = 0; k * hidden < Index(row.size()); k++)
      for (Index b = 0; b < batch; b++) std::copy_n(row.data() + k * hidden, hidden, to + (k * batch + b) * hidden);
    return to;
  }

  RecurrentConfig<S> config_;
};

template <class S>
std::shared_ptr<const PackedRecurrent<S>> packed_layer(const Cell<S>& cell, const LayerShape& shape,
                                                       const S* parameters) {
  return std::make_shared<PackedRecurrent<S>>(cell, shape, parameters);
}
template <class S>
SharedOp<S> recurrent_op(RecurrentConfig<S> config) {
  return std::make_shared<RecurrentOp<S>>(std::move(config));
}

// Compiled in layers.cpp.
#define FUSEDLSTM_RECURRENT_OP(declare, S)                                                                   \
  declare template std::shared_ptr<const PackedRecurrent<S>> packed_layer(const Cell<S>&, const LayerShape&, \
                                                                          const S*);                         \
  declare template SharedOp<S> recurrent_op(RecurrentConfig<S>)
FUSEDLSTM_RECURRENT_OP(extern, float);
FUSEDLSTM_RECURRENT_OP(extern, double);

}  // namespace fusedlstm
