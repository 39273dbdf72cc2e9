"""The tasks of the estimators with one prediction per step.

These tasks pass the concatenated steps of all sequences to the tasks for sequences, which treat
each step as one row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm.data.reading import Data
from fusedlstm.data.sequences import PackedSequences, Sequences, all_steps
from fusedlstm.data.targets import pack_targets, refuse_at
from fusedlstm.estimators.snapshot import OutputTransform, Snapshot
from fusedlstm.estimators.tasks.labels import Labels
from fusedlstm.estimators.tasks.numbers import Numbers
from fusedlstm.losses import Loss
from fusedlstm.losses.base import evaluate
from fusedlstm.losses.missing import WithMissing
from fusedlstm.metrics import step_scorer


def read_steps(y: Any, sequences: Sequences, name: str) -> Sequences:
    """Return the targets of all steps, concatenated."""
    width = None if sequences.form == "ragged" else sequences.longest()
    return pack_targets(y, sequences.lengths(), name, width)


def step_weights(y: Sequences, sample_weight: Array | None) -> Sequences | None:
    """Return the weight of each step: the weight of its sequence."""
    if sample_weight is None:
        return None
    return PackedSequences(np.repeat(sample_weight, y.lengths()), y.starts_of_all())


def evaluate_steps(loss: Loss, snapshot: Snapshot, data: Data) -> float:
    """Return the mean loss of a model over all steps whose targets are not missing."""
    total, size = 0.0, 0.0
    for rows, outputs in snapshot.step_outputs(data.sequences):
        y = data.y.take(rows, None)[0]
        weights = None
        if isinstance(data.weights, Sequences):
            weights = data.weights.take(rows, None)[0]
        evaluated = evaluate(loss, outputs, y, weights)
        total += evaluated.loss * evaluated.size
        size += evaluated.size
    return total / size if size else 0.0


class StepLabels(Labels):
    """One class label per step."""

    @property
    def n_outputs(self) -> int:
        return len(self.classes)

    @property
    def stratified(self) -> bool:
        return False

    def read(self, y: Any, sequences: Sequences, name: str = "y") -> Sequences:  # type: ignore[override]
        if isinstance(y, Sequences):
            return y
        targets = read_steps(y, sequences, name)
        labels = all_steps(targets)
        if labels.ndim != 1:
            first = targets.take(slice(0, 1), None)[0][0]
            raise ValueError(check.needs(f"{name}[0]", "1-D, one label for each step", first))
        if labels.dtype.kind == "f":
            refuse_at(name, "finite labels", targets, ~np.isfinite(labels))
            refuse_at(name, "labels, not fractions", targets, labels != np.floor(labels))
        elif labels.dtype.kind == "O":
            other = np.array([not isinstance(label, str) for label in labels.tolist()])
            refuse_at(name, "strings in an object array", targets, other)
        elif labels.dtype.kind not in "biuUM":
            raise ValueError(check.needs(name, "labels of text, integers or bools", labels.dtype))
        check_classification_targets(labels)
        return targets

    def learn(self, y: Any, weights: Any, classes: Any = None) -> Labels:
        learned = super().learn(all_steps(y), None, classes)
        if isinstance(self.class_weight, dict):
            labels = learned.classes.tolist()
            for label in self.class_weight:
                if label not in labels:
                    raise ValueError(
                        check.needs("class_weight", "a dict of labels that occur in y", label)
                    )
        return learned

    def encode(self, y: Any, name: str = "y") -> Sequences:  # type: ignore[override]
        labels = all_steps(y)
        refuse_at(name, "labels that occur in classes_", y, ~np.isin(labels, self.classes))
        return PackedSequences(np.searchsorted(self.classes, labels), y.starts_of_all())

    def output_transform(self) -> OutputTransform:
        n = self.n_outputs
        return core.Decoder("classes", n, [n], None, None)

    def evaluate(self, snapshot: Snapshot, data: Data) -> float:
        return evaluate_steps(self.training_loss, snapshot, data)

    def scorer(self, name: str) -> Any:
        return step_scorer(name)

    def attributes(self) -> dict[str, Any]:
        return {"classes_": self.classes}

    def training_weights(self, y: Any, sample_weight: Array | None) -> Any:
        of_sequences = step_weights(y, sample_weight)
        if self.class_weight is None:
            return of_sequences
        labels, numbers, counts = np.unique(all_steps(y), return_inverse=True, return_counts=True)
        if isinstance(self.class_weight, dict):
            of_labels = np.array([self.class_weight.get(k, 1.0) for k in labels.tolist()])
        else:
            of_labels = counts.sum() / (len(counts) * counts)
        weights = of_labels[numbers]
        if of_sequences is not None:
            weights = weights * all_steps(of_sequences)
        return PackedSequences(weights, y.starts_of_all())


class StepNumbers(Numbers):
    """One or several numbers per step. NaN is a missing target."""

    @property
    def training_loss(self) -> Loss:
        return WithMissing(self.loss)

    def read(self, y: Any, sequences: Sequences, name: str = "y") -> Sequences:  # type: ignore[override]
        if isinstance(y, Sequences):
            return y
        targets = read_steps(y, sequences, name)
        given = all_steps(targets)
        if given.dtype.kind in "OU":
            text = np.array([isinstance(value, str) for value in given.flat])
            wrong = np.asarray(text.reshape(len(given), -1).any(axis=1))
            refuse_at(name, "numbers", targets, wrong, hint="LSTMTagger predicts labels.")
        values = check.real_array(name, given, np.float64)
        wrong = np.asarray(np.isinf(values.reshape(len(values), -1)).any(axis=1))
        refuse_at(name, "finite, or NaN for missing targets", targets, wrong, "infinity")
        if np.isnan(values).all():
            needed = "numbers, with NaN only for missing targets"
            raise ValueError(check.needs(name, needed, "only NaN"))
        return PackedSequences(values, targets.starts_of_all())

    def learn(self, y: Any, weights: Any, classes: Any = None) -> Numbers:
        values = all_steps(y)
        missing = np.isnan(values.reshape(len(values), -1)).all(axis=0)
        if missing.any():
            needed = "numbers for every output, not only NaN"
            raise ValueError(check.needs("y", needed, f"only NaN in column {missing.argmax()}"))
        of_steps = None if weights is None else all_steps(weights)
        if of_steps is not None:
            present = ~np.isnan(values.reshape(len(values), -1))
            without = ~(present & (of_steps > 0)[:, np.newaxis]).any(axis=0)
            if without.any():
                needed = "positive for at least one target of every output"
                got = f"0 for all targets of column {without.argmax()}"
                raise ValueError(check.needs("sample_weight", needed, got))
        return super().learn(values, of_steps)

    def encode(self, y: Any, name: str = "y") -> Sequences:  # type: ignore[override]
        return PackedSequences(super().encode(all_steps(y), name), y.starts_of_all())

    def training_weights(self, y: Any, sample_weight: Array | None) -> Any:
        return step_weights(y, sample_weight)

    def evaluate(self, snapshot: Snapshot, data: Data) -> float:
        return evaluate_steps(self.training_loss, snapshot, data)

    def scorer(self, name: str) -> Any:
        return step_scorer(name)
