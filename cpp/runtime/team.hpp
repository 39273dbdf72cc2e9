// A team of threads: one parallel region per call, in which every member runs the same function.
//
// The caller is the only member without OpenMP, in the child of a fork, and while the back-off is active. In the child
// of a fork, GCC's OpenMP would wait for threads that only the parent has, if any library that shares this OpenMP had
// used threads before the fork.
#pragma once

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <utility>

#include "runtime/back_off.hpp"
#include "runtime/memory.hpp"
#include "simd/packets.hpp"

namespace fusedlstm {

class Team {
 public:
  // The time in barriers is added to `waited`, unless it is null.
  Team(int member, int size, Clock::duration* waited = nullptr) : member_(member), size_(size), waited_(waited) {}
  int member() const { return member_; }
  int size() const { return size_; }
  void wait_for_all() const {
#if defined(_OPENMP)
    if (size_ > 1) {
      const Clock::time_point start = Clock::now();
#pragma omp barrier
      add_waiting(Clock::now() - start);
    }
#endif
  }
  void add_waiting(Clock::duration time) const {
    if (waited_) *waited_ += time;
  }
  // The part of [0, count) that this member owns.
  std::pair<Index, Index> range(Index count) const { return {count * member_ / size_, count * (member_ + 1) / size_}; }

 private:
  int member_, size_;
  Clock::duration* waited_;
};

// The number of forks between the process that loaded this module and the current process.
inline std::atomic<int>& forks() {
  static std::atomic<int> count{0};
  return count;
}
// Registers the handlers once per loaded file. A second import of the file under another module name calls this again;
// with two sets of handlers, a fork would lock the mutex twice and hang.
inline void watch_forks() {
#if defined(__unix__) || defined(__APPLE__)
  static const int status =
      pthread_atfork([] { MemoryPool::instance().lock(); }, [] { MemoryPool::instance().unlock(); },
                     [] {
                       MemoryPool::instance().unlock();
                       forks()++;
                     });
  (void)status;
#endif
}

// The maximum number of threads of OpenMP, but at most the number of CPUs that the process may run on.
inline int default_threads() {
#if defined(_OPENMP)
  int threads = omp_get_max_threads();
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) threads = std::min(threads, CPU_COUNT(&set));
#endif
  return threads;
#else
  return 1;
#endif
}

inline constexpr Index min_work_of_thread = Index(1) << 22;  // in multiply-adds, about 50 microseconds

// The number of threads for a call. Results do not depend on it.
inline int threads_for(Index multiply_adds, int threads) {
  if (threads == 1 || force_threads()) return threads;
  if (BackOff::active()) return 1;
  return int(std::max(Index(1), std::min(Index(threads), multiply_adds / min_work_of_thread)));
}

template <class Work>
void run_on_caller(Work&& work) {
  const FlushSubnormals flush;
  work(Team(0, 1));
}

// Calls work(team) on `threads` threads, each with subnormal numbers flushed, and ignores the back-off. `work` must not
// throw. Returns the time that the caller waited for the other threads.
template <class Work>
Clock::duration run_full_team(int threads, Work&& work) {
#if defined(_OPENMP)
  if (threads > 1 && forks() == 0) {
    Clock::duration waited(0);
    Clock::time_point done;
#pragma omp parallel num_threads(threads)
    {
      const int member = omp_get_thread_num();
      const FlushSubnormals flush;
      work(Team(member, omp_get_num_threads(), member == 0 ? &waited : nullptr));
      if (member == 0) done = Clock::now();
    }
    return waited + (Clock::now() - done);
  }
#endif
  (void)threads;
  run_on_caller(work);
  return Clock::duration(0);
}

// Like run_full_team, but on the caller's thread while the back-off is active.
template <class Work>
void run_team(int threads, Work&& work) {
  if (threads == 1 || BackOff::active()) return run_on_caller(work);
  const CallTiming timing;
  BackOff::instance().record(timing.elapsed(run_full_team(threads, work)));
}

}  // namespace fusedlstm
