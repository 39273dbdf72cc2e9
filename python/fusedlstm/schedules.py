"""Schedules: the learning rate over the epochs, as a factor of the one that was given.

A schedule is frozen configuration; where it stands is a `ScheduleState`. `ReduceOnPlateau` also
looks at what each epoch came to.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from dataclasses import dataclass

from fusedlstm._utils import validation as check
from fusedlstm._utils.representation import ShortRepr

__all__ = [
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "OneCycle",
    "ReduceOnPlateau",
    "Schedule",
    "ScheduleState",
    "Step",
    "as_schedule",
]


@dataclass
class ScheduleState:
    """Where a schedule stands.

    Attributes
    ----------
    epoch : int
        Epochs finished.
    watched : float or None
        What the last one came to, less being better: its loss, unless the caller puts another
        value here before the next begins. None once it has been looked at.
    best : float
        The best of those so far.
    waited, cooling : int
        Epochs since it, and epochs in which not to wait.
    reduced : float
        Factor of all reductions so far.
    """

    epoch: int = 0
    watched: float | None = None
    best: float = math.inf
    waited: int = 0
    cooling: int = 0
    reduced: float = 1.0


class Schedule(ShortRepr, abc.ABC):
    """What training asks of a schedule."""

    @abc.abstractmethod
    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        """Return what to multiply the learning rate by.

        Parameters
        ----------
        state : ScheduleState
        i, n : int
            Update ``i``, counted from 0, of ``n`` in the epoch.
        """

    def look(self, state: ScheduleState) -> None:
        """Take note of what the last epoch came to, before the next one begins."""
        state.watched = None

    def over(self, n_epochs: int) -> Schedule:
        """Return the schedule for so many epochs, where it does not say for how many it is."""
        return self


def _between(first: float, last: float, part: float) -> float:
    return first + (last - first) * part


def _cosine(first: float, last: float, part: float) -> float:
    """Half a cosine from ``first`` to ``last``, where it stays."""
    return _between(last, first, (1 + math.cos(math.pi * min(part, 1.0))) / 2)


def _known(schedule: Cosine | OneCycle) -> int:
    if schedule.epochs is None:
        raise ValueError(check.needs("epochs", "an integer here, where nobody else knows", None))
    return schedule.epochs


def _check_epochs(epochs: int | None) -> None:
    if epochs is not None:
        check.int_at_least("epochs", epochs, 1, "a positive integer or None")


def _check_warm_up(warm_up: float, start: float, end: float) -> None:
    check.not_negative("warm_up", warm_up)
    for name, value in (("start", start), ("end", end)):
        check.real_in(name, value, "a number in [0, 1]", 0.0, 1.0)


@dataclass(frozen=True, repr=False)
class Step(Schedule):
    """Multiply the learning rate by ``gamma`` every ``step_size`` epochs.

    Parameters
    ----------
    step_size : int, default 30
    gamma : float, default 0.1

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
    gamma : float, default 0.95

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


@dataclass(frozen=True, repr=False)
class Cosine(Schedule):
    """Half a cosine from the learning rate down, update by update, after a linear warm-up.

    Parameters
    ----------
    epochs : int or None, default None
        Where it ends, warm-up included; it stays there. None: the estimator's ``max_iter``.
    warm_up : float, default 0
        Epochs of warm-up.
    start, end : float in [0, 1], default 0.01 and 0
        Where warm-up starts, and where the cosine ends, in parts of the learning rate.

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
        _check_epochs(self.epochs)
        _check_warm_up(self.warm_up, self.start, self.end)
        if self.epochs is not None and self.warm_up >= self.epochs:
            raise ValueError(
                check.needs("warm_up", f"less than epochs, {self.epochs}", self.warm_up)
            )

    def over(self, n_epochs: int) -> Cosine:
        if self.epochs is not None:
            return self
        return dataclasses.replace(self, epochs=max(n_epochs, math.floor(self.warm_up) + 1))

    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        epoch = state.epoch + i / n
        if epoch < self.warm_up:
            return _between(self.start, 1.0, epoch / self.warm_up)
        return _cosine(1.0, self.end, (epoch - self.warm_up) / (_known(self) - self.warm_up))


@dataclass(frozen=True, repr=False)
class CosineRestarts(Schedule):
    """Half cosines from the learning rate down, one after the other, after a linear warm-up.

    Parameters
    ----------
    period : int, default 10
        Epochs of the first.
    growth : int, default 1
        How many times as long each is as the one before.
    warm_up : float, default 0
        Epochs of warm-up.
    start, end : float in [0, 1], default 0.01 and 0
        Where warm-up starts, and where each cosine ends, in parts of the learning rate.

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
        _check_warm_up(self.warm_up, self.start, self.end)

    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        epoch = state.epoch + i / n
        if epoch < self.warm_up:
            return _between(self.start, 1.0, epoch / self.warm_up)
        epoch, period = epoch - self.warm_up, self.period
        if self.growth == 1:
            return _cosine(1.0, self.end, epoch % period / period)
        while epoch >= period:
            epoch, period = epoch - period, period * self.growth
        return _cosine(1.0, self.end, epoch / period)


