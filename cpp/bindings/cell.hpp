// Cells for Python.
#pragma once

#include "bindings/arrays.hpp"
#include "cells/list.hpp"

namespace fusedlstm {

// A dictionary with the family, the activations and the options that differ from the defaults of CellSpec.
FUSEDLSTM_COLD inline CellSpec spec_of(const py::dict& given) {
  CellSpec spec;
  spec.family = given["family"].cast<std::string>();
  const auto read = [&](const char* name, auto& to) {
    using T = std::decay_t<decltype(to)>;
    if (given.contains(name) && !given[name].is_none()) to = given[name].template cast<T>();
  };
  read("peepholes", spec.peepholes);
  read("coupled", spec.coupled);
  read("input_gate", spec.input_gate);
  read("forget_gate", spec.forget_gate);
  read("output_gate", spec.output_gate);
  read("full_gate_recurrence", spec.full_gate_recurrence);
  read("layer_norm", spec.layer_norm);
  read("cell_clip", spec.cell_clip);
  read("projection", spec.projection);
  read("projection_bias", spec.projection_bias);
  read("reset_after", spec.reset_after);
  if (given.contains("activations")) {
    // One activation is that of the candidate. Otherwise they are those of the gates, the candidate and the output.
    const auto activations = given["activations"].cast<py::tuple>();
    Activation* const all[] = {&spec.gate, &spec.candidate, &spec.output};
    require(activations.size() >= 1 && activations.size() <= 3, "wrong number of activations");
    const std::size_t first = activations.size() == 1 ? 1 : 0;
    for (std::size_t k = 0; k < activations.size(); k++) *all[first + k] = activation_of(activations[k]);
  }
  require(spec.cell_clip > 0, "cell_clip must be positive");
  require(spec.projection >= 0, "projection must be at least 0");
  require(spec.projection > 0 || !spec.projection_bias, "a projection bias needs a projection");
  require(!spec.coupled || spec.forget_gate, "a coupled input gate needs the forget gate");
  require(!spec.full_gate_recurrence || (spec.has_input_gate() && spec.forget_gate && spec.output_gate),
          "full gate recurrence needs all three gates");
  return spec;
}

// The cell of a specification in both precisions.
class PyCell {
 public:
  explicit PyCell(const py::dict& spec) : PyCell(spec_of(spec)) {}

  template <class S>
  const Cell<S>& get() const {
    if constexpr (sizeof(S) == sizeof(float)) return of_float_;
    else return of_double_;
  }
  const char* name() const { return of_float_.name; }

 private:
  explicit PyCell(const CellSpec& spec) : of_float_(make_cell<float>(spec)), of_double_(make_cell<double>(spec)) {}

  Cell<float> of_float_;
  Cell<double> of_double_;
};

inline void define_cell(py::module_& module) {
  py::class_<PyCell>(module, "Cell", py::module_local())
      .def(py::init<const py::dict&>())
      .def_property_readonly("name", &PyCell::name);
  module.def("cells", &cell_names<float>);
}

}  // namespace fusedlstm
