// Programs for Python: the ops of a whole model in one call.
#pragma once

#include <variant>

#include "bindings/numpy_views.hpp"
#include "bindings/packed.hpp"
#include "bindings/pool.hpp"
#include "ops/last_step_op.hpp"
#include "ops/program.hpp"

namespace fusedlstm {

// The result of a Python function without arguments.
inline py::object result_of(const py::handle& function) {
  auto result = py::reinterpret_steal<py::object>(outlive_python([&] { return PyObject_CallNoArgs(function.ptr()); }));
  if (!result) throw py::error_already_set();
  return result;
}

// The smallest piece of a call between two checks for signals: in multiply-adds (about a second), and in rows per
// thread.
inline constexpr Index min_piece_work = Index(1) << 35, min_piece_rows = 32;

// max_threads: a Python function, which is called if there is work for more than one thread.
template <class S>
PyObject* predict_into_new(const Program<S>& program, Index batch, Index steps, const Index* lengths,
                           SequenceView<const S> x, const py::handle& max_threads) {
  require(program.complete(), "the last layer must give its steps");
  require_room<S>(batch, steps, program.features(), program.widest());
  const Index work = checked_product(batch * steps, program.work());
  const bool small = work < min_work_without_gil;
  const bool one_thread = work < 2 * min_work_of_thread && !force_threads();
  const int threads = one_thread ? 1 : result_of(max_threads).template cast<int>();
  Py_ssize_t shape[3] = {batch, steps, program.outputs()};
  if (program.reduces()) shape[1] = program.outputs();
  auto y = py::reinterpret_steal<py::object>(new_array<S>(program.reduces() ? 2 : 3, shape));
  if (!y) throw py::error_already_set();
  S* out = values_of_new<S>(y.ptr());
  if (small) {
    program.predict(batch, steps, lengths, x, out, threads);
    return y.release().ptr();
  }
  // The rows are divided into pieces, with a check for Python's signals between them: Ctrl-C waits for one piece. The
  // bits do not depend on the pieces.
  const Index max_pieces = std::max(Index(1), batch / (min_piece_rows * threads));
  const Index pieces = std::min(1 + work / min_piece_work, max_pieces);
  const Index row = (program.reduces() ? 1 : steps) * program.outputs();
  for (Index piece = 0; piece < pieces; piece++) {
    const Index first = batch * piece / pieces, rows = batch * (piece + 1) / pieces - first;
    if (piece > 0 && outlive_python(PyErr_CheckSignals) != 0) throw py::error_already_set();
    const ReleaseGil release;
    program.predict(rows, steps, lengths ? lengths + first : nullptr, {x.at(first, 0), x.by_row, x.by_step},
                    out + first * row, threads);
  }
  return y.release().ptr();
}

class PyProgram {
 public:
  PyProgram(const std::string& dtype, Index features) {
    require(features > 0, "sizes must be positive");
    if (dtype == "float32") program_.emplace<std::shared_ptr<Program<float>>>(new Program<float>(features));
    else program_.emplace<std::shared_ptr<Program<double>>>(new Program<double>(features));
  }

  // Calls work(program, S()).
  template <class Work>
  auto with_program(Work&& work) const {
    if (auto* program = std::get_if<std::shared_ptr<Program<float>>>(&program_)) return work(**program, float());
    return work(*std::get<std::shared_ptr<Program<double>>>(program_), double());
  }