@dataclass(frozen=True, repr=False)
class OneCycle(Schedule):
    """Up to the learning rate and down to almost nothing, update by update.

    Parameters
    ----------
    epochs : int or None, default None
        Where it ends; it stays there. None: the estimator's ``max_iter``.
    pct_start : float in (0, 1), default 0.3
        The part in which it rises.
    div_factor : float, default 25
        How many times as small the first learning rate is.
    final_div_factor : float, default 1e4
        How many times as small as the first the last one is.

    References
    ----------
    .. [1] Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
       Learning Rates", 2018.

    Examples
    --------
    >>> from fusedlstm.schedules import OneCycle, ScheduleState
    >>> schedule = OneCycle(epochs=10)
    >>> [round(schedule.multiplier(ScheduleState(epoch)), 2) for epoch in range(0, 10, 2)]
    [0.04, 1.0, 0.81, 0.39, 0.05]
    """

    epochs: int | None = None
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        _check_epochs(self.epochs)
        needed = "a number in (0, 1)"
        check.real_in("pct_start", self.pct_start, needed, 0.0, 1.0, open_low=True, open_high=True)
        check.positive("div_factor", self.div_factor)
        check.positive("final_div_factor", self.final_div_factor)

    def over(self, n_epochs: int) -> OneCycle:
        return self if self.epochs is not None else dataclasses.replace(self, epochs=n_epochs)

    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        # The last update of each part is at its end.
        update = state.epoch * n + i
        updates = _known(self) * n
        top, last = self.pct_start * updates - 1, updates - 1
        first = 1 / self.div_factor
        if update < top:
            return _cosine(first, 1.0, update / top)
        return _cosine(1.0, first / self.final_div_factor, (update - top) / (last - top))


@dataclass(frozen=True, repr=False)
class ReduceOnPlateau(Schedule):
    """Multiply the learning rate by ``factor`` when what is watched gets no better.

    Parameters
    ----------
    factor : float in (0, 1), default 0.1
    patience : int, default 5
        Epochs without an improvement that are borne.
    threshold : float, default 1e-4
        What counts as an improvement.
    cooldown : int, default 0
        Epochs after a reduction that do not count.
    min_factor : float in [0, 1), default 0
        Where reductions end, in parts of the learning rate.

    Examples
    --------
    >>> from fusedlstm.schedules import ReduceOnPlateau, ScheduleState
    >>> schedule, state = ReduceOnPlateau(patience=1), ScheduleState()
    >>> factors = []
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 2.0):
    ...     state.watched = loss
    ...     schedule.look(state)
    ...     factors.append(schedule.multiplier(state))
    >>> factors
    [1.0, 1.0, 1.0, 0.1, 0.1]
    """

    factor: float = 0.1
    patience: int = 5
    threshold: float = 1e-4
    cooldown: int = 0
    min_factor: float = 0.0

    def __post_init__(self) -> None:
        needed = "a number in (0, 1)"
        check.real_in("factor", self.factor, needed, 0.0, 1.0, open_low=True, open_high=True)
        check.int_at_least("patience", self.patience, 0, "an integer of at least 0")
        check.not_negative("threshold", self.threshold)
        check.int_at_least("cooldown", self.cooldown, 0, "an integer of at least 0")
        check.fraction("min_factor", self.min_factor)

    def look(self, state: ScheduleState) -> None:
        watched, state.watched = state.watched, None
        if watched is None:
            return
        if watched < state.best - self.threshold:
            state.best, state.waited = watched, 0
        else:
            state.waited += 1
        if state.cooling > 0:
            state.cooling -= 1
            state.waited = 0
        if state.waited > self.patience:
            state.reduced = max(state.reduced * self.factor, self.min_factor)
            state.waited, state.cooling = 0, self.cooldown

    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        return state.reduced


SCHEDULES: dict[str, Schedule] = {
    "step": Step(),
    "exponential": Exponential(),
    "cosine": Cosine(),
    "cosine_restarts": CosineRestarts(),
    "one_cycle": OneCycle(),
    "reduce_on_plateau": ReduceOnPlateau(),
}
"""What the estimators' ``schedule`` names."""


def as_schedule(value: object) -> Schedule | None:
    """Return a schedule given by name or as an object, or None."""
    if value is None or isinstance(value, Schedule):
        return value
    if isinstance(value, str):
        return SCHEDULES[check.choice("schedule", value, SCHEDULES)]
    hint = f"Did you mean {value.__name__}()?" if isinstance(value, type) else ""
    needed = f"one of {', '.join(SCHEDULES)}, an object from fusedlstm.schedules or None"
    raise TypeError(check.needs("schedule", needed, value, hint))


def __dir__() -> list[str]:
    return sorted(__all__)
