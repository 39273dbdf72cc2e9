// Python capsules that own objects of the core: packed weights, which may have several owners, and saved layers.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "bindings/cell.hpp"
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

// The shape of a layer for one step of one sequence.
template <class S>
LayerShape layer_shape(const Cell<S>& cell, int directions, bool reverse, Index input_size, Index hidden_size) {
  require(directions >= 1 && directions <= max_directions, "one or two directions");
  require(!reverse || directions == 1, "a reverse layer has one direction");
  require(input_size > 0 && hidden_size > 0, "sizes must be positive");
  return {cell.sizes(input_size, hidden_size), 1, 1, directions, reverse, {}};
}
// For require_room: the numbers of the largest state.
inline Index widest_state(const LayerShape& shape) {
  return checked_product(shape.directions, std::max(shape.sizes.output_size, shape.sizes.hidden_size));
}
template <class S>
bool is_packed_for(const PackedRecurrent<S>& packed, const Cell<S>& cell, const LayerShape& shape) {
  const Sizes &a = packed.shape.sizes, &b = shape.sizes;
  // Packed weights contain the input scales of the activations.
  const bool same_scale = std::equal(cell.input_scale, cell.input_scale + max_gates, packed.cell.input_scale);
  return packed.cell.name == cell.name && same_scale && packed.shape.directions == shape.directions &&
         a.input_size == b.input_size && a.hidden_size == b.hidden_size && a.output_size == b.output_size &&
         weight_count(a) == weight_count(b);
}

inline py::capsule pack_recurrent(const PyCell& cell, int directions, Index input_size, Index hidden_size,
                                  const py::array& parameters) {
  return with_dtype(parameters, [&](auto tag) -> py::capsule {
    using S = decltype(tag);
    const LayerShape shape = layer_shape(cell.get<S>(), directions, false, input_size, hidden_size);
    require_room<S>(1, 1, input_size, widest_state(shape));
    const S* weights = input_of<S>(parameters, directions * weight_count(shape.sizes));
    return share_capsule(pack_recurrent_layer(cell.get<S>(), shape, weights));
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
