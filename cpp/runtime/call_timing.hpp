// The time that a call loses: the calling thread waits for other threads, or the system runs another thread in its
// place.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>

namespace fusedlstm {

using Clock = std::chrono::steady_clock;

// Divides the time since its construction into the time that the calling thread worked and the time that it lost.
class CallTiming {
 public:
  struct Times {
    Clock::time_point begin;
    Clock::duration worked, lost;
    // More than 1.5 times the work. Rows are not divided among threads: even on an idle machine, another thread may
    // have twice the work of the caller.
    bool lost_too_much() const { return 2 * lost > 3 * worked; }
  };
  CallTiming() : start_(Clock::now()), processor_start_(processor_time()) {}
  // `waited`: the time that the caller waited for other threads, with or without spinning.
  Times elapsed(Clock::duration waited) const {
    const Clock::duration all = Clock::now() - start_, processor = processor_time() - processor_start_;
    Clock::duration worked = all - waited;
    if (processor.count() > 0) worked = std::min(worked, processor);  // zero: the processor clock is too coarse
    return {start_, worked, all - worked};
  }

 private:
  static Clock::duration processor_time() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
    timespec time;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0)
      return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
#endif
    return Clock::now().time_since_epoch();
  }
  Clock::time_point start_;
  Clock::duration processor_start_;
};

}  // namespace fusedlstm
