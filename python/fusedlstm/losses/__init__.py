"""Losses on a model's raw output: logits, or values on the scale of the targets.

A loss is a function of outputs, targets and weights. It returns the mean over the batch of each
sequence's weighted loss, and its gradient by the outputs. Parameters are those of a frozen
dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fusedlstm._utils import validation as check
from fusedlstm.losses.base import Loss, SequenceLoss, each_step, log_softmax, sigmoid
from fusedlstm.losses.classification import ClassificationLoss, Focal, LogLoss, log_loss
from fusedlstm.losses.regression import (
    AbsoluteError,
    Gaussian,
    Huber,
    Pinball,
    Poisson,
    RegressionLoss,
    SquaredError,
    absolute_error,
    squared_error,
)

__all__ = [
    "CLASSIFICATION_LOSSES",
    "REGRESSION_LOSSES",
    "AbsoluteError",
    "ClassificationLoss",
    "Focal",
    "Gaussian",
    "Huber",
    "LogLoss",
    "Loss",
    "Pinball",
    "Poisson",
    "RegressionLoss",
    "SequenceLoss",
    "SquaredError",
    "absolute_error",
    "as_loss",
    "each_step",
    "log_loss",
    "log_softmax",
    "sigmoid",
    "squared_error",
]

REGRESSION_LOSSES: dict[str, RegressionLoss] = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": Huber(),
    "pinball": Pinball(),
    "poisson": Poisson(),
    "gaussian": Gaussian(),
}

CLASSIFICATION_LOSSES: dict[str, ClassificationLoss] = {"log_loss": log_loss, "focal": Focal()}

_ALIASES = {
    "mse": "squared_error",
    "mae": "absolute_error",
    "cross_entropy": "log_loss",
}
"""Names that other libraries use."""

LossT = TypeVar("LossT", RegressionLoss, ClassificationLoss)


def as_loss(value: Any, named: Mapping[str, LossT], kind: type[LossT]) -> LossT:
    """Return a loss given by name or as an object.

    Besides the names in ``named``, ``"mse"`` stands for ``"squared_error"``, ``"mae"`` for
    ``"absolute_error"`` and ``"cross_entropy"`` for ``"log_loss"``.
    """
    if isinstance(value, kind):
        return value
    needed = "one of " + ", ".join(named)
    if isinstance(value, str):
        if _ALIASES.get(value) in named:
            return named[_ALIASES[value]]
        return named[check.choice("loss", value, named, needed)]
    hint = f"Did you mean {value.__name__}()?" if isinstance(value, type) else ""
    needed += f" or a {kind.__name__} from fusedlstm.losses"
    raise TypeError(check.needs("loss", needed, value, hint))


def __dir__() -> list[str]:
    return sorted(__all__)
