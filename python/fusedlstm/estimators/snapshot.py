"""Predictions of a fitted estimator, from a model with packed weights."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array, core
from fusedlstm._core.threads import get_num_threads, thread_limit
from fusedlstm.data.reading import SequenceInputMixin
from fusedlstm.data.sequences import Sequences
from fusedlstm.data.standardization import StandardizedSequences, Standardizer
from fusedlstm.layers.sequence import Sequence
from fusedlstm.models.predictor import PackedInference
from fusedlstm.models.sequential import Sequential

if TYPE_CHECKING:
    from fusedlstm.estimators.tasks import Task

OutputTransform: TypeAlias = Callable[[Array], Any]
"""A function that maps raw outputs of a model (n, n_outputs) to predictions in float64."""

MAX_NUMBERS_PER_CHUNK = 2**21
"""Largest size of a chunk for prediction. A step counts its features and twice its outputs."""


class Snapshot(NamedTuple):
    """A model, the standardization of its inputs and the transform of its outputs.

    Copies and pickles of an estimator do not contain its snapshot. A copy takes a new snapshot.

    Attributes
    ----------
    model : Sequential
    predictor : PackedInference or Sequential
        A copy of the model with packed weights. During the training, the model itself.
    transform : callable
    standardizer : Standardizer or None
        None if X is not standardized.
    params_version : object
        ``model.params_version`` at the time of the snapshot.
    program : EstimatorProgram or None
        The standardization and the model in one call of the core, for small arrays. None if the
        core cannot compute one of the layers.
    """

    model: Sequential
    predictor: PackedInference | Sequential
    transform: OutputTransform
    standardizer: Standardizer | None
    params_version: object = None
    program: core.EstimatorProgram | None = None

    def outputs(self, sequences: Sequences) -> Array:
        """Return the raw outputs (n, n_outputs) of a model with one output per sequence."""
        predict, dtype = self.predictor.predict, self.model.dtype
        if self._rows_per_chunk(sequences) >= len(sequences):
            if self.standardizer is None:
                return predict(*sequences.take(slice(None), dtype))
            x, lengths = sequences.take(slice(None), None)
            return predict(self.standardizer(x), lengths)
        chunks = self.chunks(sequences)
        sequences = self._standardized(sequences)
        return np.concatenate([predict(*sequences.take(rows, dtype)) for rows in chunks])

    def step_outputs(self, sequences: Sequences) -> Iterator[tuple[slice, Sequence]]:
        """Yield the indices of the sequences of each chunk and the raw outputs of their steps."""
        chunks = self.chunks(sequences)
        sequences = self._standardized(sequences)
        for rows in chunks:
            x, lengths = sequences.take(rows, self.model.dtype)
            yield rows, Sequence(self.predictor.predict(x, lengths), lengths)

    def chunks(self, sequences: Sequences) -> list[slice]:
        """Return the indices of the sequences of each chunk."""
        rows = self._rows_per_chunk(sequences)
        return [slice(start, start + rows) for start in range(0, len(sequences), rows)]

    def _rows_per_chunk(self, sequences: Sequences) -> int:
        width = sequences.n_features + 2 * self.model.output_size
        return max(1, MAX_NUMBERS_PER_CHUNK // (sequences.longest() * width))

    def _standardized(self, sequences: Sequences) -> Sequences:
        if self.standardizer is None:
            return sequences
        return StandardizedSequences(sequences, self.standardizer)


def take_snapshot(
    model: Sequential, transform: OutputTransform, standardizer: Standardizer | None
) -> Snapshot:
    """Return a snapshot with packed weights. Later changes of ``model.params`` have no effect."""
    predictor = PackedInference(model.layer, model.params, model.input_size)
    program = None
    if predictor.program is not None:
        of_core = None if standardizer is None else standardizer.core
        program = core.EstimatorProgram(predictor.program, of_core)
    return Snapshot(model, predictor, transform, standardizer, model.params_version, program)


def is_current(snapshot: Snapshot, model: Sequential) -> bool:
    """Return True if no other model and no other parameters were assigned after the snapshot."""
    return snapshot.params_version is model.params_version


def standardizer_of(estimator: Any) -> Standardizer | None:
    """Return the standardizer of a fitted estimator; None if X is not standardized."""
    mean, scale = vars(estimator).get("X_mean_"), vars(estimator).get("X_scale_")
    if mean is None or scale is None:
        return None
    return Standardizer(mean, scale, estimator.model_.dtype)


class SnapshotMixin(SequenceInputMixin, abc.ABC):
    """Mixin of estimators, which predict with a snapshot of their fitted model.

    Attributes
    ----------
    model_ : Sequential
    n_threads : int or None
    """

    model_: Sequential
    n_threads: int | None

    @abc.abstractmethod
    def _task(self) -> Task:
        """Return the task. After a fit, it contains the properties of the targets of the fit."""

    def _take_snapshot(self) -> Snapshot:
        """Take the snapshot for predictions until the next training."""
        transform, standardizer = self._task().output_transform(), standardizer_of(self)
        self._snapshot = take_snapshot(self.model_, transform, standardizer)
        return self._snapshot

    def _current_snapshot(self) -> Snapshot:
        """Return the snapshot; during the training, a snapshot with the model in training."""
        snapshot: Snapshot | None = vars(self).get("_snapshot")
        if snapshot is None:
            transform, standardizer = self._task().output_transform(), standardizer_of(self)
            return Snapshot(self.model_, self.model_, transform, standardizer)
        return snapshot if is_current(snapshot, self.model_) else self._take_snapshot()

    def _outputs_for(self, X: Any) -> Array:
        """Return the raw outputs of the model, in the dtype of the model."""
        if "model_" not in vars(self):  # check_is_fitted takes longer than a short prediction
            check_is_fitted(self, "model_")
        with thread_limit(self.n_threads):
            outputs = self._outputs_of_small(X)
            if outputs is not None:
                return outputs
            sequences = self._read_X(X, self.model_.dtype, reset=False)
            return self._current_snapshot().outputs(sequences)

    def _outputs_of_small(self, X: Any) -> Array | None:
        """Return the raw outputs for a small X, computed in one call of the core.

        The result is None if X must be read and checked by `_read_X`: if it is not a small
        contiguous array of finite floats or a list of one such array, or if X had column names in
        `fit`. The outputs have the bits of `Snapshot.outputs` or `Snapshot.step_outputs`.
        """
        program = self._current_snapshot().program
        if program is None or "feature_names_in_" in vars(self):
            return None
        n_features = 1 if self._fitted_on_2d else self.n_features_in_
        return program.outputs(X, n_features, get_num_threads)
