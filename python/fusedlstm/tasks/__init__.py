"""Tasks of estimators: what the targets are, the loss, and how outputs become predictions."""

from fusedlstm.tasks.base import Decoder, Task
from fusedlstm.tasks.labels import Labels
from fusedlstm.tasks.numbers import Numbers
from fusedlstm.tasks.steps import StepLabels, StepNumbers

__all__ = ["Decoder", "Labels", "Numbers", "StepLabels", "StepNumbers", "Task"]


def __dir__() -> list[str]:
    return sorted(__all__)
