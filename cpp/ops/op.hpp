// An op is a layer at prediction. A program runs its ops one after the other over whole sequences. A stream runs them
// step by step. Both give the same bits. Each kind of op has its own file.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "recurrent/arrays.hpp"

namespace fusedlstm {

// The values between two ops of a call. An op reads them and replaces them by its output.
template <class S>
struct Values {
  Index batch, steps;       // a vector is a sequence of one step
  const Index* lengths;     // null: every sequence has all steps
  SequenceView<const S> x;  // null if the previous op gives only its final states
  Index width;              // features of a step
  int threads;
  // Set by a recurrent op for the op after it.
  int directions = 1;
  bool reverse = false;        // the only direction goes from the last step to the first
  const S* final_h = nullptr;  // (directions, batch, hidden), if x is null

  Values(Index batch_, Index steps_, const Index* lengths_, SequenceView<const S> x_, Index width_, int threads_)
      : batch(batch_), steps(steps_), lengths(lengths_), x(x_), width(width_), threads(threads_) {}

  // An array for the output of the current op. For the last op of a program, this is `y`.
  S* output(Index numbers) {
    if (y) return y;
    std::swap(kept[0], kept[1]);
    kept[1] = MemoryBlock(std::size_t(numbers) * sizeof(S));
    return static_cast<S*>(kept[1].memory());
  }
  // Sets the output of the current op: (batch, steps, columns).
  void become_steps(const S* values, Index columns) {
    x = contiguous_view(values, steps, columns);
    width = columns;
    directions = 1;
    reverse = false;
    final_h = nullptr;
  }
  // Sets the output of the current op: (batch, columns).
  void become_vectors(const S* values, Index columns) {
    steps = 1;
    lengths = nullptr;
    become_steps(values, columns);
  }
  Index length(Index row) const { return lengths ? lengths[row] : steps; }

  S* y = nullptr;            // null unless the current op is the last op
  MemoryBlock kept[2] = {};  // the outputs of the previous and of the current op
};

// An op that computes one step at a time and keeps the state of its sequences.
template <class S>
class OpStream {
 public:
  virtual ~OpStream() = default;
  // x: (rows, features). Returns the output, (rows, outputs), which is valid until the next call.
  virtual const S* step(const S* x) = 0;
  // Starts new sequences.
  virtual void reset() {}

  // The state consists of arrays (rows, columns). Returns the columns of each array; empty if there is no state.
  virtual std::vector<Index> state_columns() const { return {}; }
  virtual void copy_state(S* const* /*arrays*/) const {}
  // The reason why the arrays are not a state of this op, or null.
  virtual const char* state_error(const S* const* /*arrays*/) const { return nullptr; }
  virtual void set_state(const S* const* /*arrays*/) {}
};

// The properties of an op that a program checks.
struct OpTraits {
  Index features, outputs;    // numbers per step of the input and of the output
  Index work = 0;             // per step, in multiply-adds
  bool packed = true;         // false: the op reads the caller's parameters in every call
  bool causal = true;         // an output does not depend on later steps
  bool takes_vectors = true;  // false: only sequences
  bool reduces = false;       // turns sequences into vectors
  bool reads_steps = true;    // false: final states are enough
  bool gives_steps = true;    // false: only final states
};

template <class S>
class Op {
 public:
  explicit Op(const OpTraits& traits_) : traits(traits_) {}
  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  virtual void run(Values<S>& values) const = 0;
  // A stream of `rows` sequences. The op must be packed and causal. The result may keep a reference to the op.
  virtual std::unique_ptr<OpStream<S>> stream(Index rows) const = 0;

  const OpTraits traits;
};

template <class S>
using SharedOp = std::shared_ptr<const Op<S>>;

}  // namespace fusedlstm
