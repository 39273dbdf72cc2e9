"""Streams of fitted estimators, which compute one prediction per time step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm.data.standardization import Standardizer
from fusedlstm.models.stream import Stream


class EstimatorStream(core.EstimatorStream):
    """Predictions of a fitted estimator for sequences that are passed step by step.

    The method ``stream`` of an estimator returns a stream. A stream uses the weights that the
    estimator had when the stream was created. Streams of one estimator share its packed weights.
    Only one thread at a time may use a stream.

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

    __slots__ = ("_check_names", "_decode", "_standardizer", "_stream")

    step = core.EstimatorStream.step  # documented in the core

    def __init__(
        self,
        stream: Stream,
        decode: Callable[[Array], Any],
        standardizer: Standardizer | None = None,
        check_names: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__(
            stream,
            decode if isinstance(decode, core.Decoder) else None,
            None if standardizer is None else standardizer.core,
        )
        self._stream, self._decode, self._standardizer = stream, decode, standardizer
        self._check_names = check_names

    def _step(self, x: Any) -> Any:
        """Compute a step for an argument that the core's `step` does not accept.

        Raises
        ------
        TypeError, ValueError
            If the argument is not an array of finite numbers of the shape of a step.
        """
        array: Array = x
        if self._check_names is not None and type(x) is not np.ndarray:
            self._check_names(x)
        if type(x) is not np.ndarray or x.dtype.kind != "f":
            array = check.real_array("x", x, np.float64)  # the dtype in which `predict` reads it
        dtype, shape = self._stream.dtype, self._stream.x_shape
        if array.shape != shape:
            raise ValueError(check.needs("x", f"an array of shape {shape}", x))
        values: Array | None = None
        if np.isfinite(array).all():
            with np.errstate(over="ignore"), contextlib.suppress(ValueError):
                values = (self._standardizer or dtype.type)(array)
        if values is None or not np.isfinite(values).all():
            raise ValueError(check.needs("x", f"finite and within {dtype}'s range", x))
        decoded = self._decode(np.atleast_2d(self._stream.step(values)))
        if len(shape) > 1:
            return decoded
        if isinstance(decoded, tuple):
            return tuple(part[0] for part in decoded)
        return decoded[0]

    def __repr__(self) -> str:
        """Return the sizes and the dtype."""
        *rows, input_size = self._stream.x_shape
        return (
            f"EstimatorStream(n_sequences={rows[0] if rows else None}, "
            f"input_size={input_size}, dtype='{self._stream.dtype}')"
        )

    def reset(self) -> None:
        """Start new sequences."""
        self._stream.reset()
