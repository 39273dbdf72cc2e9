// Whole models, decoders, standardizers and streams for Python, apart from the other functions: together they would
// need more memory to compile than a small machine has.
#include "bindings/standardize.hpp"
#include "bindings/stream.hpp"

namespace fusedlstm {

void define_models(py::module_& module) {
  define_program(module);
  define_decoder(module);
  define_standardizer(module);
  define_stream(module);
}

}  // namespace fusedlstm
