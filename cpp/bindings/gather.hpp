// Batches of sequences for Python: some sequences of a container, padded to the same length.
#pragma once

#include <algorithm>
#include <cstring>

#include "bindings/numpy_views.hpp"

namespace fusedlstm {

// Loads the first bytes of an array into the cache: the next sequence of a batch may be anywhere in memory.
inline void prefetch(const char* from, Index bytes) {
#if defined(__GNUC__)
  constexpr Index most = Index(1) << 14;
  for (Index k = 0; k < std::min(bytes, most); k += Index(cache_line)) __builtin_prefetch(from + k, 0, 2);
#else
  (void)from, (void)bytes;
#endif
}

// Some sequences of an array. Sequence i has its first step at first[i] * by_sequence.
struct TakenSequences {
  const std::int64_t* first;
  const std::int64_t* lengths;  // null: all have `steps` steps
  Index batch, steps, by_sequence, features;

  Index length(Index i) const { return lengths ? lengths[i] : steps; }
  Index count() const { return batch * steps * features; }

  // array: (n, T, F), or concatenated sequences (N, F) or (N,). Nothing if the arguments are not contiguous arrays, or
  // if a sequence is not in the array.
  static std::optional<TakenSequences> of(PyObject* array, PyObject* first, PyObject* lengths) {
    TakenSequences taken{};
    int axes = 1;
    while (axes <= 3 && !shape_of_array(array, axes)) axes++;
    const Py_ssize_t* batch = shape_of_array(first, 1);
    if (axes > 3 || !batch || batch[0] < 1) return {};
    const Py_ssize_t* shape = shape_of_array(array, axes);
    taken.batch = batch[0];
    taken.first = values_of<std::int64_t>(first, 1, batch, false);
    if (lengths != Py_None) taken.lengths = values_of<std::int64_t>(lengths, 1, batch, false);
    if (!taken.first || (taken.lengths ? false : lengths != Py_None || axes < 3)) return {};
    taken.by_sequence = axes == 3 ? shape[1] : 1;
    taken.features = axes == 1 ? 1 : shape[axes - 1];
    taken.steps = taken.lengths ? *std::max_element(taken.lengths, taken.lengths + taken.batch) : shape[1];
    for (Index i = 0; i < taken.batch; i++) {
      const Index at = taken.first[i], n = taken.length(i);
      const bool inside = at >= 0 && at < shape[0] && n >= 0 && n <= (axes == 3 ? shape[1] : shape[0] - at);
      if (!inside) return {};
    }
    return taken;
  }

  // Calls copy(index of the first number in the array, count, index in the result) for each sequence, and
  // clear(index in the result, count) for its padding. item: the bytes of a number of the array.
  template <class Copy, class Clear>
  void for_all(const void* array, Index item, Copy&& copy, Clear&& clear) const {
    for (Index i = 0; i < batch; i++) {
      const Index n = length(i) * features, to = i * steps * features;
      if (i + 1 < batch)
        prefetch(static_cast<const char*>(array) + first[i + 1] * by_sequence * features * item,
                 length(i + 1) * features * item);
      copy(first[i] * by_sequence * features, n, to);
      if (n < steps * features) clear(to + n, steps * features - n);
    }
  }
};

// take_sequences(array, first, lengths): the sequences as a new array (B, T, F) or (B, T), with zeros past their ends.
// None if the arguments are not contiguous arrays or out of range.
inline PyObject* take_sequences(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return with_python_errors([&]() -> PyObject* {
    require(count == 3, "three arguments are needed");
    const auto taken = TakenSequences::of(args[0], args[1], args[2]);
    if (!taken) Py_RETURN_NONE;
    const auto array = py::reinterpret_borrow<py::array>(args[0]);
    const bool plain = std::strchr("fiub", array.dtype().kind()) != nullptr;
    if (!plain || !(array.flags() & py::array::c_style)) Py_RETURN_NONE;
    const Py_ssize_t shape[] = {taken->batch, taken->steps, taken->features};
    const auto& api = py::detail::npy_api::get();
    PyObject* result = api.PyArray_NewFromDescr_(api.PyArray_Type_, array.dtype().release().ptr(),
                                                 array.ndim() == 1 ? 2 : 3, shape, nullptr, nullptr, 0, nullptr);
    if (!result) return nullptr;
    const Index item = array.itemsize();
    const auto* from = static_cast<const char*>(array.data());
    char* to = py::detail::array_proxy(result)->data;
    const auto bytes = [&](Index n) { return std::size_t(n * item); };
    taken->for_all(
        from, item, [&](Index at, Index n, Index place) { std::memcpy(to + place * item, from + at * item, bytes(n)); },
        [&](Index place, Index n) { std::memset(to + place * item, 0, bytes(n)); });
    return result;
  });
}

}  // namespace fusedlstm
