"""Types and base classes of losses, their evaluation on a batch, and shared functions."""

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
"""Function of outputs (N, n_outputs), targets (N, ...) and weights (N,) or None.

It returns the mean of the weighted losses of the rows, and the gradient of the mean with respect to
the outputs. For a model with an output at every step, the rows are the real steps of all sequences
of the batch. Real steps are the steps that are not padding.
"""


SHORT_ROW = 64
"""Maximum length of rows for which `row_max` transposes the array, because this is faster."""


class SequenceLoss(abc.ABC):
    """Base class of losses that depend on several steps of a sequence.

    Other losses receive the real steps of all sequences as independent rows.

    Examples
    --------
    The squared error with a penalty on changes between successive steps, for sequences of equal
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
        y : array (B, T, ...), or (B, ...) for one output per sequence
            Targets. After the end of a sequence they are arbitrary.
        weights : array (B,) or (B, T) or None, default None
            Weights, per sequence or per step. After the end of a sequence they are arbitrary. None:
            equal weights.

        Returns
        -------
        value : float
            The mean over the real steps of the batch, or over the sequences if there is one output
            per sequence.
        dout : Sequence
            A copy of ``out`` in which ``x`` is the gradient with respect to ``out.x``. It is zero
            after the end of each sequence.
        """


class Evaluated(NamedTuple):
    """The loss of a batch.

    Attributes
    ----------
    loss : float
        The mean over the outputs.
    dout : array
        Gradient with respect to the outputs.
    size : float
        Number of outputs in the mean.
    """

    loss: float
    dout: Array
    size: float


def evaluate(
    loss: Loss | SequenceLoss, out: Sequence, y: Array, weights: Array | None
) -> Evaluated:
    """Evaluate a loss on the outputs of a batch, without padding.

    Parameters
    ----------
    loss : callable
        A loss of rows or a `SequenceLoss`.
    out : Sequence
        Output of the model, per sequence or per step. With an output at every step, the loss is the
        mean over the real steps of the batch.
    y : array (B, ...) or (B, T, ...)
        Targets, per sequence or per step. If ``out`` has lengths, ``y`` may have more steps than
        ``out``. Targets after the end of a sequence are ignored.
    weights : array (B,) or (B, T) or None
        Weights, per sequence or per step, divided by their mean over the training set.

    Returns
    -------
    Evaluated
        The loss, its gradient and the number of outputs in the mean.

    Raises
    ------
    ValueError
        If ``out`` has an output at every step and ``y`` has one target per sequence.
    """
    x = out.steps()
    with np.errstate(over="ignore", invalid="ignore"):  # the caller checks that the loss is finite
        if isinstance(loss, SequenceLoss):
            if x.ndim == 3:
                mask = out.mask()
                y = _of_steps("y", y, x, mask)
                if weights is not None and weights.ndim == 2:
                    weights = _of_steps("weights", weights, x, mask)
            value, dout = loss(out, y, weights)
            return Evaluated(value, dout.steps(), len(x) if x.ndim == 2 else _n_real_steps(out))
        if x.ndim == 2:
            value, dy = loss(x, y, weights)
            return Evaluated(value, dy, len(x))
        mask = out.mask()
        require_step_targets(y, x.shape[:2])
        targets = rows_of(_of_steps("y", y, x, mask), mask, 2)
        size: float = getattr(loss, "count_rows", len)(targets)
        of_rows = None
        if weights is not None:
            of_rows = _step_weights(weights, x, mask)
            if weights.ndim == 2 and hasattr(loss, "scales_weights"):  # set by `each_step`
                size = float(of_rows.sum())
                of_rows = of_rows / max(of_rows.mean(), np.finfo(np.float64).tiny)
        value, drows = loss(rows_of(x, mask), targets, of_rows)
    return Evaluated(value, out.with_rows(drows).steps(), size)


def _n_real_steps(out: Sequence) -> int:
    """Return the number of real steps of all sequences."""
    batch, steps = out.steps().shape[:2]
    return batch * steps if out.lengths is None else int(out.lengths.sum())


