// Release the GIL and call Python, safely in daemon threads while the interpreter shuts down.
//
// Up to version 3.13, Python ends a daemon thread by pthread_exit when the thread asks for the GIL during shutdown.
// glibc then unwinds the stack: destructors would run without the GIL, and the first noexcept function would abort the
// process. The thread therefore sleeps until the process ends, as it does in Python 3.14.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

namespace fusedlstm {

// Calls `work`, which may call only Python's C API: its only exception is the forced unwinding by pthread_exit.
template <class Work>
auto outlive_python(Work&& work) noexcept -> decltype(work()) {
  try {
    return work();
  } catch (...) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

// Releases the GIL until the destructor runs.
class ReleaseGil {
 public:
  ReleaseGil() : state_(PyEval_SaveThread()) {}
  ~ReleaseGil() {
    outlive_python([&] { PyEval_RestoreThread(state_); });
  }
  ReleaseGil(const ReleaseGil&) = delete;
  ReleaseGil& operator=(const ReleaseGil&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace fusedlstm
