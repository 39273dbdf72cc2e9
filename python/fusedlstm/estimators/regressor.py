"""Numbers: brought to one scale, predicted as a loss wants them, and brought back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from fusedlstm import _validation as check
from fusedlstm._core import Array, core
from fusedlstm._docstrings import describes_as
from fusedlstm._estimator import Decoder, SequenceEstimator, takes_batches
from fusedlstm._reading import Data, is_constant, spread_of
from fusedlstm.estimators.classifier import LSTMClassifier
from fusedlstm.layers import Layer
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
from fusedlstm.optimizers import LBFGS, AnyOptimizer, as_optimizer
from fusedlstm.schedules import Schedule
from fusedlstm.streaming import EstimatorStream

LARGEST_DECAY = 0.02
"""Upper bound of ``weight_decay="auto"``."""


@describes_as(LSTMClassifier)
class LSTMRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """Predict numbers from sequences with a recurrent network.

    A stack of recurrent layers reads the sequence. A dense layer computes the outputs from the
    final state of the last recurrent layer.

    Parameters
    ----------
    hidden_size, num_layers, cell, bidirectional, layers : see `LSTMClassifier`
    dropout, recurrent_dropout : see `LSTMClassifier`
    loss : {"squared_error", "absolute_error", "huber", "pinball", "poisson", "gaussian"} or \
