// What Python sees: free functions on NumPy arrays. This file and those in bindings/ are the only ones that know Python:
// dtypes, shapes, None and the GIL. The Python layer above has validated what users gave and reports errors in its own
// words, so a failed check here is a defect.
#include "bindings/staged.hpp"
#include "bindings/whole_model.hpp"
#include "cells/list.hpp"
#include "ops/dense.hpp"
#include "ops/optimizer_steps.hpp"
#include "ops/predictions.hpp"
#include "recurrent/driver.hpp"
#include "runtime/build_info.hpp"
#include "runtime/cpu.hpp"
#include "runtime/peak.hpp"

namespace fusedlstm {

void define_models(py::module_& module);  // in bindings/models.cpp

namespace {

template <class S>
constexpr const char* saved_name = sizeof(S) == 4 ? "fusedlstm.saved.float32" : "fusedlstm.saved.float64";

template <class S>
py::capsule hold(std::unique_ptr<LayerSaved<S>> saved) {
  return py::capsule(saved.release(), saved_name<S>, [](PyObject* capsule) {
    delete static_cast<LayerSaved<S>*>(PyCapsule_GetPointer(capsule, saved_name<S>));
  });
}

// `parameters`: an array, or what pack_recurrent returned for this layer.
py::tuple recurrent_forward(const std::string& cell_name, int directions, bool reverse, Index hidden_size,
                            const py::object& parameters, const py::array& x, const py::object& lengths,
                            const py::object& hidden, const py::object& state, bool want_outputs, bool training,
                            const py::object& regularisers, int threads) {
  return with_dtype(x, [&](auto tag) -> py::tuple {
    using S = decltype(tag);
    const Cell<S>& cell = cell_of<S>(cell_name);
    const auto ready = packed_of<PackedRecurrent<S>>(parameters);
    require(ready || py::isinstance<py::array_t<S>>(parameters), "x must have the dtype of the parameters");
    const Sequences<const S> sequences = sequences_of<S>(x);
    const LayerShape shape{{x.shape(2), hidden_size, cell.blocks}, x.shape(1), x.shape(0), directions,
                           reverse, regularisers_of(regularisers)};
    require(directions >= 1 && directions <= most_directions, "one or two directions");
    require(!reverse || directions == 1, "a reverse layer has one direction");
    require(training || !shape.regularisers.training, "masks are for training");
    require(cell.has_candidate || !shape.regularisers.drops_candidate(), "the cell has no candidate");
    require(shape.batch > 0 && shape.steps > 0 && shape.sizes.input > 0 && hidden_size > 0, "sizes must be positive");
    require_room<S>(shape.batch, shape.steps, shape.sizes.input, checked_product(directions, hidden_size));
    const Index count = directions * weight_count(shape.sizes), states = directions * shape.batch * hidden_size;
    require(!ready || (ready->cell == &cell && ready->shape.directions == directions &&
                       ready->shape.sizes.input == shape.sizes.input && ready->shape.sizes.hidden == hidden_size),
            "packed weights are of another layer");
    const S* weights = ready ? nullptr : input_of<S>(parameters, count);
    const Index* steps_of = lengths_of(lengths, shape.batch, shape.steps);
    const States<const S> initial{input_of<S>(hidden, states), input_of<S>(state, states)};

    py::object outputs = py::none();
    if (want_outputs) outputs = empty<S>({shape.batch, shape.steps, shape.features()});
    S* y = output_of<S>(outputs, shape.batch * shape.steps * shape.features());
    py::object last_hidden = empty<S>({directions, shape.batch, hidden_size}), last_state = py::none();
    if (cell.carried == Carried::state) last_state = empty<S>({directions, shape.batch, hidden_size});
    const States<S> final{output_of<S>(last_hidden, states), output_of<S>(last_state, states)};
    threads = threads_for(checked_product(shape.batch * shape.steps, count), threads);

    std::unique_ptr<LayerSaved<S>> saved;
    {
      const ReleaseGil release;
      saved = layer_forward(cell, shape, steps_of, weights, ready ? &ready->panels : nullptr, sequences, initial,
                            contiguous_sequences(y, shape.steps, shape.features()), final, training, threads);
    }
    py::object keep = py::none();
    if (saved) keep = hold(std::move(saved));
    return py::make_tuple(outputs, last_hidden, last_state, keep);
  });
}

py::tuple recurrent_backward(const py::capsule& saved_capsule, const py::array& parameters, const py::array& x,
                             const py::object& dy, const py::object& dhidden, const py::object& dstate, bool want_dx,
                             bool want_initial, const py::array& gradients) {
  return with_dtype(parameters, [&](auto tag) -> py::tuple {
    using S = decltype(tag);
    void* held = PyCapsule_GetPointer(saved_capsule.ptr(), saved_name<S>);
    if (!held) throw py::error_already_set();
    LayerSaved<S>& saved = *static_cast<LayerSaved<S>*>(held);
    require(!saved.directions.empty(), "saved has been used");
    const LayerShape shape = saved.shape;
    const Index count = shape.directions * weight_count(shape.sizes);
    const Index outputs = shape.batch * shape.steps * shape.features();
    const Index states = shape.directions * shape.batch * shape.sizes.hidden;
    require(py::isinstance<py::array_t<S>>(x), "x must have the dtype of the parameters");
    require(x.ndim() == 3 && x.shape(0) == shape.batch && x.shape(1) == shape.steps && x.shape(2) == shape.sizes.input,
            "x must be the x of forward");
    const Sequences<const S> sequences = sequences_of<S>(x);
    const S* weights = input_of<S>(parameters, count);
    S* sums = output_of<S>(gradients, count);
    const States<const S> dfinal{input_of<S>(dhidden, states), input_of<S>(dstate, states)};
    const auto dy_sequences = contiguous_sequences(input_of<S>(dy, outputs), shape.steps, shape.features());

    py::object dx = py::none();
    if (want_dx) dx = empty<S>({shape.batch, shape.steps, shape.sizes.input});
    const auto dx_sequences =
        contiguous_sequences(output_of<S>(dx, shape.batch * shape.steps * shape.sizes.input), shape.steps, shape.sizes.input);
    const std::vector<py::ssize_t> state_shape = {shape.directions, shape.batch, shape.sizes.hidden};
    py::object dhidden_first = py::none(), dstate_first = py::none();
    if (want_initial) dhidden_first = empty<S>(state_shape);
    if (want_initial && saved.cell->carried == Carried::state) dstate_first = empty<S>(state_shape);
    const States<S> dinitial{output_of<S>(dhidden_first, states), output_of<S>(dstate_first, states)};
    {
      const ReleaseGil release;
      layer_backward(saved, weights, sequences, dy_sequences, dfinal, dx_sequences, dinitial, sums);
      saved.directions.clear();  // the workspace is free for the next call
    }
    return py::make_tuple(dx, dhidden_first, dstate_first);
  });
}

template <class S>
DenseShape dense_shape(const py::array& x, Index units, const py::object& activation) {
  require(x.ndim() == 2, "x must have two dimensions");
  const DenseShape shape{x.shape(0), x.shape(1), units, activation_of(activation)};
  require(shape.rows > 0 && shape.features > 0 && units > 0, "sizes must be positive");
  require_room<S>(shape.rows, 1, shape.features, units);
  return shape;
}

// `parameters`: an array, or what pack_dense returned.
py::object dense_forward_array(const py::object& parameters, const py::array& x, Index units,
                               const py::object& activation, int threads) {
  return with_dtype(x, [&](auto tag) -> py::object {
    using S = decltype(tag);
    const DenseShape shape = dense_shape<S>(x, units, activation);
    const auto ready = packed_of<PackedDenseLayer<S>>(parameters);
    require(ready || !parameters.is_none(), "parameters must not be None");
    require(!ready || (ready->shape.features == shape.features && ready->shape.units == units),
            "packed weights are of another layer");
    const S* weights = ready ? nullptr : input_of<S>(parameters, dense_weight_count(shape));
    const S* in = input_of<S>(x, shape.rows * shape.features);
    auto y = empty<S>({shape.rows, units});
    S* out = y.mutable_data();
    {
      const ReleaseGil release;
      if (ready) dense_forward(shape, ready->panels, in, out, threads);
      else dense_forward(shape, weights, in, out, threads);
    }
    return y;
  });
}

py::object dense_backward_array(const py::array& parameters, const py::array& x, const py::array& y,
                                const py::array& dy, const py::object& activation, bool want_dx,
                                const py::array& gradients, int threads) {
  return with_dtype(parameters, [&](auto tag) -> py::object {
    using S = decltype(tag);
    require(dy.ndim() == 2, "dy must have two dimensions");
    const DenseShape shape = dense_shape<S>(x, dy.shape(1), activation);
    const S* weights = input_of<S>(parameters, dense_weight_count(shape));
    const S* in = input_of<S>(x, shape.rows * shape.features);
    const S *out = input_of<S>(y, shape.rows * shape.units), *dout = input_of<S>(dy, shape.rows * shape.units);
    S* sums = output_of<S>(gradients, dense_weight_count(shape));
    py::object dx = py::none();
    if (want_dx) dx = empty<S>({shape.rows, shape.features});
    S* din = output_of<S>(dx, shape.rows * shape.features);
    {
      const ReleaseGil release;
      dense_backward(shape, weights, in, out, dout, din, sums, threads);
    }
    return dx;
  });
}

double clip_norm_array(const py::array& gradients, double most) {
  return with_dtype(gradients, [&](auto tag) {
    using S = decltype(tag);
    S* values = output_of<S>(gradients, gradients.size());
    const ReleaseGil release;
    const FlushSubnormals flush;
    return clip_norm(values, gradients.size(), most);
  });
}

// The optimizers' common arguments, as pointers.
template <class S>
struct Step {
  Index count;
  S* parameters;
  const S* gradients;
  const S* decay;
  Step(const py::array& p, const py::array& g, const py::object& d)
      : count(p.size()), parameters(output_of<S>(p, count)), gradients(input_of<S>(g, count)), decay(input_of<S>(d, count)) {}
};

void sgd_step_array(const py::array& parameters, const py::array& gradients, const py::object& velocity,
                    double learning_rate, double momentum, bool nesterov, const py::object& decay,
                    double weight_decay) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S* v = output_of<S>(velocity, step.count);
    const ReleaseGil release;
    const FlushSubnormals flush;
    sgd_step(step.parameters, step.gradients, v, step.count, S(learning_rate), S(momentum), nesterov, step.decay,
             S(weight_decay));
  });
}

