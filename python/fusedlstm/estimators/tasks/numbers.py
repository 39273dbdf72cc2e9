"""The task of the regressor: one or several numbers per sequence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils.validation import check_array

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm.data.deviations import is_constant, root_mean_square
from fusedlstm.data.reading import Data
from fusedlstm.data.sequences import Sequences
from fusedlstm.data.targets import refuse_step_targets
from fusedlstm.estimators.snapshot import OutputTransform
from fusedlstm.estimators.tasks.base import Task
from fusedlstm.losses import (
    AbsoluteError,
    Gaussian,
    Huber,
    Pinball,
    Poisson,
    RegressionLoss,
    SquaredError,
)


@dataclass(frozen=True, eq=False)
class Numbers(Task):
    """Numbers (n,) or (n, n_targets).

    Parameters
    ----------
    loss : RegressionLoss
    given_loss : object
        The parameter ``loss`` of the estimator, for error messages.
    normalize : bool or "auto"
        True: train on targets with zero mean and unit variance. "auto": True if the loss supports
        it.
    dtype : {"float32", "float64"}
        Data type of the encoded targets.
    fitted_loss : RegressionLoss or None
        The loss of the first fit. None before `learn`.
    mean, scale : array (n_targets,) or None
        The encoded targets are ``(y - mean) / scale``. None before `learn`.
    ndim : int
        Number of axes of y.
    """

    loss: RegressionLoss
    given_loss: Any = "squared_error"
    normalize: bool | str = "auto"
    dtype: str = "float32"
    fitted_loss: Any = None
    mean: Any = None
    scale: Any = None
    ndim: int = 1

    @property
    def n_outputs(self) -> int:
        return int(self.fitted_loss.n_outputs(len(self.mean)))

    def check(self) -> None:
        """Check the parameter ``normalize_y`` of the estimator."""
        if not (isinstance(self.normalize, str) and self.normalize == "auto"):
            check.true_or_false("normalize_y", self.normalize)
            if self.normalize and not self.loss.location_scale:
                needed = f"'auto' or False with loss={self.given_loss!r}"
                raise ValueError(check.needs("normalize_y", needed, self.normalize))

    def read(self, y: Any, sequences: Sequences, name: str = "y") -> Array:
        refuse_step_targets(y, sequences, name, "target", "LSTMStepRegressor")
        targets = check.real_array(name, y, np.float64)
        if targets.ndim not in (1, 2):
            needed = "of shape (n_samples,) or (n_samples, n_outputs)"
            hint = f"Pass {name}.reshape(len({name}), -1)." if targets.ndim == 3 else ""
            raise ValueError(check.needs(name, needed, y, hint))
        return cast(Array, check_array(targets, ensure_2d=False, input_name=name))

    def learn(self, y: Array, weights: Array | None, classes: Any = None) -> Numbers:
        """Return the task with the mean and the scale of the targets that are not NaN."""
        columns = y.reshape(len(y), -1)
        mean, scale = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
        if self.normalize and self.loss.location_scale:
            mean = _mean(columns, weights)
            with np.errstate(over="ignore"):
                spread = _spread(columns, mean, weights)
            if not np.isfinite(spread).all():
                largest = np.nanmax(np.abs(columns))
                raise ValueError(check.needs("y", "numbers with finite squares", largest))
            scale = np.where(is_constant(mean, spread), 1.0, spread)
        if type(self.loss) not in _TRANSFORMS:
            _check_predict(self.loss, columns.shape[1])
        return dataclasses.replace(self, fitted_loss=self.loss, mean=mean, scale=scale, ndim=y.ndim)

    def encode(self, y: Array, name: str = "y") -> Array:
        columns = y.reshape(len(y), -1)
        lowest = self.loss.lowest_target
        if np.nanmin(columns) < lowest:
            needed = f"at least {lowest:g} with loss={self.given_loss!r}"
            raise ValueError(check.needs(name, needed, np.nanmin(columns)))
        if self.fitted_loss != self.loss:
            needed = f"{self.fitted_loss!r}, the loss of the first fit, to continue the training"
            raise ValueError(check.needs("loss", needed, self.given_loss))
        self.check_columns(columns, name)
        with np.errstate(over="ignore", invalid="ignore"):
            encoded: Array = ((columns - self.mean) / self.scale).astype(self.dtype)
        if np.isinf(encoded).any():
            raise ValueError(check.needs(name, f"numbers within {self.dtype}'s range", columns))
        return encoded

    def check_columns(self, columns: Array, name: str) -> None:
        """Raise a ValueError if the number of columns differs from fit."""
        if columns.shape[1] != len(self.mean):
            raise ValueError(
                f"{name} must have {len(self.mean)} outputs, as in fit; got {columns.shape[1]}"
            )

    def output_transform(self) -> OutputTransform:
        kind = _TRANSFORMS.get(type(self.fitted_loss))
        if kind is None:
            return partial(_predict, self.fitted_loss, self.mean, self.scale, self.ndim == 1)
        shape = [*(() if self.ndim == 1 else self.mean.shape), *np.shape(self.quantiles() or 0.0)]
        return core.Decoder(kind, self.n_outputs, shape, self.scale, self.mean)

    def std_transform(self, transform: OutputTransform) -> Callable[[Array], tuple[Array, Array]]:
        """Return a function that maps outputs of the model to means and standard deviations."""
        if not isinstance(self.fitted_loss, Gaussian):
            raise ValueError("return_std must be False unless the loss is 'gaussian'; got True")
        return partial(_with_std, transform, self.fitted_loss, self.scale, self.ndim == 1)

    def quantiles(self) -> tuple[float, ...]:
        """Return the quantiles on the last axis of the predictions; () if there is no such axis."""
        levels = self.fitted_loss.quantiles if isinstance(self.fitted_loss, Pinball) else ()
        return levels if isinstance(levels, tuple) else ()

    def scores(self) -> list[Callable[..., float]]:
        """Return one score function per quantile; for other losses, a list of one function."""
        return [partial(d2_pinball_score, alpha=level) for level in self.quantiles()] or [r2_score]

    def attributes(self) -> dict[str, Any]:
        return {
            "_y_ndim": self.ndim,
            "_fitted_loss": self.fitted_loss,
            "_y_mean": self.mean,
            "_y_scale": self.scale,
        }

    def input_gain(self, input_size: int, hidden_size: int) -> float:
        """Return the ratio of Xavier's to LeCun's standard deviation of initial weights.

        With this factor the initial model is a smoother function of its inputs. The trained model
        predicts better if there are few noisy training sequences (bench/defaults.py).
        """
        return np.sqrt(2 * input_size / (input_size + hidden_size))  # type: ignore[no-any-return]

    def start(self, data: Data) -> Array | None:
        y, weights = data.target_rows()
        if not np.isnan(y).any():
            return self.loss.start(y, weights)
        n_targets = len(self.mean)
        target_of_outputs = self.loss.target_of_outputs(n_targets)
        start = np.zeros(len(target_of_outputs))
        for column in range(n_targets):
            present = ~np.isnan(y[:, column])
            shares = None if weights is None else weights[present]
            if not (present.any() if shares is None else shares.any()):
                continue
            of_column = self.loss.start(y[present, column : column + 1], shares)
            if of_column is None:
                return None
            start[target_of_outputs == column] = of_column
        return start


def _mean(columns: Array, weights: Array | None) -> Array:
    """Return the weighted mean of each column over the rows that are not NaN."""
    missing = np.isnan(columns)
    if not missing.any():
        mean: Array = np.average(columns, axis=0, weights=weights)
        return mean
    shares = ~missing * (1.0 if weights is None else weights[:, np.newaxis])
    total = np.where(missing, 0, columns * shares).sum(axis=0)
    over: Array = total / np.maximum(shares.sum(axis=0), np.finfo(np.float64).tiny)
    return over


def _spread(columns: Array, mean: Array, weights: Array | None) -> Array:
    """Return the weighted standard deviation of each column over the rows that are not NaN."""
    present = ~np.isnan(columns)
    if present.all():
        return root_mean_square(columns - mean, weights)
    spreads = []
    for k, rows in enumerate(present.T):
        of_rows = None if weights is None else weights[rows]
        spreads.append(root_mean_square(columns[rows, k : k + 1] - mean[k], of_rows))
    return np.concatenate(spreads)


_TRANSFORMS: dict[type[RegressionLoss], str] = {
    SquaredError: "values",
    AbsoluteError: "values",
    Huber: "values",
    Gaussian: "values",
    Poisson: "exponentials",
    Pinball: "quantiles",
}
"""Transforms in the compiled core. Losses that are not listed use their method `predict`."""


def _check_predict(loss: RegressionLoss, n_targets: int) -> None:
    """Raise a ValueError if the method `predict` of a loss returns an array of a wrong shape."""
    outputs = np.zeros((1, loss.n_outputs(n_targets)))
    shape = np.shape(loss.predict(outputs))
    if shape[:2] != (1, n_targets):
        raise ValueError(
            f"predict of {loss!r} must return predictions of shape (n, {n_targets}) for outputs of "
            f"shape (n, {outputs.shape[1]}); got shape {shape} for n=1"
        )


def _with_std(
    transform: OutputTransform, loss: Gaussian, scale: Array, one_target: bool, outputs: Array
) -> tuple[Array, Array]:
    std = loss.predict_std(outputs.astype(np.float64)) * scale
    return transform(outputs), std[:, 0] if one_target else std


def _predict(
    loss: RegressionLoss, mean: Array, scale: Array, one_target: bool, outputs: Array
) -> Array:
    predicted = loss.predict(outputs.astype(np.float64))
    across = (slice(None),) + (np.newaxis,) * (predicted.ndim - 2)
    decoded: Array = predicted * scale[across] + mean[across]
    return decoded[:, 0] if one_target else decoded
