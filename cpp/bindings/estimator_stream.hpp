// Streams of estimators for Python: one step at a time, from inputs before standardization to predictions.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/predictions.hpp"
#include "bindings/standardize.hpp"
#include "bindings/stream.hpp"
#include "ops/all_finite.hpp"

namespace fusedlstm {

class PyEstimatorStream {
 public:
  // decoder: None if only Python can decode. standardizer: None if the model reads its inputs without standardization.
  PyEstimatorStream(py::object stream, py::object decoder_or_none, py::object standardizer_or_none)
      : stream_object_(std::move(stream)),
        decoder_object_(std::move(decoder_or_none)),
        standardizer_object_(std::move(standardizer_or_none)) {
    auto& model = py::cast<PyStream&>(stream_object_);
    if (decoder_object_.is_none() || !model.computes()) return;
    if (!standardizer_object_.is_none()) {
      standardizer_ = &py::cast<const PyStandardizer&>(standardizer_object_).standardizer();
      require(standardizer_->features() == model.input_shape()[model.axes() - 1],
              "the standardizer is of another model");
    }
    const auto& decoder = py::cast<const PyDecoder&>(decoder_object_);
    require(decoder.decoder().outputs == model.output_shape()[model.axes() - 1], "the decoder is of another model");
    stream_ = &model;
    decoder_ = &decoder.decoder();
    model.with_stream([&](auto&, auto tag) { x_.emplace<std::vector<decltype(tag)>>(); });
    if (model.axes() == 2) shape_.push_back(0);
    model.with_stream([&](auto& stream_of_model, auto tag) { follow<decltype(tag)>(stream_of_model.rows()); });
    shape_.insert(shape_.end(), decoder.shape().begin(), decoder.shape().end());
  }

  static PyObject* step(PyObject* self, PyObject* x) {
    return with_python_errors([&] {
      auto* stream = held_by<PyEstimatorStream>(self);
      if (stream && stream->stream_) stream->stream_->refuse_interrupted();
      PyObject* result = stream && stream->decoder_ ? stream->predict(x) : nullptr;
      return result || PyErr_Occurred() ? result : step_in_python(self, &x, 1, nullptr);
    });
  }

 private:
  // Sets the number of sequences.
  template <class S>
  void follow(Index rows) {
    list_.resize(static_cast<std::size_t>(stream_->inputs()));
    std::get<std::vector<S>>(x_).resize(static_cast<std::size_t>(stream_->inputs()));
    if (stream_->axes() == 2) shape_[0] = rows;
    rows_ = rows;
  }
  template <class S>
  bool read_list(PyObject* list, S* to, Index count) {
    if (PyList_GET_SIZE(list) != count) return false;
    for (Index k = 0; k < count; k++) {
      PyObject* item = PyList_GET_ITEM(list, k);
      if (!PyFloat_Check(item)) return false;
      list_[std::size_t(k)] = PyFloat_AS_DOUBLE(item);
    }
    return convert(list_.data(), to, count);
  }
  // False if x is of another kind or has a number that is not finite in S.
  template <class S>
  bool read(PyObject* x, S* to) {
    const Index count = stream_->inputs();
    if (const auto* floats = values_of<float>(x, stream_->axes(), stream_->input_shape(), false))
      return convert(floats, to, count);
    if (const auto* doubles = values_of<double>(x, stream_->axes(), stream_->input_shape(), false))
      return convert(doubles, to, count);
    return stream_->axes() == 1 && PyList_CheckExact(x) && read_list(x, to, count);
  }
  template <class From, class S>
  bool convert(const From* from, S* to, Index count) const {
    if (standardizer_) return (*standardizer_)(from, count, to) && all_finite(to, count);
    for (Index k = 0; k < count; k++) to[k] = S(from[k]);
    return all_finite(to, count);
  }
  // Null, without an error, if x is of another kind.
  PyObject* predict(PyObject* x) {
    return stream_->with_stream([&](auto& stream, auto tag) -> PyObject* {
      using S = decltype(tag);
      // The number of rows changes with `select`.
      if (stream.rows() != rows_) stream_->while_no_step([&] { follow<S>(stream.rows()); });
      S* input = std::get<std::vector<S>>(x_).data();
      const bool number = shape_.empty();
      double value = 0;
      PyObject* y = number ? nullptr : new_array<double>(int(shape_.size()), shape_.data());
      if (!number && !y) return nullptr;
      double* to = number ? &value : values_of_new<double>(y);
      const bool done = stream_->one_at_a_time([&] { return read(x, input); },
                                               [&] { decoder_->rows(stream.step(input), rows_, to); });
      if (!done) Py_XDECREF(y);
      if (!done || !number) return done ? y : nullptr;
      return new_number(value);
    });
  }

  py::object stream_object_, decoder_object_, standardizer_object_;
  PyStream* stream_ = nullptr;
  const Decoder* decoder_ = nullptr;
  const Standardizer* standardizer_ = nullptr;
  Index rows_ = 0;
  std::vector<Py_ssize_t> shape_;  // of a prediction
  std::variant<std::monostate, std::vector<float>, std::vector<double>> x_;
  std::vector<double> list_;  // the numbers of a list
};

inline void define_estimator_stream(py::module_& module) {
  py::class_<PyEstimatorStream> of_estimator(module, "EstimatorStream", py::module_local());
  of_estimator.def(py::init<py::object, py::object, py::object>());
  static PyMethodDef predict = {"step", &PyEstimatorStream::step, METH_O, R"(step($self, x, /)
--

Feed one step and return the prediction for the sequences so far.

Parameters
----------
x : array (n_features,) or (n_sequences, n_features)

Returns
-------
array or number
    The same bits as ``predict_proba`` (classifier) or ``predict`` (regressor) for the sequence so far,
    or for each of the ``n_sequences`` sequences.)"};
  add_fast_method(of_estimator, predict);
}

}  // namespace fusedlstm