  // weights: packed, or an array that is read in every call.
  void add_recurrent(const PyCell& py_cell, int directions, bool reverse, Index hidden_size, const py::object& weights,
                     const py::object& regularizers, bool all_steps, const py::object& initial_h,
                     const py::object& initial_c) {
    with_program([&](auto& program, auto tag) {
      using S = decltype(tag);
      const Cell<S>& cell = py_cell.get<S>();
      LayerShape shape = layer_shape(cell, directions, reverse, program.outputs(), hidden_size);
      shape.regularizers = regularizers_of(regularizers);
      require_room<S>(1, 1, program.outputs(), widest_state(shape));
      const auto packed = packed_of<PackedRecurrent<S>>(weights);
      require(!weights.is_none(), "weights must not be None");
      require(!packed || is_packed_for(*packed, cell, shape), "packed weights are of another layer");
      const auto numbers = [&](const py::object& array, Index size) {
        const S* values = input_of<S>(array, directions * size);
        return values ? std::vector<S>(values, values + directions * size) : std::vector<S>();
      };
      const S* parameters = packed ? nullptr : input_of<S>(weights, directions * weight_count(shape.sizes));
      program.add(
          recurrent_op(RecurrentConfig<S>{cell, shape, packed, parameters, numbers(initial_h, shape.sizes.output_size),
                                          numbers(initial_c, hidden_size), all_steps}));
    });
    kept_.push_back(weights);
  }
  void add_last_step() {
    with_program([&](auto& program, auto tag) { program.add(last_step_op<decltype(tag)>(program.outputs())); });
  }
  void add_pool(const std::string& kind) {
    with_program(
        [&](auto& program, auto tag) { program.add(pool_op<decltype(tag)>(pooling_of(kind), program.outputs())); });
  }
  void add_dense(Index units, const py::object& weights, const py::object& activation) {
    with_program([&](auto& program, auto tag) {
      using S = decltype(tag);
      require(units > 0, "sizes must be positive");
      require_room<S>(1, 1, program.outputs(), units);
      const DenseShape shape{1, program.outputs(), units, activation_of(activation)};
      const auto packed = packed_of<PackedDense<S>>(weights);
      require(!weights.is_none(), "weights must not be None");
      require(!packed || (packed->shape.features == shape.features && packed->shape.units == units),
              "packed weights are of another layer");
      const S* parameters = packed ? nullptr : input_of<S>(weights, dense_weight_count(shape));
      program.add(dense_op(DenseConfig<S>{shape, packed, parameters}));
    });
    kept_.push_back(weights);
  }

  py::object predict(const py::array& x, const py::object& lengths, const py::handle& max_threads) const {
    return with_program([&](const auto& program, auto tag) -> py::object {
      using S = decltype(tag);
      require(py::isinstance<py::array_t<S>>(x), "x must have the dtype of the model");
      const SequenceView<const S> sequences = view_of_sequences<S>(x);
      const Index batch = x.shape(0), steps = x.shape(1);
      require(batch > 0 && steps > 0 && x.shape(2) == program.features(), "x must be (batch, steps, features)");
      return py::reinterpret_steal<py::object>(
          predict_into_new(program, batch, steps, lengths_of(lengths, batch, steps), sequences, max_threads));
    });
  }

  // predict_contiguous(x, max_threads): predict without lengths. Returns None if x is not a contiguous array that
  // `predict` takes.
  static PyObject* predict_contiguous(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    return with_python_errors([&]() -> PyObject* {
      const auto* self_program = held_by<PyProgram>(self);
      require(self_program && count == 2, "two arguments are needed");
      return self_program->with_program([&](const auto& program, auto tag) -> PyObject* {
        using S = decltype(tag);
        const Py_ssize_t* shape = shape_of_array(args[0], 3);
        const S* values = shape ? values_of<S>(args[0], 3, shape, false) : nullptr;
        if (!values || shape[0] < 1 || shape[1] < 1 || shape[2] != program.features()) Py_RETURN_NONE;
        return predict_into_new(program, shape[0], shape[1], nullptr, contiguous_view(values, shape[1], shape[2]),
                                args[1]);
      });
    });
  }

 private:
  std::vector<py::object> kept_;  // owners of the memory that the program reads
  std::variant<std::shared_ptr<Program<float>>, std::shared_ptr<Program<double>>> program_;
};

inline void define_program(py::module_& module) {
  define_cell(module);
  module.def("pack_recurrent", &pack_recurrent);
  module.def("pack_dense", &pack_dense);
  define_pool(module);
  py::class_<PyProgram> type(module, "Program", py::module_local());
  type.def(py::init<const std::string&, Index>())
      .def("add_recurrent", &PyProgram::add_recurrent)
      .def("add_last_step", &PyProgram::add_last_step)
      .def("add_dense", &PyProgram::add_dense)
      .def("add_pool", &PyProgram::add_pool)
      .def("predict", &PyProgram::predict);
  static PyMethodDef predict = {
      "predict_contiguous", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&PyProgram::predict_contiguous)),
      METH_FASTCALL, nullptr};
  add_fast_method(type, predict);
}

}  // namespace fusedlstm
