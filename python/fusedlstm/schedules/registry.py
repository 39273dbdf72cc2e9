"""Names of schedules for the estimators."""

from __future__ import annotations

from fusedlstm._utils import validation as check
from fusedlstm.schedules.base import Schedule
from fusedlstm.schedules.cosine import Cosine, CosineRestarts
from fusedlstm.schedules.decay import Exponential, Step
from fusedlstm.schedules.one_cycle import OneCycle
from fusedlstm.schedules.plateau import ReduceOnPlateau

SCHEDULES: dict[str, Schedule] = {
    "step": Step(),
    "exponential": Exponential(),
    "cosine": Cosine(),
    "cosine_restarts": CosineRestarts(),
    "one_cycle": OneCycle(),
    "reduce_on_plateau": ReduceOnPlateau(),
}
"""Schedules by name, for the parameter ``schedule`` of an estimator."""


def as_schedule(value: object) -> Schedule | None:
    """Return a schedule, given its name or the schedule itself. None means no schedule."""
    if value is None or isinstance(value, Schedule):
        return value
    if isinstance(value, str):
        return SCHEDULES[check.choice("schedule", value, SCHEDULES)]
    hint = f"Did you mean {value.__name__}()?" if isinstance(value, type) else ""
    needed = f"one of {', '.join(SCHEDULES)}, an object from fusedlstm.schedules or None"
    raise TypeError(check.needs("schedule", needed, value, hint))
