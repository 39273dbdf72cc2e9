"""Which layers can stand in a row."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable
from typing import Any

from fusedlstm import _validation as check
from fusedlstm._warnings import warn
from fusedlstm.layers import Dense, Dropout, LastStep, Layer, Recurrent

_REPLACED_BY_LAYERS = (
    "hidden_size",
    "num_layers",
    "cell",
    "bidirectional",
    "dropout",
    "recurrent_dropout",
)
"""Parameters of the estimators that have no effect with ``layers``."""


def check_layers(layers: Any) -> list[Layer[Any]]:
    """Return the layers as a list, in an order that works."""
    needed = "a sequence of layers from fusedlstm.layers"
    try:
        checked = list(layers)
    except TypeError:
        raise TypeError(check.needs("layers", needed, layers)) from None
    if not checked:
        raise ValueError(check.needs("layers", needed, layers))
    reduced = False
    for number, layer in enumerate(checked):
        if not isinstance(layer, Layer):
            hint = f"Did you mean {layer.__name__}(...)?" if isinstance(layer, type) else ""
            raise TypeError(check.needs(f"layers[{number}]", "a layer", layer, hint))
        if reduced and (isinstance(layer, LastStep) or layer.state_shapes(1) is not None):
            raise ValueError(
                f"layers[{number}] must be a layer for vectors, since LastStep stands before it; "
                f"got {layer!r}"
            )
        reduced = reduced or isinstance(layer, LastStep)
    return checked


def check_complete_state(layers: Iterable[Layer[Any]], use: str) -> None:
    """Refuse layers of which a state is incomplete, where a state is carried on."""
    for number, layer in enumerate(layers):
        if not layer.has_complete_state:
            raise ValueError(
                f"layers[{number}] must have a complete state {use}; got {layer!r}, whose gates "
                f"of the step before are not in its state"
            )


def check_truncation(layers: Iterable[Layer[Any]]) -> None:
    """Refuse layers of which states cannot be carried on, and models without a last step."""
    layers, reduced = list(layers), False
    check_complete_state(layers, "with tbptt_steps")
    for number, layer in enumerate(layers):
        reduced = reduced or isinstance(layer, LastStep)
        if isinstance(layer, Recurrent) and (layer.bidirectional or layer.reverse):
            raise ValueError(
                f"layers[{number}] must read forward only with tbptt_steps; got {layer!r}"
            )
    if not reduced:
        raise ValueError(
            "tbptt_steps must be None without LastStep in the model: it is for targets of whole "
            "sequences. For targets of all steps use SeriesBatches."
        )


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
    body = [layer for layer in estimator.layers if not isinstance(layer, (Dropout, LastStep))]
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
