// Standardization of NumPy arrays.
#pragma once

#include "bindings/numpy_views.hpp"
#include "ops/standardize.hpp"

namespace fusedlstm {

class PyStandardizer {
 public:
  PyStandardizer(const std::string& dtype, const py::array_t<double, py::array::c_style | py::array::forcecast>& mean,
                 const py::array_t<double, py::array::c_style | py::array::forcecast>& scale)
      : single_(dtype == "float32"), standardizer_(mean.data(), scale.data(), checked(mean, scale)) {}

  const Standardizer& standardizer() const { return standardizer_; }

  // standardize(x): a new array of the model's dtype. None if x is not a contiguous array of float32 or float64.
  static PyObject* standardize(PyObject* self, PyObject* x) {
    return with_python_errors([&]() -> PyObject* {
      const auto* held = held_by<PyStandardizer>(self);
      require(held, "__init__ has not run");
      PyObject* y = held->single_ ? held->into_new<float>(x) : held->into_new<double>(x);
      if (!y && !PyErr_Occurred()) Py_RETURN_NONE;
      return y;
    });
  }

 private:
  static constexpr int max_axes = 3;

  static Index checked(const py::array& mean, const py::array& scale) {
    require(mean.ndim() == 1 && mean.size() > 0 && scale.ndim() == 1 && scale.size() == mean.size(),
            "mean and scale must have one number per feature");
    return mean.size();
  }

  // Null for another kind of x, or, with Python's error set, for an error.
  template <class S>
  PyObject* into_new(PyObject* x) const {
    for (int axes = 1; axes <= max_axes; axes++) {
      const Py_ssize_t* shape = shape_of_array(x, axes);
      if (!shape) continue;
      if (shape[axes - 1] != standardizer_.features()) return nullptr;
      if (const auto* from = values_of<float>(x, axes, shape, false)) return from_values<S>(from, axes, shape);
      if (const auto* from = values_of<double>(x, axes, shape, false)) return from_values<S>(from, axes, shape);
    }
    return nullptr;
  }
  template <class S, class From>
  PyObject* from_values(const From* from, int axes, const Py_ssize_t* shape) const {
    auto y = py::reinterpret_steal<py::object>(new_array<S>(axes, shape));
    if (!y) return nullptr;
    Index count = 1;
    for (int axis = 0; axis < axes; axis++) count *= shape[axis];
    S* to = values_of_new<S>(y.ptr());
    bool within = false;
    if (count < min_work_without_gil) {
      within = standardizer_(from, count, to);
    } else {
      const ReleaseGil release;
      within = standardizer_(from, count, to);
    }
    if (!within) {
      PyErr_Format(PyExc_ValueError, "X must be numbers within %s's range after standardization; got one beyond it",
                   sizeof(S) == 4 ? "float32" : "float64");
      return nullptr;
    }
    return y.release().ptr();
  }

  bool single_;
  Standardizer standardizer_;
};

inline void define_standardizer(py::module_& module) {
  py::class_<PyStandardizer> standardizer(module, "Standardizer", py::module_local());
  standardizer.def(py::init<const std::string&, const py::array_t<double, py::array::c_style | py::array::forcecast>&,
                            const py::array_t<double, py::array::c_style | py::array::forcecast>&>());
  static PyMethodDef standardize = {"standardize", &PyStandardizer::standardize, METH_O, nullptr};
  add_fast_method(standardizer, standardize);
}

}  // namespace fusedlstm
