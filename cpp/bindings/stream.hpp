// Streams as Python sees them.
#pragma once

#include <mutex>
#include <variant>

#include "../cells.hpp"
#include "../stream.hpp"
#include "arrays.hpp"

namespace fusedlstm {

class PyStream {
  template <class Work>
  auto with_stream(Work&& work) {
    if (auto* stream = std::get_if<Stream<float>>(&stream_)) return work(*stream, float());
    return work(std::get<Stream<double>>(stream_), double());
  }

 public:
  // `one`: a single sequence, whose arrays have no axis of rows.
  PyStream(const std::string& dtype, bool one, Index rows, Index features) : one_(one) {
    require(rows > 0 && features > 0, "sizes must be positive");
    if (dtype == "float32") stream_.emplace<Stream<float>>(rows, features);
    else stream_.emplace<Stream<double>>(rows, features);
  }

  void add_recurrent(const std::string& cell, Index hidden, const py::object& regularisers, const py::array& parameters,
                     const py::object& initial_hidden, const py::object& initial_state) {
    with_stream([&](auto& stream, auto tag) {
      using S = decltype(tag);
      const Cell<S>* found = find_cell<S>(cell);
      require(found != nullptr, "unknown cell");
      const Sizes sizes{stream.outputs(), hidden, found->blocks};
      const S* weights = input_of<S>(parameters, weight_count(sizes));
      const States<const S> initial{input_of<S>(initial_hidden, hidden), input_of<S>(initial_state, hidden)};
      stream.add(std::make_unique<RecurrentStream<S>>(*found, stream.rows(), stream.outputs(), hidden,
                                                      regularisers_of(regularisers), weights, initial),
                 hidden);
      work_ += stream.rows() * weight_count(sizes);
    });
  }

  void add_dense(Index units, const py::handle& activation, const py::array& parameters) {
    with_stream([&](auto& stream, auto tag) {
      using S = decltype(tag);
      const DenseShape shape{stream.rows(), stream.outputs(), units, activation_of(activation)};
      const S* weights = input_of<S>(parameters, dense_weight_count(shape));
      stream.add(std::make_unique<DenseStream<S>>(shape, weights), units);
      work_ += stream.rows() * dense_weight_count(shape);
    });
  }

  // False if the arrays are not what the stream takes as it stands: contiguous, of its dtype and shapes.
  bool step(const py::handle& x, const py::handle& out) {
    return with_stream([&](auto& stream, auto tag) {
      using S = decltype(tag);
      using Array = py::array_t<S, py::array::c_style>;
      if (!py::isinstance<Array>(x) || !py::isinstance<Array>(out)) return false;
      const auto given = py::reinterpret_borrow<Array>(x);
      auto wanted = py::reinterpret_borrow<Array>(out);
      const auto fits = [&](const Array& array, Index columns) {
        if (one_) return array.ndim() == 1 && array.shape(0) == columns;
        return array.ndim() == 2 && array.shape(0) == stream.rows() && array.shape(1) == columns;
      };
      if (!fits(given, stream.features()) || !fits(wanted, stream.outputs()) || !wanted.writeable()) return false;
      if (work_ < work_worth_a_release) {
        stream.step(given.data(), wanted.mutable_data());
      } else {
        py::gil_scoped_release release;
        const std::lock_guard<std::mutex> one_at_a_time(mutex_);
        stream.step(given.data(), wanted.mutable_data());
      }
      return true;
    });
  }

  void reset() {
    with_stream([&](auto& stream, auto) { stream.reset(); });
  }

  Index outputs() {
    return with_stream([&](auto& stream, auto) { return stream.outputs(); });
  }

 private:
  static constexpr Index work_worth_a_release = Index(1) << 20;

  std::variant<std::monostate, Stream<float>, Stream<double>> stream_;
  bool one_;
  std::mutex mutex_;
  Index work_ = 0;  // multiply-adds of a step
};

inline void define_stream(py::module_& module) {
  py::class_<PyStream>(module, "Stream", py::module_local())
      .def(py::init<const std::string&, bool, Index, Index>())
      .def("add_recurrent", &PyStream::add_recurrent)
      .def("add_dense", &PyStream::add_dense)
      .def("step", &PyStream::step)
      .def_property_readonly("outputs", &PyStream::outputs)
      .def("reset", &PyStream::reset);
}

}  // namespace fusedlstm
