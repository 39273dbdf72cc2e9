"""Checks of the arguments of training: the loss, and targets that fit the model."""

from __future__ import annotations

from typing import Any

from fusedlstm._utils import validation as check
from fusedlstm.data.sequences import Sequences
from fusedlstm.layers import Layer


def require_loss(loss: Any) -> None:
    """Refuse a loss that cannot be called, and a class in place of its instance."""
    if isinstance(loss, type) or not callable(loss):
        needed = "a loss from fusedlstm.losses, such as log_loss"
        hint = f"Did you mean {loss.__name__}(...)?" if isinstance(loss, type) else ""
        raise TypeError(check.needs("loss", needed, loss, hint))


def require_targets_of(layer: Layer[Any], y: Any) -> None:
    """Refuse targets of steps for a model with one output per sequence."""
    if layer.reduces and isinstance(y, Sequences):
        raise ValueError(
            "y must have one target per sequence for a model with one output per sequence; got "
            "targets of all steps. For an output at every step leave out LastStep() or Pool()."
        )
