// A barrier after every step of a sequence.
#pragma once

#include <limits>
#include <thread>

#include "runtime/memory.hpp"
#include "runtime/team.hpp"

namespace fusedlstm {

// A team takes steps together: no member begins a step before all members have ended the previous step. A waiting
// member spins for some microseconds, then yields. If the caller waits much more than it works, it takes the remaining
// steps without the team.
class StepBarrier {
 public:
  // Calls work(step, team): this member's part of a step. `team` is the team that takes the step.
  template <class Work>
  void run_steps(Team team, Index steps, Work&& work) {
    const CallTiming timing;
    for (Index s = 0; s < steps; s++) {
      work(s, team);
      if (team.size() == 1) continue;
      if (team.member() == 0 && s % steps_between_checks == 0 && slower_than_one_thread(timing)) last_ = s;
      wait_for(team);
      if (s < last_.load(std::memory_order_relaxed)) continue;
      if (team.member() > 0) return;
      team = Team(0, 1);
    }
  }

 private:
  static constexpr Index steps_between_checks = 16;
  static constexpr int max_spins = 1000;

  bool slower_than_one_thread(const CallTiming& timing) const {
    return !force_threads() && timing.elapsed(waited_).lost_too_much();
  }
  void wait_for(const Team& team) {
    const int generation = generation_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == team.size() - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      return;
    }
    const auto ended = [&] { return generation_.load(std::memory_order_acquire) != generation; };
    for (int spins = 0; spins < max_spins; spins++) {
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
  // The last step that the team takes together. The caller sets it to a step that the other members cannot have ended.
  std::atomic<Index> last_{std::numeric_limits<Index>::max()};
  Clock::duration waited_{0};  // by the caller
};

}  // namespace fusedlstm
