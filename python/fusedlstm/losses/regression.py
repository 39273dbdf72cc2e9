"""Base class of regression losses, and losses with one output per target."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm._utils.representation import ShortRepr
from fusedlstm.losses.base import mean_and_gradient, require_rows


class RegressionLoss(ShortRepr, abc.ABC):
    """Base class of regression losses.

    A subclass implements `of_targets`. It overrides other members if a target needs several outputs
    or the prediction differs from the raw output.

    Examples
    --------
    The logarithm of the hyperbolic cosine of the error:

    >>> import numpy as np
    >>> from fusedlstm.losses import RegressionLoss
    >>> class LogCosh(RegressionLoss):
    ...     def of_targets(self, z, y):
    ...         error = z - y
    ...         return np.logaddexp(error, -error) - np.log(2), np.tanh(error)
    >>> value, dy = LogCosh()(np.array([[2.0]]), np.array([[1.0]]))
    >>> round(value, 4), dy.round(4).tolist()
    (0.4338, [[0.7616]])
    """

    location_scale: ClassVar[bool] = True
    """True if ``normalize_y`` of an estimator may standardize the targets."""

    lowest_target: ClassVar[float] = -math.inf
    """Smallest valid target. The estimators refuse smaller targets."""

    def __call__(
        self, y_pred: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        """Return the mean over the batch and the targets, and its gradient.

        Parameters
        ----------
        y_pred : array (B, n_outputs(n_targets))
            Raw output of the model.
        y : array (B, n_targets)
            Targets.
        weights : array (B,) or None, default None
            Weights of the sequences. None means weights of 1.

        Returns
        -------
        value : float
            The sum of the weighted losses, divided by their number.
        dy : array like y_pred
            Gradient with respect to ``y_pred``.

        Raises
        ------
        ValueError
            If the shapes do not match.
        """
        require_rows(y_pred)
        y = np.asarray(y)
        if y.ndim != 2 or y_pred.shape != (len(y), self.n_outputs(y.shape[1])):
            needed = f"an array (n, n_targets) that matches y_pred {y_pred.shape}"
            hint = "For one target pass y[..., numpy.newaxis]." if y.ndim == 1 else ""
            raise ValueError(check.needs("y", needed, y, hint))
        value, dy = self.of_targets(y_pred, y)
        if np.shape(value)[:2] != y.shape or np.shape(dy) != y_pred.shape:
            shapes = f"losses of shape {y.shape} and gradients of shape {y_pred.shape}"
            raise ValueError(
                f"of_targets of {self!r} must return {shapes}; got {np.shape(value)} and "
                f"{np.shape(dy)}"
            )
        return mean_and_gradient(value, dy, value.size, weights, y_pred.dtype)

    @abc.abstractmethod
    def of_targets(self, z: Array, y: Array) -> tuple[Array, Array]:
        """Return the loss of each target and the gradient with respect to the outputs.

        Parameters
        ----------
        z : array (B, n_outputs(n_targets))
            Raw output of the model.
        y : array (B, n_targets)
            Targets.

        Returns
        -------
        value : array (B, n_targets) or (B, n_targets, ...)
            Losses of each target of each sequence.
        dz : array like z
            Gradient with respect to ``z``.
        """

    def n_outputs(self, n_targets: int) -> int:
        """Return the number of outputs that a model needs.

        Parameters
        ----------
        n_targets : int
            Number of targets.

        Returns
        -------
        int
            Number of outputs.
        """
        return n_targets

    def target_of_outputs(self, n_targets: int) -> Array:
        """Return the index of the target of each output.

        Parameters
        ----------
        n_targets : int
            Number of targets.

        Returns
        -------
        int array (n_outputs,)
            Indices from 0 to n_targets - 1.
        """
        return np.repeat(np.arange(n_targets), self.n_outputs(n_targets) // n_targets)

    def start(self, y: Array, weights: Array | None) -> Array | None:
        """Return the output that the model has before training, as the initial bias.

        Parameters
        ----------
        y : array (n, n_targets)
            Targets of the training set.
        weights : array (n,) or None
            Weights of the sequences.

        Returns
        -------
        array (n_outputs,) or None
            The initial output. None means zero.
        """
        return None

    def predict(self, z: Array) -> Array:
        """Return predictions, given the raw output of the model.

        Parameters
        ----------
        z : array (n, n_outputs)
            Raw output.

        Returns
        -------
        array (n, n_targets)
            Predictions on the scale of the training targets.
        """
        return z


@dataclass(frozen=True, repr=False)
class SquaredError(RegressionLoss):
    """Mean squared error. Predictions estimate the means of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import squared_error
    >>> value, dy = squared_error(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]))
    >>> value, dy.tolist()
    (2.0, [[0.0], [2.0]])
    """

    def __call__(
        self, y_pred: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        if type(self) is SquaredError:  # a subclass may define `of_targets`
            evaluated = core.squared_error(y_pred, y, weights)
            if evaluated is not None:
                return evaluated
        return super().__call__(y_pred, y, weights)

    def of_targets(self, z: Array, y: Array) -> tuple[Array, Array]:
        error = z - y
        return error * error, 2 * error


@dataclass(frozen=True, repr=False)
class AbsoluteError(RegressionLoss):
    """Mean absolute error. Predictions estimate the medians of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import absolute_error
    >>> value, dy = absolute_error(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]))
    >>> value, dy.tolist()
    (1.0, [[0.0], [0.5]])
    """

    def of_targets(self, z: Array, y: Array) -> tuple[Array, Array]:
        error = z - y
        return np.abs(error), np.sign(error)


@dataclass(frozen=True, repr=False)
class Huber(RegressionLoss):
    """Huber loss [1]_: quadratic for small errors, linear for large errors.

    ``error**2 / 2`` up to ``|error| = delta``, else ``delta * (|error| - delta / 2)``.

    Parameters
    ----------
    delta : positive float, default 1
        Absolute error above which the loss is linear. With ``normalize_y`` of an estimator, the
        unit is the standard deviation of the targets.

    References
    ----------
    .. [1] Huber, "Robust Estimation of a Location Parameter", 1964.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import Huber
    >>> value, dy = Huber(delta=1.0)(np.array([[1.5], [4.0]]), np.array([[1.0], [1.0]]))
    >>> value, dy.tolist()
    (1.3125, [[0.25], [0.5]])
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        check.positive("delta", self.delta)

    def of_targets(self, z: Array, y: Array) -> tuple[Array, Array]:
        error = z - y
        slope = np.clip(error, -self.delta, self.delta)
        return slope * (error - slope / 2), slope


squared_error = SquaredError()
absolute_error = AbsoluteError()
