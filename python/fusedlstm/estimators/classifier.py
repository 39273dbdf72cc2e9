"""The classifier of sequences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm.estimators.parameters import takes_batches
from fusedlstm.estimators.pooled_estimator import PooledEstimator
from fusedlstm.estimators.tasks import Labels
from fusedlstm.estimators.tasks.labels import check_class_weight
from fusedlstm.losses import (
    CLASSIFICATION_LOSSES,
    ClassificationLoss,
    as_loss,
    log_softmax,
)

_CROSS_ENTROPY = re.compile(
    r"(sparse_|categorical_|binary_)+cross_?entropy|crossentropy|bce|nll", re.IGNORECASE
)
"""Names of the log loss in other libraries. Some of the names stand for several losses."""


@dataclass(repr=False, eq=False, kw_only=True)
class LSTMClassifier(ClassifierMixin, PooledEstimator):  # type: ignore[misc]
    """Classifier of sequences with a recurrent neural network.

    A stack of recurrent layers reads each sequence. A dense layer computes the logits from the
    final state of the last recurrent layer: one logit for two classes, otherwise one logit per
    class. If y is a matrix of zeros and ones, each column is an independent label with one logit.
    For mutually exclusive classes pass an array of labels. A one-hot matrix raises a warning.

    Parameters
    ----------
    hidden_size : int, default 64
        Number of hidden units of each recurrent layer. A bidirectional layer has this number of
        units in each direction.
    num_layers : int, default 1
        Number of recurrent layers. Each layer reads the outputs of the layer before it.
    cell : {"lstm", "gru", "rnn", "peephole_lstm", "cifg_lstm", "layer_norm_lstm"}, default "lstm"
        Type of the recurrent layers. ``layers`` gives access to their other options.
    bidirectional : bool, default False
        If True, each recurrent layer reads the sequences forward and backward, and its output is
        the concatenation of the outputs of both directions.
    layers : tuple of layers or None, default None
        Hidden layers from `fusedlstm.layers`. If given, ``hidden_size``, ``num_layers``, ``cell``,
        ``bidirectional``, ``dropout`` and ``recurrent_dropout`` have no effect. If no layer reduces
        sequences to vectors, the layer of ``pooling`` is appended. Then the output layer is
        appended.
    dropout : float in [0, 1), default 0
        Probability with which an element of the output of a recurrent layer is set to zero during
        training. Dropout follows every recurrent layer.
    recurrent_dropout : float in [0, 1), default 0
        Probability with which an element of the hidden state is set to zero on its way to the next
        time step during training. The same elements are dropped at all steps of a sequence.
    pooling : {"last", "mean", "max"}, default "last"
        Reduction of the outputs of the last recurrent layer to one vector. ``"last"`` takes the
        final state of each direction, ``"mean"`` and ``"max"`` take the mean and the maximum over
        all steps. For sequences of several hundred steps, training is easier with ``"mean"`` or
        ``"max"``.
        Not used if ``layers`` contains a layer that reduces sequences to vectors.
    loss : {"log_loss", "focal"} or loss, default "log_loss"
        Loss function that the training minimizes. ``"cross_entropy"`` is an alias of
        ``"log_loss"``. Pass an object from `fusedlstm.losses` to set the options of a loss, for
        example ``LogLoss(label_smoothing=0.1)``.
    optimizer : {"sgd", "rmsprop", "adagrad", "adam", "amsgrad", "nadam", "adamw", "lion", \
"lbfgs"} or optimizer, default "adam"
        Optimization algorithm. Pass an object from `fusedlstm.optimizers` to set the options of an
        optimizer, for example ``Adam(beta2=0.99, clip_value=0.1)``. `LBFGS` computes the gradient
        from all data, and ``learning_rate`` and ``clip_norm`` have no effect on it.
    learning_rate : float, default 0.003
        Step size of the optimizer. ``schedule`` multiplies it by a factor that depends on the
        epoch. With a smaller value the training is slower and more stable.
    schedule : {"step", "exponential", "cosine", "cosine_restarts", "one_cycle", \
"reduce_on_plateau"}, schedule or None, default None
        Schedule of the learning rate over the epochs. With None the learning rate is constant. Pass
        an object from `fusedlstm.schedules` to set the options of a schedule, for example
        ``Cosine(warm_up=5)``. Further calls of `partial_fit`, or of `fit` with ``warm_start``,
        continue the schedule. Must be None for L-BFGS.
    weight_decay : float, default 0
        Strength of the L2 penalty on the weights. Biases are not penalized. The penalty is
        decoupled from the gradient for ``"adamw"`` and ``"lion"``. For an L1 penalty use an option
        of the optimizer: ``Adam(l1=1e-4)``.
    clip_norm : float or None, default 1.0
        Upper bound of the Euclidean norm of the gradient of a batch. A gradient with a larger norm
        is scaled to this norm. None turns clipping off.
    batch_size : int or "auto", default "auto"
        Number of sequences per batch. The optimizer updates the weights once per batch. With
        ``"auto"`` the batch size is a tenth of the number of training sequences, but at least 4
        and at most 32, so that an epoch on a small data set has several updates. For L-BFGS it must
        be ``"auto"`` or at least the number of training sequences. With ``"auto"``, L-BFGS sums the
        gradients of chunks of 256 sequences.
    max_iter : int, default 200
        Largest number of epochs. The training ends earlier through ``early_stopping``, a callback,
        Ctrl-C, a loss that is not finite, or a line search of L-BFGS that finds no decrease.
    tbptt_steps : int or None, default None
        Number of steps of truncated back-propagation through time. None turns truncation off. The
        gradient is computed for the last ``tbptt_steps`` steps of each sequence. The earlier steps
        are computed in chunks of ``tbptt_steps`` steps, which bounds the memory for activations,
        and only their final state is used. Sequences of at most ``tbptt_steps`` steps are
        unaffected. Layers that read backward cannot be truncated.
    shuffle : bool, default True
        If True, the sequences are shuffled in every epoch.
    early_stopping : bool, default False
        If True, the training stops when the validation loss, or the metric of ``scoring``, has not
        improved for ``n_iter_no_change`` epochs, and the best weights are restored. A
        ConvergenceWarning is raised if ``max_iter`` is reached first.
    scoring : str, callable or None, default None
        Metric that early stopping monitors. With None it is the validation loss. With the name of a
        scorer from `sklearn.metrics.get_scorer_names` it is the score on the validation data,
        weighted by ``sample_weight`` but not by ``class_weight``. This score must be finite. A
        callable ``scoring(estimator, X, y)`` returns a score, where larger is better. The callable
        gets the validation data in the form in which they were passed to `fit`.
    validation_fraction : float in (0, 1), default 0.1
        Fraction of the sequences to set aside as validation data for early stopping. Not used if
        X_val is passed to ``fit``.
    validation_split : {"random", "last"}, default "random"
        Selection of the sequences that are set aside. ``"random"`` draws them at random (the
        classifier: the same fraction of every class). ``"last"`` takes the last sequences.
        Use ``"last"`` for windows of a time series: random windows overlap with the training
        windows, and the validation loss is then too low.
    n_iter_no_change : int, default 10
        Number of epochs without an improvement of more than ``tol`` after which early stopping ends
        the training. Used only with ``early_stopping``.
    tol : float, default 1e-4
        A decrease of the validation loss, or an increase of the score, counts as an improvement if
        it is larger than ``tol``. Used only with ``early_stopping``.
    standardize : bool or "auto", default "auto"
        If True, the mean of each feature is subtracted from X, and X is divided by the standard
        deviation. Both are computed from the real steps of the training sequences of the first fit,
        weighted by ``sample_weight``, and in `LSTMClassifier` also by ``class_weight``. Currently
        ``"auto"`` has the same effect as True. Later versions may exclude inputs that need no
        standardization, such as columns of tokens. ``model_`` needs standardized X. ``predict`` and
        ``stream`` take X on its original scale.
    class_weight : dict, list of dict, "balanced" or None, default None
        Factors by which the sample weights are multiplied, by class. With None all factors are 1.
        ``"balanced"`` uses factors inversely proportional to the frequencies of the classes. For a
        y of several columns pass a list with one dict per column.
    dtype : {"float32", "float64"}, default "float32"
        Data type of the weights and the computations of the model. Predictions are float64.
    n_threads : int or None, default None
        Upper bound of the number of threads. With None it is `fusedlstm.get_num_threads`. The
        number of threads has no effect on the results.
    random_state : int, RandomState or None, default None
        Seed or generator for the initial weights, the order of the sequences, dropout and the
        validation split. The same integer and the same data give the same model, bit for bit, on
        the same kind of machine.
    warm_start : bool, default False
        If True, ``fit`` continues from the weights of the previous fit, for ``max_iter`` more
        epochs. The optimizer starts from a new state. If False, ``fit`` trains a new model.
    verbose : int, default 0
        Verbosity. With 1, a progress bar on stderr shows the losses, the score, the number of
        samples per second and the remaining time. If stderr is not a terminal, a line is printed
        every ten seconds instead. With 2, this line is printed after every epoch.

    Attributes
    ----------
    classes_ : array (n_classes,)
        Sorted class labels. For a y of several columns, the column numbers.
    n_features_in_ : int
        Number of features of a time step. After a fit on 2-D X, the number of columns.
    X_mean_, X_scale_ : array (n_features,) or None
        Mean and standard deviation for the standardization of X. None without ``standardize``. 2-D
        X has one feature.
    model_ : Sequential
        The trained model. Predictions use a copy of the model with packed weights. The copy is made
        at the end of the training and after an assignment ``model_.params = values``. Changing
        elements of ``model_.params`` in place does not change the predictions.
    n_iter_ : int
        Number of epochs for which the model has been trained, in all calls.
    best_iter_ : int
        Epoch with the best monitored value in the last `fit`. Epochs are counted from 1 over all
        calls, as in ``n_iter_``. With ``early_stopping`` the monitored value is the validation loss
        or the score, and the model has the weights of this epoch. Otherwise the monitored value is
        the training loss, and the model has the weights of the last epoch.
    loss_ : float
        Training loss of the last epoch.
    loss_curve_, validation_loss_curve_ : list of float
        Training and validation loss of each epoch. ``validation_loss_curve_`` is empty without
        validation data, which are passed as X_val and y_val or set aside by ``early_stopping``.

    References
    ----------
    .. [1] Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((400, 20, 1))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> clf = LSTMClassifier(hidden_size=16, random_state=0).fit(X[:200], y[:200])
    >>> bool(clf.score(X[200:], y[200:]) > 0.85)
    True
    """

    _saved_attributes = (*PooledEstimator._saved_attributes, "classes_", "_multilabel")
    loss: str | ClassificationLoss = "log_loss"
    learning_rate: float = 0.003
    max_iter: int = 200
    class_weight: Any = None

    def predict(self, X: Any) -> Array:
        """Predict the class of each sequence, or its labels.

        Parameters
        ----------
        X : like X of `fit`
            Sequences of any number of steps. After a fit on 2-D X, the same number of columns.

        Returns
        -------
        array (n_samples,), or int array (n_samples, n_labels)
            Classes from ``classes_``, or a matrix of zeros and ones after a fit on such a matrix.
        """
        outputs = self._outputs_for(X)
        if self._multilabel:
            return (outputs > 0).astype(np.intp)
        labels: Array = self.classes_[core.class_numbers(outputs)]
        return labels

    def decision_function(self, X: Any) -> Array:
        """Return the logits of each sequence.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        float64 array (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            For two classes, one logit per sequence: the logit of ``classes_[1]``.
        """
        outputs = self._outputs_for(X).astype(np.float64, copy=False)
        return outputs[:, 0] if len(self.classes_) == 2 and not self._multilabel else outputs

    def predict_proba(self, X: Any) -> Array:
        """Predict the probabilities of the classes or labels, in the order of ``classes_``.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        float64 array (n_samples, n_classes)
            After a fit on a matrix of zeros and ones, the probability of each label.
        """
        outputs = self._outputs_for(X)
        predicted: Array = self._current_snapshot().transform(outputs)
        return predicted

    def predict_log_proba(self, X: Any) -> Array:
        """Predict the logarithms of the probabilities of the classes or labels.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        float64 array (n_samples, n_classes)
        """
        outputs = self._outputs_for(X).astype(np.float64, copy=False)
        if self._multilabel:
            return -np.logaddexp(0, -outputs)
        if outputs.shape[1] == 1:
            return np.hstack([-np.logaddexp(0, outputs), -np.logaddexp(0, -outputs)])
        return log_softmax(outputs)

    @available_if(takes_batches)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> LSTMClassifier:
        """Train the model for one epoch. The first call creates the model.

        The optimizer continues from its state after the previous call.

        Parameters
        ----------
        X : like X of `fit`
        y : like y of `fit`
            Some of the classes may be missing.
        classes : array (n_classes,), default None
            All classes that occur in any call. Required in the first call, unless y is a matrix.
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

        Examples
        --------
        >>> import numpy as np
        >>> from fusedlstm import LSTMClassifier
        >>> rng = np.random.default_rng(0)
        >>> clf = LSTMClassifier(hidden_size=8, random_state=0)
        >>> for _ in range(20):
        ...     X = rng.standard_normal((64, 5, 1))
        ...     clf = clf.partial_fit(X, X[:, -1, 0] > 0, classes=[False, True])
        >>> clf.n_iter_, bool(clf.score(X, X[:, -1, 0] > 0) > 0.9)
        (20, True)
        """
        if hasattr(self, "classes_"):
            if classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
                raise ValueError(
                    f"classes must be the classes of the first call, {self.classes_}; got {classes}"
                )
        elif classes is None and type_of_target(y) != "multilabel-indicator":
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
        check_class_weight(self.class_weight)

    def _task(self) -> Labels:
        if isinstance(self.loss, str) and _CROSS_ENTROPY.fullmatch(self.loss):
            needed = "one of " + ", ".join(CLASSIFICATION_LOSSES)
            hint = "Did you mean 'cross_entropy', an alias of 'log_loss'?"
            raise ValueError(check.needs("loss", needed, self.loss, hint))
        fitted = vars(self)
        return Labels(
            as_loss(self.loss, CLASSIFICATION_LOSSES, ClassificationLoss),  # type: ignore[type-abstract]
            self.class_weight,
            type(self).__name__,
            fitted.get("classes_"),
            fitted.get("_multilabel", False),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
