// Streams as Python sees them: of models, and of estimators, which decode what the model says. A step takes arrays of
// the common kinds as they are; everything else, errors too, is for the method `_step` of the Python class derived from
// these.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "bindings/numpy_views.hpp"
#include "bindings/predictions.hpp"
#include "bindings/program.hpp"
#include "bindings/standardize.hpp"
#include "ops/all_finite.hpp"
#include "ops/stream.hpp"

namespace fusedlstm {

// An object in an error.
inline std::string described(const py::handle& object) {
  if (!py::isinstance<py::array>(object)) return std::string("an object of type ") + Py_TYPE(object.ptr())->tp_name;
  const auto array = py::reinterpret_borrow<py::array>(object);
  return "an array of " + std::string(py::str(array.dtype())) + " of shape " +
         std::string(py::str(object.attr("shape")));
}

// Of a list as PyStream::state returns it. Throws std::invalid_argument for anything else.
template <class S>
StreamState<S> state_of(const py::object& given, const std::vector<std::vector<Index>>& columns, Index rows) {
  const auto is_sequence = [](const py::handle& object) {
    return py::isinstance<py::list>(object) || py::isinstance<py::tuple>(object);
  };
  const auto needed = [](const std::string& name, const std::string& what, const py::handle& got) {
    return std::invalid_argument(name + " must be " + what + "; got " + described(got));
  };
  if (!is_sequence(given)) throw needed("state", "a list", given);
  const auto list = py::reinterpret_borrow<py::sequence>(given);
  if (list.size() != columns.size())
    throw std::invalid_argument("state must have " + std::to_string(columns.size()) + " entries; got " +
                                std::to_string(list.size()));
  StreamState<S> state(columns.size());
  for (std::size_t k = 0; k < columns.size(); k++) {
    const std::string name = "state[" + std::to_string(k) + "]";
    const py::object entry = list[k];
    const std::size_t count = columns[k].size();
    if (count == 0 && !entry.is_none()) throw needed(name, "None", entry);
    if (count == 0) continue;
    if (!is_sequence(entry) || py::len(entry) != count)
      throw needed(name, "a tuple of " + std::to_string(count) + (count == 1 ? " array" : " arrays"), entry);
    for (std::size_t j = 0; j < count; j++) {
      const py::object item = py::reinterpret_borrow<py::sequence>(entry)[j];
      const Index width = columns[k][j];
      const auto fits = [&] {
        if (!py::isinstance<py::array_t<S>>(item)) return false;
        const auto array = py::reinterpret_borrow<py::array>(item);
        return array.ndim() == 3 && array.shape(0) == 1 && array.shape(1) == rows && array.shape(2) == width;
      };
      if (!fits())
        throw needed(name + "[" + std::to_string(j) + "]",
                     std::string("an array of ") + (sizeof(S) == 4 ? "float32" : "float64") + " of shape (1, " +
                         std::to_string(rows) + ", " + std::to_string(width) + ")",
                     item);
      const py::array_t<S, py::array::c_style | py::array::forcecast> array(item);
      StateArray<S> read{width, std::vector<S>(std::size_t(rows * width))};
      std::memcpy(read.values.data(), array.data(), read.values.size() * sizeof(S));
      state[k].push_back(std::move(read));
    }
  }
  return state;
}

// Calls the method `_step` with the arguments that `step` was called with.
inline PyObject* step_in_python(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static PyObject* const name = PyUnicode_InternFromString("_step");
  const Py_ssize_t all = count + (names ? PyTuple_GET_SIZE(names) : 0);
  std::vector<PyObject*> with_self(1, self);
  with_self.insert(with_self.end(), args, args + all);
  return outlive_python(
      [&] { return PyObject_VectorcallMethod(name, with_self.data(), static_cast<std::size_t>(count + 1), names); });
}

class PyStream {
 public:
  template <class Work>
  auto with_stream(Work&& work) {
    if (auto* stream = std::get_if<Stream<float>>(&stream_)) return work(*stream, float());
    return work(std::get<Stream<double>>(stream_), double());
  }

