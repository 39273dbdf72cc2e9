"""The model of an estimator: layers, initial weights and the standardization of X."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils.user_warnings import warn
from fusedlstm.data.reading import Data
from fusedlstm.data.sequences import Sequences
from fusedlstm.data.standardization import mean_and_scale
from fusedlstm.estimators.parameters import CELLS, Parameters
from fusedlstm.estimators.tasks import Task
from fusedlstm.layers import Dense, Dropout, Layer
from fusedlstm.models.sequential import Sequential

_REPLACED_BY_LAYERS = (
    "hidden_size",
    "num_layers",
    "cell",
    "bidirectional",
    "dropout",
    "recurrent_dropout",
)
"""Parameters of the estimators that have no effect with ``layers``."""


def hidden_layers(parameters: Parameters) -> list[Layer[Any]]:
    """Return the layers that the parameters of an estimator describe.

    The result does not contain the layer of ``pooling`` and the output layer.
    """
    if parameters.layers is not None:
        return list(parameters.layers)
    layers: list[Layer[Any]] = []
    for _ in range(parameters.num_layers):
        cell = CELLS[parameters.cell]
        layers.append(
            cell(
                parameters.hidden_size,
                parameters.bidirectional,
                recurrent_dropout=parameters.recurrent_dropout,
            )
        )
        if parameters.dropout > 0:
            layers.append(Dropout(parameters.dropout))
    return layers


def check_hidden_layers(parameters: Parameters, n_outputs: Collection[int]) -> None:
    """Check the parameter ``layers`` of an estimator, which must not contain the output layer.

    Parameters
    ----------
    parameters : Parameters
        The estimator. Nothing is checked if its ``layers`` is None.
    n_outputs : collection of int
        Numbers of units that the user's output layer could have.

    Raises
    ------
    ValueError
        If the layers end in an output layer.

    Warns
    -----
    UserWarning
        If parameters are set that have no effect with ``layers``, or if the last layer is a linear
        `Dense`, which limits the rank of the output layer.
    """
    if parameters.layers is None:
        return
    defaults = inspect.signature(type(parameters)).parameters
    ignored = [
        f"{name}={getattr(parameters, name)!r}"
        for name in _REPLACED_BY_LAYERS
        if name in defaults and getattr(parameters, name) != defaults[name].default
    ]
    if ignored:
        warn(
            f"{', '.join(ignored)} {'has' if len(ignored) == 1 else 'have'} no effect with layers: "
            f"layers sets all layers except the output layer.",
            UserWarning,
            in_cross_validation=False,
        )
    body = [
        layer
        for layer in parameters.layers
        if not (layer.reduces or (layer.pointwise and not layer.param_shapes(1)))
    ]
    last = body[-1] if body else None
    if not isinstance(last, Dense):
        return
    if last.units in n_outputs and last.activation in ("linear", "sigmoid"):
        raise ValueError(
            f"layers must not contain the output layer, which {type(parameters).__name__} appends; "
            f"got {last!r} as the last layer"
        )
    if last.activation == "linear":
        warn(
            f"The last layer of layers, {last!r}, is linear, and {type(parameters).__name__} "
            f"appends a linear output layer. Remove the last layer, or set its activation.",
            UserWarning,
            in_cross_validation=False,
        )


def new_model(
    parameters: Parameters,
    layers: Sequence[Layer[Any]],
    n_features: int,
    task: Task,
    rng: np.random.Generator,
) -> Sequential:
    """Return a model with random initial weights."""
    model = Sequential(layers, n_features, parameters.dtype, rng)
    if parameters.layers is None:
        gain = task.input_gain(n_features, parameters.hidden_size)
        for name, values in model.named_params().items():
            if name.startswith("0.weight_ih"):
                values *= gain
    return model


def set_output_bias(model: Sequential, task: Task, data: Data) -> None:
    """Set the initial bias of the output layer from the targets of the training data."""
    bias = task.start(data)
    if bias is not None:
        model.named_params()[f"{len(model.layers) - 1}.bias"][:] = bias


def check_same_model(
    model: Sequential, layers: Sequence[Layer[Any]], parameters: Parameters
) -> None:
    """Raise a ValueError if the parameters do not describe the layers of the fitted model."""
    if model.layers != tuple(layers) or model.dtype != parameters.dtype:
        raise ValueError(
            f"The layers and dtype must be equal to {list(model.layers)} and {model.dtype} to "
            f"continue the training of the fitted model; got {list(layers)} and {parameters.dtype}"
        )


def learned_standardization(
    parameters: Parameters, data: Data
) -> tuple[Array | None, Array | None]:
    """Return mean and scale of the features of X; None if X is not standardized.

    Each step has the weight of its sequence. Class weights of steps are not used.
    """
    if not parameters.standardize:
        return None, None
    weights = data.sample_weight if isinstance(data.weights, Sequences) else data.weights
    return mean_and_scale(data.sequences, weights)
