// A recurrent layer as an op.
#pragma once

#include "ops/op.hpp"
#include "recurrent/driver.hpp"

namespace fusedlstm {

// Weights that are packed once and shared by any number of calls, threads and streams.
template <class S>
struct PackedRecurrent {
  Cell<S> cell;
  LayerShape shape;  // of one step of one sequence
  ForwardPanels<S> panels;

  PackedRecurrent(const Cell<S>& layer_cell, const LayerShape& layer_shape, const S* parameters)
      : cell(layer_cell), shape(layer_shape), panels(cell, shape, groups()) {
    const FlushSubnormals flush;
    panels.prepare(shape, parameters);
    panels.pack(cell, shape, groups(), parameters, Team(0, 1));
  }
  Groups<S> groups() const { return Groups<S>(shape.sizes.hidden_size, cell.gates.count); }
};

template <class S>
struct RecurrentConfig {
  Cell<S> cell;
  LayerShape shape;  // of one step of one sequence
  std::shared_ptr<const PackedRecurrent<S>> packed;
  const S* parameters;                  // used if `packed` is null
  std::vector<S> initial_h, initial_c;  // (directions, numbers of the state); empty: zero
  bool all_steps;                       // false: LastStep follows, which reads only the final states
};

// The numbers of each state of a sequence: h, c and the gates that the next step reads.
template <class S>
std::vector<Index> state_sizes(const Cell<S>& cell, const Sizes& sizes) {
  std::vector<Index> numbers{sizes.output_size};
  if (cell.recurrent_state == RecurrentState::c) numbers.push_back(sizes.hidden_size);
  if (sizes.carried_gates() > 0) numbers.push_back(sizes.carried_gates());
  return numbers;
}

// One step at a time for any number of sequences.
template <class S>
class RecurrentStream final : public OpStream<S> {
 public:
  RecurrentStream(const RecurrentConfig<S>& config, Index rows)
      : config_(config), rows_(rows), plan_(rows, 1, nullptr, 1), columns_(state_sizes(config.cell, sizes())) {
    LayerShape shape = config.shape;
    shape.batch = rows;
    const Index inputs = sizes().input_size;
    for (Index columns : columns_) states_.emplace_back(static_cast<std::size_t>(rows * columns));
    reset();
    States<S> states{states_[0].data()};
    std::size_t next = 1;
    if (config_.cell.recurrent_state == RecurrentState::c) states.c = states_[next++].data();
    if (sizes().carried_gates() > 0) states.gates = states_[next].data();
    call_ = std::make_unique<ForwardCall<S>>(forward_call(
        config_.cell, shape, config_.packed->panels.direction(0), 0, {nullptr, inputs, inputs},
        {states.h, states.c, states.gates}, {}, states, plan_, static_cast<const SavedDirection<S>*>(nullptr)));
    pass_ = std::make_unique<ForwardPass<S>>(*call_, plan_.shards[0]);
  }
  const S* step(const S* x) override {
    call_->x.values = x;
    pass_->run();
    return states_[0].data();
  }
  void reset() override {
    const std::vector<S> zeros, *initial[] = {&config_.initial_h, &config_.initial_c, &zeros};
    for (std::size_t k = 0; k < states_.size(); k++) {
      const std::vector<S>& from = *initial[k];
      std::fill(states_[k].begin(), states_[k].end(), S(0));
      for (Index row = 0; row < rows_ && !from.empty(); row++)
        std::copy(from.begin(), from.end(), states_[k].begin() + row * columns_[k]);
    }
  }
  std::vector<Index> state_columns() const override { return columns_; }
  void copy_state(S* const* arrays) const override {
    for (std::size_t k = 0; k < states_.size(); k++) std::copy(states_[k].begin(), states_[k].end(), arrays[k]);
  }
  void set_state(const S* const* arrays) override {
    for (std::size_t k = 0; k < states_.size(); k++) std::copy_n(arrays[k], states_[k].size(), states_[k].begin());
  }

 private:
  const Sizes& sizes() const { return config_.shape.sizes; }