void rmsprop_step_array(const py::array& parameters, const py::array& gradients, const py::array& squares,
                        double learning_rate, double rho, double epsilon, const py::object& decay,
                        double weight_decay) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S* s = output_of<S>(squares, step.count);
    const ReleaseGil release;
    const FlushSubnormals flush;
    rmsprop_step(step.parameters, step.gradients, s, step.count, S(learning_rate), rho, epsilon, step.decay,
                 S(weight_decay));
  });
}

void adagrad_step_array(const py::array& parameters, const py::array& gradients, const py::array& squares,
                        double learning_rate, double epsilon, const py::object& decay, double weight_decay) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S* s = output_of<S>(squares, step.count);
    const ReleaseGil release;
    const FlushSubnormals flush;
    adagrad_step(step.parameters, step.gradients, s, step.count, S(learning_rate), epsilon, step.decay,
                 S(weight_decay));
  });
}

// Factors of the mean and of the gradient itself are given, corrected for the bias of step t; that of the squares is
// corrected here.
void corrected_step(const py::array& parameters, const py::array& gradients, const py::array& mean,
                    const py::array& squares, const py::object& highest, Index t, double factor, double ahead,
                    double beta1, double beta2, double epsilon, const py::object& decay, double weight_decay,
                    double shrink) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S *m = output_of<S>(mean, step.count), *v = output_of<S>(squares, step.count);
    S* h = output_of<S>(highest, step.count);
    const double root = std::sqrt(1 - std::pow(beta2, double(t)));
    const AdamFactors<S> factors{
        S(beta1),  S(beta2), remaining<S>(beta1), remaining<S>(beta2), at_least_normal<S>(epsilon),
        S(factor), S(ahead), S(root),             S(weight_decay),     S(shrink)};
    const ReleaseGil release;
    const FlushSubnormals flush;
    adam_step(step.parameters, step.gradients, m, v, h, step.count, factors, step.decay);
  });
}

