// Recurrent layers of the staged driver for Python.
#pragma once

#include "bindings/packed.hpp"
#include "staged/layer.hpp"

namespace fusedlstm {

template <>
struct CapsuleName<staged::Saved<float>> {
  static constexpr const char* value = "fusedlstm.staged.float32";
};
template <>
struct CapsuleName<staged::Saved<double>> {
  static constexpr const char* value = "fusedlstm.staged.float64";
};

namespace {

FUSEDLSTM_COLD staged::Spec spec_of(const py::dict& given) {
  const auto flag = [&](const char* name) { return given[name].cast<bool>(); };
  staged::Spec spec;
  const auto family = given["family"].cast<std::string>();
  const auto activations = given["activations"].cast<py::tuple>();
  const auto expect = [&](std::size_t count) { require(activations.size() == count, "wrong number of activations"); };
  if (family == "lstm") {
    expect(3);
    spec.gate = activation_of(activations[0]);
    spec.candidate = activation_of(activations[1]);
    spec.output = activation_of(activations[2]);
    spec.peepholes = flag("peepholes");
    spec.coupled = flag("coupled");
    spec.input_gate = flag("input_gate");
    spec.forget_gate = flag("forget_gate");
    spec.output_gate = flag("output_gate");
    spec.full_gate_recurrence = flag("full_gate_recurrence");
    spec.layer_norm = flag("layer_norm");
    spec.projection = given["projection"].cast<Index>();
    spec.projection_bias = flag("projection_bias");
    const py::object clip = given["cell_clip"];
    if (!clip.is_none()) spec.cell_clip = clip.cast<double>();
    require(spec.cell_clip > 0, "cell_clip must be positive");
    require(spec.projection >= 0, "projection must be at least 0");
    require(spec.projection > 0 || !spec.projection_bias, "a projection bias needs a projection");
    require(!spec.coupled || spec.forget_gate, "a coupled input gate needs the forget gate");
    require(!spec.full_gate_recurrence || (spec.has_input_gate() && spec.forget_gate && spec.output_gate),
            "full gate recurrence needs all three gates");
  } else if (family == "gru") {
    expect(2);
    spec.family = staged::Family::gru;
    spec.gate = activation_of(activations[0]);
    spec.candidate = activation_of(activations[1]);
    spec.reset_after = flag("reset_after");
  } else {
    require(family == "rnn", "unknown family");
    expect(1);
    spec.family = staged::Family::rnn;
    spec.candidate = activation_of(activations[0]);
  }
  return spec;
}

// A new array (directions, batch, units).
template <class S>
py::array_t<S> new_states(const staged::Shape& shape, Index units) {
  return empty<S>({shape.directions, shape.batch, units});
}

FUSEDLSTM_COLD py::tuple staged_forward(const py::dict& given_spec, int directions, bool reverse, Index hidden_size,
                                        const py::array& parameters, const py::array& x, const py::object& lengths,
                                        const py::object& hidden, const py::object& state, bool want_y, bool training,
                                        const py::object& given_regularizers, int threads) {
  return with_dtype(parameters, [&](auto tag) -> py::tuple {
    using S = decltype(tag);
    const staged::Spec spec = spec_of(given_spec);
    const Regularizers regularizers = regularizers_of(given_regularizers);
    require(spec.family != staged::Family::rnn || regularizers.candidate_dropout == 0,
            "an RNN has no candidate to drop");
    require(spec.has_state() || regularizers.zoneout_c == 0, "there is no second state to zone out");
    require(directions == 1 || directions == 2, "one or two directions");
    require(py::isinstance<py::array_t<S>>(x), "x must have the dtype of the parameters");
    const SequenceView<const S> sequences = view_of_sequences<S>(x);
    const Index output = spec.projection > 0 ? spec.projection : hidden_size;
    const staged::Shape shape{x.shape(2), hidden_size, output, x.shape(1), x.shape(0), directions};
    require(shape.batch > 0 && shape.steps > 0 && shape.input > 0 && hidden_size > 0, "sizes must be positive");
    require_room<S>(shape.batch, shape.steps, shape.input, checked_product(directions, std::max(hidden_size, output)));
    const Index count = directions * staged::weight_count<S>(spec, shape), rows = directions * shape.batch;
    const S* weights = input_of<S>(parameters, count);
    const Index* steps_of = lengths_of(lengths, shape.batch, shape.steps);
    require(spec.has_state() || state.is_none(), "there is no second state");
    const States<const S> initial{input_of<S>(hidden, rows * output), input_of<S>(state, rows * hidden_size)};

    const Index features = directions * output;
    py::object outputs = py::none(), last_c = py::none();
    if (want_y) outputs = empty<S>({shape.batch, shape.steps, features});
    if (spec.has_state()) last_c = new_states<S>(shape, hidden_size);
    const auto last_h = new_states<S>(shape, output);
    const States<S> final{output_of<S>(last_h, rows * output), output_of<S>(last_c, rows * hidden_size)};
    S* y_values = output_of<S>(outputs, shape.batch * shape.steps * features);
    const auto y = contiguous_view(y_values, shape.steps, features);
    threads = threads_for(checked_product(shape.batch * shape.steps, count), threads);

    std::unique_ptr<staged::Saved<S>> saved;
    {
      const ReleaseGil release;
      saved = staged::layer_forward(staged::runs_of(spec, shape, regularizers, reverse), steps_of, weights, sequences,
                                    initial, y, final, training, threads);
    }
    py::object keep = py::none();
    if (saved) keep = own_capsule(std::move(saved));
    return py::make_tuple(outputs, last_h, last_c, keep);
  });
}

FUSEDLSTM_COLD py::tuple staged_backward(const py::capsule& saved_capsule, const py::array& parameters,
                                         const py::array& x, const py::object& dy, const py::object& dh,
                                         const py::object& dc, bool want_dx, bool want_initial,
                                         const py::array& gradients) {
  return with_dtype(parameters, [&](auto tag) -> py::tuple {
    using S = decltype(tag);
    staged::Saved<S>& saved = *held_by_capsule<staged::Saved<S>>(saved_capsule);
    require(!saved.fields.empty(), "saved has been used");
    const staged::Shape shape = saved.runs[0].shape;
    const staged::Spec& spec = saved.runs[0].spec;
    const Index count = shape.directions * staged::weight_count<S>(spec, shape);
    const Index rows = shape.directions * shape.batch, features = shape.directions * shape.output;
    require(py::isinstance<py::array_t<S>>(x), "x must have the dtype of the parameters");
    require(x.ndim() == 3 && x.shape(0) == shape.batch && x.shape(1) == shape.steps && x.shape(2) == shape.input,
            "x must be the x of forward");
    const SequenceView<const S> sequences = view_of_sequences<S>(x);
    const S* weights = input_of<S>(parameters, count);
    S* sums = output_of<S>(gradients, count);
    require(spec.has_state() || dc.is_none(), "there is no second state");
    const States<const S> dfinal{input_of<S>(dh, rows * shape.output), input_of<S>(dc, rows * shape.hidden)};
    const S* dy_values = input_of<S>(dy, shape.batch * shape.steps * features);

    py::object dx = py::none(), dh_first = py::none(), dc_first = py::none();
    if (want_dx) dx = empty<S>({shape.batch, shape.steps, shape.input});
    if (want_initial) dh_first = new_states<S>(shape, shape.output);
    if (want_initial && spec.has_state()) dc_first = new_states<S>(shape, shape.hidden);
    const States<S> dinitial{output_of<S>(dh_first, rows * shape.output), output_of<S>(dc_first, rows * shape.hidden)};
    S* dx_values = output_of<S>(dx, shape.batch * shape.steps * shape.input);
    {
      const ReleaseGil release;
      staged::layer_backward(saved, weights, sequences, contiguous_view(dy_values, shape.steps, features), dfinal,
                             contiguous_view(dx_values, shape.steps, shape.input), dinitial, sums);
      saved.fields.clear();  // returns the workspace to the pool
    }
    return py::make_tuple(dx, dh_first, dc_first);
  });
}

}  // namespace
}  // namespace fusedlstm
