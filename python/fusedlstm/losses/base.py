"""Losses of vectors, of steps and of sequences, and functions that several losses share."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.sequence import Sequence, rows_of

Loss: TypeAlias = Callable[[Array, Array, "Array | None"], "tuple[float, Array]"]
"""A function of outputs (N, n_outputs), targets (N, ...) and weights (N,) or None.

It returns the mean of the rows' weighted losses, and its gradient by the outputs. For models with
an output at every step the rows are the real steps of all sequences of a batch.
"""


SHORT_ROW = 64
"""Length up to which NumPy reduces rows faster as columns of the transposed array."""


class SequenceLoss(abc.ABC):
    """A loss that needs to know which steps belong to one sequence.

    Examples
    --------
    A squared error with a penalty on changes from one step to the next, for sequences of equal
    lengths:

    >>> import numpy as np
    >>> from fusedlstm.losses import SequenceLoss
    >>> class Smooth(SequenceLoss):
    ...     def __call__(self, out, y, weights=None):
    ...         error, change = out.x - y, np.diff(out.x, axis=1)
    ...         dx = 2 * error
    ...         dx[:, 1:] += 2 * change
    ...         dx[:, :-1] -= 2 * change
    ...         value = (error**2).sum() + (change**2).sum()
    ...         return value / error.size, out._replace(x=dx / error.size)
    """

    @abc.abstractmethod
    def __call__(
        self, out: Sequence, y: Any, weights: Array | None = None
    ) -> tuple[float, Sequence]:
        """Return the loss of a batch and its gradient.

        Parameters
        ----------
        out : Sequence
            The output of the model: ``x`` (B, T, n_outputs) or (B, n_outputs), and ``lengths``.
        y : array (B, ...) or (B, T, ...)
            Targets of the sequences or of the steps.
        weights : array (B,) or (B, T) or None
            Of the sequences or of the steps. Past the end of a sequence targets and weights of
            steps hold any number; if they are a padded array they may have more steps than ``out``.

        Returns
        -------
        value : float
            The mean over the real steps of the batch, or over the vectors.
        dout : Sequence
            The gradient by ``out.x``, zero past the end of each sequence.
        """


class Evaluated(NamedTuple):
    """The loss of a batch.

    Attributes
    ----------
    loss : float
    dout : array
        Gradient by the outputs.
    size : float
        Number of outputs that the loss is the mean over.
    """

    loss: float
    dout: Array
    size: float


def evaluate(
    loss: Loss | SequenceLoss, out: Sequence, y: Array, weights: Array | None
) -> Evaluated:
    """Evaluate a loss on the real steps of a batch, or on its vectors.

    Parameters
    ----------
    loss : callable
    out : Sequence
        With an output at every step, the loss is the mean over the real steps of the batch.
    y : array (B, ...) or (B, T, ...)
        Targets of the sequences or of the steps. Where ``out`` has lengths, there may be more
        steps than in ``out``: those past the end of a sequence are not read.
    weights : array (B,) or (B, T) or None
        Of the sequences or of the steps, relative to their mean over the training set.

    Raises
    ------
    ValueError
        ``out`` has an output at every step and ``y`` no target for each.
    """
    x = out.steps()
    with np.errstate(over="ignore", invalid="ignore"):  # the caller sees it in the loss
        if isinstance(loss, SequenceLoss):
            if x.ndim == 3:
                mask = out.mask()
                y = _of_steps("y", y, x, mask)
                if weights is not None and weights.ndim == 2:
                    weights = _of_steps("weights", weights, x, mask)
            value, dout = loss(out, y, weights)
            return Evaluated(value, dout.steps(), len(x) if x.ndim == 2 else _count_of(out))
        if x.ndim == 2:
            value, dy = loss(x, y, weights)
            return Evaluated(value, dy, len(x))
        mask = out.mask()
        require_step_targets(y, x.shape[:2])
        targets = rows_of(_of_steps("y", y, x, mask), mask, 2)
        size: float = getattr(loss, "_count", len)(targets)
        of_rows = None
        if weights is not None:
            of_rows = _step_weights(weights, x, mask)
            if weights.ndim == 2 and hasattr(loss, "_scales_weights"):  # see `each_step`
                size = float(of_rows.sum())
                of_rows = of_rows / max(of_rows.mean(), np.finfo(np.float64).tiny)
        value, drows = loss(rows_of(x, mask), targets, of_rows)
    return Evaluated(value, out.with_rows(drows).steps(), size)


def _count_of(out: Sequence) -> int:
    """Return the number of real steps."""
    batch, steps = out.steps().shape[:2]
    return batch * steps if out.lengths is None else int(out.lengths.sum())


def require_step_targets(y: Any, steps: tuple[int, ...]) -> None:
    """Refuse targets of whole sequences for a model with an output at every step."""
    if np.ndim(y) < 2 or len(y) != steps[0]:
        needed = f"targets of all steps, of shape ({steps[0]}, {steps[1]}, ...)"
        hint = (
            "The model has an output at every step. For one target per sequence put LastStep() "
            "or Pool() before its output layer."
        )
        raise ValueError(check.needs("y", needed, y, hint))


def _of_steps(name: str, values: Array, x: Array, mask: npt.NDArray[np.bool_] | None) -> Array:
    """Return values of the steps of x, without those past the end of the longest sequence."""
    steps, shape = x.shape[:2], np.shape(values)
    if shape[:2] == steps:
        return values
    if mask is None or shape[0] != steps[0] or shape[1] < steps[1]:
        needed = f"of all steps, of shape ({steps[0]}, {steps[1]}, ...)"
        raise ValueError(check.needs(name, needed, values))
    return values[:, : steps[1]]


def _step_weights(weights: Array, x: Array, mask: npt.NDArray[np.bool_] | None) -> Array:
    if np.ndim(weights) == 1:
        weights = np.repeat(weights[:, np.newaxis], x.shape[1], axis=1)
    return rows_of(_of_steps("weights", weights, x, mask), mask, 2)


def each_step(loss: Loss) -> Loss:
    """Turn a loss of vectors into one of the outputs at all steps.

    Training needs no such loss: it evaluates losses of vectors on all real steps.

    Parameters
    ----------
    loss : callable
        Of y_pred (B, n_outputs).

    Returns
    -------
    callable
        Takes y_pred (B, T, n_outputs), y (B, T, ...) and weights (B, T) or None. The mean is that
        of all steps, weighted: with weights of 1 for real steps and 0 for padding, that of the
        real steps. Rows (N, n_outputs) are taken as by ``loss``.

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
        if np.ndim(y_pred) == 2:
            return loss(y_pred, y, weights)
        rows = None if weights is None else np.ravel(weights) / np.mean(weights)
        value, dy = loss(rows_of(y_pred, None, 2), rows_of(y, None, 2), rows)
        return value, dy.reshape(y_pred.shape)

    of_steps._scales_weights = True  # type: ignore[attr-defined]
    return of_steps


def require_rows(y_pred: Array) -> None:
    """Refuse outputs at all steps, in a call of a loss of vectors."""
    if np.ndim(y_pred) == 3:
        hint = "each_step(loss) takes the outputs at all steps, (B, T, n_outputs)."
        raise ValueError(check.needs("y_pred", "an array (B, n_outputs)", y_pred, hint))


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


def row_max(z: Array) -> Array:
    """Return the maximum of each row, (B, 1)."""
    if z.shape[1] > SHORT_ROW:
        highest: Array = z.max(axis=1, keepdims=True)
    else:
        highest = np.ascontiguousarray(z.T).max(axis=0)[:, np.newaxis]
    return highest


def log_softmax(z: Array) -> Array:
    """Return the logarithm of the softmax of each row, without overflow."""
    shifted = z - row_max(z)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