void amsgrad_step_array(const py::array& parameters, const py::array& gradients, const py::array& mean,
                        const py::array& squares, const py::object& highest, Index t, double learning_rate,
                        double beta1, double beta2, double epsilon, const py::object& decay, double weight_decay,
                        bool decoupled) {
  corrected_step(parameters, gradients, mean, squares, highest, t,
                 learning_rate / (1 - std::pow(beta1, double(t))), 0.0, beta1, beta2, epsilon, decay,
                 decoupled ? 0.0 : weight_decay, decoupled ? learning_rate * weight_decay : 0.0);
}

void adam_step_array(const py::array& parameters, const py::array& gradients, const py::array& mean,
                     const py::array& squares, Index t, double learning_rate, double beta1, double beta2,
                     double epsilon, const py::object& decay, double weight_decay, bool decoupled) {
  amsgrad_step_array(parameters, gradients, mean, squares, py::none(), t, learning_rate, beta1, beta2, epsilon, decay,
                     weight_decay, decoupled);
}

void nadam_step_array(const py::array& parameters, const py::array& gradients, const py::array& mean,
                      const py::array& squares, Index t, double factor, double ahead, double beta1, double beta2,
                      double epsilon, const py::object& decay, double weight_decay) {
  corrected_step(parameters, gradients, mean, squares, py::none(), t, factor, ahead, beta1, beta2, epsilon, decay,
                 weight_decay, 0.0);
}

