// Releasing the GIL, and calling Python, also in a daemon thread while the interpreter shuts down.
//
// Up to version 3.13, Python ends such a thread by pthread_exit when it asks for the GIL. glibc then unwinds its stack:
// destructors would run without the GIL, and the first noexcept function would abort the process. The thread sleeps
// instead until the process ends, as it does in Python 3.14.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

namespace fusedlstm {

// Calls `work`, which only calls Python's C API: the one thing that it throws is the end of the thread.
template <class Work>
auto outlive_python(Work&& work) noexcept -> decltype(work()) {
  try {
    return work();
  } catch (...) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

// Releases the GIL for the life of the object.
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
