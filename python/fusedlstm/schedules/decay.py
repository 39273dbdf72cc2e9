"""Schedules that multiply the learning rate by a factor after a number of epochs."""

from __future__ import annotations

from dataclasses import dataclass

from fusedlstm._utils import validation as check
from fusedlstm.schedules.base import Schedule, ScheduleState


@dataclass(frozen=True, repr=False)
class Step(Schedule):
    """Multiply the learning rate by ``gamma`` every ``step_size`` epochs.

    Parameters
    ----------
    step_size : positive int, default 30
        Number of epochs between two reductions.
    gamma : positive float, default 0.1
        Factor of each reduction.

    Examples
    --------
    >>> from fusedlstm.schedules import ScheduleState, Step
    >>> [Step(2, 0.5).multiplier(ScheduleState(epoch)) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    step_size: int = 30
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check.positive_int("step_size", self.step_size)
        check.positive("gamma", self.gamma)

    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        return float(self.gamma ** (state.epoch // self.step_size))


@dataclass(frozen=True, repr=False)
class Exponential(Schedule):
    """Multiply the learning rate by ``gamma`` every epoch.

    Parameters
    ----------
    gamma : positive float, default 0.95
        Factor after each epoch.

    Examples
    --------
    >>> from fusedlstm.schedules import Exponential, ScheduleState
    >>> [Exponential(0.5).multiplier(ScheduleState(epoch)) for epoch in range(3)]
    [1.0, 0.5, 0.25]
    """

    gamma: float = 0.95

    def __post_init__(self) -> None:
        check.positive("gamma", self.gamma)

    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        return float(self.gamma**state.epoch)
