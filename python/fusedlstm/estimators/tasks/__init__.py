"""Tasks of estimators: what the targets are, the loss, and how outputs become predictions."""

from fusedlstm.estimators.tasks.base import Decoder, Task
from fusedlstm.estimators.tasks.labels import Labels
from fusedlstm.estimators.tasks.numbers import Numbers
from fusedlstm.estimators.tasks.steps import StepLabels, StepNumbers

__all__ = ["Decoder", "Labels", "Numbers", "StepLabels", "StepNumbers", "Task"]


def __dir__() -> list[str]:
    return sorted(__all__)
