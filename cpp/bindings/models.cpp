// The classes of the compiled modules (programs, decoders, standardizers, streams), and the functions that take a batch
// of sequences and compute its loss. They are not in module.cpp, because the compiler would need too much memory for
// both on a small machine.
#include "bindings/estimator_program.hpp"
#include "bindings/estimator_stream.hpp"
#include "bindings/losses.hpp"
#include "bindings/predictions.hpp"
#include "bindings/program.hpp"
#include "bindings/standardize.hpp"
#include "bindings/stream.hpp"

namespace fusedlstm {

void define_models(py::module_& module) {
  define_program(module);
  define_decoder(module);
  define_standardizer(module);
  add_fast_function(module, "take_sequences", &take_sequences);
  add_fast_function(module, "log_loss", &log_loss_array);
  add_fast_function(module, "squared_error", &squared_error_array);
  define_stream(module);
  define_estimator_stream(module);
  define_estimator_program(module);
}

}  // namespace fusedlstm
