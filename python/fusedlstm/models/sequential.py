"""Models that apply layers one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from fusedlstm.layers import Chain, Layer
from fusedlstm.layers.composite import checked_layers
from fusedlstm.models.model import Model

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Sequential"]

MAX_LINE_LENGTH = 88
"""Maximum number of characters of a repr on one line."""


class Sequential(Model):
    """A model that applies layers one after the other.

    Parameters
    ----------
    layers : iterable of layers
        From `fusedlstm.layers`. Each element is one layer, so two stacked LSTM layers are two
        elements. Arrays are (B, T, features) before `LastStep` or `Pool`, and (B, features) after
        it. B is the number of sequences, T the number of steps.
    input_size : int
        Number of features of the input.
    dtype : {"float32", "float64"}, default "float32"
    random_state : int, numpy Generator or None, default None
        Seed of the initial parameters.

    Attributes
    ----------
    params : array (n_params,)
        All parameters. Writing to it changes the model.
    layers : tuple of layers
    input_size, output_size : int
    dtype : numpy dtype

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense, LastStep
    >>> model = Sequential([LSTM(8), LastStep(), Dense(2)], input_size=3, random_state=0)
    >>> x = np.ones((4, 10, 3), dtype="float32")
    >>> y, saved = model.forward(x)
    >>> grads = np.zeros_like(model.params)
    >>> dx = model.backward(saved, np.ones_like(y), grads)
    >>> y.shape, dx.shape, sorted(model.named_params())[:2]
    ((4, 2), (4, 10, 3), ['0.bias', '0.weight_hh'])
    """

    def __init__(
        self,
        layers: Iterable[Layer[Any]],
        input_size: int,
        dtype: npt.DTypeLike = "float32",
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(Chain(*checked_layers(layers)), input_size, dtype, random_state)

    @classmethod
    def from_named_params(
        cls,
        layers: Iterable[Layer[Any]],
        input_size: int,
        named: Mapping[str, npt.ArrayLike],
        dtype: npt.DTypeLike = "float32",
    ) -> Self:
        """Build a model with given parameters.

        Parameters
        ----------
        layers, input_size, dtype
            As for `Sequential`.
        named : dict of str to array
            The values of all parameters, with the names and shapes of `named_params`.

        Returns
        -------
        Sequential

        Raises
        ------
        ValueError
            If a parameter is missing, unknown, or has another shape.

        Examples
        --------
        >>> import numpy as np
        >>> from fusedlstm import Sequential
        >>> from fusedlstm.layers import Dense
        >>> named = {"0.weight": np.array([[2.0, 0.0]]), "0.bias": np.array([1.0])}
        >>> model = Sequential.from_named_params([Dense(1)], 2, named)
        >>> model.predict([[[3.0, 5.0]]]).tolist()
        [[[7.0]]]
        """
        return super().from_named_params(Chain(*checked_layers(layers)), input_size, named, dtype)

    @property
    def layers(self) -> tuple[Layer[Any], ...]:
        """The layers, in order."""
        return cast(Chain, self.layer).layers

    def __repr__(self) -> str:
        """Return a call that makes a model of these layers, on one line if it fits."""
        layers = [repr(layer) for layer in self.layers]
        rest = [f"input_size={self.input_size}", f"dtype={self.dtype.name!r}"]
        line = f"Sequential([{', '.join(layers)}], {', '.join(rest)})"
        if len(line) <= MAX_LINE_LENGTH:
            return line
        lines = ["    [", *(f"        {layer}," for layer in layers), "    ],"]
        return "\n".join(["Sequential(", *lines, *(f"    {part}," for part in rest), ")"])


def __dir__() -> list[str]:
    return sorted(__all__)
