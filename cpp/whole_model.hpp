// A whole model in one call: its layers, whose weights are packed once for all and never change, so that any number of
// calls, threads and streams may share them, or are read from the caller's parameters and packed at every call. Bits are
// those of the layers' own calls.
#pragma once

#include <memory>
#include <variant>

#include "dense.hpp"
#include "layer.hpp"

namespace fusedlstm {

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
struct PackedDenseLayer {
  DenseShape shape;  // of one row
  PackedDense<S> panels;

  PackedDenseLayer(const DenseShape& shape_, const S* parameters) : shape(shape_), panels(shape, parameters) {}
};

template <class S>
struct RecurrentPart {
  const Cell<S>* cell;
  LayerShape shape;  // of one step of one sequence
  std::shared_ptr<const PackedRecurrent<S>> packed;
  const S* parameters;           // where there are no packed weights
  std::vector<S> hidden, state;  // initial, (directions, hidden); empty: zero
  bool all_steps;                // else only the part after it, LastStep, reads it

  Index work() const { return shape.directions * weight_count(shape.sizes); }
};

struct LastStepPart {};

template <class S>
struct DensePart {
  DenseShape shape;  // of one row
  std::shared_ptr<const PackedDenseLayer<S>> packed;
  const S* parameters;  // where there are no packed weights
};

template <class S>
class WholeModel {
 public:
  using Part = std::variant<RecurrentPart<S>, LastStepPart, DensePart<S>>;

  explicit WholeModel(Index features) : features_(features), outputs_(features) {}

  void add(RecurrentPart<S> part) {
    work_ += part.work() + part.shape.features() * cost_of_a_unit;
    outputs_ = part.shape.features();
    widest_ = std::max(widest_, outputs_);
    packed_ &= part.packed != nullptr;
    parts_.emplace_back(std::move(part));
  }
  void add(LastStepPart part) {
    reduces_ = true;
    parts_.emplace_back(part);
  }
  void add(DensePart<S> part) {
    work_ += dense_weight_count(part.shape);
    outputs_ = part.shape.units;
    widest_ = std::max(widest_, outputs_);
    packed_ &= part.packed != nullptr;
    if (!reduces_) takes_lengths_ = false;
    parts_.emplace_back(std::move(part));
  }

  const std::vector<Part>& parts() const { return parts_; }
  Index features() const { return features_; }
  Index outputs() const { return outputs_; }
  Index widest() const { return widest_; }         // of the layers' outputs
  Index work() const { return work_; }             // of a step, in multiply-adds
  bool reduces() const { return reduces_; }        // to vectors
  bool takes_lengths() const { return takes_lengths_; }
  bool packed() const { return packed_; }

  // y: (batch, outputs) where the model reduces, else (batch, steps, outputs). lengths may be null.
  void predict(Index batch, Index steps, const Index* lengths, Sequences<const S> x, S* y, int threads) const {
    Run run{*this, batch, steps, lengths, threads, x, features_, y};
    for (std::size_t number = 0; number < parts_.size(); number++) {
      run.last = number + 1 == parts_.size();
      std::visit(run, parts_[number]);
    }
    if (parts_.empty()) copy_rows(x, batch, steps, features_, y);
  }

 private:
  static void copy_rows(Sequences<const S> from, Index batch, Index steps, Index width, S* to) {
    for (Index b = 0; b < batch; b++)
      for (Index t = 0; t < steps; t++) std::copy_n(from.at(b, t), width, to + (b * steps + t) * width);
  }

  // A call on its way through the parts.
  struct Run {
    const WholeModel& model;
    Index batch, steps;  // vectors are sequences of one step
    const Index* lengths;
    int threads;
    Sequences<const S> x;
    Index width;
    S* y;
    bool last = false;
    S* final_hidden = nullptr;  // (directions, batch, hidden) of the recurrent part before, if LastStep comes
    int directions = 1;
    Block kept[2] = {};  // what the parts left: of the one before, and of this one

    S* result(Index numbers) {
      if (last) return y;
      std::swap(kept[0], kept[1]);
      kept[1] = Block(std::size_t(numbers) * sizeof(S));
      return static_cast<S*>(kept[1].memory());
    }
    void hand_on(const S* values, Index columns) {
      x = contiguous_sequences(values, steps, columns);
      width = columns;
    }

