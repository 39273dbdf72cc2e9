"""The classifier of the steps of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from fusedlstm.estimators.classifier import LSTMClassifier
from fusedlstm.estimators.docstrings import describes_as
from fusedlstm.estimators.parameters import takes_batches
from fusedlstm.estimators.step_estimator import StepEstimator
from fusedlstm.estimators.tasks import StepLabels
from fusedlstm.estimators.tasks.labels import check_class_weight
from fusedlstm.losses import CLASSIFICATION_LOSSES, ClassificationLoss, as_loss, log_softmax


@describes_as(LSTMClassifier)
@dataclass(repr=False, eq=False, kw_only=True)
class LSTMTagger(StepEstimator):
    """Classifier of every step of sequences with a recurrent neural network.

    A stack of recurrent layers reads each sequence. A dense layer computes one logit per class from
    the output of the last recurrent layer at each step. The class is not derived from
    `sklearn.base.ClassifierMixin`: scikit-learn expects one label per sample from classifiers.

    Parameters
    ----------
    hidden_size, num_layers, cell : see `LSTMClassifier`
    bidirectional : bool, default True
        If True, each recurrent layer reads the sequences forward and backward, so that the
        prediction for a step depends on the steps before and after it. `stream` requires False.
    layers : tuple of layers or None, default None
        Hidden layers from `fusedlstm.layers`. No layer may reduce sequences to vectors. If given,
        ``hidden_size``, ``num_layers``, ``cell``, ``bidirectional``, ``dropout`` and
        ``recurrent_dropout`` have no effect. The output layer is appended.
    dropout, recurrent_dropout : see `LSTMClassifier`
    loss : {"log_loss", "focal"} or loss, default "log_loss"
        Loss function. The training minimizes its mean over the real steps of a batch. Pass an
        object from `fusedlstm.losses` to set the options of a loss.
    optimizer, learning_rate, schedule, weight_decay, clip_norm : see `LSTMClassifier`
    batch_size, shuffle : see `LSTMClassifier`
    max_iter : int, default 100
        Largest number of epochs. The training ends earlier through ``early_stopping``, a callback,
        Ctrl-C, a loss that is not finite, or a line search of L-BFGS that finds no decrease.
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
    class_weight : dict, "balanced" or None, default None
        Factors by which the weights of the steps are multiplied, by label. With None all factors
        are 1. ``"balanced"`` uses factors inversely proportional to the number of steps with each
        label.
    dtype, n_threads, random_state, warm_start, verbose : see `LSTMClassifier`

    Attributes
    ----------
    classes_ : array (n_classes,)
        Sorted labels.
    n_features_in_, X_mean_, X_scale_, model_ : see `LSTMClassifier`
    n_iter_, best_iter_, loss_ : see `LSTMClassifier`
    loss_curve_, validation_loss_curve_ : see `LSTMClassifier`

    References
    ----------
    .. [1] Graves and Schmidhuber, "Framewise Phoneme Classification with Bidirectional LSTM and
       Other Neural Network Architectures", 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMTagger
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((n, 1)) for n in rng.integers(5, 15, 100)]
    >>> y = [np.where(np.cumsum(x) > 0, "above", "below") for x in X]
    >>> model = LSTMTagger(16, max_iter=60, random_state=0).fit(X[:80], y[:80])
    >>> bool(model.score(X[80:], y[80:]) > 0.9)
    True
    >>> len(model.predict(X[80:])), model.predict(X[80:])[0].shape == y[80].shape
    (20, True)
    """

    _saved_attributes = (*StepEstimator._saved_attributes, "classes_")

    bidirectional: bool = True
    loss: str | ClassificationLoss = "log_loss"
    class_weight: Any = None

    def predict(self, X: Any) -> Any:
        """Predict the label of each step.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        list of arrays (n_timesteps_i,), or array (n_samples, n_timesteps)
            A list for a list, and an array for an array. For an object array, an object array, as
            `sklearn.model_selection.cross_val_predict` requires. In an array, the label of a padded
            step is NaN, "", False, None or -1, depending on the data type of the labels.
        """
        return self._predicted(X, lambda rows: self.classes_[np.argmax(rows, axis=1)])

    def predict_proba(self, X: Any) -> Any:
        """Predict the probabilities of the labels at each step, in the order of ``classes_``.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        list of arrays (n_timesteps_i, n_classes), or array (n_samples, n_timesteps, n_classes)
            NaN at padded steps.
        """
        return self._predicted(X)

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithms of the probabilities of the labels at each step.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        list of arrays or array, like the result of `predict_proba`
        """
        return self._predicted(X, lambda rows: log_softmax(rows.astype(np.float64)))

    def decision_function(self, X: Any) -> Any:
        """Return the logits at each step.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        list of arrays or array, like the result of `predict_proba`
        """
        return self._predicted(X, lambda rows: rows.astype(np.float64))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of the predictions for all steps.

        Parameters
        ----------
        X, y : like X and y of `fit`
        sample_weight : array (n_samples,) or None
            Weights of the sequences. All steps of a sequence have its weight.

        Returns
        -------
        float
        """
        true, predicted, weights = self._rows(X, y, sample_weight)
        return float(accuracy_score(true, predicted, sample_weight=weights))

    @available_if(takes_batches)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> LSTMTagger:
        """Train the model for one epoch. The first call creates the model.

        The optimizer continues from its state after the previous call.

        Parameters
        ----------
        X, y : like X and y of `fit`
        classes : array (n_classes,), default None
            All labels that occur in any call. Required in the first call.
        sample_weight : array (n_samples,), default None
            Weights of the sequences in the loss. They are divided by their mean in this call.

        Returns
        -------
        self

        Raises
        ------
        AttributeError
            If the optimizer is L-BFGS, which does not train on batches.
        ValueError
            If ``early_stopping`` is True, ``class_weight`` is "balanced", ``classes`` is missing in
            the first call, or X or y are invalid.
        """
        if hasattr(self, "classes_"):
            if classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
                raise ValueError(
                    f"classes must be the classes of the first call, {self.classes_}; got {classes}"
                )
        elif classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit; got None")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight must be a dict or None for partial_fit, because one call has only a "
                "part of the targets; got 'balanced'"
            )
        self._partial_fit(X, y, sample_weight, classes)
        return self

    def _check_params(self) -> None:
        super()._check_params()
        check_class_weight(self.class_weight, lists=False)

    def _task(self) -> StepLabels:
        return StepLabels(
            as_loss(self.loss, CLASSIFICATION_LOSSES, ClassificationLoss),  # type: ignore[type-abstract]
            self.class_weight,
            type(self).__name__,
            vars(self).get("classes_"),
        )
