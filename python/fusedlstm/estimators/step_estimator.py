"""Estimators with one prediction per step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array
from fusedlstm._core.threads import thread_limit
from fusedlstm.data.reading import read_weights
from fusedlstm.data.sequences import Sequences, all_steps
from fusedlstm.estimators.base import SequenceEstimator
from fusedlstm.layers import Layer
from fusedlstm.layers.sequence import rows_of


@dataclass(repr=False, eq=False, kw_only=True)
class StepEstimator(SequenceEstimator):
    """Base class of the estimators with one prediction per step."""

    def _with_reduction(self, layers: list[Layer[Any]]) -> list[Layer[Any]]:
        for layer in layers:
            if layer.reduces:
                raise ValueError(
                    f"layers must not reduce sequences to vectors for {type(self).__name__}, which "
                    f"predicts at every step; got {layer!r}"
                )
        return layers

    def _predicted(self, X: Any, transform: Callable[[Array], Array] | None = None) -> Any:
        """Return predictions for all steps in the form of X.

        The result is a list for a list or a tuple, an object array for an object array, and an
        array for an array. For `Sequences` it has one row per real step. ``transform`` maps the
        outputs of all steps to predictions. The default is the transform of the snapshot.
        """
        if "model_" not in vars(self):
            check_is_fitted(self, "model_")
        with thread_limit(self.n_threads):
            small = self._outputs_of_small(X)
            if small is not None:
                n, steps, n_outputs = small.shape
                of_steps = (transform or self._current_snapshot().transform)(
                    small.reshape(n * steps, n_outputs)
                )
                if type(X) is list:
                    return [of_steps]
                return of_steps.reshape(n, steps, *of_steps.shape[1:])
            sequences = self._read_X(X, self.model_.dtype, reset=False)
            snapshot = self._current_snapshot()
            rows = [
                rows_of(outputs.steps(), outputs.mask(), 2)
                for _, outputs in snapshot.step_outputs(sequences)
            ]
        values = (transform or snapshot.transform)(np.concatenate(rows))
        lengths = sequences.lengths()
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
        sequences = self._read_X(X, self.model_.dtype, reset=False)
        targets: Any = self._task().read(y, sequences)
        weights = read_weights(sample_weight, len(sequences))
        if weights is not None:
            weights = np.repeat(weights, sequences.lengths())
        return all_steps(targets), self.predict(sequences), weights


def _padding_of(values: Array) -> tuple[np.dtype[Any], Any]:
    """Return the data type of an array of predictions and its value at padded steps."""
    dtype = np.result_type(values.dtype, np.int8) if values.dtype.kind == "u" else values.dtype
    return dtype, {"f": np.nan, "U": "", "b": False, "O": None, "M": "NaT"}.get(dtype.kind, -1)
