// Fast access to NumPy arrays and fast methods, for calls of about a microsecond: views without calls of NumPy, and
// methods without the argument conversion of pybind11.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>

#include "bindings/arrays.hpp"

namespace fusedlstm {

template <class S>
PyObject* descriptor_of() {
  static PyObject* const descriptor = py::dtype::of<S>().release().ptr();
  return descriptor;
}

// False for subclasses of numpy.ndarray: a masked array holds more than its values.
inline bool is_plain_array(PyObject* object) { return Py_TYPE(object) == py::detail::npy_api::get().PyArray_Type_; }

// The values of an aligned C-contiguous array of this type and shape. Null for any other object.
template <class S>
S* values_of(PyObject* object, int axes, const Py_ssize_t* shape, bool to_write) {
  using Api = py::detail::npy_api;
  const Api& api = Api::get();
  if (!is_plain_array(object)) return nullptr;
  const auto* array = py::detail::array_proxy(object);
  const int needed =
      Api::NPY_ARRAY_C_CONTIGUOUS_ | Api::NPY_ARRAY_ALIGNED_ | (to_write ? int(Api::NPY_ARRAY_WRITEABLE_) : 0);
  if ((array->flags & needed) != needed || array->nd != axes) return nullptr;
  for (int axis = 0; axis < axes; axis++)
    if (array->dimensions[axis] != shape[axis]) return nullptr;
  if (array->descr != descriptor_of<S>() && !api.PyArray_EquivTypes_(array->descr, descriptor_of<S>())) return nullptr;
  return reinterpret_cast<S*>(array->data);
}

// Null if the object is not an array with this number of axes.
inline const Py_ssize_t* shape_of_array(PyObject* object, int axes) {
  if (!is_plain_array(object)) return nullptr;
  const auto* array = py::detail::array_proxy(object);
  return array->nd == axes ? array->dimensions : nullptr;
}

// A new array. Null, with Python's error set, if there is no memory.
template <class S>
PyObject* new_array(int axes, const Py_ssize_t* shape) {
  const auto& api = py::detail::npy_api::get();
  Py_INCREF(descriptor_of<S>());
  return api.PyArray_NewFromDescr_(api.PyArray_Type_, descriptor_of<S>(), axes, shape, nullptr, nullptr, 0, nullptr);
}
template <class S>
S* values_of_new(PyObject* array) {
  return reinterpret_cast<S*>(py::detail::array_proxy(array)->data);
}

inline PyObject* number_type() {
  static PyObject* const type = py::object(py::module_::import("numpy").attr("float64")).release().ptr();
  return type;
}
// Called when the module is imported. The first call of each function calls NumPy while it initializes a static
// variable. After the import, this could deadlock: NumPy may release the GIL, and the next holder of the GIL may wait
// for the initialization.
inline void prepare_views() {
  descriptor_of<float>();
  descriptor_of<double>();
  descriptor_of<std::int64_t>();
  number_type();
}

// A numpy.float64. Null, with Python's error set, if there is no memory.
inline PyObject* new_number(double value) {
  return outlive_python([&] {
    PyObject* number = PyFloat_FromDouble(value);
    PyObject* result = number ? PyObject_CallOneArg(number_type(), number) : nullptr;
    Py_XDECREF(number);
    return result;
  });
}

// The C++ object of an instance of a class bound here, or of a subclass. Null before __init__.
template <class T>
T* held_by(PyObject* self) {
  auto* instance = reinterpret_cast<py::detail::instance*>(self);
  return instance->simple_layout ? static_cast<T*>(instance->simple_value_holder[0]) : nullptr;
}

// Adds a method that Python calls as function(self, args, count, names of keyword arguments).
template <class Class>
void add_fast_method(Class& type, PyMethodDef& method) {
  const auto descriptor =
      py::reinterpret_steal<py::object>(PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(type.ptr()), &method));
  if (!descriptor) throw py::error_already_set();
  type.attr(method.ml_name) = descriptor;
}

// Adds a function that Python calls as function(module, args, count).
using FastFunction = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);
inline void add_fast_function(py::module_& module, const char* name, FastFunction function) {
  // The definition is never freed: the function refers to it.
  auto* definition = new PyMethodDef{name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function)),
                                     METH_FASTCALL, nullptr};
  const auto made = py::reinterpret_steal<py::object>(PyCFunction_NewEx(definition, nullptr, module.ptr()));
  if (!made) throw py::error_already_set();
  module.add_object(name, made);
}

// For functions that Python calls directly: turns C++ exceptions into Python's errors.
// NOLINTBEGIN(bugprone-exception-escape): the forced unwinding of pthread_exit ends in outlive_python.
template <class Work>
PyObject* with_python_errors(Work&& work) noexcept {
  try {
    return work();
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}
// NOLINTEND(bugprone-exception-escape)

}  // namespace fusedlstm
