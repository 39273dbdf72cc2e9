// Decoders for Python: from a model's outputs to predictions.
#pragma once

#include <functional>
#include <numeric>

#include "bindings/arrays.hpp"
#include "ops/predictions.hpp"

namespace fusedlstm {

class PyDecoder {
 public:
  // shape: of the prediction of one sequence. scale and mean: one number per target, or None for probabilities.
  PyDecoder(const std::string& kind, Index outputs, std::vector<Index> shape, const py::object& scale,
            const py::object& mean)
      : shape_(std::move(shape)), arguments_(py::make_tuple(kind, outputs, shape_, scale, mean)) {
    const Index results = std::accumulate(shape_.begin(), shape_.end(), Index(1), checked_product);
    decoder_ = {kind_of(kind), outputs, numbers(scale), numbers(mean), results};
    require(outputs > 0 && results > 0 && fits(), "sizes do not fit together");
  }

  // outputs: (n, outputs). Returns float64, (n, *shape).
  py::object call(const py::array& outputs) const {
    return with_dtype(outputs, [&](auto tag) -> py::object {
      using S = decltype(tag);
      require(outputs.ndim() == 2 && outputs.shape(1) == decoder_.outputs, "outputs must be (n, outputs)");
      const Index rows = outputs.shape(0);
      const S* z = input_of<S>(outputs, rows * decoder_.outputs);
      std::vector<py::ssize_t> shape(1, rows);
      shape.insert(shape.end(), shape_.begin(), shape_.end());
      auto y = empty<double>(std::move(shape));
      double* to = y.mutable_data();
      if (rows * decoder_.outputs < min_numbers_without_gil) {
        decoder_.rows(z, rows, to);
      } else {
        const ReleaseGil release;
        decoder_.rows(z, rows, to);
      }
      return y;
    });
  }

  // The arguments of the constructor.
  const py::tuple& arguments() const { return arguments_; }
  const Decoder& decoder() const { return decoder_; }
  const std::vector<Index>& shape() const { return shape_; }

 private:
  static constexpr Index min_numbers_without_gil = 1024;

  static Decoding kind_of(const std::string& name) {
    const char* const names[] = {"classes", "two_classes", "labels", "values", "exponentials", "quantiles"};
    const auto found = std::find(std::begin(names), std::end(names), name);
    require(found != std::end(names), "unknown kind of decoder");
    return Decoding(found - names);
  }
  static std::vector<double> numbers(const py::object& array) {
    if (array.is_none()) return {};
    const auto values = py::cast<py::array_t<double, py::array::c_style | py::array::forcecast>>(array);
    return {values.data(), values.data() + values.size()};
  }
  bool fits() const {
    const Index targets = Index(decoder_.scale.size());
    if (Index(decoder_.mean.size()) != targets) return false;
    switch (decoder_.decoding) {
      case Decoding::two_classes: return targets == 0 && decoder_.outputs == 1 && decoder_.results == 2;
      case Decoding::classes:
      case Decoding::labels: return targets == 0 && decoder_.outputs == decoder_.results;
      case Decoding::values:
      case Decoding::exponentials: return targets == decoder_.results && targets <= decoder_.outputs;
      case Decoding::quantiles:
        return targets > 0 && decoder_.results % targets == 0 && decoder_.outputs == decoder_.results;
    }
    return false;
  }

  Decoder decoder_;
  std::vector<Index> shape_;
  py::tuple arguments_;
};

inline void define_decoder(py::module_& module) {
  py::class_<PyDecoder>(module, "Decoder", py::module_local())
      .def(py::init<const std::string&, Index, std::vector<Index>, const py::object&, const py::object&>())
      .def("__call__", &PyDecoder::call)
      .def("__reduce__", [](const py::object& self) {
        return py::make_tuple(py::type::of(self), py::cast<const PyDecoder&>(self).arguments());
      });
}

}  // namespace fusedlstm
