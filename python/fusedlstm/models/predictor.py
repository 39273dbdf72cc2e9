"""Models with constant, packed weights, for predictions only."""

from __future__ import annotations

import copy
from typing import Any, Protocol

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers import Layer
from fusedlstm.models.inference import Inference
from fusedlstm.models.stream import Stream

__all__ = ["PackedInference", "Predictor"]


class HasParams(Protocol):
    """A layer and its parameters."""

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
        Not copied. Copies and pickles of the object pack this array again.
    input_size : int
    """

    def __init__(self, layer: Layer[Any], params: Array, input_size: int) -> None:
        self._params = params.view()
        self._params.flags.writeable = False
        packed = layer.pack(params, input_size)
        weights = params.copy() if packed is None else packed
        super().__init__(layer, weights, input_size, params.dtype)

    def stream(self, n_sequences: int | None = None) -> Stream:
        """Run sequences one step at a time, as `Sequential.stream`.

        All streams share the packed weights.

        Parameters
        ----------
        n_sequences : int or None, default None

        Returns
        -------
        Stream
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
    short sequences and a large model, packing takes most of the time. A predictor packs them once.
    Any number of threads may use it. Its outputs have the bits of the model's outputs.

    Parameters
    ----------
    model : Model

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
        """Return the repr of the model within that of the predictor."""
        return f"Predictor({self._model_repr})"

    def __copy__(self) -> Predictor:
        return self


def __dir__() -> list[str]:
    return sorted(__all__)
