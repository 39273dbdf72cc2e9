"""Estimators with one prediction per step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array
from fusedlstm._core.threads import thread_limit
from fusedlstm.data.reading import Data, read_weights, read_X
from fusedlstm.data.sequences import Sequences, all_steps
from fusedlstm.data.standardization import StandardizedSequences
from fusedlstm.estimators.base import SequenceEstimator
from fusedlstm.layers import Layer
from fusedlstm.layers.sequence import Sequence, rows_of
from fusedlstm.losses.base import evaluate
from fusedlstm.metrics import step_scorer


@dataclass(repr=False, eq=False, kw_only=True)
class StepEstimator(SequenceEstimator):
    """The part of tagger and step regressor that has targets and predictions at every step."""

    def _with_reduction(self, body: list[Layer[Any]]) -> list[Layer[Any]]:
        for layer in body:
            if layer.reduces:
                raise ValueError(
                    f"layers must keep the steps for {type(self).__name__}, which predicts at "
                    f"every step; got {layer!r}"
                )
        return body

    def _scorer(self, name: str) -> Any:
        return step_scorer(name)

    def _chunks(self, sequences: Sequences) -> Iterator[tuple[slice, Sequence]]:
        """Yield the model's raw output for some sequences at a time."""
        model = self.model_
        predictor, _, standardizer = self._predicting()
        if standardizer is not None:
            sequences = StandardizedSequences(sequences, standardizer)
        for part in self._parts(sequences):
            x, lengths = sequences.take(part, model.dtype)
            yield part, Sequence(predictor.predict(x, lengths), lengths)

    def _evaluate_loss(self, data: Data) -> float:
        total, size, loss = 0.0, 0.0, self._task().training_loss
        for part, out in self._chunks(data.sequences):
            y = data.y.take(part, None)[0]
            weights = None
            if isinstance(data.weights, Sequences):
                weights = data.weights.take(part, None)[0]
            evaluated = evaluate(loss, out, y, weights)
            total += evaluated.loss * evaluated.size
            size += evaluated.size
        return total / size if size else 0.0

    def _predicted(self, X: Any, decode: Callable[[Array], Array]) -> Any:
        """Return predictions in the form of X.

        A list for a list or a tuple, an array of objects for one, an array for an array.
        """
        if "model_" not in vars(self):
            check_is_fitted(self, "model_")
        with thread_limit(self.n_threads):
            sequences = read_X(self, X, self.model_.dtype, reset=False)
            rows = [rows_of(out.steps(), out.mask(), 2) for _, out in self._chunks(sequences)]
        values, lengths = decode(np.concatenate(rows)), sequences.lengths()
        if isinstance(X, Sequences):
            return values
        if isinstance(X, (list, tuple)) or sequences.form == "ragged":
            parts = np.split(values, np.cumsum(lengths)[:-1])
            if isinstance(X, (list, tuple)):
                return parts
            array = np.empty(len(parts), object)
            array[:] = parts
            return array
        shape = (len(lengths), sequences.longest())
        if int(lengths.min()) == shape[1]:
            return values.reshape(*shape, *values.shape[1:])
        dtype, padding = _padding_of(values)
        padded = np.full((*shape, *values.shape[1:]), padding, dtype)
        padded[np.arange(shape[1]) < lengths[:, np.newaxis]] = values
        return padded

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        """Return targets, predictions and weights of all real steps, for a score."""
        check_is_fitted(self, "model_")
        sequences = read_X(self, X, self.model_.dtype, reset=False)
        targets: Any = self._task().read(y, sequences)
        weights = read_weights(sample_weight, len(sequences))
        if weights is not None:
            weights = np.repeat(weights, sequences.lengths())
        return all_steps(targets), self.predict(sequences), weights


def _padding_of(values: Array) -> tuple[np.dtype[Any], Any]:
    """Return data type and value of predictions past the end of a sequence in a padded array."""
    dtype = np.result_type(values.dtype, np.int8) if values.dtype.kind == "u" else values.dtype
    return dtype, {"f": np.nan, "U": "", "b": False, "O": None, "M": "NaT"}.get(dtype.kind, -1)
