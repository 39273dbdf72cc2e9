// Streams as Python sees them: of models, and of estimators, which decode what the model says. A step takes arrays of the
// common kinds as they are; everything else, errors too, is for the method `_step` of the Python class derived from these.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "../stream.hpp"
#include "decoding.hpp"
#include "numpy_views.hpp"
#include "standardize.hpp"
#include "whole_model.hpp"

namespace fusedlstm {

// Calls the method `_step` with the arguments that `step` was called with.
inline PyObject* step_in_python(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static PyObject* const name = PyUnicode_InternFromString("_step");
  const Py_ssize_t all = count + (names ? PyTuple_GET_SIZE(names) : 0);
  std::vector<PyObject*> with_self(1, self);
  with_self.insert(with_self.end(), args, args + all);
  return outlive_python([&] {
    return PyObject_VectorcallMethod(name, with_self.data(), static_cast<std::size_t>(count + 1), names);
  });
}

class PyStream {
 public:
  template <class Work>
  auto with_stream(Work&& work) {
    if (auto* stream = std::get_if<Stream<float>>(&stream_)) return work(*stream, float());
    return work(std::get<Stream<double>>(stream_), double());
  }

  // `model`: packed, or None for what only Python can compute. `one`: a single sequence, whose arrays have no axis of rows.
  PyStream(const py::object& model, bool one, Index rows) : one_(one) {
    require(rows > 0, "rows must be positive");
    if (model.is_none()) return;
    py::cast<const PyWholeModel&>(model).with_model([&](const auto& packed, auto tag) {
      require(packed.packed(), "a stream needs packed weights");
      require_room<decltype(tag)>(rows, 1, packed.features(), packed.widest());
      stream_.emplace<Stream<decltype(tag)>>(packed, rows);
    });
    with_stream([&](auto& stream, auto) {
      forks_ = forks();
      releases_ = stream.work() >= worth_a_release;
      inputs_[0] = outputs_[0] = rows;
      inputs_[1] = stream.features();
      outputs_[1] = stream.outputs();
    });
  }

  bool computes() const { return stream_.index() > 0; }
  bool one() const { return one_; }
  int axes() const { return one_ ? 1 : 2; }
  const Py_ssize_t* input_shape() const { return inputs_ + one_; }
  const Py_ssize_t* output_shape() const { return outputs_ + one_; }
  Index inputs() const { return inputs_[0] * inputs_[1]; }

  // One at a time: `read` under the GIL, then `work` without it where that is worth it. False if `read` says so.
  template <class Read, class Work>
  bool one_at_a_time(Read&& read, Work&& work) {
    if (!releases_) {
      if (!read()) return false;
      work();
      return true;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    if (!read()) return false;
    const ReleaseGil release;
    // Unlocked before the GIL is taken again, also by an exception: who holds the GIL may wait for the mutex.
    const std::unique_lock<std::mutex> held = std::move(lock);
    work();
    return true;
  }

  // False if the arrays are not what the stream takes as it stands.
  bool feed(PyObject* x, PyObject* out) {
    return computes() && with_stream([&](auto& stream, auto tag) {
      using S = decltype(tag);
      const S* from = values_of<S>(x, axes(), input_shape(), false);
      S* to = from ? values_of<S>(out, axes(), output_shape(), true) : nullptr;
      return to && one_at_a_time([] { return true; }, [&] { stream.step(from, to); });
    });
  }

  static PyObject* step(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
    return with_python_errors([&] {
      PyStream* stream = held_by<PyStream>(self);
      if (stream) stream->refuse_interrupted();
      PyObject* result = nullptr;
      const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
      const bool usual = count == 2 - named && named < 2 &&
                         (!named || PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "out") == 0);
      if (stream && usual && stream->feed(args[0], args[1])) {
        result = args[1];
        Py_INCREF(result);
      } else if (stream && stream->computes() && count == 1 && !named) {
        result = stream->step_into_new(args[0]);
      }
      return result || PyErr_Occurred() ? result : step_in_python(self, args, count, names);
    });
  }

  void refuse_interrupted() {
    notice_forks();
    if (interrupted_)
      throw std::runtime_error("stream must be reset: the process was forked while another thread was in step");
  }

  void reset() {
    if (!computes()) return;
    notice_forks();
    with_stream([&](auto& stream, auto) {
      const std::lock_guard<std::mutex> one_at_a_time(mutex_);
      stream.reset();
      interrupted_ = false;
    });
  }

 private:
  // Null, without an error, if x is not what the stream takes as it stands.
  PyObject* step_into_new(PyObject* x) {
    return with_stream([&](auto& stream, auto tag) -> PyObject* {
      using S = decltype(tag);
      const S* from = values_of<S>(x, axes(), input_shape(), false);
      PyObject* y = from ? new_array<S>(axes(), output_shape()) : nullptr;
      if (y) one_at_a_time([] { return true; }, [&] { stream.step(from, values_of_new<S>(y)); });
      return y;
    });
  }

