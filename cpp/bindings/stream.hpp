// Streams of models for Python: one step at a time. `step` takes contiguous arrays of the usual dtypes directly. All
// other arguments, and errors, are handled by the method `_step` of the Python subclass.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "bindings/numpy_views.hpp"
#include "bindings/program.hpp"
#include "bindings/stream_arguments.hpp"
#include "ops/stream.hpp"

namespace fusedlstm {

class PyStream {
 public:
  template <class Work>
  auto with_stream(Work&& work) {
    if (auto* stream = std::get_if<Stream<float>>(&stream_)) return work(*stream, float());
    return work(std::get<Stream<double>>(stream_), double());
  }

  // model: a packed program, or None if the model has layers that only Python can compute. one: a single sequence; the
  // arrays then have no axis of rows.
  PyStream(const py::object& model, bool one, Index rows) : one_(one) {
    require(rows > 0, "rows must be positive");
    if (model.is_none()) return;
    py::cast<const PyProgram&>(model).with_program([&](const auto& packed, auto tag) {
      require(packed.packed(), "a stream needs packed weights");
      require(packed.causal(), "a stream needs layers that read forward");
      require_room<decltype(tag)>(rows, 1, packed.features(), packed.widest());
      stream_.emplace<Stream<decltype(tag)>>(packed, rows);
    });
    forks_ = forks();
    read_sizes();
  }

  bool computes() const { return stream_.index() > 0; }
  int axes() const { return one_ ? 1 : 2; }
  const Py_ssize_t* input_shape() const { return inputs_ + one_; }
  const Py_ssize_t* output_shape() const { return outputs_ + one_; }
  Index inputs() const { return inputs_[0] * inputs_[1]; }

  // Calls `read` with the GIL, then `work`, without the GIL if the work is large. Only one thread does this at a time.
  // Returns false, without calling `work`, if `read` returns false.
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
    // `held` is destroyed before `release`: the mutex is unlocked before the GIL is taken again, also after an
    // exception. The holder of the GIL may wait for the mutex.
    const std::unique_lock<std::mutex> held = std::move(lock);
    work();
    return true;
  }

  // Returns false, and does nothing, if the arrays have another dtype, shape or layout than the stream.
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

  // A list with one entry per op: a tuple of arrays (1, rows, columns), or None.
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

  // Calls `work` with the GIL while no thread is in a step. `work` must not call Python.
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

  // Null, without an error, if x has another dtype, shape or layout than the stream.
  PyObject* step_into_new(PyObject* x) {
    return with_stream([&](auto& stream, auto tag) -> PyObject* {
      using S = decltype(tag);
      const S* from = values_of<S>(x, axes(), input_shape(), false);
      PyObject* y = from ? new_array<S>(axes(), output_shape()) : nullptr;
      if (y) one_at_a_time([] { return true; }, [&] { stream.step(from, values_of_new<S>(y)); });
      return y;
    });
  }

  // In the child of a fork. If a thread of the parent was in a step, its mutex stays locked and the states are
  // incomplete. Called with the GIL.
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

inline void define_stream(py::module_& module) {
  prepare_views();
  py::class_<PyStream> stream(module, "Stream", py::module_local());
  stream.def(py::init<const py::object&, bool, Index>())
      .def("_feed",
           [](PyStream& self, const py::handle& x, const py::handle& out) {
             require(self.feed(x.ptr(), out.ptr()),
                     "x and out must be contiguous arrays of the stream's dtype and shape");
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
    Contiguous and of the model's dtype. It is written and returned. A step is fastest if ``x`` is
    contiguous and of this dtype, too.

Returns
-------
array like ``out``
    The same bits as `Sequential.predict` for the sequence so far: the last step if ``predict`` returns
    all steps.)"};
  add_fast_method(stream, step);
}

}  // namespace fusedlstm
