"""Predictions of a fitted estimator, from a model with packed weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm.data.sequences import Sequences
from fusedlstm.data.standardization import StandardizedSequences, Standardizer
from fusedlstm.layers.sequence import Sequence
from fusedlstm.models.predictor import PackedInference
from fusedlstm.models.sequential import Sequential

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the fields to pickle, for `joblib.hash`: all but the program of the core."""
        return Snapshot, self[:5]

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


def standardizer_of(estimator: Any) -> Standardizer | None:
    """Return the standardizer of a fitted estimator; None if X is not standardized."""
    mean, scale = vars(estimator).get("X_mean_"), vars(estimator).get("X_scale_")
    if mean is None or scale is None:
        return None
    return Standardizer(mean, scale, estimator.model_.dtype)
