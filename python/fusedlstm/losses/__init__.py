"""Loss functions for classification and regression, and base classes for new ones.

A loss is a function of the raw output of a model, the targets, and the weights of the sequences or
steps. The raw output is an array of logits in classification, and of values on the scale of the
training targets in regression. A loss returns the mean of the weighted losses of the batch, and its
gradient with respect to the output. The options of a loss are the fields of a frozen dataclass.
"""

from fusedlstm.losses.base import Loss, SequenceLoss, each_step, log_softmax, sigmoid
from fusedlstm.losses.classification import ClassificationLoss, Focal, LogLoss, log_loss
from fusedlstm.losses.distribution import Gaussian, Pinball, Poisson
from fusedlstm.losses.registry import CLASSIFICATION_LOSSES as CLASSIFICATION_LOSSES
from fusedlstm.losses.registry import REGRESSION_LOSSES as REGRESSION_LOSSES
from fusedlstm.losses.registry import as_loss as as_loss
from fusedlstm.losses.regression import (
    AbsoluteError,
    Huber,
    RegressionLoss,
    SquaredError,
    absolute_error,
    squared_error,
)

__all__ = [
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
    "each_step",
    "log_loss",
    "log_softmax",
    "sigmoid",
    "squared_error",
]


def __dir__() -> list[str]:
    return sorted(__all__)
