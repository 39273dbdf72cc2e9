"""A whole model in one call of the core."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from fusedlstm._core import core
from fusedlstm.layers import Dense, Dropout, LastStep, Layer, Recurrent


class Part(NamedTuple):
    """A layer at work: its parameters, and whether somebody reads all steps of its output."""

    layer: Layer[Any]
    params: Any  # an array, or in a predictor what the layer packed of it
    place: slice
    all_steps: bool


def whole_model(dtype: np.dtype[Any], input_size: int, parts: Iterable[Part]) -> Any:
    """Return the core's `WholeModel` of the parts, packed or not; None if it lacks a layer."""
    whole = core.WholeModel(dtype.name, input_size)
    for layer, params, _, all_steps in parts:
        if isinstance(layer, Recurrent):
            if not layer.add_to(whole, params, all_steps):
                return None
        elif type(layer) is Dense:
            whole.add_dense(layer.units, params, layer.core_activation)
        elif type(layer) is LastStep:
            whole.add_last_step()
        elif type(layer) is not Dropout:
            return None
    return whole
