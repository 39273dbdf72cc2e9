"""The task of the classifier: one class per sequence, or several labels per sequence."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from sklearn.utils import assert_all_finite, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm.data.reading import Data
from fusedlstm.data.sequences import Sequences
from fusedlstm.data.targets import refuse_step_targets, step_targets_error, warn_of_label_matrix
from fusedlstm.estimators.snapshot import OutputTransform
from fusedlstm.estimators.tasks.base import Task
from fusedlstm.losses import ClassificationLoss


@dataclass(frozen=True, eq=False)
class Labels(Task):
    """Class labels (n,), or a matrix of zeros and ones (n, n_labels).

    Parameters
    ----------
    loss : ClassificationLoss
    class_weight : dict, list of dict, "balanced" or None
    owner : str
        Name of the estimator, for error messages.
    classes : array (n_classes,) or None
        All labels, sorted. None before `learn`.
    multilabel : bool
        True if the targets are a matrix.
    """

    loss: ClassificationLoss
    class_weight: Any = None
    owner: str = "LSTMClassifier"
    classes: Any = None
    multilabel: bool = False

    @property
    def n_outputs(self) -> int:
        return 1 if len(self.classes) == 2 and not self.multilabel else len(self.classes)

    @property
    def stratified(self) -> bool:
        return not self.multilabel

    def read(self, y: Any, sequences: Sequences, name: str = "y") -> Array:
        check.without_mask(name, y)
        refuse_step_targets(y, sequences, name, "label", "LSTMTagger")
        with np.errstate(invalid="ignore"):  # the checks below report NaN
            kind = type_of_target(y, input_name=name)
        if kind == "multilabel-indicator":
            labels: Array = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
            if not np.isin(labels, (0, 1)).all():
                raise ValueError(
                    check.needs(name, "labels (n_samples,) or a matrix of zeros and ones", labels)
                )
            return labels.astype(np.intp)
        shape = np.asarray(y).shape
        if len(shape) == 2 and shape[1] > 1 and shape[1] == sequences.longest():
            raise step_targets_error(name, "label", "LSTMTagger")
        labels = cast(Array, column_or_1d(y, warn=True))
        check_labels(labels, name, "class labels")
        return labels

    def learn(self, y: Array, weights: Array | None, classes: Any = None) -> Labels:
        if y.ndim == 2:
            return dataclasses.replace(self, classes=np.arange(y.shape[1]), multilabel=True)
        known = np.unique(y if classes is None else column_or_1d(classes))
        if len(known) < 2:
            raise ValueError(
                f"{self.owner} needs at least 2 classes in y; got 1 class, {check.shown(known[0])}"
            )
        return dataclasses.replace(self, classes=known, multilabel=False)

    def warn_of_targets(self, data: Data) -> None:
        if self.multilabel:
            warn_of_label_matrix(data.y, data.sequences.longest(), data.given_y)

    def encode(self, y: Array, name: str = "y") -> Array:
        if self.multilabel:
            if y.shape[1:] != self.classes.shape:
                n_labels = len(self.classes)
                needed = f"a matrix of zeros and ones with {n_labels} columns, as in fit"
                raise ValueError(check.needs(name, needed, y))
            return y
        if y.ndim == 2:
            raise ValueError(check.needs(name, "labels (n_samples,), as in fit", y))
        number = {label: i for i, label in enumerate(self.classes.tolist())}
        encoded = np.array([number.get(label, -1) for label in y.tolist()])
        if encoded.min() < 0:
            wrong = y[np.argmin(encoded)]
            raise ValueError(check.needs(name, "labels that occur in classes_", wrong))
        return encoded

    def output_transform(self) -> OutputTransform:
        n = self.n_outputs
        kind = "labels" if self.multilabel else "classes" if n > 1 else "two_classes"
        return core.Decoder(kind, n, [len(self.classes)], None, None)

    def attributes(self) -> dict[str, Any]:
        return {"classes_": self.classes, "_multilabel": self.multilabel}

    def training_weights(self, y: Any, sample_weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        of_class = compute_sample_weight(self.class_weight, y)
        return cast(Array, of_class if sample_weight is None else of_class * sample_weight)


def check_labels(labels: Array, name: str, needed: str) -> None:
    """Raise an error for missing labels and for numbers that are not classes, such as 0.5."""
    try:
        assert_all_finite(labels, input_name=name)
    except AttributeError:  # of old versions of scikit-learn, which compute y != y
        raise ValueError(check.needs(name, needed, labels)) from None
    check_classification_targets(labels)


def check_class_weight(weights: Any, lists: bool = True) -> None:
    """Check the parameter ``class_weight``. With ``lists``, it may be a list of dicts."""
    needed = "a dict, 'balanced' or None"
    if weights is None or isinstance(weights, str):
        check.choice("class_weight", weights or "balanced", ["balanced"], needed)
        return
    for of_output in weights if lists and isinstance(weights, list) else [weights]:
        if not isinstance(of_output, dict):
            raise TypeError(check.needs("class_weight", needed, weights))
        for label, weight in of_output.items():
            check.not_negative(f"class_weight[{label!r}]", weight)
