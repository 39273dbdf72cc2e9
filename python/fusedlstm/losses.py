"""Losses on a model's raw output: logits, or values on the scale of the targets.

A loss returns the mean over the batch of each sequence's weighted loss, and its gradient by the
output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array

Loss: TypeAlias = Callable[[Array, Array, "Array | None"], "tuple[float, Array]"]


def squared_error(y_pred: Array, y: Array, weights: Array | None = None) -> tuple[float, Array]:
    """Mean squared error, over the batch and the outputs.

    Parameters
    ----------
    y_pred, y : array (B, n_outputs)
    weights : array (B,) or None

    Returns
    -------
    value : float
    dy : array (B, n_outputs)

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import squared_error
    >>> value, dy = squared_error(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]))
    >>> value, dy.tolist()
    (2.0, [[0.0], [2.0]])
    """
    error = y_pred - y
    value = np.asarray(np.mean(error * error, axis=1, dtype=np.float64))
    dy = error * error.dtype.type(2 / error.size)
    return _weighted(value, dy, weights)


def log_loss(
    y_pred: Array, y: npt.NDArray[np.intp], weights: Array | None = None
) -> tuple[float, Array]:
    """Cross-entropy of class labels with the softmax, or with one output the sigmoid, of logits.

    Parameters
    ----------
    y_pred : array (B, n_classes), or (B, 1) for two classes
        Logits.
    y : int array (B,)
        Classes, counted from 0.
    weights : array (B,) or None

    Returns
    -------
    value : float
    dy : array like y_pred

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import log_loss
    >>> value, dy = log_loss(np.zeros((1, 4)), np.array([2]))
    >>> round(value, 4), dy.tolist()
    (1.3863, [[0.25, 0.25, -0.75, 0.25]])
    """
    if y_pred.shape[1] == 1:
        return binary_log_loss(y_pred, y[:, np.newaxis], weights)
    batch = len(y_pred)
    log_p = log_softmax(y_pred)
    rows = np.arange(batch)
    value = -log_p[rows, y].astype(np.float64)
    dy = np.exp(log_p)
    dy[rows, y] -= 1
    return _weighted(value, dy / y_pred.dtype.type(batch), weights)


def binary_log_loss(
    y_pred: Array, y: npt.NDArray[np.intp], weights: Array | None = None
) -> tuple[float, Array]:
    """Cross-entropy of labels, each there or not, with the sigmoids of their logits.

    Summed over the labels of a sequence, which are taken to be independent.

    Parameters
    ----------
    y_pred : array (B, n_labels)
        Logits.
    y : int array (B, n_labels)
        1 where a sequence has the label, 0 where it has not.
    weights : array (B,) or None

    Returns
    -------
    value : float
    dy : array (B, n_labels)

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import binary_log_loss
    >>> value, dy = binary_log_loss(np.zeros((1, 2)), np.array([[1, 0]]))
    >>> round(value, 4), dy.tolist()
    (1.3863, [[-0.5, 0.5]])
    """
    # log(1 + exp(z)) - y z, without overflow
    value = (np.logaddexp(0, y_pred.astype(np.float64)) - y * y_pred).sum(axis=1)
    dy = (sigmoid(y_pred) - y).astype(y_pred.dtype)
    return _weighted(value, dy / y_pred.dtype.type(len(y_pred)), weights)


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


def _weighted(value: Array, dy: Array, weights: Array | None) -> tuple[float, Array]:
    """The mean of ``value`` and its gradient, both weighted."""
    if weights is None:
        return float(np.mean(value)), dy
    return float(np.mean(value * weights)), dy * weights.astype(dy.dtype)[:, np.newaxis]


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z)) without overflow."""
    e = np.exp(-np.abs(z))
    p: Array = np.where(z >= 0, 1, e) / (1 + e)
    return p


def log_softmax(z: Array) -> Array:
    """Return the logarithm of the softmax of each row, without overflow."""
    shifted = z - z.max(axis=1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


LOSSES: dict[str, Loss] = {
    "squared_error": squared_error,
    "log_loss": log_loss,
    "binary_log_loss": binary_log_loss,
}
