"""Targets that are numbers: their scale, their losses and the decoding of outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.metrics import d2_pinball_score, r2_score

from fusedlstm import _validation as check
from fusedlstm._core import Array, core
from fusedlstm._estimator import Decoder, SequenceEstimator
from fusedlstm._reading import Data, is_constant
from fusedlstm.losses import (
    REGRESSION_LOSSES,
    AbsoluteError,
    Gaussian,
    Huber,
    Pinball,
    Poisson,
    RegressionLoss,
    SquaredError,
    as_loss,
)
from fusedlstm.model import Sequential
from fusedlstm.optimizers import LBFGS, as_optimizer

LARGEST_DECAY = 0.02
"""Upper bound of ``weight_decay="auto"``."""


@dataclass(repr=False, eq=False, kw_only=True)
class NumberTargets(SequenceEstimator):
    """The part of the regressors that knows of numbers, for sequences and for steps alike."""

    loss: str | RegressionLoss = "squared_error"
    learning_rate: float = 0.002
    weight_decay: float | str = "auto"
    normalize_y: bool | str = "auto"

    def _std_decoder(self) -> Callable[[Array], tuple[Array, Array]]:
        """Return a function that decodes outputs to means and standard deviations."""
        if not isinstance(self._fitted_loss, Gaussian):
            raise ValueError("return_std must be False unless the loss is 'gaussian'; got True")
        decode = self._predicting()[1]
        return partial(
            _decode_with_std, decode, self._fitted_loss, self._y_scale, self._y_ndim == 1
        )

    def _quantiles(self) -> tuple[float, ...]:
        """Return the quantiles that predictions have an axis for."""
        levels = self._fitted_loss.quantiles if isinstance(self._fitted_loss, Pinball) else ()
        return levels if isinstance(levels, tuple) else ()

    def _new_decoder(self) -> Decoder:
        kind = _DECODERS.get(type(self._fitted_loss))
        if kind is None:
            loss, mean, scale = self._fitted_loss, self._y_mean, self._y_scale
            return partial(_decode_by, loss, mean, scale, self._y_ndim == 1)
        targets = () if self._y_ndim == 1 else self._y_mean.shape
        decoder: Decoder = core.Decoder(
            kind,
            self._n_outputs(),
            [*targets, *np.shape(self._quantiles() or 0.0)],
            self._y_scale,
            self._y_mean,
        )
        return decoder

    def _scores(self) -> list[Callable[..., float]]:
        """Return the score of each quantile, or of the prediction."""
        return [partial(d2_pinball_score, alpha=level) for level in self._quantiles()] or [r2_score]

    def _check_params(self) -> None:
        super()._check_params()
        if not (isinstance(self.normalize_y, str) and self.normalize_y == "auto"):
            check.true_or_false("normalize_y", self.normalize_y)
            if self.normalize_y and not self._loss().location_scale:
                needed = f"'auto' or False with loss={self.loss!r}"
                raise ValueError(check.needs("normalize_y", needed, self.normalize_y))

    def _learn_columns(self, columns: Array, weights: Array | None, ndim: int) -> None:
        """Learn the scale of targets (n, n_targets); NaN is missing."""
        self._y_ndim = ndim
        self._fitted_loss = self._loss()
        self._y_mean, self._y_scale = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
        if self.normalize_y and self._fitted_loss.location_scale:
            self._y_mean = _mean(columns, weights)
            with np.errstate(over="ignore"):
                squares = _mean((columns - self._y_mean) ** 2, weights)
            if not np.isfinite(squares).all():
                largest = np.nanmax(np.abs(columns))
                raise ValueError(check.needs("y", "numbers with finite squares", largest))
            spread = np.sqrt(squares)
            self._y_scale = np.where(is_constant(self._y_mean, spread), 1.0, spread)

    def _encode_columns(self, columns: Array, name: str) -> Array:
        """Return targets (n, n_targets) as the loss takes them."""
        lowest = self._loss().lowest_target
        if np.nanmin(columns) < lowest:
            needed = f"at least {lowest:g} with loss={self.loss!r}"
            raise ValueError(check.needs(name, needed, np.nanmin(columns)))
        if self._fitted_loss != self._loss():
            needed = f"{self._fitted_loss!r}, as in the first fit, for it to go on"
            raise ValueError(check.needs("loss", needed, self.loss))
        self._check_columns(columns, name)
        with np.errstate(over="ignore", invalid="ignore"):
            encoded: Array = ((columns - self._y_mean) / self._y_scale).astype(self.dtype)
        if np.isinf(encoded).any():
            raise ValueError(check.needs(name, f"numbers within {self.dtype}'s range", columns))
        return encoded

    def _check_columns(self, columns: Array, name: str) -> None:
        """Refuse another number of targets than in fit."""
        expected = len(self._y_mean)
        if columns.shape[1] != expected:
            raise ValueError(
                f"{name} must have {expected} outputs, as in fit; got {columns.shape[1]}"
            )

    def _n_outputs(self) -> int:
        return self._fitted_loss.n_outputs(len(self._y_mean))

    def _loss(self) -> RegressionLoss:
        return as_loss(self.loss, REGRESSION_LOSSES, RegressionLoss)  # type: ignore[type-abstract]

    def _check_weight_decay(self) -> None:
        if not self._has_auto_decay():
            super()._check_weight_decay()

    def _has_auto_decay(self) -> bool:
        return isinstance(self.weight_decay, str) and self.weight_decay == "auto"

    def _decay_for(self, n_targets: int) -> float:
        if not self._has_auto_decay():
            return float(self.weight_decay)
        if isinstance(as_optimizer(self.optimizer), LBFGS):
            return 0.0
        return min(1 / n_targets, LARGEST_DECAY)

    def _adjust_initial(self, model: Sequential) -> None:
        """Scale the input weights of the first layer from LeCun's variance to Xavier's.

        The network then starts as a smoother function of its inputs, which predicts numbers better
        from few noisy sequences (bench/defaults.py). Layers of the user's own stay as they are.
        """
        if self.layers is not None:
            return
        gain = np.sqrt(2 * model.input_size / (model.input_size + self.hidden_size))
        for name, values in model.named_params().items():
            if name.startswith("0.weight_ih"):
                values *= gain

    def _start(self, train: Data) -> Array | None:
        y, weights = train.target_rows()
        loss = self._loss()
        if not np.isnan(y).any():
            return loss.start(y, weights)
        outputs = loss.target_of_outputs(y.shape[1])
        start = np.zeros(len(outputs))
        for column in range(y.shape[1]):
            present = ~np.isnan(y[:, column])
            shares = None if weights is None else weights[present]
            if not (present.any() if shares is None else shares.any()):
                continue
            of_column = loss.start(y[present, column : column + 1], shares)
            if of_column is None:
                return None
            start[outputs == column] = of_column
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


_DECODERS: dict[type[RegressionLoss], str] = {
    SquaredError: "values",
    AbsoluteError: "values",
    Huber: "values",
    Gaussian: "values",
    Poisson: "exponentials",
    Pinball: "quantiles",
}
"""What the core makes of outputs trained with each loss; one of the user's own does so itself."""


def _decode_with_std(
    decode: Decoder, loss: Gaussian, scale: Array, one_target: bool, outputs: Array
) -> tuple[Array, Array]:
    std = loss.predict_std(outputs.astype(np.float64)) * scale
    return decode(outputs), std[:, 0] if one_target else std


def _decode_by(
    loss: RegressionLoss, mean: Array, scale: Array, one_target: bool, outputs: Array
) -> Array:
    predicted = loss.predict(outputs.astype(np.float64))
    across = (slice(None),) + (np.newaxis,) * (predicted.ndim - 2)
    decoded: Array = predicted * scale[across] + mean[across]
    return decoded[:, 0] if one_target else decoded
