// One parallel region a call. A team runs one function on every member; where there is no OpenMP, or in the
// child of a fork, the team is the caller alone. GCC's OpenMP would wait there for threads that only the parent has, if any
// library that shares it had used threads.
//
// On a busy machine the members of a team may wait for a processor much longer than a small call takes, and for each
// other. Where the caller lost much more time than it worked, it would have been faster alone. Calls then go alone for
// a multiple of what was lost, so that trying costs a small part of the time whatever else runs.
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
#include <chrono>
#include <ctime>
#include <limits>
#include <thread>
#include <utility>

#include "runtime/memory.hpp"
#include "simd/packets.hpp"

namespace fusedlstm {

using Clock = std::chrono::steady_clock;

// What the calling thread has computed since it was made, and what it has not: waited, or stood aside for others.
class Effort {
 public:
  struct Times {
    Clock::duration worked, lost;
    // Rows are whole, so that on an idle machine, too, another's part may be twice the caller's.
    bool too_much_lost() const { return 2 * lost > 3 * worked; }
  };
  Effort() : start_(Clock::now()), processor_start_(processor_time()) {}
  // `waited`: for others, with or without spinning.
  Times so_far(Clock::duration waited) const {
    const Clock::duration all = Clock::now() - start_, processor = processor_time() - processor_start_;
    Clock::duration worked = all - waited;
    if (processor.count() > 0) worked = std::min(worked, processor);  // else its clock is too coarse
    return {worked, all - worked};
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

class Team {
 public:
  // waited: where the time in barriers is added up, or null.
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
  // This member's part of [0, count).
  std::pair<Index, Index> part(Index count) const {
    return {count * member_ / size_, count * (member_ + 1) / size_};
  }

 private:
  int member_, size_;
  Clock::duration* waited_;
};

// The number of forks between the process that loaded this module and the present one.
inline std::atomic<int>& forks() {
  static std::atomic<int> count{0};
  return count;
}
// Registers the handlers once per loaded file. A second import of the file under another module name calls this again;
// with two sets of handlers, a fork would lock the mutex twice and hang.
inline void watch_forks() {
#if defined(__unix__) || defined(__APPLE__)
  static const int status = pthread_atfork([] { Pool::instance().lock(); }, [] { Pool::instance().unlock(); },
                                           [] {
                                             Pool::instance().unlock();
                                             forks()++;
                                           });
  (void)status;
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

// For tests: use the threads that are given, however small the work and however busy the machine.
inline std::atomic<bool>& eager_teams() {
#if defined(FUSEDLSTM_EAGER_TEAMS)
  static std::atomic<bool> eager{true};
#else
  static std::atomic<bool> eager{false};
#endif
  return eager;
}

// Until when calls go alone, because teams were slower. One loss is forgiven, which may be a thread that had to be
// woken, if teams then work as long without another.
class Solitude {
 public:
  static bool now() {
    if (eager_teams()) return false;
    return Clock::now().time_since_epoch().count() < until_.load(std::memory_order_relaxed);
  }
  static void after(Effort::Times times) {
    // What is much longer than the call was no other thread's doing: the whole process stood still.
    times.lost = std::min(times.lost, std::max(4 * times.worked, Clock::duration(std::chrono::milliseconds(50))));
    const Clock::duration to_forgive(to_forgive_.load(std::memory_order_relaxed));
    if (!times.too_much_lost()) {
      if (to_forgive.count() > 0) to_forgive_ = (to_forgive - times.worked).count();
      return;
    }
    if (to_forgive.count() > 0)
      until_ = (Clock::now() + multiple * (times.lost - times.worked)).time_since_epoch().count();
    to_forgive_ = times.lost.count();
  }

 private:
  static constexpr int multiple = 20;
  static inline std::atomic<Clock::rep> until_{0}, to_forgive_{0};
};

// Steps that a team takes together: nobody begins one before all have ended the one before. Who waits spins for some
// microseconds, then yields. A team that waits much more than it works goes on as the caller alone.
class Lockstep {
 public:
  // work(step, team): this member's part of a step, as a member of that team.
  template <class Work>
  void run(Team team, Index steps, Work&& work) {
    const Effort effort;
    for (Index s = 0; s < steps; s++) {
      work(s, team);
      if (team.size() == 1) continue;
      if (team.member() == 0 && s % steps_between_looks == 0 && slower_than_alone(effort)) last_ = s;
      wait_for(team);
      if (s < last_.load(std::memory_order_relaxed)) continue;
      if (team.member() > 0) return;
      team = Team(0, 1);
    }
  }

 private:
  static constexpr Index steps_between_looks = 16;
  static constexpr int most_spins = 1000;

  bool slower_than_alone(const Effort& effort) const {
    return !eager_teams() && effort.so_far(waited_).too_much_lost();
  }
  void wait_for(const Team& team) {
    const int generation = generation_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == team.size() - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      return;
    }
    const auto ended = [&] { return generation_.load(std::memory_order_acquire) != generation; };
    for (int spins = 0; spins < most_spins; spins++) {
      if (ended()) return;
      pause_briefly();
    }
    const Clock::time_point start = Clock::now();
    while (!ended()) std::this_thread::yield();
    const Clock::duration waiting = Clock::now() - start;
    if (team.member() == 0) waited_ += waiting;
    team.add_waiting(waiting);
  }

  alignas(cache_line) std::atomic<int> arrived_{0};
  alignas(cache_line) std::atomic<int> generation_{0};
  // The last step that the team takes together. The caller sets it to a step before the others can end that one.
  std::atomic<Index> last_{std::numeric_limits<Index>::max()};
  Clock::duration waited_{0};  // the caller
};

// How many threads a call should have. Results do not depend on it.
inline int threads_for(Index multiply_adds, int threads) {
  constexpr Index worth_a_thread = Index(1) << 22;  // about 50 microseconds
  if (threads == 1 || eager_teams()) return threads;
  if (Solitude::now()) return 1;
  return int(std::max(Index(1), std::min(Index(threads), multiply_adds / worth_a_thread)));
}

template <class Work>
void run_alone(Work&& work) {
  const FlushSubnormals flush;
  work(Team(0, 1));
}

// Calls work(team) on `threads` threads, each with subnormal numbers flushed, busy machine or not. `work` must not
// throw. Returns how long the caller waited for the others.
template <class Work>
Clock::duration run_whole_team(int threads, Work&& work) {
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
  run_alone(work);
  return Clock::duration(0);
}

// As run_whole_team, or on the caller alone while teams are slower.
template <class Work>
void run_team(int threads, Work&& work) {
  if (threads == 1 || Solitude::now()) return run_alone(work);
  const Effort effort;
  Solitude::after(effort.so_far(run_whole_team(threads, work)));
}

}  // namespace fusedlstm
