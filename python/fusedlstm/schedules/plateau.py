"""Reduction of the learning rate when the loss or score stops improving."""

from __future__ import annotations

from dataclasses import dataclass

from fusedlstm._utils import validation as check
from fusedlstm.schedules.base import Schedule, ScheduleState


@dataclass(frozen=True, repr=False)
class ReduceOnPlateau(Schedule):
    """Multiply the learning rate by ``factor`` when the monitored value stops improving.

    The estimators monitor the training loss. With ``early_stopping``, they monitor the validation
    loss or score.

    Parameters
    ----------
    factor : float in (0, 1), default 0.1
        Factor of each reduction.
    patience : int of at least 0, default 5
        Number of epochs without an improvement that do not cause a reduction. The next epoch
        without an improvement causes one.
    threshold : float of at least 0, default 1e-4
        Minimum decrease of the loss, or increase of the score, that counts as an improvement.
    cooldown : int of at least 0, default 0
        Number of epochs after a reduction that are not counted as epochs without an improvement.
    min_factor : float in [0, 1), default 0
        Lower limit of the product of the factors of all reductions.

    Examples
    --------
    >>> from fusedlstm.schedules import ReduceOnPlateau, ScheduleState
    >>> schedule, state = ReduceOnPlateau(patience=1), ScheduleState()
    >>> factors = []
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 2.0):
    ...     state.watched = loss
    ...     schedule.update(state)
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

    def update(self, state: ScheduleState) -> None:
        watched, state.watched = state.watched, None  # each value counts once
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
