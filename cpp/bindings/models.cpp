// Whole models, decoders, standardizers and streams for Python, apart from the other functions: together they would need
// more memory to compile than a small machine has.
#include "standardize.hpp"
#include "stream.hpp"

namespace fusedlstm {

void define_models(py::module_& module) {
  define_whole_model(module);
  define_decoder(module);
  define_standardizer(module);
  define_stream(module);
}

}  // namespace fusedlstm
