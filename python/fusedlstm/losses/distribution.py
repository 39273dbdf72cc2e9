"""Losses of models that predict quantiles, counts or a normal distribution."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.losses.base import sigmoid, softplus
from fusedlstm.losses.regression import RegressionLoss


@dataclass(frozen=True, repr=False)
class Pinball(RegressionLoss):
    """Pinball loss [1]_. The model predicts one or several quantiles of each target.

    For error e = y - prediction, the loss of the quantile q is ``max(q * e, (q - 1) * e)``. The
    first output for a target is the lowest quantile. The softplus of each further output is the
    difference between two successive quantiles. So a higher quantile is never predicted below a
    lower one.

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
        needed = "one or several increasing numbers in (0, 1)"
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
        error = y[:, :, np.newaxis] - self._values(z)
        slope = np.where(error > 0, -levels, np.where(error < 0, 1 - levels, 0))
        # An output changes its quantile and all higher quantiles.
        dy = slope[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
        dy[:, :, 1:] *= sigmoid(self._split(z)[:, :, 1:])
        return -slope * error, dy.reshape(z.shape)

    def predict(self, z: Array) -> Array:
        """Return predicted quantiles, given the raw output of the model.

        Parameters
        ----------
        z : array (n, n_outputs)
            Raw output.

        Returns
        -------
        array (n, n_targets, n_quantiles), or (n, n_targets) if ``quantiles`` is a float
            Quantiles on the scale of the training targets.
        """
        values = self._values(z)
        return values if isinstance(self.quantiles, tuple) else values[:, :, 0]

    def _split(self, z: Array) -> Array:
        return z.reshape(len(z), -1, len(self.levels()))

    def _values(self, z: Array) -> Array:
        """Return the predicted quantiles, (B, n_targets, n_quantiles)."""
        parts = self._split(z)
        increments = np.concatenate([parts[:, :, :1], softplus(parts[:, :, 1:])], axis=2)
        values: Array = increments.cumsum(axis=2)
        return values


@dataclass(frozen=True, repr=False)
class Poisson(RegressionLoss):
    """Negative log-likelihood of counts with a Poisson distribution, up to a constant.

    The loss is ``exp(z) - y * z`` for the raw output z and the target y. Predictions are means,
    ``exp(z)``. Targets must be at least 0.

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
    """Negative log-likelihood of targets with a normal distribution [1]_.

    The model has two outputs per target: first the means of all targets, then one output per
    target whose softplus, plus ``min_std``, is the standard deviation.

    Parameters
    ----------
    min_std : positive float, default 1e-3
        Smallest standard deviation that the model can predict. With ``normalize_y`` of an
        estimator, the unit is the standard deviation of the targets.

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
        """Return standard deviations, given the raw output of the model.

        Parameters
        ----------
        z : array (n, n_outputs)
            Raw output.

        Returns
        -------
        array (n, n_targets)
            Standard deviations on the scale of the training targets.
        """
        std: Array = softplus(z[:, z.shape[1] // 2 :]) + z.dtype.type(self.min_std)
        return std
