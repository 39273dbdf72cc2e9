// The arguments of streams: states, and steps that Python handles.
#pragma once

#include <cstring>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "ops/stream.hpp"

namespace fusedlstm {

// Describes an object in an error message.
inline std::string described(const py::handle& object) {
  if (!py::isinstance<py::array>(object)) return std::string("an object of type ") + Py_TYPE(object.ptr())->tp_name;
  const auto array = py::reinterpret_borrow<py::array>(object);
  return "an array of " + std::string(py::str(array.dtype())) + " of shape " +
         std::string(py::str(object.attr("shape")));
}

// Converts a list in the form of PyStream::state. Throws std::invalid_argument for anything else.
template <class S>
StreamState<S> state_of(const py::object& given, const std::vector<std::vector<Index>>& columns, Index rows) {
  const auto is_sequence = [](const py::handle& object) {
    return py::isinstance<py::list>(object) || py::isinstance<py::tuple>(object);
  };
  const auto needed = [](const std::string& name, const std::string& what, const py::handle& got) {
    return std::invalid_argument(name + " must be " + what + "; got " + described(got));
  };
  if (!is_sequence(given)) throw needed("state", "a list", given);
  const auto list = py::reinterpret_borrow<py::sequence>(given);
  if (list.size() != columns.size())
    throw std::invalid_argument("state must have " + std::to_string(columns.size()) + " entries; got " +
                                std::to_string(list.size()));
  StreamState<S> state(columns.size());
  for (std::size_t k = 0; k < columns.size(); k++) {
    const std::string name = "state[" + std::to_string(k) + "]";
    const py::object entry = list[k];
    const std::size_t count = columns[k].size();
    if (count == 0 && !entry.is_none()) throw needed(name, "None", entry);
    if (count == 0) continue;
    if (!is_sequence(entry) || py::len(entry) != count)
      throw needed(name, "a tuple of " + std::to_string(count) + (count == 1 ? " array" : " arrays"), entry);
    for (std::size_t j = 0; j < count; j++) {
      const py::object item = py::reinterpret_borrow<py::sequence>(entry)[j];
      const Index width = columns[k][j];
      const auto fits = [&] {
        if (!py::isinstance<py::array_t<S>>(item)) return false;
        const auto array = py::reinterpret_borrow<py::array>(item);
        return array.ndim() == 3 && array.shape(0) == 1 && array.shape(1) == rows && array.shape(2) == width;
      };
      if (!fits())
        throw needed(name + "[" + std::to_string(j) + "]",
                     std::string("an array of ") + (sizeof(S) == 4 ? "float32" : "float64") + " of shape (1, " +
                         std::to_string(rows) + ", " + std::to_string(width) + ")",
                     item);
      const py::array_t<S, py::array::c_style | py::array::forcecast> array(item);
      StateArray<S> read{width, std::vector<S>(std::size_t(rows * width))};
      std::memcpy(read.values.data(), array.data(), read.values.size() * sizeof(S));
      state[k].push_back(std::move(read));
    }
  }
  return state;
}

// Calls the Python method `_step` with the arguments of `step`.
inline PyObject* step_in_python(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static PyObject* const name = PyUnicode_InternFromString("_step");
  const Py_ssize_t all = count + (names ? PyTuple_GET_SIZE(names) : 0);
  std::vector<PyObject*> with_self(1, self);
  with_self.insert(with_self.end(), args, args + all);
  return outlive_python(
      [&] { return PyObject_VectorcallMethod(name, with_self.data(), static_cast<std::size_t>(count + 1), names); });
}

}  // namespace fusedlstm
