"""One-cycle schedule: the learning rate increases, then decreases."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from fusedlstm._utils import validation as check
from fusedlstm.schedules.base import (
    Schedule,
    ScheduleState,
    check_epochs,
    half_cosine,
    known_epochs,
)


@dataclass(frozen=True, repr=False)
class OneCycle(Schedule):
    """One-cycle schedule [1]_: the learning rate increases to its full value, then decreases.

    The learning rate changes at each update, along half a cosine in each of the two phases. After
    ``epochs`` epochs it stays constant.

    Parameters
    ----------
    epochs : int or None, default None
        Number of epochs of both phases. None means ``max_iter`` of the estimator. Without an
        estimator, call `for_epochs` or set the number.
    pct_start : float in (0, 1), default 0.3
        Fraction of the updates in which the learning rate increases.
    div_factor : positive float, default 25
        The factor of the first update is ``1 / div_factor``.
    final_div_factor : positive float, default 1e4
        The factor of the last update is ``1 / (div_factor * final_div_factor)``.

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
        check_epochs(self.epochs)
        needed = "a number in (0, 1)"
        check.real_in("pct_start", self.pct_start, needed, 0.0, 1.0, open_low=True, open_high=True)
        check.positive("div_factor", self.div_factor)
        check.positive("final_div_factor", self.final_div_factor)

    def for_epochs(self, n_epochs: int) -> OneCycle:
        return self if self.epochs is not None else dataclasses.replace(self, epochs=n_epochs)

    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        # The learning rate increases until update `top`, and decreases until update `last`.
        update = state.epoch * n + i
        updates = known_epochs(self.epochs) * n
        top, last = self.pct_start * updates - 1, updates - 1
        first = 1 / self.div_factor
        if update < top:
            return half_cosine(first, 1.0, update / top)
        return half_cosine(1.0, first / self.final_div_factor, (update - top) / (last - top))