  // In the child of a fork: if a thread of the parent was in a step, its mutex will never be unlocked, and the states are
  // those of no step. Under the GIL.
  void notice_forks() {
    const int now = forks();
    if (std::exchange(forks_, now) == now) return;
    if (mutex_.try_lock()) return mutex_.unlock();
    new (&mutex_) std::mutex;
    interrupted_ = true;
  }

  std::variant<std::monostate, Stream<float>, Stream<double>> stream_;
  bool one_, releases_ = false, interrupted_ = false;
  int forks_ = 0;
  Py_ssize_t inputs_[2] = {}, outputs_[2] = {};  // (rows, columns)
  std::mutex mutex_;
};

class PyEstimatorStream {
 public:
  // `decoder`: None for what only Python can decode. `standardizer`: None for inputs that the model reads as they are.
  PyEstimatorStream(py::object stream, py::object decoder_or_none, py::object standardizer_or_none)
      : stream_object_(std::move(stream)),
        decoder_object_(std::move(decoder_or_none)),
        standardizer_object_(std::move(standardizer_or_none)) {
    auto& model = py::cast<PyStream&>(stream_object_);
    if (decoder_object_.is_none() || !model.computes()) return;
    if (!standardizer_object_.is_none()) {
      standardizer_ = &py::cast<const PyStandardizer&>(standardizer_object_).standardizer();
      require(standardizer_->features() == model.input_shape()[model.axes() - 1], "the standardizer is of another model");
    }
    const auto& decoder = py::cast<const PyDecoder&>(decoder_object_);
    require(decoder.decoder().outputs == model.output_shape()[model.axes() - 1], "the decoder is of another model");
    stream_ = &model;
    decoder_ = &decoder.decoder();
    model.with_stream([&](auto& running, auto tag) {
      x_.emplace<std::vector<decltype(tag)>>(static_cast<std::size_t>(model.inputs()));
      list_.resize(static_cast<std::size_t>(model.inputs()));
      rows_ = running.rows();
    });
    if (!model.one()) shape_.push_back(rows_);
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
  // False if x is of another kind, or a number not finite in S.
  template <class S>
  bool read(PyObject* x, S* to) {
    const Index count = stream_->inputs();
    if (const auto* single = values_of<float>(x, stream_->axes(), stream_->input_shape(), false))
      return convert(single, to, count);
    if (const auto* wide = values_of<double>(x, stream_->axes(), stream_->input_shape(), false))
      return convert(wide, to, count);
    return stream_->one() && PyList_CheckExact(x) && read_list(x, to, count);
  }
  template <class From, class S>
  bool convert(const From* from, S* to, Index count) const {
    if (standardizer_) return (*standardizer_)(from, count, to) && all_finite(to, count);
    for (Index k = 0; k < count; k++) to[k] = S(from[k]);
    return all_finite(to, count);
  }
  // Null, without an error, if x is not of the common kinds.
  PyObject* predict(PyObject* x) {
    return stream_->with_stream([&](auto& stream, auto tag) -> PyObject* {
      using S = decltype(tag);
      S* input = std::get<std::vector<S>>(x_).data();
      const bool number = shape_.empty();
      double alone = 0;
      PyObject* y = number ? nullptr : new_array<double>(int(shape_.size()), shape_.data());
      if (!number && !y) return nullptr;
      double* to = number ? &alone : values_of_new<double>(y);
      const bool done = stream_->one_at_a_time([&] { return read(x, input); },
                                               [&] { decoder_->rows(stream.step(input), rows_, to); });
      if (!done) Py_XDECREF(y);
      if (!done || !number) return done ? y : nullptr;
      return new_number(alone);
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

inline void define_stream(py::module_& module) {
  prepare_views();
  py::class_<PyStream> stream(module, "Stream", py::module_local());
  stream.def(py::init<const py::object&, bool, Index>())
      .def("_feed",
           [](PyStream& stream, const py::handle& x, const py::handle& out) {
             require(stream.feed(x.ptr(), out.ptr()), "x and out must be what the stream takes as it stands");
           })
      .def("reset", &PyStream::reset);
  static PyMethodDef step = {"step", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&PyStream::step)),
                             METH_FASTCALL | METH_KEYWORDS, R"(step($self, /, x, out=None)
--

Feed one step and return the output of the sequences so far.

Parameters
----------
x : array (input_size,) or (n_sequences, input_size)
out : array (output_size,) or (n_sequences, output_size), optional
    Contiguous and of the model's dtype: written and returned. With x of this kind too, a step costs
    its arithmetic and little more.

Returns
-------
array like ``out``
    Bit for bit what `Sequential.predict` gives for the sequence so far, its last step where it gives
    all steps.)"};
  add_fast_method(stream, step);

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
    Bit for bit a row, or with ``n_sequences`` the rows, of what ``predict_proba`` (of a classifier) or
    ``predict`` (of a regressor) gives for the sequence so far.)"};
  add_fast_method(of_estimator, predict);
}

}  // namespace fusedlstm
