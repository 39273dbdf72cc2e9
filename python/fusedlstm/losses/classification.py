"""Classification losses: functions of logits, for one class or several labels per sequence."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm._utils.representation import ShortRepr
from fusedlstm.losses.base import (
    log_softmax,
    mean_and_gradient,
    require_rows,
    row_max,
    sigmoid,
    softplus,
)


class ClassificationLoss(ShortRepr, abc.ABC):
    """Base class of classification losses.

    A subclass implements `of_classes` and `of_labels`.

    Examples
    --------
    The squared error of the probabilities, known as the Brier score:

    >>> import numpy as np
    >>> from fusedlstm.losses import ClassificationLoss, log_softmax, sigmoid
    >>> class Brier(ClassificationLoss):
    ...     def of_classes(self, z, y):
    ...         p = np.exp(log_softmax(z))
    ...         error = p - np.eye(z.shape[1])[y]
    ...         dz = 2 * p * (error - (p * error).sum(axis=1, keepdims=True))
    ...         return (error**2).sum(axis=1), dz
    ...
    ...     def of_labels(self, z, y):
    ...         p = sigmoid(z)
    ...         return (p - y) ** 2, 2 * (p - y) * p * (1 - p)
    >>> value, dy = Brier()(np.zeros((1, 2)), np.array([1]))
    >>> value, dy.tolist()
    (0.5, [[0.5, -0.5]])
    """

    def __call__(
        self, y_pred: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        """Return the mean over the batch, and its gradient.

        Parameters
        ----------
        y_pred : array (B, n_classes), (B, 1) for two classes, or (B, n_labels)
            Logits.
        y : int array (B,) or (B, n_labels)
            Class indices from 0 to n_classes - 1. Or an indicator matrix: 1 if the sequence has the
            label, else 0. The losses of the labels of a sequence are added.
        weights : array (B,) or None, default None
            Weights of the sequences. None means weights of 1.

        Returns
        -------
        value : float
            The sum of the weighted losses of the sequences, divided by B.
        dy : array like y_pred
            Gradient with respect to ``y_pred``.

        Raises
        ------
        ValueError
            If the shapes do not match, or ``y`` has a class outside of 0 to n_classes - 1.
            Sequences of weight 0 must also have a valid class.
        """
        require_rows(y_pred)
        y = np.asarray(y)
        if y.shape != (y_pred.shape if y.ndim == 2 else y_pred.shape[:1]):
            needed = f"classes {y_pred.shape[:1]} or labels {y_pred.shape}, to match y_pred"
            raise ValueError(check.needs("y", needed, y))
        self._check_range(y, y_pred.shape[1])
        if y.ndim == 2:
            value, dy = self.of_labels(y_pred, y)
        elif y_pred.shape[1] == 1:
            value, dy = self.of_labels(y_pred, y[:, np.newaxis])
        else:
            value, dy = self.of_classes(y_pred, y.astype(np.intp, copy=False))
        losses = y.shape if y.ndim == 2 else (len(y), 1) if y_pred.shape[1] == 1 else y.shape
        if np.shape(value) != losses or np.shape(dy) != y_pred.shape:
            shapes = f"losses of shape {losses} and gradients of shape {y_pred.shape}"
            raise ValueError(
                f"of_classes and of_labels of {self!r} must return {shapes}; got "
                f"{np.shape(value)} and {np.shape(dy)}"
            )
        return mean_and_gradient(value, dy, len(y_pred), weights, y_pred.dtype)

    @staticmethod
    def _check_range(y: Array, n_outputs: int) -> None:
        """Raise ValueError for classes and labels out of range.

        Without this check, NumPy would use the last class for the class -1.
        """
        if y.size == 0:
            return
        if y.ndim == 1 and y.dtype.kind not in "biu":
            raise ValueError(check.needs("y", "integer classes", y))
        highest = max(n_outputs, 2) - 1 if y.ndim == 1 else 1
        smallest, largest = y.min(), y.max()
        if not (smallest >= 0 and largest <= highest):  # true for NaN too
            needed = f"classes from 0 to {highest}" if y.ndim == 1 else "labels from 0 to 1"
            wrong = largest if smallest >= 0 else smallest
            raise ValueError(check.needs("y", needed, wrong))

    @abc.abstractmethod
    def of_classes(self, z: Array, y: Array) -> tuple[Array, Array]:
        """Return the losses and gradients for one class per sequence.

        Parameters
        ----------
        z : array (B, n_classes)
            Logits.
        y : int array (B,)
            Class indices.

        Returns
        -------
        value : array (B,)
            Loss of each sequence.
        dz : array (B, n_classes)
            Gradient with respect to ``z``.
        """

    @abc.abstractmethod
    def of_labels(self, z: Array, y: Array) -> tuple[Array, Array]:
        """Return the losses and gradients for independent labels.

        This method is also called for two classes with a single logit, (B, 1).

        Parameters
        ----------
        z : array (B, n_labels)
            Logits.
        y : array (B, n_labels)
            1 if the sequence has the label, else 0.

        Returns
        -------
        value : array (B, n_labels)
            Loss of each label of each sequence.
        dz : array (B, n_labels)
            Gradient with respect to ``z``.
        """


@dataclass(frozen=True, repr=False)
class LogLoss(ClassificationLoss):
    """Cross-entropy loss.

    The probabilities of classes are the softmax of the logits. The probability of a label is the
    sigmoid of its logit.

    Parameters
    ----------
    label_smoothing : float in [0, 1), default 0
        Fraction of the target probability that is distributed equally over all classes [1]_. For
        labels, it is distributed over the values 0 and 1.

    References
    ----------
    .. [1] Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import LogLoss
    >>> value, dy = LogLoss()(np.zeros((1, 4)), np.array([2]))
    >>> round(value, 4), dy.tolist()
    (1.3863, [[0.25, 0.25, -0.75, 0.25]])
    >>> value, dy = LogLoss()(np.zeros((1, 2)), np.array([[1, 0]]))
    >>> round(value, 4), dy.tolist()
    (1.3863, [[-0.5, 0.5]])
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check.fraction("label_smoothing", self.label_smoothing)

    def __call__(
        self, y_pred: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        if type(self) is LogLoss:  # a subclass may define `of_classes` or `of_labels`
            y = np.asarray(y)
            classes = y.astype(np.int64) if y.dtype == np.bool_ else y
            evaluated = core.log_loss(y_pred, classes, weights, self.label_smoothing)
            if evaluated is not None:
                return evaluated
        return super().__call__(y_pred, y, weights)

    def of_classes(self, z: Array, y: Array) -> tuple[Array, Array]:
        smoothing = self.label_smoothing
        rows = np.arange(len(z))
        shifted = z - row_max(z)
        e = np.exp(shifted)
        total = e.sum(axis=1, keepdims=True)
        value = np.log(total[:, 0]) - (1 - smoothing) * shifted[rows, y]
        dy = e / total
        dy[rows, y] -= 1 - smoothing
        if smoothing > 0:
            value -= smoothing * shifted.mean(axis=1)
            dy -= smoothing / z.shape[1]
        return value, dy

    def of_labels(self, z: Array, y: Array) -> tuple[Array, Array]:
        smoothing = self.label_smoothing
        target = y.astype(z.dtype)
        if smoothing > 0:
            target = target * (1 - smoothing) + smoothing / 2
        minus_log_p = softplus(-z)
        return minus_log_p + (1 - target) * z, np.exp(-minus_log_p) - target


@dataclass(frozen=True, repr=False)
class Focal(ClassificationLoss):
    """Focal loss [1]_: cross-entropy times ``(1 - p) ** gamma``.

    p is the predicted probability of the true class. The factor reduces the loss of sequences that
    are predicted well. To set the class weights, alpha in the paper, use the parameter
    ``class_weight`` of the estimator.

    Parameters
    ----------
    gamma : float of at least 0, default 2
        Exponent. With 0 the loss is cross-entropy.

    References
    ----------
    .. [1] Lin et al., "Focal Loss for Dense Object Detection", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import Focal
    >>> value, dy = Focal()(np.zeros((1, 2)), np.array([0]))
    >>> round(value, 4)
    0.1733
    """

    gamma: float = 2.0

    def __post_init__(self) -> None:
        check.not_negative("gamma", self.gamma)

    def of_classes(self, z: Array, y: Array) -> tuple[Array, Array]:
        log_p = log_softmax(z.astype(np.float64))
        rows = np.arange(len(z))
        value, slope = self._of_log_probability(log_p[rows, y])
        dy = -np.exp(log_p)
        dy[rows, y] += 1
        return value, slope[:, np.newaxis] * dy

    def of_labels(self, z: Array, y: Array) -> tuple[Array, Array]:
        sign = 2.0 * y - 1
        towards = sign * z
        value, slope = self._of_log_probability(-softplus(-towards))
        return value, slope * sign * sigmoid(-towards)

    def _of_log_probability(self, log_p: Array) -> tuple[Array, Array]:
        """Return the loss, and its derivative with respect to log p of the true class."""
        rest = -np.expm1(log_p)  # 1 - p
        factor = rest**self.gamma
        ratio = np.divide(log_p, rest, out=-np.ones_like(rest), where=rest > 0)
        return -factor * log_p, factor * (self.gamma * np.exp(log_p) * ratio - 1)


log_loss = LogLoss()
