// An op is a layer at prediction. A program runs its ops one after the other over whole sequences; a stream runs them
// step by step. Each op has a file of its own, which defines both forms, with the same bits.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "recurrent/arrays.hpp"

namespace fusedlstm {

// The values between two ops of a call. An op reads them and replaces them with its own output.
template <class S>
struct Values {
  Index batch, steps;       // vectors are sequences of one step
  const Index* lengths;     // null: every sequence has all steps
  SequenceView<const S> x;  // null where the op before left its final states alone
  Index width;              // features of a step
  int threads;
  // Of a recurrent op right before, else as for an op that reads forward.
  int directions = 1;
  bool reverse = false;        // the only direction reads from the last step
  const S* final_h = nullptr;  // (directions, batch, hidden) where x is null

  Values(Index batch_, Index steps_, const Index* lengths_, SequenceView<const S> x_, Index width_, int threads_)
      : batch(batch_), steps(steps_), lengths(lengths_), x(x_), width(width_), threads(threads_) {}

  // An array for the output of the present op, which is in `y` for the last op of a program.
  S* output(Index numbers) {
    if (y) return y;
    std::swap(kept[0], kept[1]);
    kept[1] = MemoryBlock(std::size_t(numbers) * sizeof(S));
    return static_cast<S*>(kept[1].memory());
  }
  // The output of the present op is (batch, steps, columns).
  void become_steps(const S* values, Index columns) {
    x = contiguous_view(values, steps, columns);
    width = columns;
    directions = 1;
    reverse = false;
    final_h = nullptr;
  }
  // It is (batch, columns).
  void become_vectors(const S* values, Index columns) {
    steps = 1;
    lengths = nullptr;
    become_steps(values, columns);
  }
  Index length(Index row) const { return lengths ? lengths[row] : steps; }

  S* y = nullptr;            // null while other ops follow
  MemoryBlock kept[2] = {};  // the outputs of the op before and of the present one
};

// An op on one step of some sequences, with a state of its own.
template <class S>
class OpStream {
 public:
  virtual ~OpStream() = default;
  // x: (rows, features). Returns the output, (rows, outputs), which stays until the next call.
  virtual const S* step(const S* x) = 0;
  // Begins new sequences.
  virtual void reset() {}

  // The state is some arrays (rows, columns). Returns the columns of each; none: the op has no state.
  virtual std::vector<Index> state_columns() const { return {}; }
  virtual void copy_state(S* const* /*arrays*/) const {}
  // Null, or why the arrays are no state of this op.
  virtual const char* state_error(const S* const* /*arrays*/) const { return nullptr; }
  virtual void set_state(const S* const* /*arrays*/) {}
};

// The properties of an op that a program asks for.
struct OpTraits {
  Index features, outputs;    // of a step
  Index work = 0;             // of a step, in multiply-adds
  bool packed = true;         // false: the op reads parameters of the caller at every call
  bool causal = true;         // an output needs no later step
  bool takes_vectors = true;  // false: only sequences
  bool reduces = false;       // from sequences to vectors
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
  // For `rows` sequences; of an op that is packed and causal. It may keep a reference to this op.
  virtual std::unique_ptr<OpStream<S>> stream(Index rows) const = 0;

  const OpTraits traits;
};

template <class S>
using SharedOp = std::shared_ptr<const Op<S>>;

}  // namespace fusedlstm
