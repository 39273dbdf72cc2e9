// One parallel region a call. A team runs one function on every member; where there is no OpenMP, or in the
// child of a fork (whose OpenMP runtime may hold locks that nobody will release), the team is the caller alone.
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
#include <exception>

#include "simd.hpp"

namespace fusedlstm {

class Team {
 public:
  Team(int member, int size) : member_(member), size_(size) {}
  int member() const { return member_; }
  int size() const { return size_; }
  void wait_for_all() const {
#if defined(_OPENMP)
    if (size_ > 1) {
#pragma omp barrier
    }
#endif
  }
  // This member's part of [0, count).
  std::pair<Index, Index> part(Index count) const {
    return {count * member_ / size_, count * (member_ + 1) / size_};
  }

 private:
  int member_, size_;
};

// Whether this process has run a team, and whether it is the child of one that had.
struct TeamHistory {
  std::atomic<bool> used{false}, forked_after_use{false};
};
inline TeamHistory& team_history() {
  static TeamHistory history;
  return history;
}
inline void watch_forks() {
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(nullptr, nullptr, [] { team_history().forked_after_use = team_history().used.load(); });
#endif
}

// OpenMP's present maximum, and at most the CPUs that this process may run on.
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

// Calls work(team) on up to `threads` threads, each with subnormal numbers flushed. `work` must not throw.
template <class Work>
void run_team(int threads, Work&& work) {
#if defined(_OPENMP)
  if (threads > 1 && !team_history().forked_after_use) {
    team_history().used = true;
#pragma omp parallel num_threads(threads)
    {
      const FlushSubnormals flush;
      work(Team(omp_get_thread_num(), omp_get_num_threads()));
    }
    return;
  }
#endif
  (void)threads;
  const FlushSubnormals flush;
  work(Team(0, 1));
}

}  // namespace fusedlstm
