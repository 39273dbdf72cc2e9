"""A model for predictions alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm.models.stream import Stream

if TYPE_CHECKING:
    from fusedlstm.models.model import Model

__all__ = ["Predictor"]


class Predictor:
    """An immutable snapshot of a model, with packed weights. From `Sequential.predictor`.

    A model packs its weights at every call, so that writing to its parameters is seen; for short
    sequences of a large model that is most of the work. Any number of threads may use it.

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

    def __init__(self, model: Model) -> None:
        self._pack(copy.deepcopy(model))

    @classmethod
    def _beside(cls, model: Model) -> Predictor:
        """Return one that leaves to the model what only pickling needs, its parameters unpacked."""
        predictor = cls.__new__(cls)
        predictor._pack(model)
        return predictor

    def _pack(self, model: Model) -> None:
        self._packed = model._packed()

    def predict(
        self,
        x: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
    ) -> Array:
        """Compute the output, bit for bit as `Sequential.predict` of the model did.

        Parameters
        ----------
        x : array (B, T, input_size)
        lengths : int array (B,) or None
        mask : bool array (B, T) or None

        Returns
        -------
        array (B, T, output_size), or (B, output_size) after `LastStep`
        """
        return self._packed.predict(x, lengths, mask=mask)

    def stream(self, n_sequences: int | None = None) -> Stream:
        """Run sequences one step at a time, as `Sequential.stream`. All share the packed weights.

        Parameters
        ----------
        n_sequences : int or None, default None

        Returns
        -------
        Stream
        """
        return Stream(self, n_sequences)

    def __repr__(self) -> str:
        """Return the repr of the model within that of the predictor."""
        return f"Predictor({self._packed!r})"

    def __copy__(self) -> Predictor:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self._packed}  # whose parts, packed, stay behind

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._pack(state["model"])


def __dir__() -> list[str]:
    return sorted(__all__)
