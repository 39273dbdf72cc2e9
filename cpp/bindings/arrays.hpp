// NumPy arrays and other arguments in the form that the core takes.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>

#include "bindings/gil.hpp"
#include "recurrent/arrays.hpp"
#include "simd/named_activations.hpp"

namespace fusedlstm {

namespace py = pybind11;

inline void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

// Calls work(S()) with the float type of an array.
template <class Work>
auto with_dtype(const py::array& array, Work&& work) {
  if (py::isinstance<py::array_t<float>>(array)) return work(float());
  require(py::isinstance<py::array_t<double>>(array), "arrays must be float32 or float64");
  return work(double());
}

inline bool is_aligned(const py::array& array) { return array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_; }

// The values of a contiguous and aligned array with the expected number of elements; null for None.
template <class S>
const S* input_of(const py::object& object, Index size) {
  if (object.is_none()) return nullptr;
  require(py::isinstance<py::array_t<S, py::array::c_style>>(object), "an array must be contiguous and of one dtype");
  const auto array = py::reinterpret_borrow<py::array_t<S, py::array::c_style>>(object);
  require(is_aligned(array), "an array must be aligned");
  require(array.size() == size, "an array has a wrong size");
  return array.data();
}
template <class S>
S* output_of(const py::object& object, Index size) {
  if (object.is_none()) return nullptr;
  require(input_of<S>(object, size) != nullptr, "an array is missing");
  return py::reinterpret_borrow<py::array_t<S>>(object).mutable_data();
}
template <class S>
py::array_t<S> empty(std::vector<py::ssize_t> shape) {
  return py::array_t<S>(std::move(shape));
}

// Throws std::bad_alloc if the arrays of a call are too large for any memory. Otherwise, no product of the sizes
// overflows. states: directions times hidden size.
template <class S>
void require_room(Index batch, Index steps, Index input, Index states) {
  constexpr Index of_a_unit = 64, padding = 64;  // more than the numbers that any cell saves per unit and step
  const Index bytes = of_a_unit * Index(sizeof(S));
  checked_product(checked_product(batch, steps), checked_product(states + padding, bytes));
  checked_product(checked_product(batch, steps), checked_product(input + padding, bytes));
  checked_product(checked_product(states + padding, states + padding), bytes);
  checked_product(checked_product(states + padding, input + padding), bytes);
}

// An array (batch, steps, features) as a view. The strides are free, but the features of a step must be contiguous.
template <class S>
SequenceView<const S> view_of_sequences(const py::array& array) {
  const Index item = sizeof(S);
  require(array.ndim() == 3, "x must have three dimensions");
  require(array.shape(2) == 1 || array.strides(2) == item, "the features of a step must be contiguous");
  require(is_aligned(array) && array.strides(0) % item == 0 && array.strides(1) % item == 0, "x must be aligned");
  return {static_cast<const S*>(array.data()), array.strides(0) / item, array.strides(1) / item};
}

// The lengths of the sequences; null for None.
inline const Index* lengths_of(const py::object& lengths, Index batch, Index steps) {
  if (lengths.is_none()) return nullptr;
  const auto* steps_of = reinterpret_cast<const Index*>(input_of<std::int64_t>(lengths, batch));
  for (Index b = 0; b < batch; b++)
    require(steps_of[b] >= 1 && steps_of[b] <= steps, "lengths must be between 1 and the number of steps");
  return steps_of;
}

// Calls with fewer multiply-adds (about 3 microseconds) keep the GIL and use one thread.
inline constexpr Index min_work_without_gil = Index(1) << 17;

// given: a name, or (name, alpha, beta).
inline Activation activation_of(const py::handle& given) {
  const bool named = py::isinstance<py::str>(given);
  require(named || (py::isinstance<py::tuple>(given) && py::len(given) == 3),
          "an activation is a name or (name, alpha, beta)");
  const auto name = (named ? py::reinterpret_borrow<py::object>(given) : given[py::int_(0)]).cast<std::string>();
  const std::optional<Activation> found = find_activation(name);
  if (!found) throw std::invalid_argument("unknown activation");
  Activation activation = *found;
  if (!named) {
    activation.alpha = given[py::int_(1)].cast<double>();
    activation.beta = given[py::int_(2)].cast<double>();
  }
  require(has_gradient(activation), "alpha must be at least 0");
  return activation;
}

// object: None, or (key or None, recurrent_dropout, candidate_dropout, zoneout of h, zoneout of c).
inline Regularizers regularizers_of(const py::object& object) {
  Regularizers all;
  if (object.is_none()) return all;
  const auto tuple = py::cast<py::tuple>(object);
  require(tuple.size() == 5, "regularizers must have five entries");
  all.training = !tuple[0].is_none();
  if (all.training) all.key = py::cast<std::uint64_t>(tuple[0]);
  double* const rates[] = {&all.recurrent_dropout, &all.candidate_dropout, &all.zoneout_h, &all.zoneout_c};
  for (std::size_t k = 0; k < 4; k++) {
    *rates[k] = py::cast<double>(tuple[k + 1]);
    require(*rates[k] >= 0 && *rates[k] < 1, "rates must be in [0, 1)");
  }
  return all;
}

}  // namespace fusedlstm
