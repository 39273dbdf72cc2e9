"""Names of losses for the estimators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fusedlstm._utils import validation as check
from fusedlstm.losses.classification import ClassificationLoss, Focal, log_loss
from fusedlstm.losses.distribution import Gaussian, Pinball, Poisson
from fusedlstm.losses.regression import (
    Huber,
    RegressionLoss,
    absolute_error,
    squared_error,
)

REGRESSION_LOSSES: dict[str, RegressionLoss] = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": Huber(),
    "pinball": Pinball(),
    "poisson": Poisson(),
    "gaussian": Gaussian(),
}
"""Losses by name, for the parameter ``loss`` of a regressor."""

CLASSIFICATION_LOSSES: dict[str, ClassificationLoss] = {"log_loss": log_loss, "focal": Focal()}
"""Losses by name, for the parameter ``loss`` of a classifier."""

_ALIASES = {
    "mse": "squared_error",
    "mae": "absolute_error",
    "cross_entropy": "log_loss",
}
"""Names of losses in other libraries."""

LossT = TypeVar("LossT", RegressionLoss, ClassificationLoss)


def as_loss(value: Any, named: Mapping[str, LossT], kind: type[LossT]) -> LossT:
    """Return a loss, given its name or the loss itself.

    Parameters
    ----------
    value : str or loss
        A name in ``named``, an instance of ``kind``, or ``"mse"`` for ``"squared_error"``,
        ``"mae"`` for ``"absolute_error"`` and ``"cross_entropy"`` for ``"log_loss"``.
    named : mapping of str to loss
        `REGRESSION_LOSSES` or `CLASSIFICATION_LOSSES`.
    kind : type
        `RegressionLoss` or `ClassificationLoss`.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If ``value`` is neither a string nor an instance of ``kind``.
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
