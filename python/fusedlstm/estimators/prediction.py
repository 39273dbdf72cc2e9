"""The mixin of estimators that predict with a snapshot of their model."""

from __future__ import annotations

import abc
from typing import Any

from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array
from fusedlstm._core.threads import get_num_threads, thread_limit
from fusedlstm.data.reading import SequenceInputMixin
from fusedlstm.estimators.snapshot import Snapshot, standardizer_of, take_snapshot
from fusedlstm.estimators.tasks import Task
from fusedlstm.models.sequential import Sequential


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
        # Another version: another model or other parameters were assigned after the snapshot.
        current = snapshot.params_version is self.model_.params_version
        return snapshot if current else self._take_snapshot()

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
