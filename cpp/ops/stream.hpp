// A stream runs a program one step at a time. It shares the packed weights of the program and keeps the state of its
// sequences. The outputs have the same bits as those of a call over whole sequences.
#pragma once

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "ops/program.hpp"
#include "runtime/memory.hpp"

namespace fusedlstm {

// One array (rows, columns) of a state.
template <class S>
struct StateArray {
  Index columns;
  std::vector<S> values;
};
// The arrays of each op; empty for an op without state.
template <class S>
using StreamState = std::vector<std::vector<StateArray<S>>>;

template <class S>
class Stream {
 public:
  // The program must be packed and causal.
  Stream(const Program<S>& program, Index rows)
      : ops_(program.ops()),
        rows_(rows),
        features_(program.features()),
        outputs_(program.outputs()),
        widest_(program.widest()),
        work_per_row_(program.work()),
        op_streams_(start(rows)) {}
  Index rows() const { return rows_; }
  Index features() const { return features_; }
  Index outputs() const { return outputs_; }
  Index widest() const { return widest_; }                              // the largest number of outputs of an op
  Index work() const { return checked_product(rows_, work_per_row_); }  // per step, in multiply-adds

  // Returns the output, (rows, outputs), which is valid until the next step.
  const S* step(const S* x) {
    const FlushSubnormals flush;
    for (const auto& op : op_streams_) x = op->step(x);
    return x;
  }
  // y may overlap x.
  void step(const S* x, S* y) { std::memmove(y, step(x), static_cast<std::size_t>(rows_ * outputs_) * sizeof(S)); }
  void reset() {
    for (const auto& op : op_streams_) op->reset();
  }

  // The columns of each array of each op's state.
  std::vector<std::vector<Index>> state_columns() const {
    std::vector<std::vector<Index>> columns;
    columns.reserve(op_streams_.size());
    for (const auto& op : op_streams_) columns.push_back(op->state_columns());
    return columns;
  }

  StreamState<S> state() const {
    StreamState<S> state;
    for (const auto& op : op_streams_) {
      std::vector<StateArray<S>> arrays;
      std::vector<S*> to;
      for (Index columns : op->state_columns())
        arrays.push_back({columns, std::vector<S>(static_cast<std::size_t>(checked_product(rows_, columns)))});
      to.reserve(arrays.size());
      for (StateArray<S>& array : arrays) to.push_back(array.values.data());
      op->copy_state(to.data());
      state.push_back(std::move(arrays));
    }
    return state;
  }

  // Throws std::invalid_argument, and changes nothing, if the state does not fit these ops and the number of rows.
  void set_state(const StreamState<S>& state) {
    if (state.size() != op_streams_.size()) throw std::invalid_argument("state must have an entry for every op");
    std::vector<std::vector<const S*>> arrays(op_streams_.size());
    for (std::size_t k = 0; k < op_streams_.size(); k++) {
      std::vector<Index> columns;
      for (const StateArray<S>& array : state[k]) {
        if (Index(array.values.size()) != rows_ * array.columns)
          throw std::invalid_argument("state must have as many rows as the stream");
        columns.push_back(array.columns);
        arrays[k].push_back(array.values.data());
      }
      if (columns != op_streams_[k]->state_columns()) throw std::invalid_argument("state must be of these ops");
      if (const char* error = op_streams_[k]->state_error(arrays[k].data())) throw std::invalid_argument(error);
    }
    for (std::size_t k = 0; k < op_streams_.size(); k++) op_streams_[k]->set_state(arrays[k].data());
  }

  // Continues with the given sequences, each of which may be given several times. Throws std::invalid_argument, and
  // changes nothing, if a number is not one of a sequence.
  void select(const std::vector<Index>& rows) {
    for (Index row : rows)
      if (row < 0 || row >= rows_)
        throw std::invalid_argument("rows must be numbers of sequences from 0 to " + std::to_string(rows_ - 1) +
                                    "; got " + std::to_string(row));
    StreamState<S> state = this->state();
    for (auto& of_op : state) {
      for (StateArray<S>& array : of_op) {
        std::vector<S> selected;
        selected.reserve(static_cast<std::size_t>(checked_product(Index(rows.size()), array.columns)));
        for (Index row : rows) {
          const auto first = array.values.begin() + row * array.columns;
          selected.insert(selected.end(), first, first + array.columns);
        }
        array.values = std::move(selected);
      }
    }
    const Index count = Index(rows.size());
    if (count == rows_) return set_state(state);
    checked_product(count, work_per_row_);
    Stream selected(*this, count);
    selected.set_state(state);
    *this = std::move(selected);
  }

 private:
  Stream(const Stream& other, Index rows)
      : ops_(other.ops_),
        rows_(rows),
        features_(other.features_),
        outputs_(other.outputs_),
        widest_(other.widest_),
        work_per_row_(other.work_per_row_),
        op_streams_(start(rows)) {}

  std::vector<std::unique_ptr<OpStream<S>>> start(Index rows) const {
    std::vector<std::unique_ptr<OpStream<S>>> streams;
    streams.reserve(ops_.size());
    for (const SharedOp<S>& op : ops_) streams.push_back(op->stream(rows));
    return streams;
  }

  std::vector<SharedOp<S>> ops_;
  Index rows_, features_, outputs_, widest_, work_per_row_;
  std::vector<std::unique_ptr<OpStream<S>>> op_streams_;  // destroyed before the ops
};

}  // namespace fusedlstm
