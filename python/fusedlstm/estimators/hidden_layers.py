"""Checks of the estimators' parameter ``layers``."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

from fusedlstm._utils.warnings import warn
from fusedlstm.layers import Dense

_REPLACED_BY_LAYERS = (
    "hidden_size",
    "num_layers",
    "cell",
    "bidirectional",
    "dropout",
    "recurrent_dropout",
)
"""Parameters of the estimators that have no effect with ``layers``."""


def check_hidden_layers(estimator: Any, n_outputs: Collection[int]) -> None:
    """Check the parameter ``layers`` of an estimator, to which it adds the output layer.

    Parameters
    ----------
    estimator : LSTMClassifier or LSTMRegressor
        Nothing is checked if its ``layers`` is None.
    n_outputs : collection of int
        Units that an output layer may have.

    Raises
    ------
    ValueError
        If the layers end in an output layer.

    Warns
    -----
    UserWarning
        If other parameters are set that have no effect with ``layers``, or if the layers end in a
        linear `Dense`, which limits the rank of the output layer.
    """
    if estimator.layers is None:
        return
    defaults = inspect.signature(type(estimator)).parameters
    ignored = [
        f"{name}={getattr(estimator, name)!r}"
        for name in _REPLACED_BY_LAYERS
        if name in defaults and getattr(estimator, name) != defaults[name].default
    ]
    if ignored:
        warn(
            f"{', '.join(ignored)} {'has' if len(ignored) == 1 else 'have'} no effect with layers, "
            f"which sets all layers but the output layer.",
            UserWarning,
            in_cross_validation=False,
        )
    body = [
        layer
        for layer in estimator.layers
        if not (layer.reduces or (layer.pointwise and not layer.param_shapes(1)))
    ]
    last = body[-1] if body else None
    if not isinstance(last, Dense):
        return
    if last.units in n_outputs and last.activation in ("linear", "sigmoid"):
        raise ValueError(
            f"layers must not contain the output layer, which {type(estimator).__name__} adds; "
            f"got {last!r} as the last layer"
        )
    if last.activation == "linear":
        warn(
            f"layers ends in {last!r}, a linear layer before the output layer, which "
            f"{type(estimator).__name__} adds. Remove it, or set its activation.",
            UserWarning,
            in_cross_validation=False,
        )
