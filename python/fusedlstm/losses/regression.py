"""Regression losses, and the predictions that each computes from the output of a model."""

from __future__ import annotations

import abc
import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm._utils.representation import ShortRepr
from fusedlstm.losses.base import mean_and_gradient, require_rows, sigmoid, softplus


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
    """True if targets may be standardized for training and predictions scaled back."""

    lowest_target: ClassVar[float] = -math.inf
    """Smallest valid target."""

    def __call__(
        self, y_pred: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        """Return the mean over batch and targets, and its gradient.

        Parameters
        ----------
        y_pred : array (B, n_outputs(n_targets))
            Raw output of the model.
        y : array (B, n_targets)
            Targets.
        weights : array (B,) or None
            Weights of the sequences. None means equal weights.

        Returns
        -------
        value : float
            The weighted mean of the losses.
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
        value : array (B, n_targets)
            Loss of each target of each sequence.
        dz : array like z
            Gradient with respect to ``z``.
        """

    def n_outputs(self, n_targets: int) -> int:
        """Return the number of outputs that a model needs for ``n_targets`` targets."""
        return n_targets

    def target_of_outputs(self, n_targets: int) -> Array:
        """Return the index of the target of each output, an int array (n_outputs,)."""
        return np.repeat(np.arange(n_targets), self.n_outputs(n_targets) // n_targets)

    def start(self, y: Array, weights: Array | None) -> Array | None:
        """Return the initial output of the model, (n_outputs,), or None for zero."""
        return None

    def predict(self, z: Array) -> Array:
        """Return predictions, (n, n_targets), from raw outputs, (n, n_outputs)."""
        return z


@dataclass(frozen=True, repr=False)
class SquaredError(RegressionLoss):
    """Mean squared error. The model predicts means.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import squared_error
    >>> value, dy = squared_error(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]))
    >>> value, dy.tolist()
    (2.0, [[0.0], [2.0]])
    """

    def of_targets(self, z: Array, y: Array) -> tuple[Array, Array]:
        error = z - y
        return error * error, 2 * error


@dataclass(frozen=True, repr=False)
class AbsoluteError(RegressionLoss):
    """Mean absolute error. The model predicts medians.

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
    """Huber loss: quadratic for small errors, linear for large errors.

    ``error**2 / 2`` up to ``|error| = delta``, else ``delta * (|error| - delta / 2)``.

    Parameters
    ----------
    delta : positive float, default 1
        Error at which the loss becomes linear. If the estimator normalizes the targets, in units of
        their standard deviation.

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


@dataclass(frozen=True, repr=False)
class Pinball(RegressionLoss):
    """Pinball loss. The model predicts one or several quantiles, which never cross.

    The first output of a target is the lowest quantile. The softplus of each further output is the
    difference between two successive quantiles.

    Parameters
    ----------
    quantiles : tuple of float in (0, 1), increasing, or float, default (0.1, 0.5, 0.9)
        The quantiles. With a tuple, predictions have one more axis, of length ``len(quantiles)``.

    References
    ----------
    .. [1] Koenker and Bassett, "Regression Quantiles", 1978.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import Pinball
    >>> value, dy = Pinball(0.9)(np.array([[1.0]]), np.array([[3.0]]))
    >>> value, dy.tolist()
    (1.8, [[-0.9]])
    >>> Pinball((0.1, 0.9)).predict(np.array([[1.0, -50.0], [1.0, 2.0]])).round(3).tolist()
    [[[1.0, 1.0]], [[1.0, 3.127]]]
    """

    quantiles: tuple[float, ...] | float = (0.1, 0.5, 0.9)

    def __post_init__(self) -> None:
        needed = "one or several rising numbers in (0, 1)"
        if isinstance(self.quantiles, list):
            object.__setattr__(self, "quantiles", tuple(self.quantiles))
        levels = self.levels()
        if not levels:
            raise ValueError(check.needs("quantiles", needed, self.quantiles))
        for level in levels:
            check.real_in("quantiles", level, needed, 0.0, 1.0, open_low=True, open_high=True)
        if any(high <= low for low, high in itertools.pairwise(levels)):
            raise ValueError(check.needs("quantiles", needed, self.quantiles))

    def levels(self) -> tuple[float, ...]:
        """Return the quantiles as a tuple."""
        return self.quantiles if isinstance(self.quantiles, tuple) else (self.quantiles,)

    def n_outputs(self, n_targets: int) -> int:
        return n_targets * len(self.levels())

    def of_targets(self, z: Array, y: Array) -> tuple[Array, Array]:
        levels = np.array(self.levels(), z.dtype)
        error = y[:, :, np.newaxis] - self._curves(z)
        slope = np.where(error > 0, -levels, np.where(error < 0, 1 - levels, 0))
        # The output of a quantile shifts this quantile and all higher quantiles.
        dy = slope[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
        dy[:, :, 1:] *= sigmoid(self._split(z)[:, :, 1:])
        return -slope * error, dy.reshape(z.shape)

    def predict(self, z: Array) -> Array:
        """Return quantiles, (n, n_targets, n_quantiles), or (n, n_targets) for a single float."""
        curves = self._curves(z)
        return curves if isinstance(self.quantiles, tuple) else curves[:, :, 0]

    def _split(self, z: Array) -> Array:
        return z.reshape(len(z), -1, len(self.levels()))

    def _curves(self, z: Array) -> Array:
        parts = self._split(z)
        steps = np.concatenate([parts[:, :, :1], softplus(parts[:, :, 1:])], axis=2)
        curves: Array = steps.cumsum(axis=2)
        return curves


@dataclass(frozen=True, repr=False)
class Poisson(RegressionLoss):
    """Negative log-likelihood of counts with a Poisson distribution, up to a constant.

    The output of the model is the logarithm of the mean. Targets must be at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import Poisson
    >>> value, dy = Poisson()(np.array([[0.0]]), np.array([[3.0]]))
    >>> value, dy.tolist(), Poisson().predict(np.array([[0.0]])).tolist()
    (1.0, [[-2.0]], [[1.0]])
    """

    location_scale: ClassVar[bool] = False
    lowest_target: ClassVar[float] = 0.0

    def of_targets(self, z: Array, y: Array) -> tuple[Array, Array]:
        mean = np.exp(z)
        return mean - y * z, mean - y

    def start(self, y: Array, weights: Array | None) -> Array | None:
        mean = np.average(y.astype(np.float64), axis=0, weights=weights)
        return np.log(np.where(mean > 0, mean, 1.0))

    def predict(self, z: Array) -> Array:
        predicted: Array = np.exp(z)
        return predicted


@dataclass(frozen=True, repr=False)
class Gaussian(RegressionLoss):
    """Negative log-likelihood of targets with a normal distribution.

    The first half of the outputs are the means. The softplus of the second half, plus ``min_std``,
    are the standard deviations.

    Parameters
    ----------
    min_std : positive float, default 1e-3
        Smallest standard deviation that the model can predict. If the estimator normalizes the
        targets, in units of their standard deviation.

    References
    ----------
    .. [1] Nix and Weigend, "Estimating the Mean and Variance of the Target Probability
       Distribution", 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.losses import Gaussian
    >>> value, dy = Gaussian()(np.array([[0.0, 0.54]]), np.array([[1.0]]))
    >>> round(value, 2), Gaussian().predict_std(np.array([[0.0, 0.54]])).round(2).tolist()
    (1.42, [[1.0]])
    """

    min_std: float = 1e-3

    def __post_init__(self) -> None:
        check.positive("min_std", self.min_std)

    def n_outputs(self, n_targets: int) -> int:
        return 2 * n_targets

    def target_of_outputs(self, n_targets: int) -> Array:
        return np.tile(np.arange(n_targets), 2)

    def of_targets(self, z: Array, y: Array) -> tuple[Array, Array]:
        std = self.predict_std(z)
        relative = (self.predict(z) - y) / std
        value = np.log(std) + 0.5 * relative**2 + 0.5 * math.log(2 * math.pi)
        dstd = (1 - relative**2) / std * sigmoid(z[:, y.shape[1] :])
        return value, np.concatenate([relative / std, dstd], axis=1)

    def predict(self, z: Array) -> Array:
        return z[:, : z.shape[1] // 2]

    def predict_std(self, z: Array) -> Array:
        """Return standard deviations, (n, n_targets), from raw outputs, (n, n_outputs)."""
        std: Array = softplus(z[:, z.shape[1] // 2 :]) + z.dtype.type(self.min_std)
        return std


squared_error = SquaredError()
absolute_error = AbsoluteError()
