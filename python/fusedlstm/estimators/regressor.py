"""The regressor of sequences."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from fusedlstm._utils import validation as check
from fusedlstm.estimators.classifier import LSTMClassifier
from fusedlstm.estimators.docstrings import describes_as
from fusedlstm.estimators.number_estimator import NumberEstimator
from fusedlstm.estimators.pooled_estimator import PooledEstimator
from fusedlstm.estimators.stream import EstimatorStream
from fusedlstm.estimators.tasks import Numbers


@describes_as(LSTMClassifier)
@dataclass(repr=False, eq=False, kw_only=True)
class LSTMRegressor(RegressorMixin, NumberEstimator, PooledEstimator):  # type: ignore[misc]
    """Regressor of sequences with a recurrent neural network.

    A stack of recurrent layers reads each sequence. A dense layer computes the predictions from the
    final state of the last recurrent layer.

    Parameters
    ----------
    hidden_size, num_layers, cell, bidirectional, layers : see `LSTMClassifier`
    dropout, recurrent_dropout, pooling : see `LSTMClassifier`
    loss : {"squared_error", "absolute_error", "huber", "pinball", "poisson", "gaussian"} or \
loss, default "squared_error"
        Loss function that the training minimizes. ``"mse"`` is an alias of ``"squared_error"`` and
        ``"mae"`` of ``"absolute_error"``. Pass an object from `fusedlstm.losses` to set the options
        of a loss: ``Pinball((0.1, 0.5, 0.9))`` predicts three quantiles. ``"gaussian"`` predicts a
        mean and a standard deviation.
    optimizer, schedule, clip_norm, batch_size, tbptt_steps, shuffle : see `LSTMClassifier`
    learning_rate : float, default 0.002
        Step size of the optimizer. ``schedule`` multiplies it by a factor that depends on the
        epoch. With a smaller value the training is slower and more stable.
    weight_decay : float or "auto", default "auto"
        Strength of the L2 penalty on the weights. Biases are not penalized. The penalty is
        decoupled from the gradient for ``"adamw"`` and ``"lion"``. With ``"auto"`` the strength is
        1 / n_samples, but at most 0.02. The penalty then counts about as much as one sequence. For
        L-BFGS, ``"auto"`` is 0.
    max_iter : int, default 100
        Largest number of epochs. The training ends earlier through ``early_stopping``, a callback,
        Ctrl-C, a loss that is not finite, or a line search of L-BFGS that finds no decrease.
    early_stopping, scoring, validation_fraction, validation_split : see `LSTMClassifier`
    n_iter_no_change, tol, standardize : see `LSTMClassifier`
    normalize_y : bool or "auto", default "auto"
        If True, the model is trained on targets with zero mean and unit variance, and the
        predictions are transformed to the original scale. ``loss_`` and the loss curves are then
        losses of normalized targets. ``"auto"`` is True if the loss supports normalization, and
        False otherwise, for example for ``"poisson"``, whose targets are counts.
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
        *PooledEstimator._saved_attributes,
        "_y_ndim",
        "_y_mean",
        "_y_scale",
        "_fitted_loss",
    )

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets of each sequence.

        Parameters
        ----------
        X : like X of `fit`
            Sequences of any number of steps. After a fit on 2-D X, the same number of columns.
        return_std : bool, default False
            If True, the standard deviations are also returned. This requires ``loss="gaussian"``.

        Returns
        -------
        y_mean : float64 array (n_samples,) or (n_samples, n_outputs), like y
            With a loss for several quantiles, the quantiles are on an additional last axis.
        y_std : array like y_mean
            Standard deviations. Returned only with ``return_std``.

        Raises
        ------
        ValueError
            If ``return_std`` is True and the loss is not "gaussian".

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
        transform = self._current_snapshot().transform
        if return_std:
            transform = self._task().std_transform(transform)
        return transform(outputs)

    def stream(
        self, n_sequences: int | None = None, *, return_std: bool = False
    ) -> EstimatorStream:
        """Return a stream that predicts one step at a time.

        All streams of a fitted estimator share its packed weights.

        Parameters
        ----------
        n_sequences : int or None, default None
            Number of sequences processed together. With None there is one sequence, and the
            arrays of ``step`` have no axis for sequences.
        return_std : bool, default False
            If True, ``step`` returns a tuple of mean and standard deviation, as ``predict`` does.
            This requires ``loss="gaussian"``, and a step takes some microseconds longer.

        Returns
        -------
        EstimatorStream
            ``step(x_t)`` takes the features of one step, (n_features,), and returns the prediction
            for the sequence so far. ``reset()`` starts a new sequence.

        Raises
        ------
        ValueError
            If a layer reads sequences from their last step, or ``return_std`` is True and the loss
            is not "gaussian".

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
        return self._new_stream(
            n_sequences, self._task().std_transform(self._current_snapshot().transform)
        )

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R^2 of the predictions.

        Parameters
        ----------
        X, y, sample_weight : like X, y and sample_weight of `fit`

        Returns
        -------
        float
            Result of `sklearn.metrics.r2_score`. For a loss with several quantiles, the mean of
            `sklearn.metrics.d2_pinball_score` over the quantiles.
        """
        task = self._task()
        if not task.quantiles():
            return float(super().score(X, y, sample_weight))
        predicted = np.moveaxis(self.predict(X), -1, 0)
        pairs = zip(task.scores(), predicted, strict=True)
        scores = [score(y, of_level, sample_weight=sample_weight) for score, of_level in pairs]
        return float(np.mean(scores))

    def _task(self) -> Numbers:
        return self._numbers(Numbers)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        with contextlib.suppress(TypeError, ValueError):  # `fit` reports a wrong loss
            tags.target_tags.positive_only = self._task().loss.lowest_target >= 0
        return tags