  // `model`: packed, or None for what only Python can compute. `one`: a single sequence, whose arrays have no axis of
  // rows.
  PyStream(const py::object& model, bool one, Index rows) : one_(one) {
    require(rows > 0, "rows must be positive");
    if (model.is_none()) return;
    py::cast<const PyProgram&>(model).with_model([&](const auto& packed, auto tag) {
      require(packed.packed(), "a stream needs packed weights");
      require(packed.causal(), "a stream needs layers that read forward");
      require_room<decltype(tag)>(rows, 1, packed.features(), packed.widest());
      stream_.emplace<Stream<decltype(tag)>>(packed, rows);
    });
    forks_ = forks();
    read_sizes();
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
      while_no_step([&] {
        stream.reset();
        interrupted_ = false;
      });
    });
  }

  // A list with an entry for each op of the model: a tuple of arrays (1, rows, columns), or None.
  py::list state() {
    refuse_without_ops();
    return with_stream([&](auto& stream, auto tag) {
      using S = decltype(tag);
      StreamState<S> state;
      while_no_step([&] { state = stream.state(); });
      py::list list;
      for (const auto& arrays : state) {
        py::object entry = py::none();
        if (!arrays.empty()) {
          py::tuple tuple(arrays.size());
          for (std::size_t k = 0; k < arrays.size(); k++) {
            const std::vector<S>& values = arrays[k].values;
            auto array = empty<S>({1, Index(values.size()) / arrays[k].columns, arrays[k].columns});
            std::copy(values.begin(), values.end(), array.mutable_data());
            tuple[k] = std::move(array);
          }
          entry = std::move(tuple);
        }
        list.append(std::move(entry));
      }
      return list;
    });
  }
  void set_state(const py::object& given) {
    refuse_without_ops();
    with_stream([&](auto& stream, auto tag) {
      const auto state = state_of<decltype(tag)>(given, stream.state_columns(), stream.rows());
      while_no_step([&] { stream.set_state(state); });
    });
  }
  void select(const py::object& given) {
    refuse_without_ops();
    using Rows = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;
    const bool fits = py::isinstance<py::array_t<std::int64_t>>(given) && py::cast<py::array>(given).ndim() == 1;
    if (!fits || py::len(given) == 0)
      throw std::invalid_argument("rows must be an array of int64 of one axis, not empty; got " + described(given));
    const Rows array(given);
    const std::vector<Index> rows(array.data(), array.data() + array.size());
    require(!one_ || rows.size() == 1, "rows must have one entry for a stream whose arrays have no axis of sequences");
    with_stream([&](auto& stream, auto tag) {
      while_no_step([&] {
        require_room<decltype(tag)>(Index(rows.size()), 1, stream.features(), stream.widest());
        stream.select(rows);
        read_sizes();
      });
    });
  }

  // Calls `work`, which must not call Python, under the GIL.
  template <class Work>
  void while_no_step(Work&& work) {
    const std::lock_guard<std::mutex> one_at_a_time(mutex_);
    work();
  }

 private:
  void refuse_without_ops() {
    require(computes(), "the model has layers that the core does not know");
    refuse_interrupted();
  }
  void read_sizes() {
    with_stream([&](auto& stream, auto) {
      releases_ = stream.work() >= min_work_without_gil;
      inputs_[0] = outputs_[0] = stream.rows();
      inputs_[1] = stream.features();
      outputs_[1] = stream.outputs();
    });
  }

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

  // In the child of a fork: if a thread of the parent was in a step, its mutex will never be unlocked, and the states
  // are those of no step. Under the GIL.
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
      require(standardizer_->features() == model.input_shape()[model.axes() - 1],
              "the standardizer is of another model");
    }
    const auto& decoder = py::cast<const PyDecoder&>(decoder_object_);
    require(decoder.decoder().outputs == model.output_shape()[model.axes() - 1], "the decoder is of another model");
    stream_ = &model;
    decoder_ = &decoder.decoder();
    model.with_stream([&](auto&, auto tag) { x_.emplace<std::vector<decltype(tag)>>(); });
    if (!model.one()) shape_.push_back(0);
    model.with_stream([&](auto& running, auto tag) { follow<decltype(tag)>(running.rows()); });
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
  // Makes room for so many sequences.
  template <class S>
  void follow(Index rows) {
    list_.resize(static_cast<std::size_t>(stream_->inputs()));
    std::get<std::vector<S>>(x_).resize(static_cast<std::size_t>(stream_->inputs()));
    if (!stream_->one()) shape_[0] = rows;
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
      // After a select.
      if (stream.rows() != rows_) stream_->while_no_step([&] { follow<S>(stream.rows()); });
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
           [](PyStream& self, const py::handle& x, const py::handle& out) {
             require(self.feed(x.ptr(), out.ptr()), "x and out must be what the stream takes as it stands");
           })
      .def("reset", &PyStream::reset)
      .def("state", &PyStream::state)
      .def("set_state", &PyStream::set_state)
      .def("select", &PyStream::select);
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
