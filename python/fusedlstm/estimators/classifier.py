"""Labels: encoded, as logits, and decoded again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.estimators.parameters import takes_batches
from fusedlstm.estimators.per_sequence import PooledEstimator
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
"""Names of the log loss in other libraries, which may stand for several losses there."""


@dataclass(repr=False, eq=False, kw_only=True)
class LSTMClassifier(ClassifierMixin, PooledEstimator):  # type: ignore[misc]
    """Classify sequences with a recurrent network.

    A stack of recurrent layers reads the sequence. A dense layer computes logits from the final
    state of the last recurrent layer: one logit for two classes, otherwise one logit per class. If
    y is a matrix of zeros and ones, each column is an independent label with one logit. For classes
    that exclude each other pass an array of labels: a one-hot y gives a warning.

    Parameters
    ----------
    hidden_size : int, default 64
        Number of units of each recurrent layer and direction.
    num_layers : int, default 1
        Number of stacked recurrent layers.
    cell : {"lstm", "gru", "rnn", "peephole_lstm", "cifg_lstm", "layer_norm_lstm"}, default "lstm"
        Type of the recurrent layers. ``layers`` gives access to all their options.
    bidirectional : bool, default False
        Read every sequence from both ends.
    layers : tuple of layers, optional
        Layers from `fusedlstm.layers`. If given, ``hidden_size``, ``num_layers``, ``cell``,
        ``bidirectional``, ``dropout`` and ``recurrent_dropout`` have no effect. The output layer
        is added, and before it the layer of ``pooling`` if no layer reduces.
    dropout : float in [0, 1), default 0
        Dropout rate of the output of each recurrent layer.
    recurrent_dropout : float in [0, 1), default 0
        Dropout rate of the hidden state that each recurrent layer passes to the next time step.
    pooling : {"last", "mean", "max"}, default "last"
        How the steps of the last recurrent layer become one vector: the final state of each
        direction, the mean or the maximum over the steps. For sequences of many hundred steps,
        ``"mean"`` and ``"max"`` learn more easily. Not used if ``layers`` has a layer that reduces.
    loss : {"log_loss", "focal"} or object, default "log_loss"
        An object from `fusedlstm.losses` sets the rest: ``LogLoss(label_smoothing=0.1)``.
        ``"cross_entropy"`` is an alias of ``"log_loss"``.
    optimizer : {"sgd", "rmsprop", "adagrad", "adam", "amsgrad", "nadam", "adamw", "lion", \
"lbfgs"} or object, default "adam"
        An object from `fusedlstm.optimizers` sets the rest: ``Adam(beta2=0.99, clip_value=0.1)``.
        `LBFGS` works on all data at once; learning_rate and clip_norm do not concern it.
    learning_rate : float, default 0.003
        Step size of the optimizer, before ``schedule`` changes it. A smaller value trains more
        slowly and more steadily.
    schedule : {"step", "exponential", "cosine", "cosine_restarts", "one_cycle", \
"reduce_on_plateau"}, object or None, default None
        The learning rate over the epochs. An object from `fusedlstm.schedules` sets the rest:
        ``Cosine(warm_up=5)``. It goes on in `partial_fit` and with ``warm_start``.
    weight_decay : float, default 0
        L2 penalty on weights, not on biases; decoupled for ``"adamw"`` and ``"lion"``. An L1
        penalty is the optimizer's: ``Adam(l1=1e-4)``.
    clip_norm : float or None, default 1.0
        Largest Euclidean norm of the gradient of a batch. None: no clipping.
    batch_size : int or "auto", default "auto"
        Number of sequences per update. ``"auto"``: a tenth of the training sequences, but at
        least 4 and at most 32, so that small data sets get enough updates. For L-BFGS, which sums
        the gradients of all batches, 256.
    max_iter : int, default 200
        Number of epochs. All of them are trained, unless ``early_stopping`` ends the fit or the
        line search of L-BFGS finds no decrease.
    tbptt_steps : int or None, default None
        Number of steps of truncated back-propagation through time, for long sequences. The
        gradient flows through the last ``tbptt_steps`` steps of each sequence only. The earlier
        steps are read in chunks of ``tbptt_steps`` steps and determine the state at which the last
        steps start. This bounds the memory for activations. Sequences of at most ``tbptt_steps``
        steps are trained in the same way as with None. Layers that read backward are not supported.
    shuffle : bool, default True
        Shuffle the sequences in every epoch.
    early_stopping : bool, default False
        Stop when the validation loss, or ``scoring``, does not improve for ``n_iter_no_change``
        epochs, and restore the best weights. If ``max_iter`` is reached first, a
        ConvergenceWarning is given.
    scoring : str, callable or None, default None
        Metric that early stopping monitors. None: the validation loss. A scorer's name: that score,
        weighted by the validation data's ``sample_weight``, not by ``class_weight``. It must not be
        NaN. A callable: its value for the estimator, the validation X and y. X and y are as they
        were given to `fit`, or the rows of them that are set aside.
    validation_fraction : float in (0, 1), default 0.1
        Share of the sequences that is set aside for early stopping, unless ``fit`` is given X_val.
    validation_split : {"random", "last"}, default "random"
        Which sequences are set aside: drawn at random, stratified by class in the classifier, or
        the last ones. Use ``"last"`` for windows of a time series: windows drawn at random overlap
        the training windows, and the validation loss is then too low.
    n_iter_no_change : int, default 10
        Number of epochs without an improvement of at least ``tol`` after which early stopping ends
        the fit. Used only with ``early_stopping``.
    tol : float, default 1e-4
        Smallest decrease of the validation loss, or increase of the score, that counts as an
        improvement. Used only with ``early_stopping``.
    standardize : bool or "auto", default "auto"
        Subtract the mean of each feature of X and divide by its standard deviation, both computed
        over the real steps of the training sequences of the first fit, weighted by
        ``sample_weight``. ``"auto"`` currently has the same effect as True; it is meant for inputs
        that later versions will not standardize, such as columns of tokens. ``model_`` gets
        standardized X; ``predict`` and ``stream`` take X on its own scale.
    class_weight : dict, list of dict, "balanced" or None, default None
        Factors of the sample weights, by class. For a y of several columns a list with one dict per
        column.
    dtype : {"float32", "float64"}, default "float32"
        Data type of the model's computations. Predictions are float64.
    n_threads : int or None, default None
        Largest number of threads. None: `fusedlstm.get_num_threads`. Results do not depend on it.
    random_state : int, RandomState or None, default None
        Seed of the initial weights, the order of the sequences, dropout and the validation split.
        The same integer gives the same model, bit for bit, on the same kind of machine.
    warm_start : bool, default False
        Let ``fit`` go on from the weights of the fit before, for ``max_iter`` more epochs with a
        fresh state of the optimizer, instead of starting a new model.
    verbose : int, default 0
        1: show a progress bar on stderr with losses, score, samples per second and the time left.
        If stderr is not a terminal, print a line every ten seconds. 2: then print a line per epoch.

    Attributes
    ----------
    classes_ : array (n_classes,)
        Sorted class labels. For a y of several columns, the numbers of the columns.
    n_features_in_ : int
        Number of features of a time step. After a fit on 2-D X, its number of columns.
    X_mean_, X_scale_ : array (n_features,) or None
        Mean and standard deviation by which X is standardized; None without ``standardize``. For
        2-D X there is one feature.
    model_ : Sequential
        Predictions come from a snapshot of it, taken at the end of training, and again after
        ``model_.params = values``; writing into ``model_.params`` does not change them.
    n_iter_ : int
        Number of epochs trained in all calls since the model was made.
    best_iter_ : int
        Epoch of the last call of `fit` with the best monitored value, counted from 1. With
        ``early_stopping`` the value is the validation loss or the score, and the model has the
        weights of this epoch. Otherwise it is the training loss, and the model has the weights of
        the last epoch.
    loss_ : float
        Training loss of the last epoch.
    loss_curve_, validation_loss_curve_ : list of float
        Losses by epoch. ``validation_loss_curve_`` is empty without validation data, which are set
        aside with ``early_stopping`` or passed to `fit` as X_val and y_val.

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
        """Return the most probable class of each sequence, or its labels.

        Parameters
        ----------
        X : like X of `fit`
            Any number of steps, except after a fit on 2-D X.

        Returns
        -------
        array (n_samples,), or of zeros and ones (n_samples, n_labels)
        """
        outputs = self._outputs_for(X)
        if self._multilabel:
            return (outputs > 0).astype(np.intp)
        one = outputs.shape[1] == 1
        numbers = (outputs[:, 0] > 0).astype(np.intp) if one else np.argmax(outputs, axis=1)
        labels: Array = self.classes_[numbers]
        return labels

    def decision_function(self, X: Any) -> Array:
        """Return the model's logits.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        array (n_samples,) for two classes, else (n_samples, n_classes) or (n_samples, n_labels)
        """
        outputs = self._outputs_for(X).astype(np.float64, copy=False)
        return outputs[:, 0] if len(self.classes_) == 2 and not self._multilabel else outputs

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class or label, in the order of ``classes_``.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        array (n_samples, n_classes)
        """
        outputs = self._outputs_for(X)
        predicted: Array = self._current_snapshot().transform(outputs)
        return predicted

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the probability of each class or label.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        array (n_samples, n_classes)
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
        """Train the model for one more epoch, on these data; make it in the first call.

        The optimizer goes on from its state after the call before.

        Parameters
        ----------
        X : like X of `fit`
        y : like y of `fit`
            Not every class need be there.
        classes : array (n_classes,)
            All that any call will see; needed in the first, unless y is a matrix.
        sample_weight : array (n_samples,) or None
            Relative to their mean in this call.

        Returns
        -------
        self

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
                    f"classes must be those of the first call, {self.classes_}; got {classes}"
                )
        elif classes is None and type_of_target(y) != "multilabel-indicator":
            raise ValueError("classes must be passed on the first call to partial_fit; got None")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight must be a dict or None for partial_fit, which never sees all "
                "classes at once; got 'balanced'"
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