  RecurrentConfig<S> config_;
  Index rows_;
  RowPlan plan_;
  std::vector<Index> columns_;
  std::vector<std::vector<S>> states_;  // (rows, columns) each
  std::unique_ptr<ForwardCall<S>> call_;
  std::unique_ptr<ForwardPass<S>> pass_;
};

// One step at a time for one sequence, with the row kernel of the cell. The order of additions is that of ForwardPass.
template <class S>
class RowStream final : public OpStream<S> {
 public:
  static bool supports(const RecurrentConfig<S>& config, Index rows) {
    const bool whole_packets = config.packed->groups().tail_units == pack_size<S>;
    return rows == 1 && config.cell.forward_row && whole_packets && !config.shape.sizes.projection &&
           !config.shape.regularizers.zones_out();
  }
  explicit RowStream(const RecurrentConfig<S>& config) : config_(config), cell_(config_.cell) {
    const PackedRecurrent<S>& weights = *config.packed;
    const Groups<S> groups = weights.groups();
    const Sizes& sizes = weights.shape.sizes;
    const Index inputs = sizes.input_size, hidden = sizes.hidden_size;
    memory_ = allocate([&](Arena arena) {
      h_ = arena.take<S>(hidden);
      next_h_ = arena.take<S>(hidden);
      c_ = arena.take<S>(hidden);
      return arena.used();
    });
    tile_.groups = groups.count;
    tile_.rows = 1;
    tile_.c = {c_, pack_size<S>, pack_size<S>};
    tile_.c_prev = tile_.c;
    tile_.h = {next_h_, pack_size<S>, hidden};
    const PackedDirection<S>& packed = weights.panels.direction(0);
    tile_.spec = &cell_.spec;
    tile_.unit_weights = packed.unit_weights;
    operands_[0] = {nullptr, inputs, 0, inputs, FedGates(sizes.gates, sizes.gates.weight_ih).span};
    operands_[1] = {nullptr, hidden, inputs, hidden, FedGates(sizes.gates, sizes.gates.weight_hh).span};
    product_.operands = operands_;
    product_.count = 2;
    product_.panel = packed.panels.values;
    product_.panel_stride = packed.panels.stride;
    product_.k_stride = product_.c_panel_stride = groups.width();
    product_.initial_c = packed.bias;
    reset();
  }
  const S* step(const S* x) override {
    operands_[0].values = x;
    operands_[1].values = h_;
    tile_.h.values = next_h_;
    cell_.forward_row({product_, tile_});
    std::swap(h_, next_h_);
    return h_;
  }
  void reset() override {
    start(config_.initial_h, h_);
    start(cell_.recurrent_state == RecurrentState::h ? config_.initial_h : config_.initial_c, c_);
  }
  std::vector<Index> state_columns() const override { return std::vector<Index>(has_c() ? 2 : 1, units()); }
  void copy_state(S* const* arrays) const override {
    std::copy_n(h_, units(), arrays[0]);
    if (has_c()) std::copy_n(c_, units(), arrays[1]);
  }
  void set_state(const S* const* arrays) override {
    std::copy_n(arrays[0], units(), h_);
    if (cell_.recurrent_state != RecurrentState::none) std::copy_n(arrays[has_c() ? 1 : 0], units(), c_);
  }

 private:
  Index units() const { return config_.shape.sizes.hidden_size; }
  bool has_c() const { return cell_.recurrent_state == RecurrentState::c; }
  void start(const std::vector<S>& initial, S* values) const {
    if (initial.empty()) std::fill_n(values, units(), S(0));
    else std::copy(initial.begin(), initial.end(), values);
  }

  RecurrentConfig<S> config_;
  const Cell<S>& cell_;
  MemoryBlock memory_;
  S *h_ = nullptr, *next_h_ = nullptr, *c_ = nullptr;  // (hidden,)
  ForwardTile<S> tile_{};
  OperandA<S> operands_[2];
  TileProduct<S> product_{};
};

template <class S>
class RecurrentOp final : public Op<S> {
 public:
  explicit RecurrentOp(RecurrentConfig<S> config) : Op<S>(traits_of(config)), config_(std::move(config)) {}

