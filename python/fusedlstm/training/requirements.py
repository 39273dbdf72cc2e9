"""Checks of the arguments of training: the loss, and targets that fit the model."""

from __future__ import annotations

from typing import Any

from fusedlstm._utils import validation as check
from fusedlstm.data.sequences import Sequences
from fusedlstm.layers import Layer


def require_loss(loss: Any) -> None:
    """Refuse a loss that is not callable, and a class that is passed instead of an instance."""
    if isinstance(loss, type) or not callable(loss):
        needed = "a loss from fusedlstm.losses, such as log_loss"
        hint = f"Did you mean {loss.__name__}(...)?" if isinstance(loss, type) else ""
        raise TypeError(check.needs("loss", needed, loss, hint))


def require_targets_of(layer: Layer[Any], y: Any) -> None:
    """Refuse one target per step for a model with one output per sequence."""
    if layer.reduces and isinstance(y, Sequences):
        raise ValueError(
            "y must have one target per sequence for a model with one output per sequence; got "
            "one target per step. For an output at every step remove LastStep() or Pool()."
        )
