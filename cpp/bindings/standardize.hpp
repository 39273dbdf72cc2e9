// Standardization of NumPy arrays and of batches of sequences.
#pragma once

#include "bindings/gather.hpp"
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

  // take(array, first, lengths): take_sequences of an array of float32 or float64 with features, standardized.
  static PyObject* take(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    return with_python_errors([&]() -> PyObject* {
      const auto* held = held_by<PyStandardizer>(self);
      require(held && count == 3, "three arguments are needed");
      const auto taken = TakenSequences::of(args[0], args[1], args[2]);
      if (!taken || taken->features != held->standardizer_.features()) Py_RETURN_NONE;
      PyObject* y =
          held->single_ ? held->take_into_new<float>(*taken, args[0]) : held->take_into_new<double>(*taken, args[0]);
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
    Index count = 1;
    for (int axis = 0; axis < axes; axis++) count *= shape[axis];
    return into_new_array<S>(axes, shape, count, [&](S* to) { return standardizer_(from, count, to); });
  }
  // Null for another kind of array, or, with Python's error set, for an error.
  template <class S>
  PyObject* take_into_new(const TakenSequences& taken, PyObject* array) const {
    for (int axes = 2; axes <= max_axes; axes++) {
      const Py_ssize_t* shape = shape_of_array(array, axes);
      if (!shape) continue;
      if (const auto* from = values_of<float>(array, axes, shape, false)) return take_values<S>(taken, from);
      if (const auto* from = values_of<double>(array, axes, shape, false)) return take_values<S>(taken, from);
    }
    return nullptr;
  }
  template <class S, class From>
  PyObject* take_values(const TakenSequences& taken, const From* from) const {
    const Py_ssize_t shape[] = {taken.batch, taken.steps, taken.features};
    return into_new_array<S>(3, shape, taken.count(), [&](S* to) {
      bool within = true;
      taken.for_all(
          from, sizeof(From),
          [&](Index at, Index n, Index place) { within &= standardizer_(from + at, n, to + place); },
          [&](Index place, Index n) { std::fill_n(to + place, n, S(0)); });
      return within;
    });
  }
  // Calls fill(values), without the GIL if there are many. It returns false if a result exceeds the range of S.
  template <class S, class Fill>
  PyObject* into_new_array(int axes, const Py_ssize_t* shape, Index count, Fill&& fill) const {
    auto y = py::reinterpret_steal<py::object>(new_array<S>(axes, shape));
    if (!y) return nullptr;
    S* to = values_of_new<S>(y.ptr());
    bool within = false;
    if (count < min_work_without_gil) {
      within = fill(to);
    } else {
      const ReleaseGil release;
      within = fill(to);
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
  static PyMethodDef take = {"take", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&PyStandardizer::take)),
                             METH_FASTCALL, nullptr};
  add_fast_method(standardizer, take);
}

}  // namespace fusedlstm