def require_step_targets(y: Any, steps: tuple[int, ...]) -> None:
    """Raise ValueError if y has one target per sequence and the model has one output per step."""
    if np.ndim(y) < 2 or len(y) != steps[0]:
        needed = f"targets of all steps, of shape ({steps[0]}, {steps[1]}, ...)"
        hint = (
            "The model has an output at every step. For one target per sequence put LastStep() "
            "or Pool() before its output layer."
        )
        raise ValueError(check.needs("y", needed, y, hint))


def _of_steps(name: str, values: Array, x: Array, mask: npt.NDArray[np.bool_] | None) -> Array:
    """Return values per step, cut to the number of steps of x."""
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
    """Return a loss of outputs (B, T, n_outputs), given a loss of outputs (B, n_outputs).

    Use this function to call a loss directly. Training does not need it: if the model has an output
    at every step, training evaluates the loss on all real steps.

    Parameters
    ----------
    loss : callable
        Function of y_pred (B, n_outputs), y (B, ...) and weights (B,) or None.

    Returns
    -------
    callable
        Function of y_pred (B, T, n_outputs), y (B, T, ...) and weights (B, T) or None. It returns
        the sum of the weighted losses of all steps divided by the sum of the weights, and its
        gradient. With weight 1 for real steps and 0 for padding, this is the mean over the real
        steps. For y_pred (B, n_outputs) it returns the result of ``loss``.

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

    of_steps.scales_weights = True  # type: ignore[attr-defined]
    return of_steps


def require_rows(y_pred: Array) -> None:
    """Raise ValueError if y_pred has three dimensions."""
    if np.ndim(y_pred) == 3:
        hint = "For the outputs at all steps, (B, T, n_outputs), use each_step(loss)."
        raise ValueError(check.needs("y_pred", "an array (B, n_outputs)", y_pred, hint))


def mean_and_gradient(
    value: Array, dy: Array, n: int, weights: Array | None, dtype: np.dtype[Any]
) -> tuple[float, Array]:
    """Return the weighted sum of the losses, divided by ``n``, and its gradient.

    Parameters
    ----------
    value : array (B, ...)
        Losses of the rows, without weights.
    dy : array (B, n_outputs)
        Gradients of the losses, without weights.
    n : int
        Number of losses in the mean.
    weights : array (B,) or None
        Weights of the rows.
    dtype : numpy.dtype
        The dtype of the returned gradient.
    """
    scale: Any = dtype.type(1 / n)
    if weights is not None:
        if np.shape(weights) != value.shape[:1]:
            raise ValueError(check.needs("weights", f"{len(value)} numbers, one per row", weights))
        value = value.reshape(len(value), -1).sum(axis=1, dtype=np.float64) * weights
        scale = (weights / n).astype(dtype)[:, np.newaxis]
    return float(value.sum(dtype=np.float64)) / n, (dy * scale).astype(dtype, copy=False)


def sigmoid(z: Array) -> Array:
    """Return the logistic function, 1 / (1 + exp(-z)), without overflow.

    Parameters
    ----------
    z : array

    Returns
    -------
    array like z

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import sigmoid
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    e = np.exp(-np.abs(z))
    p: Array = np.where(z >= 0, 1, e) / (1 + e)
    return p


def softplus(z: Array) -> Array:
    """Return log(1 + exp(z)) without overflow."""
    result: Array = np.logaddexp(0, z)
    return result


def row_max(z: Array) -> Array:
    """Return the maximum of each row, of shape (B, 1)."""
    if z.shape[1] > SHORT_ROW:
        highest: Array = z.max(axis=1, keepdims=True)
    else:
        highest = np.ascontiguousarray(z.T).max(axis=0)[:, np.newaxis]
    return highest


def log_softmax(z: Array) -> Array:
    """Return the logarithm of the softmax of each row, without overflow.

    Parameters
    ----------
    z : array (B, n_classes)
        Logits.

    Returns
    -------
    array (B, n_classes)
        Logarithms of the probabilities of the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import log_softmax
    >>> log_softmax(np.array([[0.0, 0.0], [1000.0, 0.0]])).round(4).tolist()
    [[-0.6931, -0.6931], [0.0, -1000.0]]
    """
    shifted = z - row_max(z)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
