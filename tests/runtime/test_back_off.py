"""The back-off of threads on a busy machine, with a simulated clock."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

WORK = 0.0005
"""Seconds that a team needs for a call. One thread needs twice the time."""


@dataclass
class Run:
    """What happened to calls that follow each other until ``end``."""

    last_single: float = 0.0  # the end of the last call on one thread
    lost: float = 0.0
    single: float = 0.0
    team: float = 0.0
    calls: int = 0


def run(core, end, loss_at, work=WORK, gap=0.0):
    """Simulate calls. ``loss_at(t)`` is the time that a team loses in a call at time t."""
    rule, result, now = core.BackOff(), Run(), 1.0
    while now < 1.0 + end:
        result.calls += 1
        if rule.active_at(now):
            now += 2 * work
            result.single += 2 * work
            result.last_single = now - 1.0
        else:
            lost = loss_at(now - 1.0)
            rule.record(now, work, lost)
            now += work + lost
            result.lost += lost
            result.team += work + lost
        now += gap
    return result


@pytest.mark.parametrize("length", [0.002, 0.02, 0.1, 0.7, 3.0, 30.0])
@pytest.mark.parametrize("loss", [0.001, 0.008])
@pytest.mark.parametrize("gap", [0.0, 0.003])
def test_the_back_off_outlasts_a_disturbance_by_its_length_at_most(core, length, loss, gap):
    result = run(core, 3 * length + 2, lambda t: loss if t < length else 0.0, gap=gap)
    # The last slow call may begin just before the end of the disturbance.
    end = length + WORK + loss
    assert result.last_single <= end + min(end, 20 * loss) + 2 * WORK + gap


@pytest.mark.parametrize("loss", [0.001, 0.008, 0.05])
def test_trials_cost_little_of_a_long_disturbance(core, loss):
    result = run(core, 100.0, lambda t: loss)
    assert result.lost < 0.052 * 100


def test_a_single_slow_call_does_not_start_a_back_off(core):
    slow = iter([0.01])
    assert run(core, 1.0, lambda t: next(slow, 0.0)).single == 0


def test_rare_slow_calls_do_not_start_a_back_off(core):
    """Teams work for longer than they lost between two slow calls."""
    calls = iter(range(10**9))
    result = run(core, 10.0, lambda t: 0.004 if next(calls) % 10 == 0 else 0.0)
    assert result.single == 0


def test_frequent_slow_calls_start_a_back_off(core):
    """Every other call is slow: nearly all time would be lost."""
    calls = iter(range(10**9))
    result = run(core, 10.0, lambda t: 0.008 if next(calls) % 2 else 0.0)
    assert result.lost < 0.05 * 10


def test_calls_that_lose_less_than_they_gain_stay_with_the_team(core):
    assert run(core, 1.0, lambda t: 1.4 * WORK).single == 0


def test_a_stopped_process_does_not_start_a_long_back_off(core):
    """The process is stopped twice for a minute."""
    stops = {0: 60.0, 3: 60.0}
    calls = iter(range(10**9))
    result = run(core, 130.0, lambda t: stops.get(next(calls), 0.0))
    assert result.single <= 1.0 + 2 * WORK


def test_slow_calls_far_apart_are_different_disturbances(core):
    assert run(core, 200.0, lambda t: 0.004, gap=20.0).single == 0
