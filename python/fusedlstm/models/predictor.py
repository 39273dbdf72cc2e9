"""Predictors: models with constant, packed weights."""

from __future__ import annotations

import copy
from typing import Any, Protocol

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers import Layer
from fusedlstm.models.inference import Inference
from fusedlstm.models.stream import Stream

__all__ = ["Predictor"]


class HasParams(Protocol):
    """Interface of an object with a layer and its parameters, such as `Model`."""

    layer: Layer[Any]
    input_size: int

    @property
    def params(self) -> Array:
        """All parameters, flat."""


class PackedInference(Inference):
    """A layer with packed weights. Later changes of the parameters do not change its output.

    Parameters
    ----------
    layer : layer
    params : array (n_params,)
        The object keeps a read-only view. A copy or pickle of the object packs the array again.
    input_size : int
    """

    def __init__(self, layer: Layer[Any], params: Array, input_size: int) -> None:
        self._params = params.view()
        self._params.flags.writeable = False
        packed = layer.pack(params, input_size)
        weights = params.copy() if packed is None else packed
        super().__init__(layer, weights, input_size, params.dtype)

    def stream(self, n_sequences: int | None = None) -> Stream:
        """Return a stream, which computes sequences one step at a time.

        All streams of the object share its packed weights.

        Parameters
        ----------
        n_sequences : int or None, default None
            As for `Sequential.stream`.

        Returns
        -------
        Stream

        Raises
        ------
        ValueError
            If a layer reads sequences backward, is not causal, or has an incomplete state.
        """
        return Stream(self, n_sequences)

    def __getstate__(self) -> dict[str, Any]:
        derived = ("weights", "program")
        return {name: value for name, value in vars(self).items() if name not in derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        params = check.contiguous(self._params)
        PackedInference.__init__(self, self.layer, params, self.input_size)


class Predictor(PackedInference):
    """An immutable snapshot of a model, with packed weights. Returned by `Sequential.predictor`.

    A model packs its weights at every call, so that changes of its parameters take effect. For
    short sequences and a large model, packing takes most of the time. A predictor packs the weights
    once. Any number of threads may use it at the same time. Its outputs are bit-identical to those
    of the model.

    Parameters
    ----------
    model : Model
        Later changes of its parameters do not change the predictor.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense, LastStep
    >>> model = Sequential([LSTM(8), LastStep(), Dense(2)], input_size=3, random_state=0)
    >>> predictor, x = model.predictor(), np.ones((4, 10, 3))
    >>> bool((predictor.predict(x) == model.predict(x)).all())
    True
    """

    def __init__(self, model: HasParams) -> None:
        self._model_repr = repr(model)
        super().__init__(copy.deepcopy(model.layer), model.params.copy(), model.input_size)

    def __repr__(self) -> str:
        """Return ``Predictor(...)`` with the repr of the model."""
        return f"Predictor({self._model_repr})"

    def __copy__(self) -> Predictor:
        return self


def __dir__() -> list[str]:
    return sorted(__all__)
