"""Cosine annealing, with and without restarts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from fusedlstm._utils import validation as check
from fusedlstm.schedules.base import (
    Schedule,
    ScheduleState,
    between,
    check_epochs,
    half_cosine,
    known_epochs,
)


def check_warm_up(warm_up: float, start: float, end: float) -> None:
    """Check the parameters that the cosine schedules have in common."""
    check.not_negative("warm_up", warm_up)
    for name, value in (("start", start), ("end", end)):
        check.real_in(name, value, "a number in [0, 1]", 0.0, 1.0)


@dataclass(frozen=True, repr=False)
class Cosine(Schedule):
    """Cosine annealing [1]_ after a linear warm-up.

    The learning rate changes at each update. It increases linearly during the warm-up, and then
    decreases along half a cosine. After ``epochs`` epochs it stays constant.

    Parameters
    ----------
    epochs : int or None, default None
        Number of epochs until the end of the cosine, including the warm-up. None means ``max_iter``
        of the estimator. Without an estimator, call `for_epochs` or set the number.
    warm_up : float of at least 0, default 0
        Number of epochs of the warm-up. It may be a fraction.
    start : float in [0, 1], default 0.01
        Factor of the learning rate at the start of the warm-up.
    end : float in [0, 1], default 0
        Factor of the learning rate at the end of the cosine.

    References
    ----------
    .. [1] Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.

    Examples
    --------
    >>> from fusedlstm.schedules import Cosine, ScheduleState
    >>> schedule = Cosine(epochs=6, warm_up=2, start=0.1)
    >>> [round(schedule.multiplier(ScheduleState(epoch)), 2) for epoch in range(7)]
    [0.1, 0.55, 1.0, 0.85, 0.5, 0.15, 0.0]
    """

    epochs: int | None = None
    warm_up: float = 0.0
    start: float = 0.01
    end: float = 0.0

    def __post_init__(self) -> None:
        check_epochs(self.epochs)
        check_warm_up(self.warm_up, self.start, self.end)
        if self.epochs is not None and self.warm_up >= self.epochs:
            raise ValueError(
                check.needs("warm_up", f"less than epochs, {self.epochs}", self.warm_up)
            )

    def for_epochs(self, n_epochs: int) -> Cosine:
        if self.epochs is not None:
            return self
        # The warm-up must end before `epochs`.
        return dataclasses.replace(self, epochs=max(n_epochs, math.floor(self.warm_up) + 1))

    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        epoch = state.epoch + i / n
        if epoch < self.warm_up:
            return between(self.start, 1.0, epoch / self.warm_up)
        return half_cosine(
            1.0, self.end, (epoch - self.warm_up) / (known_epochs(self.epochs) - self.warm_up)
        )


@dataclass(frozen=True, repr=False)
class CosineRestarts(Schedule):
    """Cosine annealing with warm restarts [1]_, after a linear warm-up.

    The learning rate changes at each update. It decreases along half a cosine, then returns to its
    full value and decreases again.

    Parameters
    ----------
    period : positive int, default 10
        Number of epochs of the first cosine.
    growth : positive int, default 1
        Each cosine is ``growth`` times as long as the previous cosine.
    warm_up : float of at least 0, default 0
        Number of epochs of the warm-up. It may be a fraction.
    start : float in [0, 1], default 0.01
        Factor of the learning rate at the start of the warm-up.
    end : float in [0, 1], default 0
        Factor of the learning rate at the end of each cosine.

    References
    ----------
    .. [1] Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.

    Examples
    --------
    >>> from fusedlstm.schedules import CosineRestarts, ScheduleState
    >>> schedule = CosineRestarts(period=2, growth=2)
    >>> [round(schedule.multiplier(ScheduleState(epoch)), 2) for epoch in range(7)]
    [1.0, 0.5, 1.0, 0.85, 0.5, 0.15, 1.0]
    """

    period: int = 10
    growth: int = 1
    warm_up: float = 0.0
    start: float = 0.01
    end: float = 0.0

    def __post_init__(self) -> None:
        check.positive_int("period", self.period)
        check.positive_int("growth", self.growth)
        check_warm_up(self.warm_up, self.start, self.end)

    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        epoch = state.epoch + i / n
        if epoch < self.warm_up:
            return between(self.start, 1.0, epoch / self.warm_up)
        epoch, period = epoch - self.warm_up, self.period
        if self.growth == 1:
            return half_cosine(1.0, self.end, epoch % period / period)
        while epoch >= period:
            epoch, period = epoch - period, period * self.growth
        return half_cosine(1.0, self.end, epoch / period)
