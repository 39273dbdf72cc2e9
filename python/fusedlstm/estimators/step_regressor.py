"""Numbers for every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fusedlstm._utils import validation as check
from fusedlstm.estimators.classifier import LSTMClassifier
from fusedlstm.estimators.docstrings import describes_as
from fusedlstm.estimators.numbers import NumberEstimator
from fusedlstm.estimators.per_step import StepEstimator
from fusedlstm.estimators.regressor import LSTMRegressor
from fusedlstm.estimators.tasks import StepNumbers


@describes_as(LSTMClassifier, LSTMRegressor)
@dataclass(repr=False, eq=False, kw_only=True)
class LSTMStepRegressor(NumberEstimator, StepEstimator):
    """Predict numbers at every step of a sequence with a recurrent network.

    A stack of recurrent layers reads the sequence; from their output at each step a dense layer
    computes the outputs. A target that is NaN contributes nothing to the loss.

    Parameters
    ----------
    hidden_size, num_layers, cell, bidirectional : see `LSTMClassifier`
    layers : tuple of layers, optional
        Layers from `fusedlstm.layers` that keep the steps, in place of those that ``hidden_size``,
        ``num_layers``, ``cell``, ``bidirectional``, ``dropout`` and ``recurrent_dropout`` describe.
        The output layer is added.
    dropout, recurrent_dropout : see `LSTMClassifier`
    loss : {"squared_error", "absolute_error", "huber", "pinball", "poisson", "gaussian"} or \
object, default "squared_error"
        As for `LSTMRegressor`. Its mean is that over the targets of a batch that are not NaN.
    optimizer, schedule, clip_norm, batch_size, shuffle : see `LSTMClassifier`
    learning_rate, max_iter : see `LSTMRegressor`
    weight_decay : float or "auto", default "auto"
        As for `LSTMRegressor`, with the number of steps in place of ``n_samples``.
    tbptt_steps : int or None, default None
        For long sequences: train on chunks of this number of steps. States are carried from one
        chunk to the next, gradients are not. Not for layers that read backward.
    early_stopping : see `LSTMClassifier`
    scoring : str, callable or None, default None
        Metric that early stopping monitors. None: the validation loss. A scorer's name: the score
        of all steps, see `fusedlstm.metrics.step_scorer`. A callable: its value for the estimator,
        the validation X and y, which are as they were given to `fit`, or the rows of them that are
        set aside.
    validation_fraction, validation_split : see `LSTMClassifier`
    n_iter_no_change, tol, standardize : see `LSTMClassifier`
    normalize_y : see `LSTMRegressor`
    dtype, n_threads, random_state, warm_start, verbose : see `LSTMClassifier`

    Attributes
    ----------
    n_features_in_, X_mean_, X_scale_, model_ : see `LSTMClassifier`
    n_iter_, best_iter_, loss_ : see `LSTMClassifier`
    loss_curve_, validation_loss_curve_ : see `LSTMClassifier`

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMStepRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((n, 1)) for n in rng.integers(5, 15, 100)]
    >>> y = [np.cumsum(x) for x in X]
    >>> model = LSTMStepRegressor(16, max_iter=60, random_state=0).fit(X[:80], y[:80])
    >>> bool(model.score(X[80:], y[80:]) > 0.9)
    True
    >>> model.predict(X[80:])[0].shape == y[80].shape
    True
    """

    _saved_attributes = (
        *StepEstimator._saved_attributes,
        "_y_ndim",
        "_y_mean",
        "_y_scale",
        "_fitted_loss",
    )

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the predictions for each step.

        Parameters
        ----------
        X : like X of `fit`
        return_std : bool, default False
            Return standard deviations too, which ``loss="gaussian"`` has.

        Returns
        -------
        y_mean : list of arrays (n_timesteps_i,) or (n_timesteps_i, n_outputs), or array
            A list for a list, an array of objects for one of objects, an array (n_samples,
            n_timesteps, ...) for an array, NaN at steps that are padding. With a loss for several
            quantiles they are one more axis, the last.
        y_std : like y_mean
            If ``return_std``.
        """
        if not check.true_or_false("return_std", return_std):
            return self._predicted(X)
        transform = self._task().std_transform(self._current_snapshot().transform)
        mean = self._predicted(X, lambda rows: transform(rows)[0])
        return mean, self._predicted(X, lambda rows: transform(rows)[1])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination over all steps whose target is not NaN.

        Parameters
        ----------
        X, y : like those of `fit`
        sample_weight : array (n_samples,) or None
            Of the sequences; each of their steps has it.

        Returns
        -------
        float
            The mean over the outputs that have targets; for several quantiles, the mean over them
            of `sklearn.metrics.d2_pinball_score`.
        """
        true, predicted, weights = self._rows(X, y, sample_weight)
        true = true.reshape(len(true), -1).astype(np.float64)
        task = self._task()
        task.check_columns(true, "y")
        predicted = predicted.reshape(*true.shape, -1)
        scores = []
        for column in range(true.shape[1]):
            present = ~np.isnan(true[:, column])
            if not present.any():  # at least one column has targets
                continue
            of_rows = None if weights is None else weights[present]
            for k, score in enumerate(task.scores()):
                scores.append(
                    score(
                        true[present, column],
                        predicted[present, column, k],
                        sample_weight=of_rows,
                    )
                )
        return float(np.mean(scores))

    def _task(self) -> StepNumbers:
        return self._numbers(StepNumbers)
