// Losses of rows for Python. The functions return None for arguments that they do not take, such as other dtypes or
// classes out of range: the Python layer then computes the loss or raises an error.
#pragma once

#include "bindings/numpy_views.hpp"
#include "ops/losses.hpp"

namespace fusedlstm {

// Calls work(rows, S()) for z (rows, outputs) and weights (rows,) or None. work returns the mean loss and sets the
// gradient.
template <class S, class Work>
PyObject* loss_and_gradient(PyObject* z, PyObject* weights, Work&& work) {
  const Py_ssize_t* shape = shape_of_array(z, 2);
  LossRows<S> all{};
  all.z = shape && shape[0] > 0 && shape[1] > 0 ? values_of<S>(z, 2, shape, false) : nullptr;
  if (!all.z) return nullptr;
  all.rows = shape[0];
  all.outputs = shape[1];
  if (weights != Py_None && !(all.weights = values_of<double>(weights, 1, shape, false))) return nullptr;
  auto dz = py::reinterpret_steal<py::object>(new_array<S>(2, shape));
  if (!dz) throw py::error_already_set();
  all.dz = values_of_new<S>(dz.ptr());
  const std::optional<double> loss = work(all);
  return loss ? py::make_tuple(*loss, dz).release().ptr() : nullptr;
}

inline const std::int64_t* classes_within(PyObject* y, int axes, const Py_ssize_t* shape, Index count, Index limit) {
  const std::int64_t* classes = values_of<std::int64_t>(y, axes, shape, false);
  bool within = classes != nullptr;
  for (Index k = 0; within && k < count; k++) within = classes[k] >= 0 && classes[k] < limit;
  return within ? classes : nullptr;
}

// log_loss(z, y, weights, smoothing): y (rows,) are classes, of one or several outputs, or (rows, outputs) labels.
inline PyObject* log_loss_array(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return with_python_errors([&]() -> PyObject* {
    require(count == 4, "four arguments are needed");
    const double smoothing = PyFloat_AsDouble(args[3]);
    if (PyErr_Occurred()) throw py::error_already_set();
    const auto of = [&](const auto& all) -> std::optional<double> {
      const Py_ssize_t shape[] = {all.rows, all.outputs};
      const bool labels = shape_of_array(args[1], 2) != nullptr;
      const bool one_of_two = labels || all.outputs == 1;
      const auto* y = classes_within(args[1], labels ? 2 : 1, shape, labels ? all.rows * all.outputs : all.rows,
                                     one_of_two ? 2 : all.outputs);
      if (!y) return {};
      return one_of_two ? log_loss_of_labels(all, y, smoothing) : log_loss_of_classes(all, y, smoothing);
    };
    PyObject* result = loss_and_gradient<float>(args[0], args[2], of);
    if (!result) result = loss_and_gradient<double>(args[0], args[2], of);
    if (!result) Py_RETURN_NONE;
    return result;
  });
}

// squared_error(z, y, weights)
inline PyObject* squared_error_array(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return with_python_errors([&]() -> PyObject* {
    require(count == 3, "three arguments are needed");
    const auto of = [&](const auto& all) -> std::optional<double> {
      using S = std::remove_pointer_t<decltype(all.dz)>;
      const Py_ssize_t shape[] = {all.rows, all.outputs};
      const S* y = values_of<S>(args[1], 2, shape, false);
      if (!y) return {};
      return squared_error(all, y);
    };
    PyObject* result = loss_and_gradient<float>(args[0], args[2], of);
    if (!result) result = loss_and_gradient<double>(args[0], args[2], of);
    if (!result) Py_RETURN_NONE;
    return result;
  });
}

}  // namespace fusedlstm
