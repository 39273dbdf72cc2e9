"""The regressor of the steps of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fusedlstm._utils import validation as check
from fusedlstm.estimators.classifier import LSTMClassifier
from fusedlstm.estimators.docstrings import describes_as
from fusedlstm.estimators.number_estimator import NumberEstimator
from fusedlstm.estimators.regressor import LSTMRegressor
from fusedlstm.estimators.step_estimator import StepEstimator
from fusedlstm.estimators.tasks import StepNumbers


@describes_as(LSTMClassifier, LSTMRegressor)
@dataclass(repr=False, eq=False, kw_only=True)
class LSTMStepRegressor(NumberEstimator, StepEstimator):
    """Regressor of every step of sequences with a recurrent neural network.

    A stack of recurrent layers reads each sequence. A dense layer computes the predictions for each
    step from the output of the last recurrent layer. Targets that are NaN are missing and do not
    contribute to the loss.

    Parameters
    ----------
    hidden_size, num_layers, cell, bidirectional : see `LSTMClassifier`
    layers : tuple of layers or None, default None
        Hidden layers from `fusedlstm.layers`. No layer may reduce sequences to vectors. If given,
        ``hidden_size``, ``num_layers``, ``cell``, ``bidirectional``, ``dropout`` and
        ``recurrent_dropout`` have no effect. The output layer is appended.
    dropout, recurrent_dropout : see `LSTMClassifier`
    loss : {"squared_error", "absolute_error", "huber", "pinball", "poisson", "gaussian"} or \
loss, default "squared_error"
        Loss function. The training minimizes its mean over the targets of a batch that are not NaN.
        Pass an object from `fusedlstm.losses` to set the options of a loss:
        ``Pinball((0.1, 0.5, 0.9))`` predicts three quantiles. ``"gaussian"`` predicts a mean and a
        standard deviation.
    optimizer, schedule, clip_norm, batch_size, shuffle : see `LSTMClassifier`
    learning_rate, max_iter : see `LSTMRegressor`
    weight_decay : float or "auto", default "auto"
        Strength of the L2 penalty on the weights. Biases are not penalized. The penalty is
        decoupled from the gradient for ``"adamw"`` and ``"lion"``. With ``"auto"`` the strength is
        1 / n_steps, but at most 0.02, where n_steps is the number of steps of all training
        sequences. For L-BFGS, ``"auto"`` is 0.
    tbptt_steps : int or None, default None
        Number of steps of truncated back-propagation through time. None turns truncation off. Each
        sequence is trained in chunks of ``tbptt_steps`` steps. A chunk starts from the state at the
        end of the previous chunk. Gradients are not propagated to the previous chunk. Layers that
        read backward cannot be truncated.
    early_stopping : see `LSTMClassifier`
    scoring : str, callable or None, default None
        Metric that early stopping monitors. With None it is the validation loss. With the name of a
        scorer from `sklearn.metrics.get_scorer_names` it is the score of all steps of the
        validation data, see `fusedlstm.metrics.step_scorer`. A callable
        ``scoring(estimator, X, y)`` returns a score, where larger is better. The callable gets the
        validation data in the form in which they were passed to `fit`.
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
        """Predict the targets of each step.

        Parameters
        ----------
        X : like X of `fit`
        return_std : bool, default False
            If True, the standard deviations are also returned. This requires ``loss="gaussian"``.

        Returns
        -------
        y_mean : list of arrays (n_timesteps_i,) or (n_timesteps_i, n_outputs), or array
            A list for a list, an object array for an object array, and an array (n_samples,
            n_timesteps, ...) for an array, with NaN at padded steps. With a loss for several
            quantiles, the quantiles are on an additional last axis.
        y_std : like y_mean
            Standard deviations. Returned only with ``return_std``.

        Raises
        ------
        ValueError
            If ``return_std`` is True and the loss is not "gaussian".
        """
        if not check.true_or_false("return_std", return_std):
            return self._predicted(X)
        transform = self._task().std_transform(self._current_snapshot().transform)
        mean = self._predicted(X, lambda rows: transform(rows)[0])
        return mean, self._predicted(X, lambda rows: transform(rows)[1])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R^2 over all steps with targets.

        Parameters
        ----------
        X, y : like X and y of `fit`
        sample_weight : array (n_samples,) or None
            Weights of the sequences. All steps of a sequence have its weight.

        Returns
        -------
        float
            Mean over the outputs that have targets. For a loss with several quantiles, the mean of
            `sklearn.metrics.d2_pinball_score` over the outputs and the quantiles.
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
