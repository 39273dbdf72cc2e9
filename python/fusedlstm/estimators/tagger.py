"""A label for every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from fusedlstm.estimators.classifier import LSTMClassifier
from fusedlstm.estimators.docstrings import describes_as
from fusedlstm.estimators.parameters import takes_batches
from fusedlstm.estimators.per_step import StepEstimator
from fusedlstm.estimators.tasks import StepLabels
from fusedlstm.estimators.tasks.labels import check_class_weight
from fusedlstm.losses import CLASSIFICATION_LOSSES, ClassificationLoss, as_loss, log_softmax


@describes_as(LSTMClassifier)
@dataclass(repr=False, eq=False, kw_only=True)
class LSTMTagger(StepEstimator):
    """Predict a label at every step of a sequence with a recurrent network.

    A stack of recurrent layers reads the sequence; from their output at each step a dense layer
    computes a logit per class. It is no `sklearn.base.ClassifierMixin`: scikit-learn takes the
    targets of such an estimator to be one label per sample.

    Parameters
    ----------
    hidden_size, num_layers, cell : see `LSTMClassifier`
    bidirectional : bool, default True
        Read every sequence from both ends, so that a label depends on the steps before and after
        it. A stream needs False.
    layers : tuple of layers, optional
        Layers from `fusedlstm.layers` that keep the steps, in place of those that ``hidden_size``,
        ``num_layers``, ``cell``, ``bidirectional``, ``dropout`` and ``recurrent_dropout`` describe.
        The output layer is added.
    dropout, recurrent_dropout : see `LSTMClassifier`
    loss : {"log_loss", "focal"} or object, default "log_loss"
        Its mean is that over the real steps of a batch.
    optimizer, learning_rate, schedule, weight_decay, clip_norm : see `LSTMClassifier`
    batch_size, shuffle : see `LSTMClassifier`
    max_iter : int, default 100
        Number of epochs. All of them are trained, unless ``early_stopping`` ends the fit or the
        line search of L-BFGS finds no decrease.
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
    class_weight : dict, "balanced" or None, default None
        Factors of the sample weights of each step, by its label. ``"balanced"``: in inverse
        proportion to the number of steps of each label.
    dtype, n_threads, random_state, warm_start, verbose : see `LSTMClassifier`

    Attributes
    ----------
    classes_ : array (n_classes,)
        The labels, in order.
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
        """Return the most probable label of each step.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        list of arrays (n_timesteps_i,), or array (n_samples, n_timesteps)
            A list for a list, an array for an array, an array of objects for one of objects, which
            `sklearn.model_selection.cross_val_predict` needs. In an array, steps that are padding
            have the label NaN, "", False, None or -1, by the kind of the labels.
        """
        return self._predicted(X, lambda rows: self.classes_[np.argmax(rows, axis=1)])

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each label at each step, in the order of ``classes_``.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        list of arrays (n_timesteps_i, n_classes), or array (n_samples, n_timesteps, n_classes)
            NaN at steps that are padding.
        """
        return self._predicted(X)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of the probability of each label at each step.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        list of arrays or array, like that of `predict_proba`
        """
        return self._predicted(X, lambda rows: log_softmax(rows.astype(np.float64)))

    def decision_function(self, X: Any) -> Any:
        """Return the model's logits at each step.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        list of arrays or array, like that of `predict_proba`
        """
        return self._predicted(X, lambda rows: rows.astype(np.float64))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of the steps whose label is predicted.

        Parameters
        ----------
        X, y : like those of `fit`
        sample_weight : array (n_samples,) or None
            Of the sequences; each of their steps has it.

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
        """Train the model for one more epoch, on these data; make it in the first call.

        Parameters
        ----------
        X, y : like X and y of `fit`
        classes : array (n_classes,)
            All labels that any call will see; needed in the first.
        sample_weight : array (n_samples,) or None
            Relative to their mean in this call.

        Returns
        -------
        self
        """
        if hasattr(self, "classes_"):
            if classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
                raise ValueError(
                    f"classes must be those of the first call, {self.classes_}; got {classes}"
                )
        elif classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit; got None")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight must be a dict or None for partial_fit, which never sees all "
                "labels at once; got 'balanced'"
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
