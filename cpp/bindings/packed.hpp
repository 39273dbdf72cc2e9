// Python capsules that own objects of the core: packed weights, which may have several owners, and saved layers.
#pragma once

#include <memory>
#include <string>

#include "bindings/arrays.hpp"
#include "cells/list.hpp"
#include "ops/dense_op.hpp"
#include "ops/recurrent_op.hpp"

namespace fusedlstm {

// The name that identifies the type of a capsule.
template <class T>
struct CapsuleName;
template <>
struct CapsuleName<PackedRecurrent<float>> {
  static constexpr const char* value = "fusedlstm.packed.float32";
};
template <>
struct CapsuleName<PackedRecurrent<double>> {
  static constexpr const char* value = "fusedlstm.packed.float64";
};
template <>
struct CapsuleName<PackedDense<float>> {
  static constexpr const char* value = "fusedlstm.packed_dense.float32";
};
template <>
struct CapsuleName<PackedDense<double>> {
  static constexpr const char* value = "fusedlstm.packed_dense.float64";
};
template <>
struct CapsuleName<SavedLayer<float>> {
  static constexpr const char* value = "fusedlstm.saved.float32";
};
template <>
struct CapsuleName<SavedLayer<double>> {
  static constexpr const char* value = "fusedlstm.saved.float64";
};

// A capsule that owns the object.
template <class T>
py::capsule own_capsule(std::unique_ptr<T> object) {
  return py::capsule(object.release(), CapsuleName<T>::value, [](PyObject* capsule) {
    delete static_cast<T*>(PyCapsule_GetPointer(capsule, CapsuleName<T>::value));
  });
}
// Throws if the capsule holds another type.
template <class T>
T* held_by_capsule(const py::capsule& capsule) {
  void* held = PyCapsule_GetPointer(capsule.ptr(), CapsuleName<T>::value);
  if (!held) throw py::error_already_set();
  return static_cast<T*>(held);
}

// A capsule that shares the ownership of packed weights.
template <class T>
py::capsule share_capsule(std::shared_ptr<const T> packed) {
  using Shared = std::shared_ptr<const T>;
  return py::capsule(new Shared(std::move(packed)), CapsuleName<T>::value, [](PyObject* capsule) {
    delete static_cast<Shared*>(PyCapsule_GetPointer(capsule, CapsuleName<T>::value));
  });
}
// Null if the object is not a capsule. Throws if the capsule holds another type.
template <class T>
std::shared_ptr<const T> packed_of(const py::object& object) {
  if (!PyCapsule_CheckExact(object.ptr())) return nullptr;
  const void* held = PyCapsule_GetPointer(object.ptr(), CapsuleName<T>::value);
  if (!held) throw py::error_already_set();
  return *static_cast<const std::shared_ptr<const T>*>(held);
}

template <class S>
const Cell<S>& cell_of(const std::string& name) {
  const Cell<S>* cell = find_cell<S>(name);
  require(cell != nullptr, "unknown cell");
  return *cell;
}

inline py::capsule pack_recurrent(const std::string& cell, int directions, Index input_size, Index hidden_size,
                                  const py::array& parameters) {
  return with_dtype(parameters, [&](auto tag) -> py::capsule {
    using S = decltype(tag);
    const Cell<S>& found = cell_of<S>(cell);
    require(directions >= 1 && directions <= max_directions, "one or two directions");
    require(input_size > 0 && hidden_size > 0, "sizes must be positive");
    const LayerShape shape{{input_size, hidden_size, found.gates}, 1, 1, directions, false, {}};
    require_room<S>(1, 1, input_size, checked_product(directions, hidden_size));
    const S* weights = input_of<S>(parameters, directions * weight_count(shape.sizes));
    return share_capsule(pack_recurrent_layer(found, shape, weights));
  });
}

inline py::capsule pack_dense(const py::array& parameters, Index features, Index units) {
  return with_dtype(parameters, [&](auto tag) -> py::capsule {
    using S = decltype(tag);
    require(features > 0 && units > 0, "sizes must be positive");
    require_room<S>(1, 1, features, units);
    const DenseShape shape{1, features, units, {}};
    const S* weights = input_of<S>(parameters, dense_weight_count(shape));
    return share_capsule(pack_dense_layer(shape, weights));
  });
}

}  // namespace fusedlstm
