// Recurrent layers for Python.
#pragma once

#include "bindings/packed.hpp"

namespace fusedlstm {

// The states of a layer for a batch, each (directions, batch, numbers): h, c and the gates that the next step reads.
template <class S>
class StateArrays {
 public:
  StateArrays(const Cell<S>& cell, const LayerShape& shape) : shape_(shape), sizes_(state_sizes(cell, shape.sizes)) {
    has_c_ = cell.recurrent_state == RecurrentState::c;
  }

  // given: None, or a tuple with an array or None for each state.
  States<const S> input(const py::object& given) const {
    if (given.is_none()) return {};
    const auto tuple = py::cast<py::tuple>(given);
    require(tuple.size() == sizes_.size(), "wrong number of states");
    return pointers<const S>([&](std::size_t k) { return input_of<S>(tuple[k], count(k)); });
  }
  // New arrays, as a tuple.
  std::pair<py::tuple, States<S>> output() const {
    py::tuple tuple(sizes_.size());
    for (std::size_t k = 0; k < sizes_.size(); k++) tuple[k] = empty<S>({shape_.directions, shape_.batch, sizes_[k]});
    return {tuple, pointers<S>([&](std::size_t k) { return output_of<S>(tuple[k], count(k)); })};
  }

 private:
  Index count(std::size_t k) const { return shape_.directions * shape_.batch * sizes_[k]; }
  template <class T, class Pointer>
  States<T> pointers(Pointer&& pointer) const {
    States<T> states;
    std::size_t next = 0;
    states.h = pointer(next++);
    if (has_c_) states.c = pointer(next++);
    if (next < sizes_.size()) states.gates = pointer(next);
    return states;
  }

  LayerShape shape_;
  std::vector<Index> sizes_;
  bool has_c_;
};

// parameters: an array, or the result of pack_recurrent for this layer.
inline py::tuple recurrent_forward(const PyCell& py_cell, int directions, bool reverse, Index hidden_size,
                                   const py::object& parameters, const py::array& x, const py::object& lengths,
                                   const py::object& states, bool want_y, bool training, const py::object& regularizers,
                                   int threads) {
  return with_dtype(x, [&](auto tag) -> py::tuple {
    using S = decltype(tag);
    const Cell<S>& cell = py_cell.get<S>();
    const auto ready = packed_of<PackedRecurrent<S>>(parameters);
    require(ready || py::isinstance<py::array_t<S>>(parameters), "x must have the dtype of the parameters");
    const SequenceView<const S> sequences = view_of_sequences<S>(x);
    require(x.shape(0) > 0 && x.shape(1) > 0, "sizes must be positive");
    LayerShape shape = layer_shape(cell, directions, reverse, x.shape(2), hidden_size);
    shape.steps = x.shape(1);
    shape.batch = x.shape(0);
    shape.regularizers = regularizers_of(regularizers);
    require(training || !shape.regularizers.training, "masks are for training");
    require(cell.has_candidate || !shape.regularizers.drops_candidate(), "the cell has no candidate");
    require(cell.recurrent_state == RecurrentState::c || shape.regularizers.zoneout_c == 0, "the cell has no state c");
    require_room<S>(shape.batch, shape.steps, shape.sizes.input_size, widest_state(shape));
    require(!ready || is_packed_for(*ready, cell, shape), "packed weights are of another layer");
    const Index count = shape.directions * weight_count(shape.sizes);
    const S* weights = ready ? nullptr : input_of<S>(parameters, count);
    const Index* steps_of = lengths_of(lengths, shape.batch, shape.steps);
    const StateArrays<S> arrays(cell, shape);
    const States<const S> initial = arrays.input(states);

    py::object outputs = py::none();
    if (want_y) outputs = empty<S>({shape.batch, shape.steps, shape.features()});
    S* y = output_of<S>(outputs, shape.batch * shape.steps * shape.features());
    const auto [final_arrays, final] = arrays.output();
    threads = threads_for(checked_product(shape.batch * shape.steps, count), threads);

    std::unique_ptr<SavedLayer<S>> saved;
    {
      const ReleaseGil release;
      saved = layer_forward(cell, shape, steps_of, weights, ready ? &ready->panels : nullptr, sequences, initial,
                            contiguous_view(y, shape.steps, shape.features()), final, training, threads);
    }
    py::object keep = py::none();
    if (saved) keep = own_capsule(std::move(saved));
    return py::make_tuple(outputs, final_arrays, keep);
  });
}

inline py::tuple recurrent_backward(const py::capsule& saved_capsule, const py::array& parameters, const py::array& x,
                                    const py::object& dy, const py::object& dstates, bool want_dx, bool want_initial,
                                    const py::array& gradients) {
  return with_dtype(parameters, [&](auto tag) -> py::tuple {
    using S = decltype(tag);
    SavedLayer<S>& saved = *held_by_capsule<SavedLayer<S>>(saved_capsule);
    require(!saved.directions.empty(), "saved has been used");
    const LayerShape shape = saved.shape;
    const Index count = shape.directions * weight_count(shape.sizes), inputs = shape.sizes.input_size;
    const Index outputs = shape.batch * shape.steps * shape.features();
    require(py::isinstance<py::array_t<S>>(x), "x must have the dtype of the parameters");
    require(x.ndim() == 3 && x.shape(0) == shape.batch && x.shape(1) == shape.steps && x.shape(2) == inputs,
            "x must be the x of forward");
    const SequenceView<const S> sequences = view_of_sequences<S>(x);
    const S* weights = input_of<S>(parameters, count);
    S* sums = output_of<S>(gradients, count);
    const StateArrays<S> arrays(saved.cell, shape);
    const States<const S> dfinal = arrays.input(dstates);
    const auto dy_sequences = contiguous_view(input_of<S>(dy, outputs), shape.steps, shape.features());

    py::object dx = py::none(), dinitial_arrays = py::none();
    if (want_dx) dx = empty<S>({shape.batch, shape.steps, inputs});
    const auto dx_sequences =
        contiguous_view(output_of<S>(dx, shape.batch * shape.steps * inputs), shape.steps, inputs);
    States<S> dinitial;
    if (want_initial) std::tie(dinitial_arrays, dinitial) = arrays.output();
    {
      const ReleaseGil release;
      layer_backward(saved, weights, sequences, dy_sequences, dfinal, dx_sequences, dinitial, sums);
      saved.directions.clear();  // returns the workspace to the pool
    }
    return py::make_tuple(dx, dinitial_arrays);
  });
}

}  // namespace fusedlstm
