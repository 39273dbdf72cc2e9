"""The kinds of targets of the estimators, with their losses and their predictions."""

from fusedlstm.estimators.tasks.base import Task
from fusedlstm.estimators.tasks.labels import Labels
from fusedlstm.estimators.tasks.numbers import Numbers
from fusedlstm.estimators.tasks.steps import StepLabels, StepNumbers

__all__ = ["Labels", "Numbers", "StepLabels", "StepNumbers", "Task"]


def __dir__() -> list[str]:
    return sorted(__all__)
