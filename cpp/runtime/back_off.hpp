// The back-off: calls run on one thread while another program uses the processors.
//
// A call is slow if it loses more than 1.5 times the time that it works, because its threads wait for a processor and
// for each other. After a second slow call, calls run on one thread for as long as the disturbance has lasted, which is
// the time since the first slow call began, but for at most 20 times what the second call lost. The next call tries the
// team again: a slow call starts another back-off, and the disturbance is over when teams have worked for as long as
// the last slow call lost.
//
// The back-off therefore outlasts the disturbance by at most the length of the disturbance, and trials lose at most a
// twentieth of the time.
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

// The members are atomic because calls of several threads may end at the same time.
class BackOff {
 public:
  using Time = Clock::time_point;

  // Of the process.
  static BackOff& instance() {
    static BackOff back_off;
    return back_off;
  }
  static bool active() { return !force_threads() && instance().active_at(Clock::now()); }

  bool active_at(Time now) const { return now.time_since_epoch().count() < until_.load(std::memory_order_relaxed); }

  // A call of a team. Begins a back-off at the end of the call if it is the second slow call of a disturbance.
  void record(const CallTiming::Times& times) {
    const Clock::rep begin = times.begin.time_since_epoch().count(), end = begin + (times.worked + times.lost).count();
    const Clock::rep not_regained = not_regained_.load(std::memory_order_relaxed);
    if (!times.lost_too_much()) {
      if (not_regained > 0) not_regained_ = not_regained - times.worked.count();
      return;
    }
    const bool is_first = not_regained <= 0 || begin - last_slow_ > memory.count();
    // A much longer loss has another cause: the whole process was stopped.
    const Clock::rep lost = std::min(times.lost, max_loss).count();
    if (is_first) since_ = begin;
    else until_ = end + std::min(end - since_, max_multiple * lost);
    last_slow_ = end;
    not_regained_ = lost;
  }

 private:
  static constexpr int max_multiple = 20;
  static constexpr Clock::duration max_loss = std::chrono::milliseconds(50), memory = std::chrono::seconds(10);
  // The end of the back-off; the beginning of the first slow call; the end of the last slow call.
  std::atomic<Clock::rep> until_{0}, since_{0}, last_slow_{0};
  // The loss of the last slow call, minus the work of teams since then. Not positive: there is no disturbance. A single
  // loss may be the time to wake a thread.
  std::atomic<Clock::rep> not_regained_{0};
};

}  // namespace fusedlstm