    void operator()(const RecurrentPart<S>& part) {
      LayerShape shape = part.shape;
      shape.steps = steps;
      shape.batch = batch;
      const Index hidden = shape.sizes.hidden, states = shape.directions * batch * hidden;
      const bool repeats = !part.hidden.empty();
      const Block initial(repeats ? std::size_t(2 * states) * sizeof(S) : 0);
      States<const S> first;
      if (repeats) {
        S* values = static_cast<S*>(initial.memory());
        first.hidden = repeat(part.hidden, hidden, values);
        if (!part.state.empty()) first.state = repeat(part.state, hidden, values + states);
      }
      S* all = nullptr;
      final_hidden = nullptr;
      if (part.all_steps) all = result(batch * steps * shape.features());
      else final_hidden = result(states);
      layer_forward(*part.cell, shape, lengths, part.parameters, part.packed ? &part.packed->panels : nullptr, x, first,
                    contiguous_sequences(all, steps, shape.features()), States<S>{final_hidden, nullptr}, false,
                    threads_for(batch * steps * part.work(), threads));
      directions = shape.directions;
      if (all) hand_on(all, shape.features());
      else width = shape.features();
    }

    void operator()(const LastStepPart&) {
      const Index of_direction = width / directions;
      if (final_hidden && directions == 1 && !last) {
        steps = 1;
        hand_on(final_hidden, width);
      } else {
        S* rows = result(batch * width);
        for (Index b = 0; b < batch; b++) {
          if (!final_hidden) std::copy_n(x.at(b, (lengths ? lengths[b] : steps) - 1), width, rows + b * width);
          for (int d = 0; final_hidden && d < directions; d++)
            std::copy_n(final_hidden + (d * batch + b) * of_direction, of_direction,
                        rows + b * width + d * of_direction);
        }
        steps = 1;
        hand_on(rows, width);
      }
      lengths = nullptr;
    }

    void operator()(const DensePart<S>& part) {
      DenseShape shape = part.shape;
      shape.rows = batch * steps;
      Block gathered;
      const S* rows = x.values;
      if ((steps > 1 && x.by_step != width) || (batch > 1 && x.by_row != steps * width)) {
        gathered = Block(std::size_t(shape.rows * width) * sizeof(S));
        copy_rows(x, batch, steps, width, static_cast<S*>(gathered.memory()));
        rows = static_cast<const S*>(gathered.memory());
      }
      S* out = result(shape.rows * shape.units);
      if (part.packed) dense_forward(shape, part.packed->panels, rows, out, threads);
      else dense_forward(shape, part.parameters, rows, out, threads);
      hand_on(out, shape.units);
    }

    // A row of states for each direction, for every sequence of the batch.
    const S* repeat(const std::vector<S>& row, Index hidden, S* to) const {
      for (Index k = 0; k * hidden < Index(row.size()); k++)
        for (Index b = 0; b < batch; b++) std::copy_n(row.data() + k * hidden, hidden, to + (k * batch + b) * hidden);
      return to;
    }
  };

  static constexpr Index cost_of_a_unit = 64;  // its nonlinearities, in multiply-adds

  Index features_, outputs_, widest_ = 0, work_ = 0;
  bool reduces_ = false, takes_lengths_ = true, packed_ = true;
  std::vector<Part> parts_;
};

template <class S>
std::shared_ptr<const PackedRecurrent<S>> packed_layer(const Cell<S>& cell, const LayerShape& shape,
                                                       const S* parameters) {
  return std::make_shared<PackedRecurrent<S>>(cell, shape, parameters);
}
template <class S>
std::shared_ptr<const PackedDenseLayer<S>> packed_layer(const DenseShape& shape, const S* parameters) {
  return std::make_shared<PackedDenseLayer<S>>(shape, parameters);
}
template <class S>
void predict(const WholeModel<S>& model, Index batch, Index steps, const Index* lengths, Sequences<const S> x, S* y,
             int threads) {
  model.predict(batch, steps, lengths, x, y, threads);
}

// Compiled in layers.cpp.
#define FUSEDLSTM_WHOLE_MODEL(declare, S)                                                                            \
  declare template std::shared_ptr<const PackedRecurrent<S>> packed_layer(const Cell<S>&, const LayerShape&,         \
                                                                          const S*);                                 \
  declare template std::shared_ptr<const PackedDenseLayer<S>> packed_layer(const DenseShape&, const S*);             \
  declare template void predict(const WholeModel<S>&, Index, Index, const Index*, Sequences<const S>, S*, int)
FUSEDLSTM_WHOLE_MODEL(extern, float);
FUSEDLSTM_WHOLE_MODEL(extern, double);

}  // namespace fusedlstm
