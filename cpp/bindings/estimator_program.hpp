// Programs of estimators for Python: small arrays, from inputs before standardization to raw outputs, in one call.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>

#include "bindings/program.hpp"
#include "bindings/standardize.hpp"
#include "ops/all_finite.hpp"

namespace fusedlstm {

class PyEstimatorProgram {
 public:
  // standardizer: None if the model reads its inputs without standardization.
  PyEstimatorProgram(py::object program, py::object standardizer_or_none)
      : program_object_(std::move(program)), standardizer_object_(std::move(standardizer_or_none)) {
    program_ = &py::cast<const PyProgram&>(program_object_);
    if (standardizer_object_.is_none()) return;
    standardizer_ = &py::cast<const PyStandardizer&>(standardizer_object_).standardizer();
  }

  // outputs(x, n_features, max_threads): the outputs of the model. Returns None if Python must read x, which is any
  // object except a small contiguous array (n, T, n_features) of finite float32 or float64, or a list of one array
  // (T, n_features). Python reports the errors of x.
  static PyObject* outputs(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    return with_python_errors([&]() -> PyObject* {
      const auto* held = held_by<PyEstimatorProgram>(self);
      require(held && count == 3, "three arguments are needed");
      const Given x(args[0]);
      if (!x.object || !PyLong_Check(args[1]) || PyLong_AsSsize_t(args[1]) != x.features) {
        if (PyErr_Occurred()) PyErr_Clear();  // an integer beyond Py_ssize_t
        Py_RETURN_NONE;
      }
      return held->program_->with_program([&](const auto& program, auto tag) -> PyObject* {
        using S = decltype(tag);
        if (!held->takes(program, x)) Py_RETURN_NONE;
        const Index numbers = x.batch * x.steps * x.features;
        // A copy: without the GIL, another thread may change x or remove it from its list.
        const MemoryBlock memory(std::size_t(numbers) * sizeof(S));
        auto* values = static_cast<S*>(memory.memory());
        if (!held->read<float>(x, numbers, values) && !held->read<double>(x, numbers, values)) Py_RETURN_NONE;
        return predict_into_new(program, x.batch, x.steps, nullptr,
                                contiguous_view<const S>(values, x.steps, x.features), args[2]);
      });
    });
  }

 private:
  // An array (batch, steps, features), or the only array (steps, features) of a list.
  struct Given {
    PyObject* object = nullptr;  // null for anything else
    int axes = 0;
    const Py_ssize_t* shape = nullptr;
    Index batch = 1, steps = 0, features = 0;

    explicit Given(PyObject* x) {
      const bool listed = PyList_CheckExact(x) && PyList_GET_SIZE(x) == 1;
      if (listed) x = PyList_GET_ITEM(x, 0);
      axes = listed ? 2 : 3;
      shape = shape_of_array(x, axes);
      if (!shape) return;
      object = x;
      if (!listed) batch = shape[0];
      steps = shape[axes - 2];
      features = shape[axes - 1];
    }
  };

  // A step counts its features and twice its outputs.
  static constexpr Index max_numbers = Index(1) << 17;

  template <class S>
  bool takes(const Program<S>& program, const Given& x) const {
    if (x.features != program.features() || (standardizer_ && standardizer_->features() != x.features)) return false;
    const Index max_steps = max_numbers / (program.features() + 2 * program.outputs());
    return x.batch > 0 && x.steps > 0 && x.batch <= max_steps && x.steps <= max_steps / x.batch;
  }
  // False if x is not an array of this type, or if a number is not finite or beyond the range of S.
  template <class From, class S>
  bool read(const Given& x, Index count, S* to) const {
    const From* from = values_of<From>(x.object, x.axes, x.shape, false);
    if (!from) return false;
    constexpr From limit =
        sizeof(From) > sizeof(S) ? From(std::numeric_limits<S>::max()) : std::numeric_limits<From>::max();
    if (!all_within(from, count, limit)) return false;
    if (standardizer_) return (*standardizer_)(from, count, to);
    std::transform(from, from + count, to, [](From value) { return S(value); });
    return true;
  }

  py::object program_object_, standardizer_object_;
  const PyProgram* program_;
  const Standardizer* standardizer_ = nullptr;
};

inline void define_estimator_program(py::module_& module) {
  py::class_<PyEstimatorProgram> type(module, "EstimatorProgram", py::module_local());
  type.def(py::init<py::object, py::object>());
  static PyMethodDef outputs = {
      "outputs", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&PyEstimatorProgram::outputs)),
      METH_FASTCALL, nullptr};
  add_fast_method(type, outputs);
}

}  // namespace fusedlstm
