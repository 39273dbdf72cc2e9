// The back-off: calls run on one thread while teams of threads are slower.
//
// On a busy machine, the threads of a team may wait for a processor, and for each other, much longer than a small call
// takes. A call is too slow if it loses more than 1.5 times the time that it works (call_timing.hpp). After two such
// calls close together, calls run on one thread, for 20 times (lost - worked) of the second call. A trial with a team
// therefore costs only a small part of the time, under any load.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include "runtime/call_timing.hpp"

namespace fusedlstm {

// For tests: use all threads of a call, even for little work and on a busy machine.
inline std::atomic<bool>& force_threads() {
#if defined(FUSEDLSTM_FORCE_THREADS)
  static std::atomic<bool> force{true};
#else
  static std::atomic<bool> force{false};
#endif
  return force;
}

class BackOff {
 public:
  static bool active() {
    if (force_threads()) return false;
    return Clock::now().time_since_epoch().count() < until_.load(std::memory_order_relaxed);
  }
  static void record(CallTiming::Times times) {
    // A loss that is much longer than the call has another cause: the whole process was stopped.
    times.lost = std::min(times.lost, std::max(4 * times.worked, Clock::duration(std::chrono::milliseconds(50))));
    const Clock::duration pending(pending_loss_.load(std::memory_order_relaxed));
    if (!times.lost_too_much()) {
      if (pending.count() > 0) pending_loss_ = (pending - times.worked).count();
      return;
    }
    if (pending.count() > 0)
      until_ = (Clock::now() + multiple * (times.lost - times.worked)).time_since_epoch().count();
    pending_loss_ = times.lost.count();
  }

 private:
  static constexpr int multiple = 20;
  // until_: the end of the back-off. pending_loss_: the last loss, minus the work of teams since then. A single loss
  // may be the time to wake a thread. It is ignored if teams then work for as long without another loss.
  static inline std::atomic<Clock::rep> until_{0}, pending_loss_{0};
};

}  // namespace fusedlstm