  void run(Values<S>& values) const override {
    LayerShape shape = config_.shape;
    shape.steps = values.steps;
    shape.batch = values.batch;
    const Index batch = shape.batch, steps = shape.steps, rows = shape.directions * batch;
    const Index h_states = rows * shape.sizes.output_size, c_states = rows * shape.sizes.hidden_size;
    const bool repeats = !config_.initial_h.empty();
    const MemoryBlock memory(repeats ? std::size_t(h_states + c_states) * sizeof(S) : 0);
    States<const S> initial;
    if (repeats) {
      S* states = static_cast<S*>(memory.memory());
      initial.h = repeat(config_.initial_h, batch, shape.sizes.output_size, states);
      if (!config_.initial_c.empty())
        initial.c = repeat(config_.initial_c, batch, shape.sizes.hidden_size, states + h_states);
    }
    S *all = nullptr, *final_h = nullptr;
    if (config_.all_steps) all = values.output(batch * steps * shape.features());
    else final_h = values.output(h_states);
    layer_forward(config_.cell, shape, values.lengths, config_.parameters,
                  config_.packed ? &config_.packed->panels : nullptr, values.x, initial,
                  contiguous_view(all, steps, shape.features()), States<S>{final_h}, false,
                  threads_for(batch * steps * work_of(shape), values.threads));
    values.become_steps(all, shape.features());
    values.directions = shape.directions;
    values.reverse = shape.reverse;
    values.final_h = final_h;
  }

  std::unique_ptr<OpStream<S>> stream(Index rows) const override {
    if (RowStream<S>::supports(config_, rows)) return std::make_unique<RowStream<S>>(config_);
    return std::make_unique<RecurrentStream<S>>(config_, rows);
  }

 private:
  static Index work_of(const LayerShape& shape) { return shape.directions * weight_count(shape.sizes); }
  static OpTraits traits_of(const RecurrentConfig<S>& config) {
    constexpr Index activation_cost = 64;  // of the activations of a unit, in multiply-adds
    const LayerShape& shape = config.shape;
    OpTraits traits{shape.sizes.input_size, shape.features()};
    traits.work = work_of(shape) + shape.features() * activation_cost;
    traits.packed = config.packed != nullptr;
    traits.causal = shape.directions == 1 && !shape.reverse;
    traits.takes_vectors = false;
    traits.gives_steps = config.all_steps;
    return traits;
  }
  // Copies a state (directions, numbers) to every sequence of the batch: (directions, batch, numbers).
  const S* repeat(const std::vector<S>& row, Index batch, Index numbers, S* to) const {
    for (Index k = 0; k * numbers < Index(row.size()); k++)
      for (Index b = 0; b < batch; b++) std::copy_n(row.data() + k * numbers, numbers, to + (k * batch + b) * numbers);
    return to;
  }

  RecurrentConfig<S> config_;
};

template <class S>
std::shared_ptr<const PackedRecurrent<S>> pack_recurrent_layer(const Cell<S>& cell, const LayerShape& shape,
                                                               const S* parameters) {
  return std::make_shared<PackedRecurrent<S>>(cell, shape, parameters);
}
template <class S>
SharedOp<S> recurrent_op(RecurrentConfig<S> config) {
  return std::make_shared<RecurrentOp<S>>(std::move(config));
}

// Compiled in layers.cpp.
#define FUSEDLSTM_RECURRENT_OP(declare, S)                                                                           \
  declare template std::shared_ptr<const PackedRecurrent<S>> pack_recurrent_layer(const Cell<S>&, const LayerShape&, \
                                                                                  const S*);                         \
  declare template SharedOp<S> recurrent_op(RecurrentConfig<S>)
FUSEDLSTM_RECURRENT_OP(extern, float);
FUSEDLSTM_RECURRENT_OP(extern, double);

}  // namespace fusedlstm