void lion_step_array(const py::array& parameters, const py::array& gradients, const py::array& mean,
                     double learning_rate, double beta1, double beta2, const py::object& decay,
                     double weight_decay) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S* m = output_of<S>(mean, step.count);
    const ReleaseGil release;
    const FlushSubnormals flush;
    lion_step(step.parameters, step.gradients, m, step.count, S(learning_rate), beta1, beta2, step.decay,
              S(learning_rate * weight_decay));
  });
}

py::object activated(const py::object& name, const py::array& x) {
  return with_dtype(x, [&](auto tag) -> py::object {
    using S = decltype(tag);
    auto y = empty<S>({x.size()});
    activate_array(activation_of(name), input_of<S>(x, x.size()), x.size(), y.mutable_data());
    return y;
  });
}

py::object gradient_of_activation(const py::object& name, const py::array& dy, const py::array& y) {
  return with_dtype(y, [&](auto tag) -> py::object {
    using S = decltype(tag);
    auto dx = empty<S>({y.size()});
    activation_gradient_array(activation_of(name), input_of<S>(dy, y.size()), input_of<S>(y, y.size()), y.size(),
                              dx.mutable_data());
    return dx;
  });
}

// None if the array is of another dtype, or not one piece of memory.
py::object all_finite_array(const py::handle& array) {
  const auto look = [&](auto tag) -> std::optional<bool> {
    using S = decltype(tag);
    if (!py::isinstance<py::array_t<S>>(array)) return {};
    const auto given = py::reinterpret_borrow<py::array>(array);
    if (!(given.flags() & (py::array::c_style | py::array::f_style)) || !is_aligned(given)) return {};
    const S* values = static_cast<const S*>(given.data());
    const Index count = given.size();
    if (count < worth_a_release) return all_finite(values, count);
    const ReleaseGil release;
    return all_finite(values, count);
  };
  std::optional<bool> known = look(float());
  if (!known) known = look(double());
  return known ? py::object(py::bool_(*known)) : py::none();
}

double peak(const std::string& dtype, double seconds, int threads) {
  const ReleaseGil release;
  return dtype == "float32" ? multiply_add_peak<float>(seconds, threads) : multiply_add_peak<double>(seconds, threads);
}

void define_module(py::module_& module) {
  module.attr("variant") = build_info().variant;
  module.attr("simd") = build_info().simd;
  module.attr("compiler") = FUSEDLSTM_COMPILER;
  module.attr("eigen") = build_info().eigen;
#if defined(_OPENMP)
  module.attr("openmp") = true;
#else
  module.attr("openmp") = false;
#endif
  watch_forks();
  module.def("runnable_variants", &runnable_variants);
  module.def("default_threads", &default_threads);
  module.def("set_eager_teams", [](bool eager) { return eager_teams().exchange(eager); });
  define_models(module);
  module.def("cells", &cell_names<float>);
  module.def("recurrent_forward", &recurrent_forward);
  module.def("recurrent_backward", &recurrent_backward);
  module.def("staged_forward", &staged_forward);
  module.def("staged_backward", &staged_backward);
  module.def("dense_forward", &dense_forward_array);
  module.def("dense_backward", &dense_backward_array);
  module.def("clip_norm", &clip_norm_array);
  module.def("sgd_step", &sgd_step_array);
  module.def("rmsprop_step", &rmsprop_step_array);
  module.def("adagrad_step", &adagrad_step_array);
  module.def("adam_step", &adam_step_array);
  module.def("amsgrad_step", &amsgrad_step_array);
  module.def("nadam_step", &nadam_step_array);
  module.def("lion_step", &lion_step_array);
  module.def("activate", &activated);
  module.def("activation_gradient", &gradient_of_activation);
  module.def("all_finite", &all_finite_array);
  module.def("multiply_add_peak", &peak);
}

}  // namespace

// The modules are compiled from this one file. Python calls only the function that has the module's name.
PYBIND11_MODULE(_core_baseline, module) { define_module(module); }
PYBIND11_MODULE(_core_x86_64_v3, module) { define_module(module); }
PYBIND11_MODULE(_core_x86_64_v4, module) { define_module(module); }

}  // namespace fusedlstm
