// Decoders for Python: from a model's outputs to predictions.
#pragma once

#include <numeric>

#include "bindings/numpy_views.hpp"
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
    require(outputs > 0 && results > 0 && shape_.size() < max_axes && fits(), "sizes do not fit together");
  }

  // outputs: (n, outputs). Returns float64, (n, *shape).
  static PyObject* call(PyObject* self, PyObject* outputs) {
    return with_python_errors([&] {
      const auto* held = held_by<PyDecoder>(self);
      require(held, "__init__ has not run");
      return with_rows(outputs, [&](auto* z, const Py_ssize_t* shape) { return held->decoded(z, shape); });
    });
  }

  // class_numbers(outputs): the number of the class of each row, (n,).
  static PyObject* class_numbers(PyObject*, PyObject* const* args, Py_ssize_t count) {
    return with_python_errors([&] {
      require(count == 1, "one argument is needed");
      return with_rows(args[0], [&](auto* z, const Py_ssize_t* shape) {
        PyObject* numbers = new_array<std::int64_t>(1, shape);
        if (!numbers) return numbers;
        for (Index row = 0; row < shape[0]; row++)
          values_of_new<std::int64_t>(numbers)[row] = class_of(z + row * shape[1], shape[1]);
        return numbers;
      });
    });
  }

  // The arguments of the constructor.
  const py::tuple& arguments() const { return arguments_; }
  const Decoder& decoder() const { return decoder_; }
  const std::vector<Index>& shape() const { return shape_; }

 private:
  static constexpr Index min_numbers_without_gil = 1024;
  static constexpr std::size_t max_axes = 4;  // of a result

  // Calls work(values, shape) for an array (n, outputs), which must be contiguous and aligned.
  template <class Work>
  static PyObject* with_rows(PyObject* outputs, Work&& work) {
    const Py_ssize_t* shape = shape_of_array(outputs, 2);
    require(shape && shape[1] > 0, "outputs must be (n, outputs)");
    if (const auto* floats = values_of<float>(outputs, 2, shape, false)) return work(floats, shape);
    const auto* doubles = values_of<double>(outputs, 2, shape, false);
    require(doubles, "outputs must be a contiguous array of float32 or float64");
    return work(doubles, shape);
  }

  // Null, with Python's error set, if there is no memory.
  template <class S>
  PyObject* decoded(const S* z, const Py_ssize_t* shape) const {
    require(shape[1] == decoder_.outputs, "outputs must be (n, outputs)");
    const Index rows = shape[0];
    Py_ssize_t of_result[max_axes] = {rows};
    std::copy(shape_.begin(), shape_.end(), of_result + 1);
    PyObject* y = new_array<double>(int(shape_.size() + 1), of_result);
    if (!y) return nullptr;
    double* to = values_of_new<double>(y);
    if (rows * decoder_.outputs < min_numbers_without_gil) {
      decoder_.rows(z, rows, to);
    } else {
      const ReleaseGil release;
      decoder_.rows(z, rows, to);
    }
    return y;
  }

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
  py::class_<PyDecoder> decoder(module, "Decoder", py::module_local());
  decoder.def(py::init<const std::string&, Index, std::vector<Index>, const py::object&, const py::object&>())
      .def("__reduce__", [](const py::object& self) {
        return py::make_tuple(py::type::of(self), py::cast<const PyDecoder&>(self).arguments());
      });
  static PyMethodDef call = {"__call__", &PyDecoder::call, METH_O, nullptr};
  add_fast_method(decoder, call);
  add_fast_function(module, "class_numbers", &PyDecoder::class_numbers);
}

}  // namespace fusedlstm
