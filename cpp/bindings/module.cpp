// The functions and classes of the compiled modules. The files in bindings/ are the only ones that depend on Python:
// dtypes, shapes, None and the GIL.
//
// The Python layer has validated the user's arguments and reports errors in its own words. A failed check here is a
// defect of the Python layer.
#include "bindings/dense.hpp"
#include "bindings/functions.hpp"
#include "bindings/optimizers.hpp"
#include "bindings/recurrent.hpp"
#include "recurrent/tile_rates.hpp"
#include "runtime/build_info.hpp"
#include "runtime/cpu.hpp"
#include "runtime/peak.hpp"

namespace fusedlstm {

void define_models(py::module_& module);  // in bindings/models.cpp

namespace {

double peak(const std::string& dtype, double seconds, int threads) {
  const ReleaseGil release;
  return dtype == "float32" ? multiply_add_peak<float>(seconds, threads) : multiply_add_peak<double>(seconds, threads);
}

double overlap(double seconds) {
  const ReleaseGil release;
  return multiply_add_overlap<float>(seconds);
}

// (product, forward, saving, backward)
py::tuple rates_of_tiles(const std::string& dtype, double seconds, int threads) {
  TileRates rates;
  {
    const ReleaseGil release;
    rates = dtype == "float32" ? tile_rates<float>(seconds, threads) : tile_rates<double>(seconds, threads);
  }
  return py::make_tuple(rates.product, rates.forward, rates.saving, rates.backward);
}

void define_back_off(py::module_& module) {
  const auto time = [](double seconds) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  };
  py::class_<BackOff>(module, "BackOff", py::module_local())
      .def(py::init<>())
      .def("active_at", [time](const BackOff& self, double now) { return self.active_at(BackOff::Time(time(now))); })
      .def("record", [time](BackOff& self, double begin, double worked, double lost) {
        self.record({BackOff::Time(time(begin)), time(worked), time(lost)});
      });
}

void define_module(py::module_& module) {
  module.attr("variant") = build_info().variant;
  module.attr("simd") = build_info().simd;
  module.attr("compiler") = FUSEDLSTM_COMPILER;
  module.attr("eigen") = build_info().eigen;
#if defined(_OPENMP)
  module.attr("openmp") = true;
#else
  module.attr("openmp") = false;
#endif
  watch_forks();
  module.def("runnable_variants", &runnable_variants);
  module.def("default_threads", &default_threads);
  module.def("set_force_threads", [](bool force) { return force_threads().exchange(force); });
  define_back_off(module);
  define_models(module);
  module.def("recurrent_forward", &recurrent_forward);
  module.def("recurrent_backward", &recurrent_backward);
  module.def("dense_forward", &dense_forward_array);
  module.def("dense_backward", &dense_backward_array);
  module.def("clip_norm", &clip_norm_array);
  module.def("sgd_step", &sgd_step_array);
  module.def("rmsprop_step", &rmsprop_step_array);
  module.def("adagrad_step", &adagrad_step_array);
  module.def("adam_step", &adam_step_array);
  module.def("amsgrad_step", &amsgrad_step_array);
  module.def("nadam_step", &nadam_step_array);
  module.def("lion_step", &lion_step_array);
  module.def("activate", &activated);
  module.def("activation_gradient", &gradient_of_activation);
  module.def("all_finite", &all_finite_array);
  module.def("multiply_add_peak", &peak);
  module.def("multiply_add_overlap", &overlap);
  module.def("tile_rates", &rates_of_tiles);
}

}  // namespace

// All modules are compiled from this file. Python calls only the function that has the name of the module.
PYBIND11_MODULE(baseline, module) { define_module(module); }
PYBIND11_MODULE(x86_64_v3, module) { define_module(module); }
PYBIND11_MODULE(x86_64_v4, module) { define_module(module); }

}  // namespace fusedlstm