object, default "squared_error"
        An object from `fusedlstm.losses` sets the rest: ``Pinball((0.1, 0.5, 0.9))`` predicts three
        quantiles, ``Gaussian()`` a mean and a standard deviation. ``"mse"`` is an alias of
        ``"squared_error"`` and ``"mae"`` of ``"absolute_error"``.
    optimizer, schedule, clip_norm, batch_size, tbptt_steps, shuffle : see `LSTMClassifier`
    learning_rate : float, default 0.002
        Step size of the optimizer, before ``schedule`` changes it. A smaller value trains more
        slowly and more steadily.
    weight_decay : float or "auto", default "auto"
        L2 penalty on weights, not on biases; decoupled for ``"adamw"`` and ``"lion"``. ``"auto"``:
        1 / n_samples, but at most 0.02; 0 for L-BFGS. The penalty has the weight of one sequence.
    max_iter : int, default 100
        Number of epochs. All of them are trained, unless ``early_stopping`` ends the fit or the
        line search of L-BFGS finds no decrease.
    early_stopping, scoring, validation_fraction, validation_split : see `LSTMClassifier`
    n_iter_no_change, tol, standardize : see `LSTMClassifier`
    normalize_y : bool or "auto", default "auto"
        Train on targets of zero mean and unit variance, and predict on their own scale.
        ``"auto"``: yes, except for counts, ``"poisson"``. Losses are those of the normalized
        targets.
    dtype, n_threads, random_state, warm_start, verbose : see `LSTMClassifier`

    Attributes
    ----------
    n_features_in_, X_mean_, X_scale_, model_ : see `LSTMClassifier`
    n_iter_, best_iter_, loss_ : see `LSTMClassifier`
    loss_curve_, validation_loss_curve_ : see `LSTMClassifier`

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMRegressor, make_windows
    >>> series = np.sin(np.arange(300) / 5)
    >>> X, y = make_windows(series, width=20)
    >>> model = LSTMRegressor(hidden_size=16, max_iter=30, random_state=0).fit(X[:200], y[:200])
    >>> bool(model.score(X[200:], y[200:]) > 0.95)
    True
    """

    _saved_attributes = (
        *SequenceEstimator._saved_attributes,
        "_y_ndim",
        "_y_mean",
        "_y_scale",
        "_fitted_loss",
    )

    def __init__(
        self,
        hidden_size: int = 64,
        *,
        num_layers: int = 1,
        cell: str = "lstm",
        bidirectional: bool = False,
        layers: tuple[Layer[Any], ...] | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        loss: str | RegressionLoss = "squared_error",
        optimizer: str | AnyOptimizer = "adam",
        learning_rate: float = 0.002,
        schedule: str | Schedule | None = None,
        weight_decay: float | str = "auto",
        clip_norm: float | None = 1.0,
        batch_size: int | str = "auto",
        max_iter: int = 100,
        tbptt_steps: int | None = None,
        shuffle: bool = True,
        early_stopping: bool = False,
        scoring: Any = None,
        validation_fraction: float = 0.1,
        validation_split: str = "random",
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        standardize: bool | str = "auto",
        normalize_y: bool | str = "auto",
        dtype: str = "float32",
        n_threads: int | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.cell = cell
        self.bidirectional = bidirectional
        self.layers = layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tbptt_steps = tbptt_steps
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.standardize = standardize
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.normalize_y = normalize_y

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the prediction for each sequence.

        Parameters
        ----------
        X : like X of `fit`
            Any number of steps, except after a fit on 2-D X.
        return_std : bool, default False
            Return standard deviations too, which ``loss="gaussian"`` has.

        Returns
        -------
        y_mean : array (n_samples,) or (n_samples, n_outputs), as y was
            In float64, whatever ``dtype`` is. With a loss for several quantiles they are one more
            axis, the last.
        y_std : array like y_mean
            If ``return_std``.

        Examples
        --------
        >>> import numpy as np
        >>> from fusedlstm import LSTMRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((200, 5, 1))
        >>> y = X.sum(axis=(1, 2)) + rng.standard_normal(200)
        >>> model = LSTMRegressor(8, loss="gaussian", max_iter=20, random_state=0).fit(X, y)
        >>> mean, std = model.predict(X, return_std=True)
        >>> mean.shape, std.shape, bool(0.5 < std.mean() < 1.5)
        ((200,), (200,), True)
        """
        outputs = self._outputs_for(X)
        return self._std_decoder()(outputs) if return_std else self._decode(outputs)

    def _std_decoder(self) -> Callable[[Array], tuple[Array, Array]]:
        """Return a function that decodes outputs to means and standard deviations."""
        if not isinstance(self._fitted_loss, Gaussian):
            raise ValueError("return_std must be False unless the loss is 'gaussian'; got True")
        decode = self._predicting()[1]
        return partial(
            _decode_with_std, decode, self._fitted_loss, self._y_scale, self._y_ndim == 1
        )

    def stream(
        self, n_sequences: int | None = None, *, return_std: bool = False
    ) -> EstimatorStream:
        """Predict for running sequences, one step at a time.

        All streams of a fitted estimator share its packed weights.

        Parameters
        ----------
        n_sequences : int or None, default None
            Number of sequences that run side by side. None: one, and arrays have no axis for it.
        return_std : bool, default False
            Let ``step`` return a tuple of mean and standard deviation, as ``predict`` does. This
            needs ``loss="gaussian"``, and a step takes some microseconds more.

        Returns
        -------
        EstimatorStream
            ``step(x_t)`` takes the features of a step, (n_features,), and returns what ``predict``
            returns for the sequence so far; ``reset()`` starts a new sequence.

        Raises
        ------
        ValueError
            A layer reads sequences from their last step, or there is no standard deviation.

        Examples
        --------
        >>> import numpy as np
        >>> from fusedlstm import LSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((40, 5, 1))
        >>> model = LSTMRegressor(4, loss="gaussian", max_iter=2).fit(X, X[:, -1, 0])
        >>> stream = model.stream(return_std=True)
        >>> for x_t in X[0]:
        ...     mean, std = stream.step(x_t)
        >>> bool(std == model.predict(X[:1], return_std=True)[1][0])
        True
        """
        if not check.true_or_false("return_std", return_std):
            return super().stream(n_sequences)
        check_is_fitted(self, "model_")
        return self._new_stream(n_sequences, self._std_decoder())

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination, or of several quantiles its like.

        Parameters
        ----------
        X, y, sample_weight : like those of `fit`

        Returns
        -------
        float
            `sklearn.metrics.r2_score`; for several quantiles the mean over them of
            `sklearn.metrics.d2_pinball_score`.
        """
        if "_fitted_loss" in vars(self) and self._quantiles():
            predicted = np.moveaxis(self.predict(X), -1, 0)
            scores = [
                d2_pinball_score(y, of_level, alpha=level, sample_weight=sample_weight)
                for level, of_level in zip(self._quantiles(), predicted, strict=True)
            ]
            return float(np.mean(scores))
        return float(super().score(X, y, sample_weight))

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

    @available_if(takes_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> LSTMRegressor:
        """Train the model for one more epoch, on these data; make it in the first call.

        The optimizer goes on from its state after the call before; the scale of the targets stays
        that of the first call.

        Parameters
        ----------
        X, y : like X and y of `fit`
        sample_weight : array (n_samples,) or None
            Relative to their mean in this call.

        Returns
        -------
        self

        Examples
        --------
        >>> import numpy as np
        >>> from fusedlstm import LSTMRegressor
        >>> rng = np.random.default_rng(0)
        >>> model = LSTMRegressor(hidden_size=8, random_state=0)
        >>> for _ in range(50):
        ...     X = rng.standard_normal((64, 5, 1))
        ...     model = model.partial_fit(X, X[:, -1, 0])
        >>> model.n_iter_, bool(model.score(X, X[:, -1, 0]) > 0.9)
        (50, True)
        """
        self._partial_fit(X, y, sample_weight)
        return self

    def _check_params(self) -> None:
        super()._check_params()
        if not (isinstance(self.normalize_y, str) and self.normalize_y == "auto"):
            check.true_or_false("normalize_y", self.normalize_y)
            if self.normalize_y and not self._loss().location_scale:
                needed = f"'auto' or False with loss={self.loss!r}"
                raise ValueError(check.needs("normalize_y", needed, self.normalize_y))

    def _read_targets(self, y: Any) -> Array:
        targets = check.real_array("y", y, np.float64)
        if targets.ndim not in (1, 2):
            needed = "of shape (n_samples,) or (n_samples, n_outputs)"
            hint = "Pass y.reshape(len(y), -1)." if targets.ndim == 3 else ""
            raise ValueError(check.needs("y", needed, y, hint))
        return cast(Array, check_array(targets, ensure_2d=False, input_name="y"))

    def _learn_targets(self, y: Array, weights: Array | None, classes: Any) -> None:
        columns = y.reshape(len(y), -1)
        self._y_ndim = y.ndim
        self._fitted_loss = self._loss()
        self._y_mean, self._y_scale = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
        if self.normalize_y and self._fitted_loss.location_scale:
            self._y_mean = np.average(columns, axis=0, weights=weights)
            with np.errstate(over="ignore"):
                spread = spread_of(columns - self._y_mean, weights)
            if not np.isfinite(spread).all():
                raise ValueError(check.needs("y", "numbers with finite squares", np.abs(y).max()))
            self._y_scale = np.where(is_constant(self._y_mean, spread), 1.0, spread)

    def _encode_targets(self, y: Array, name: str) -> Array:
        columns = y.reshape(len(y), -1)
        lowest = self._loss().lowest_target
        if columns.min() < lowest:
            needed = f"at least {lowest:g} with loss={self.loss!r}"
            raise ValueError(check.needs(name, needed, columns.min()))
        if self._fitted_loss != self._loss():
            needed = f"{self._fitted_loss!r}, as in the first fit, for it to go on"
            raise ValueError(check.needs("loss", needed, self.loss))
        if columns.shape[1] != len(self._y_mean):
            raise ValueError(
                f"{name} must have {len(self._y_mean)} outputs, as in fit; got {columns.shape[1]}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            encoded: Array = ((columns - self._y_mean) / self._y_scale).astype(self.dtype)
        if not np.isfinite(encoded).all():
            raise ValueError(check.needs(name, f"numbers within {self.dtype}'s range", y))
        return encoded

    def _decode_targets(self, y: Array) -> Array:
        decoded: Array = y * self._y_scale + self._y_mean
        return decoded[:, 0] if self._y_ndim == 1 else decoded

    def _n_outputs(self) -> int:
        return self._fitted_loss.n_outputs(len(self._y_mean))

    def _loss(self) -> RegressionLoss:
        return as_loss(self.loss, REGRESSION_LOSSES, RegressionLoss)  # type: ignore[type-abstract]

    def _check_weight_decay(self) -> None:
        if not self._has_auto_decay():
            super()._check_weight_decay()

    def _has_auto_decay(self) -> bool:
        return isinstance(self.weight_decay, str) and self.weight_decay == "auto"

    def _decay_for(self, n_sequences: int) -> float:
        if not self._has_auto_decay():
            return float(self.weight_decay)
        if isinstance(as_optimizer(self.optimizer), LBFGS):
            return 0.0
        return min(1 / n_sequences, LARGEST_DECAY)

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
        return self._loss().start(train.y, train.weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        with contextlib.suppress(TypeError, ValueError):  # `fit` says what is wrong with the loss
            tags.target_tags.positive_only = self._loss().lowest_target >= 0
        return tags


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
