// The classes of the compiled modules: programs, decoders, standardizers and streams. They are not in module.cpp,
// because the compiler would need too much memory for both on a small machine.
#include "bindings/estimator_program.hpp"
#include "bindings/estimator_stream.hpp"
#include "bindings/predictions.hpp"
#include "bindings/program.hpp"
#include "bindings/standardize.hpp"
#include "bindings/stream.hpp"

namespace fusedlstm {

void define_models(py::module_& module) {
  define_program(module);
  define_decoder(module);
  define_standardizer(module);
  define_stream(module);
  define_estimator_stream(module);
  define_estimator_program(module);
}

}  // namespace fusedlstm
