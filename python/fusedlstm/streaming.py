"""One step at a time: a model with packed weights that keeps its states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusedlstm import _validation as check
from fusedlstm._core import Array, core
from fusedlstm.layers import Dense, Dropout, LastStep, Recurrent
from fusedlstm.layers.base import State
from fusedlstm.sequence import Sequence

if TYPE_CHECKING:
    from fusedlstm._estimator import SequenceEstimator
    from fusedlstm.model import Sequential


class Stream:
    """Running sequences, fed step by step. From `Sequential.stream`.

    It holds the parameters as they were when it was made. One thread at a time may use it.

    Parameters
    ----------
    model : Sequential
        Every layer reads from the first step to the last.
    n_sequences : int or None
        So many side by side; None: one, and arrays have no axis for it.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense
    >>> model = Sequential([LSTM(8), Dense(2)], input_size=3, random_state=0)
    >>> x = np.ones((5, 3), dtype="float32")
    >>> stream = model.stream()
    >>> y = np.array([stream.step(x_t) for x_t in x])
    >>> bool((y == model.predict(x[np.newaxis])[0]).all())
    True
    """

    __slots__ = ("_dtype", "_feed", "_x_shape", "_y_shape")

    def __init__(self, model: Sequential, n_sequences: int | None = None) -> None:
        rows = 1 if n_sequences is None else check.positive_int("n_sequences", n_sequences)
        for number, layer in enumerate(model.layers):
            if isinstance(layer, Recurrent) and (layer.bidirectional or layer.reverse):
                raise ValueError(
                    f"A stream needs layers that read forward; layers[{number}] reads each "
                    f"sequence from its last step: {layer!r}"
                )
        axes = () if n_sequences is None else (rows,)
        self._dtype = model.dtype
        self._x_shape = (*axes, model.input_size)
        self._y_shape = (*axes, model.output_size)
        self._feed = _fused_feed(model, n_sequences) or _LayerFeed(
            model, rows, self._x_shape, self._y_shape
        )

    def step(self, x: npt.ArrayLike, out: Array | None = None) -> Array:
        """Feed one step and return the output of the sequences so far.

        Parameters
        ----------
        x : array (input_size,) or (n_sequences, input_size)
        out : array (output_size,) or (n_sequences, output_size), optional
            Contiguous and of the model's dtype: written and returned. With x of this kind too, a
            step costs its arithmetic and little more.

        Returns
        -------
        array like ``out``
            Bit for bit what `Sequential.predict` gives for the sequence so far, its last step
            where it gives all steps.
        """
        if out is not None and self._feed.step(x, out):
            return out
        given = check.real_array("x", x, self._dtype)
        if given.shape != self._x_shape:
            raise ValueError(check.needs("x", f"an array of shape {self._x_shape}", given))
        y = np.empty(self._y_shape, self._dtype) if out is None else out
        if not self._feed.step(np.ascontiguousarray(given), y):
            needed = f"a writeable contiguous array of {self._dtype.name} of shape {self._y_shape}"
            raise ValueError(check.needs("out", needed, out))
        return y

    def reset(self) -> None:
        """Begin new sequences."""
        self._feed.reset()


class EstimatorStream:
    """Running sequences of a fitted estimator, fed step by step. From its `stream`.

    It holds the model as it was when it was made. One thread at a time may use it.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMRegressor
    >>> X = np.random.default_rng(0).standard_normal((20, 5, 2))
    >>> model = LSTMRegressor(4, max_iter=1).fit(X, X.mean(axis=(1, 2)))
    >>> stream = model.stream()
    >>> for x_t in X[0]:
    ...     forecast = stream.step(x_t)
    >>> bool(forecast == model.predict(X[:1])[0])
    True
    """

    def __init__(self, estimator: SequenceEstimator, n_sequences: int | None) -> None:
        model = estimator.model_
        rows = 1 if n_sequences is None else check.positive_int("n_sequences", n_sequences)
        self._one = n_sequences is None
        self._stream = Stream(model, rows)
        self._x = np.empty((rows, model.input_size), model.dtype)
        self._y = np.empty((rows, model.output_size), model.dtype)
        self._shape = self._x.shape[1:] if self._one else self._x.shape
        self._decode = estimator._decode_outputs

    def step(self, x: npt.ArrayLike) -> Any:
        """Feed one step and return the prediction for the sequences so far.

        Parameters
        ----------
        x : array (n_features,) or (n_sequences, n_features)

        Returns
        -------
        array or number
            Bit for bit a row, or with ``n_sequences`` the rows, of what ``predict_proba`` (of a
            classifier) or ``predict`` (of a regressor) gives for the sequence so far.
        """
        array = np.asarray(x)
        if array.shape != self._shape or array.dtype.kind not in "fiub":
            array = check.real_array("x", x, np.float64)
            if array.shape != self._shape:
                raise ValueError(check.needs("x", f"an array of shape {self._shape}", x))
        with np.errstate(over="ignore"):
            self._x[...] = array
        if not np.isfinite(self._x).all():
            raise ValueError(check.needs("x", f"finite, within {self._x.dtype}'s range", x))
        decoded = self._decode(self._stream.step(self._x, self._y).astype(np.float64, copy=False))
        return decoded[0] if self._one else decoded

    def reset(self) -> None:
        """Begin new sequences."""
        self._stream.reset()


def _fused_feed(model: Sequential, n_sequences: int | None) -> Any:
    """The core's stream, where it knows all layers; else None."""
    feed = core.Stream(model.dtype.name, n_sequences is None, n_sequences or 1, model.input_size)
    params = model.params
    for layer, place in zip(model.layers, model.places, strict=True):
        if isinstance(layer, Recurrent) and isinstance(layer.core_cell(), str):
            layer.add_to_stream(feed, params[place])
        elif isinstance(layer, Dense):
            feed.add_dense(layer.units, layer.core_activation, params[place])
        elif not isinstance(layer, (LastStep, Dropout)):
            return None
    return feed


class _LayerFeed:
    """Any layers, by their own `run`."""

    def __init__(
        self, model: Sequential, rows: int, x_shape: tuple[int, ...], y_shape: tuple[int, ...]
    ) -> None:
        params = model.params.copy()
        self.x_shape, self.y_shape = x_shape, y_shape
        self.parts = [
            (layer, params[place]) for layer, place in zip(model.layers, model.places, strict=True)
        ]
        self.dtype = model.dtype
        self.rows = rows
        self.reset()

    def reset(self) -> None:
        self.states: list[State] = [None] * len(self.parts)

    def step(self, x: Any, out: Array) -> bool:
        for array, shape in ((x, self.x_shape), (out, self.y_shape)):
            if type(array) is not np.ndarray or array.shape != shape or array.dtype != self.dtype:
                return False
        if not out.flags.writeable:
            return False
        seq = Sequence(np.ascontiguousarray(x).reshape(self.rows, 1, -1))
        for number, (layer, params) in enumerate(self.parts):
            seq, self.states[number] = layer.run(params, seq, self.states[number])
        out[...] = seq.steps().reshape(out.shape)
        return True
