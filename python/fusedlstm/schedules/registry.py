"""The schedules that the estimators know by name."""

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
"""Schedules by the name that the parameter ``schedule`` of an estimator accepts."""


def as_schedule(value: object) -> Schedule | None:
    """Return a schedule that is given by name or as an object, or None for None."""
    if value is None or isinstance(value, Schedule):
        return value
    if isinstance(value, str):
        return SCHEDULES[check.choice("schedule", value, SCHEDULES)]
    hint = f"Did you mean {value.__name__}()?" if isinstance(value, type) else ""
    needed = f"one of {', '.join(SCHEDULES)}, an object from fusedlstm.schedules or None"
    raise TypeError(check.needs("schedule", needed, value, hint))
