"""What training asks of a loss, and what several losses share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fusedlstm import _validation as check
from fusedlstm._core import Array

Loss: TypeAlias = Callable[[Array, Array, "Array | None"], "tuple[float, Array]"]


def each_step(loss: Loss) -> Loss:
    """Turn a loss of vectors into one of the outputs at all steps.

    Parameters
    ----------
    loss : callable
        Of y_pred (B, n_outputs).

    Returns
    -------
    callable
        Takes y_pred (B, T, n_outputs), y (B, T, ...) and weights (B, T) or None. The mean is that
        of all steps, weighted: with weights of 1 for real steps and 0 for padding, that of the
        real steps.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import each_step, log_loss
    >>> y_pred, y = np.zeros((2, 3, 4)), np.array([[2, 1, 3], [0, 0, 0]])
    >>> value, dy = each_step(log_loss)(y_pred, y, np.array([[1, 1, 1], [1, 0, 0]]))
    >>> round(value, 4), dy[1, 0].tolist(), bool(dy[1, 1:].any())
    (1.3863, [-0.1875, 0.0625, 0.0625, 0.0625], False)
    """

    def of_steps(y_pred: Array, y: Array, weights: Array | None = None) -> tuple[float, Array]:
        rows = None if weights is None else np.ravel(weights) / np.mean(weights)
        value, dy = loss(_rows(y_pred), _rows(y), rows)
        return value, dy.reshape(y_pred.shape)

    return of_steps


def _rows(array: Array) -> Array:
    """The steps of (B, T, ...) one below the other."""
    return array.reshape(-1, *array.shape[2:])


def mean_and_gradient(
    value: Array, dy: Array, n: int, weights: Array | None, dtype: np.dtype[Any]
) -> tuple[float, Array]:
    """Return the weighted sum of the losses (B, ...) over ``n``, and its gradient in ``dtype``."""
    scale: Any = dtype.type(1 / n)
    if weights is not None:
        if np.shape(weights) != value.shape[:1]:
            raise ValueError(check.needs("weights", f"{len(value)} numbers, one a row", weights))
        value = value.reshape(len(value), -1).sum(axis=1, dtype=np.float64) * weights
        scale = (weights / n).astype(dtype)[:, np.newaxis]
    return float(value.sum(dtype=np.float64)) / n, (dy * scale).astype(dtype, copy=False)


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z)) without overflow."""
    e = np.exp(-np.abs(z))
    p: Array = np.where(z >= 0, 1, e) / (1 + e)
    return p


def softplus(z: Array) -> Array:
    """Return log(1 + exp(z)) without overflow."""
    result: Array = np.logaddexp(0, z)
    return result


def log_softmax(z: Array) -> Array:
    """Return the logarithm of the softmax of each row, without overflow."""
    shifted = z - z.max(axis=1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
