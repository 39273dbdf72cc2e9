// Recurrent layers of the fused driver for Python.
#pragma once

#include "bindings/packed.hpp"

namespace fusedlstm {

// parameters: an array, or the result of pack_recurrent for this layer.
inline py::tuple recurrent_forward(const std::string& cell_name, int directions, bool reverse, Index hidden_size,
                                   const py::object& parameters, const py::array& x, const py::object& lengths,
                                   const py::object& h, const py::object& c, bool want_y, bool training,
                                   const py::object& regularizers, int threads) {
  return with_dtype(x, [&](auto tag) -> py::tuple {
    using S = decltype(tag);
    const Cell<S>& cell = cell_of<S>(cell_name);
    const auto ready = packed_of<PackedRecurrent<S>>(parameters);
    require(ready || py::isinstance<py::array_t<S>>(parameters), "x must have the dtype of the parameters");
    const SequenceView<const S> sequences = view_of_sequences<S>(x);
    const LayerShape shape{{x.shape(2), hidden_size, cell.gates}, x.shape(1), x.shape(0), directions, reverse,
                           regularizers_of(regularizers)};
    require(directions >= 1 && directions <= max_directions, "one or two directions");
    require(!reverse || directions == 1, "a reverse layer has one direction");
    require(training || !shape.regularizers.training, "masks are for training");
    require(cell.has_candidate || !shape.regularizers.drops_candidate(), "the cell has no candidate");
    require(shape.batch > 0 && shape.steps > 0 && shape.sizes.input_size > 0 && hidden_size > 0,
            "sizes must be positive");
    require_room<S>(shape.batch, shape.steps, shape.sizes.input_size, checked_product(directions, hidden_size));
    const Index count = directions * weight_count(shape.sizes), states = directions * shape.batch * hidden_size;
    require(!ready || (ready->cell == &cell && ready->shape.directions == directions &&
                       ready->shape.sizes.input_size == shape.sizes.input_size &&
                       ready->shape.sizes.hidden_size == hidden_size),
            "packed weights are of another layer");
    const S* weights = ready ? nullptr : input_of<S>(parameters, count);
    const Index* steps_of = lengths_of(lengths, shape.batch, shape.steps);
    const States<const S> initial{input_of<S>(h, states), input_of<S>(c, states)};

    py::object outputs = py::none();
    if (want_y) outputs = empty<S>({shape.batch, shape.steps, shape.features()});
    S* y = output_of<S>(outputs, shape.batch * shape.steps * shape.features());
    py::object final_h = empty<S>({directions, shape.batch, hidden_size}), final_c = py::none();
    if (cell.recurrent_state == RecurrentState::c) final_c = empty<S>({directions, shape.batch, hidden_size});
    const States<S> final{output_of<S>(final_h, states), output_of<S>(final_c, states)};
    threads = threads_for(checked_product(shape.batch * shape.steps, count), threads);

    std::unique_ptr<SavedLayer<S>> saved;
    {
      const ReleaseGil release;
      saved = layer_forward(cell, shape, steps_of, weights, ready ? &ready->panels : nullptr, sequences, initial,
                            contiguous_view(y, shape.steps, shape.features()), final, training, threads);
    }
    py::object keep = py::none();
    if (saved) keep = own_capsule(std::move(saved));
    return py::make_tuple(outputs, final_h, final_c, keep);
  });
}

inline py::tuple recurrent_backward(const py::capsule& saved_capsule, const py::array& parameters, const py::array& x,
                                    const py::object& dy, const py::object& dh, const py::object& dc, bool want_dx,
                                    bool want_initial, const py::array& gradients) {
  return with_dtype(parameters, [&](auto tag) -> py::tuple {
    using S = decltype(tag);
    SavedLayer<S>& saved = *held_by_capsule<SavedLayer<S>>(saved_capsule);
    require(!saved.directions.empty(), "saved has been used");
    const LayerShape shape = saved.shape;
    const Index count = shape.directions * weight_count(shape.sizes);
    const Index outputs = shape.batch * shape.steps * shape.features();
    const Index states = shape.directions * shape.batch * shape.sizes.hidden_size;
    require(py::isinstance<py::array_t<S>>(x), "x must have the dtype of the parameters");
    require(
        x.ndim() == 3 && x.shape(0) == shape.batch && x.shape(1) == shape.steps && x.shape(2) == shape.sizes.input_size,
        "x must be the x of forward");
    const SequenceView<const S> sequences = view_of_sequences<S>(x);
    const S* weights = input_of<S>(parameters, count);
    S* sums = output_of<S>(gradients, count);
    const States<const S> dfinal{input_of<S>(dh, states), input_of<S>(dc, states)};
    const auto dy_sequences = contiguous_view(input_of<S>(dy, outputs), shape.steps, shape.features());

    py::object dx = py::none();
    if (want_dx) dx = empty<S>({shape.batch, shape.steps, shape.sizes.input_size});
    const auto dx_sequences = contiguous_view(output_of<S>(dx, shape.batch * shape.steps * shape.sizes.input_size),
                                              shape.steps, shape.sizes.input_size);
    const std::vector<py::ssize_t> state_shape = {shape.directions, shape.batch, shape.sizes.hidden_size};
    py::object dh_initial = py::none(), dc_initial = py::none();
    if (want_initial) dh_initial = empty<S>(state_shape);
    if (want_initial && saved.cell->recurrent_state == RecurrentState::c) dc_initial = empty<S>(state_shape);
    const States<S> dinitial{output_of<S>(dh_initial, states), output_of<S>(dc_initial, states)};
    {
      const ReleaseGil release;
      layer_backward(saved, weights, sequences, dy_sequences, dfinal, dx_sequences, dinitial, sums);
      saved.directions.clear();  // returns the workspace to the pool
    }
    return py::make_tuple(dx, dh_initial, dc_initial);
  });
}

}  // namespace fusedlstm
