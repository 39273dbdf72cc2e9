// The gradients of the weights. For a matrix W with z = W s, dW = sum of dz s^T over all rows and steps: the rows of dz
// are called gradients, the rows of s sources. For a vector, the gradient is the sum over the rows of the batch.
//
// Lines are summed in blocks, from the first step to the last, in an order that depends only on the lengths. Threads
// divide the elements of the gradients into parts, which are some rows and columns of one matrix.
#pragma once

#include "staged/backward.hpp"

namespace fusedlstm::staged {

inline constexpr Index lines_of_a_sum = 128, rows_of_a_part = 48;

// One matrix: rows of gradients by rows of sources.
template <class S>
struct Term {
  Matrix matrix;
  Rows<S> gradients;
  int gradient_blocks[4] = {0, 1, 2, 3};  // block of the matrix's rows -> block of the gradients
  Rows<S> sources;                        // none: x
  int source_blocks[3] = {0, 1, 2};
  bool from_before = false;  // the sources are of the previous step
  bool dropped = false;      // the sources are multiplied by the mask of h'
};

template <class S>
std::vector<Term<S>> terms_of(const BackwardCall<S>& call) {
  const Spec& spec = call.run->spec;
  const Fields<S>& fields = *call.saved;
  const Matrix* matrices = call.weights->layout().matrices;
  std::vector<Term<S>> terms;
  const auto add = [&](MatrixName name, Rows<S> gradients, Rows<S> sources) -> Term<S>& {
    terms.push_back({matrices[name], gradients, {0, 1, 2, 3}, sources});
    return terms.back();
  };
  const auto add_before = [&](MatrixName name, Rows<S> gradients) -> Term<S>& {
    Term<S>& term = add(name, gradients, fields.hidden);
    term.from_before = true;
    term.dropped = bool(call.dropout);
    return term;
  };
  add(input_matrix, spec.layer_norm ? fields.norm_input : fields.gates, {});
  add_before(hidden_matrix, spec.layer_norm ? fields.norm_hidden : fields.gates);
  if (spec.family == Family::gru) {
    if (spec.reset_after) add_before(candidate_matrix, fields.candidate);
    else add(candidate_matrix, fields.gates, fields.candidate).gradient_blocks[0] = 2;
  }
  if (spec.full_gate_recurrence) {
    Term<S>& term = add(gates_matrix, fields.gates, fields.kept_gates);
    term.gradient_blocks[2] = term.source_blocks[2] = 3;  // block 3 is o; block 2 is g
    term.from_before = true;
  }
  if (spec.projection > 0) add(projection_matrix, fields.dprojected, fields.output);
  return terms;
}

// A row at a step, in the order of the sums.
struct SumLine {
  Index line, before;  // of this step and of the previous step
  Index row, step;     // sorted
};

// Fills `lines` with the lines of a block and calls use(), for all blocks: step by step, and in each step row by row.
template <class Use>
void for_sum_blocks(const RowPlan& plan, std::vector<SumLine>& lines, Use&& use) {
  lines.clear();
  for (Index t = 0; t < plan.longest(); t++)
    for (const RowShard& share : plan.shards)
      for (Index r = 0; r < share.active(t); r++) {
        lines.push_back({share.saved_row(t) + r, share.saved_row(t - 1) + r, share.first_row + r, t});
        if (Index(lines.size()) < lines_of_a_sum) continue;
        use();
        lines.clear();
      }
  if (!lines.empty()) use();
}

// Some rows and columns of one matrix, within one block of rows and one block of columns.
struct Part {
  std::size_t term;
  int row_block, column_block;
  Index row, rows, column, columns;
};

template <class S>
std::vector<Part> parts_of(const std::vector<Term<S>>& terms) {
  constexpr Index columns_of_a_part = max_packets * pack_size<S>;
  std::vector<Part> parts;
  for (std::size_t term = 0; term < terms.size(); term++) {
    const Matrix& matrix = terms[term].matrix;
    for (int c = 0; c < matrix.column_blocks; c++)
      for (Index column = 0; column < matrix.columns; column += columns_of_a_part)
        for (int r = 0; r < matrix.row_blocks; r++)
          for (Index row = 0; row < matrix.rows; row += rows_of_a_part)
            parts.push_back({term, r, c, row, std::min(rows_of_a_part, matrix.rows - row), column,
                             std::min(columns_of_a_part, matrix.columns - column)});
  }
  return parts;
}

// The parts of one thread, for one direction.
template <class S>
class WeightGradients {
 public:
  FUSEDLSTM_COLD WeightGradients(const BackwardCall<S>& call, Index member, Index members)
      : call_(call),
        terms_(terms_of(call)),
        parts_(parts_of(terms_)),
        units_(whole_packets<S>(call.run->shape.hidden)),
        panel_block_(std::size_t(lines_of_a_sum * max_packets * pack_size<S>) * sizeof(S)),
        panel_(static_cast<S*>(panel_block_.memory())) {
    // Each thread has consecutive parts with about the same number of products.
    Index all = 0, before = 0;
    for (const Part& part : parts_) all += cost(part);
    for (; first_ < parts_.size() && before * members < all * member; first_++) before += cost(parts_[first_]);
    for (last_ = first_; last_ < parts_.size() && before * members < all * (member + 1); last_++)
      before += cost(parts_[last_]);
    lines_.reserve(lines_of_a_sum);
    operands_.reserve(lines_of_a_sum);
  }

