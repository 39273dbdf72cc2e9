// Dense layers for Python.
#pragma once

#include "bindings/packed.hpp"
#include "ops/dense.hpp"

namespace fusedlstm {

template <class S>
DenseShape dense_shape(const py::array& x, Index units, const py::object& activation) {
  require(x.ndim() == 2, "x must have two dimensions");
  const DenseShape shape{x.shape(0), x.shape(1), units, activation_of(activation)};
  require(shape.rows > 0 && shape.features > 0 && units > 0, "sizes must be positive");
  require_room<S>(shape.rows, 1, shape.features, units);
  return shape;
}

// parameters: an array, or the result of pack_dense.
inline py::object dense_forward_array(const py::object& parameters, const py::array& x, Index units,
                                      const py::object& activation, int threads) {
  return with_dtype(x, [&](auto tag) -> py::object {
    using S = decltype(tag);
    const DenseShape shape = dense_shape<S>(x, units, activation);
    const auto ready = packed_of<PackedDense<S>>(parameters);
    require(ready || !parameters.is_none(), "parameters must not be None");
    require(!ready || (ready->shape.features == shape.features && ready->shape.units == units),
            "packed weights are of another layer");
    const S* weights = ready ? nullptr : input_of<S>(parameters, dense_weight_count(shape));
    const S* in = input_of<S>(x, shape.rows * shape.features);
    auto y = empty<S>({shape.rows, units});
    S* out = y.mutable_data();
    {
      const ReleaseGil release;
      if (ready) dense_forward(shape, *ready, in, out, threads);
      else dense_forward(shape, weights, in, out, threads);
    }
    return y;
  });
}

inline py::object dense_backward_array(const py::array& parameters, const py::array& x, const py::array& y,
                                       const py::array& dy, const py::object& activation, bool want_dx,
                                       const py::array& gradients, int threads) {
  return with_dtype(parameters, [&](auto tag) -> py::object {
    using S = decltype(tag);
    require(dy.ndim() == 2, "dy must have two dimensions");
    const DenseShape shape = dense_shape<S>(x, dy.shape(1), activation);
    const S* weights = input_of<S>(parameters, dense_weight_count(shape));
    const S* in = input_of<S>(x, shape.rows * shape.features);
    const S *out = input_of<S>(y, shape.rows * shape.units), *dout = input_of<S>(dy, shape.rows * shape.units);
    S* sums = output_of<S>(gradients, dense_weight_count(shape));
    py::object dx = py::none();
    if (want_dx) dx = empty<S>({shape.rows, shape.features});
    S* din = output_of<S>(dx, shape.rows * shape.features);
    {
      const ReleaseGil release;
      dense_backward(shape, weights, in, out, dout, din, sums, threads);
    }
    return dx;
  });
}

}  // namespace fusedlstm
