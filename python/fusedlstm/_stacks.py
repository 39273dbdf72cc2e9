"""Which layers can stand in a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fusedlstm import _validation as check
from fusedlstm.layers import LastStep, Layer, Recurrent


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