  void run() {
    for_sum_blocks(*call_.plan, lines_, [&] {
      const Part* gathered = nullptr;
      for (std::size_t p = first_; p < last_; p++) {
        const Part& part = parts_[p];
        const Term<S>& term = terms_[part.term];
        if (!gathered || gathered->term != part.term || gathered->column_block != part.column_block ||
            gathered->column != part.column)
          gather(term, part);
        gathered = &part;
        add(term, part);
      }
    });
  }

 private:
  static Index packets(const Part& part) { return whole_packets<S>(part.columns) / pack_size<S>; }
  static Index cost(const Part& part) { return part.rows * packets(part); }

  // Packs the columns of the sources that belong to the part as a panel.
  void gather(const Term<S>& term, const Part& part) {
    const Index width = packets(part) * pack_size<S>;
    const Index block = term.source_blocks[part.column_block] * units_ + part.column;
    S* to = panel_;
    for (const SumLine& line : lines_) {
      const S* from = nullptr;
      if (term.sources) from = term.sources.at(term.from_before ? line.before : line.line) + block;
      else from = call_.x.at(call_.row_of(line.row), call_.time(line.step, line.row)) + part.column;
      const S* mask = term.dropped ? call_.dropout.at(line.row) + part.column : nullptr;
      for (Index j = 0; j < width; j += pack_size<S>, to += pack_size<S>) {
        const Pack<S> value = load_first(from + j, part.columns - j);
        store(to, mask ? value * load(mask + j) : value);
      }
    }
  }

  void add(const Term<S>& term, const Part& part) {
    const Index depth = Index(lines_.size()), block = term.gradient_blocks[part.row_block] * units_;
    operands_.clear();
    for (Index k = 0; k < depth; k++) {
      const Index line = lines_[std::size_t(k)].line;
      if (k > 0 && line == lines_[std::size_t(k - 1)].line + 1) operands_.back().k_count++;
      else operands_.push_back({term.gradients.at(line) + block, term.gradients.stride, k, 1});
    }
    const int count = int(packets(part));
    const PanelSlice<S> panel{panel_, count * Index(pack_size<S>), count};
    const Index all_columns = term.matrix.column_blocks * term.matrix.columns;
    S* first = call_.gradients + term.matrix.offset + (part.row_block * term.matrix.rows + part.row) * all_columns +
               part.column_block * term.matrix.columns + part.column;
    multiply_transposed(panel, operands_.data(), int(operands_.size()), part.row, part.rows, [&](const Tile<S>& tile) {
      for (int r = 0; r < tile.rows; r++) {
        S* to = first + (tile.first_row + r) * all_columns;
        for (Index j = 0; j < part.columns; j += pack_size<S>) {
          const Index n = part.columns - j;
          store_first(to + j, load_first(to + j, n) + load(tile.values + r * tile.width + j), n);
        }
      }
    });
  }

  const BackwardCall<S>& call_;
  std::vector<Term<S>> terms_;
  std::vector<Part> parts_;
  std::size_t first_ = 0, last_ = 0;
  Index units_;
  MemoryBlock panel_block_;
  S* panel_;  // [line][columns of a part]
  std::vector<SumLine> lines_;
  std::vector<OperandA<S>> operands_;
};

template <class S>
FUSEDLSTM_COLD void add_vector_gradients(const BackwardCall<S>& call) {
  for (const Vector& vector : call.weights->layout().vectors)
    for (int b = 0; b < vector.blocks; b++) {
      const Index from = vector.packed + b * whole_packets<S>(vector.units);
      S* to = call.gradients + vector.offset + b * vector.units;
      for (Index j = 0; j < vector.units; j += pack_size<S>) {
        Pack<S> total = zero<S>();
        for (Index row = 0; row < call.run->shape.batch; row++) total = total + load(call.sums.at(row) + from + j);
        store_first(to + j, load_first(to + j, vector.units - j) + total, vector.units - j);
      }
    }
}

}  // namespace fusedlstm::staged
