// The classes of the compiled modules: programs, decoders, standardizers and streams. They are compiled apart from
// module.cpp, because both together would need too much memory on a small machine.
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
}

}  // namespace fusedlstm
