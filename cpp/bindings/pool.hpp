// Pooling for Python.
#pragma once

#include <string>

#include "bindings/arrays.hpp"
#include "ops/pool.hpp"

namespace fusedlstm {

inline Pooling pooling_of(const std::string& kind) {
  require(kind == "mean" || kind == "max", "the kind of pooling must be 'mean' or 'max'");
  return kind == "mean" ? Pooling::mean : Pooling::max;
}

// Returns the sums or maxima (batch, features), and for "max" the steps of the maxima.
inline py::tuple pool_forward_array(const std::string& kind, const py::array& x, const py::object& lengths,
                                    const py::object& before, int threads) {
  return with_dtype(x, [&](auto tag) -> py::tuple {
    using S = decltype(tag);
    const Pooling pooling = pooling_of(kind);
    const SequenceView<const S> sequences = view_of_sequences<S>(x);
    const PoolShape shape{x.shape(0), x.shape(1), x.shape(2)};
    require(shape.batch > 0 && shape.steps > 0 && shape.features > 0, "sizes must be positive");
    require_room<S>(shape.batch, shape.steps, shape.features, 1);
    const Index* steps_of = lengths_of(lengths, shape.batch, shape.steps);
    const S* earlier = input_of<S>(before, shape.batch * shape.features);
    auto totals = empty<S>({shape.batch, shape.features});
    S* to = totals.mutable_data();
    py::object argmax = py::none();
    std::int64_t* argmax_to = nullptr;
    if (pooling == Pooling::max) {
      auto steps = empty<std::int64_t>({shape.batch, shape.features});
      argmax_to = steps.mutable_data();
      argmax = std::move(steps);
    }
    {
      const ReleaseGil release;
      pool_forward(pooling, shape, steps_of, sequences, earlier, to, argmax_to, threads);
    }
    return py::make_tuple(totals, argmax);
  });
}

inline void define_pool(py::module_& module) { module.def("pool_forward", &pool_forward_array); }

}  // namespace fusedlstm
