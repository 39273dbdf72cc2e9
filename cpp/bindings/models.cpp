// Whole models, decoders and streams for Python. They are compiled apart from the other functions, which keeps the
// compiler's memory small, and with more optimization: a call takes a few microseconds, a step less.
#include "stream.hpp"

namespace fusedlstm {

void define_models(py::module_& module) {
  define_whole_model(module);
  define_decoder(module);
  define_standardizer(module);
  define_stream(module);
}

}  // namespace fusedlstm
