// Functions of arrays for Python: activations by name, the check for NaN and infinity.
#pragma once

#include <optional>

#include "bindings/arrays.hpp"
#include "ops/all_finite.hpp"

namespace fusedlstm {

inline py::object activated(const py::object& name, const py::array& x) {
  return with_dtype(x, [&](auto tag) -> py::object {
    using S = decltype(tag);
    auto y = empty<S>({x.size()});
    activate_array(activation_of(name), input_of<S>(x, x.size()), x.size(), y.mutable_data());
    return y;
  });
}

inline py::object gradient_of_activation(const py::object& name, const py::array& dy, const py::array& y) {
  return with_dtype(y, [&](auto tag) -> py::object {
    using S = decltype(tag);
    auto dx = empty<S>({y.size()});
    activation_gradient_array(activation_of(name), input_of<S>(dy, y.size()), input_of<S>(y, y.size()), y.size(),
                              dx.mutable_data());
    return dx;
  });
}

// None if the array has another dtype or is not contiguous.
inline py::object all_finite_array(const py::handle& array) {
  const auto look = [&](auto tag) -> std::optional<bool> {
    using S = decltype(tag);
    if (!py::isinstance<py::array_t<S>>(array)) return {};
    const auto given = py::reinterpret_borrow<py::array>(array);
    if (!(given.flags() & (py::array::c_style | py::array::f_style)) || !is_aligned(given)) return {};
    const S* values = static_cast<const S*>(given.data());
    const Index count = given.size();
    if (count < min_work_without_gil) return all_finite(values, count);
    const ReleaseGil release;
    return all_finite(values, count);
  };
  std::optional<bool> known = look(float());
  if (!known) known = look(double());
  return known ? py::object(py::bool_(*known)) : py::none();
}

}  // namespace fusedlstm
