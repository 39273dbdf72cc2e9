"""The loop over the epochs of a fit: validation, early stopping, progress, checkpoints, Ctrl-C.

It trains a model and knows nothing of estimators: what it computes is a `FitResult`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils.callbacks import NoTask
from fusedlstm.estimators.fitting.checkpoints import Checkpoint, CheckpointFile
from fusedlstm.estimators.fitting.progress_bar import ProgressReport
from fusedlstm.models.sequential import Sequential
from fusedlstm.schedules import ScheduleState
from fusedlstm.training.epochs import Epoch
from fusedlstm.training.fit_state import FitState, Watch


class Validation(Protocol):
    """The validation data of a fit."""

    def loss(self) -> float:
        """Return the loss of the model on the validation data."""

    def score(self, epoch: int) -> float | None:
        """Return the score, of which more is better; None if early stopping watches the loss."""


@dataclass
class Curves:
    """The losses of all epochs, those of earlier fits included."""

    loss: list[float]
    validation_loss: list[float]


class FitResult(NamedTuple):
    """The result of a training after an epoch.

    Attributes
    ----------
    model : Sequential
        With the best weights if there is early stopping.
    curves : Curves
    best_iter : int
    schedule : ScheduleState
    """

    model: Sequential
    curves: Curves
    best_iter: int
    schedule: ScheduleState


class Finished(NamedTuple):
    """State of a training after an epoch. Later epochs do not change it.

    Attributes
    ----------
    epochs : int
        Number of epochs of this fit.
    stopped : bool
        True if this epoch was the last one whatever ``max_iter`` is.
    params : array (n_params,)
    n_losses, n_validation_losses : int
        Lengths of the loss curves.
    watch : Watch
    schedule : ScheduleState
    """

    epochs: int
    stopped: bool
    params: Array
    n_losses: int
    n_validation_losses: int
    watch: Watch
    schedule: ScheduleState


def complete(step: Callable[[], None]) -> None:
    """Call a function that may be repeated until Ctrl-C does not interrupt it."""
    while True:
        try:
            return step()
        except KeyboardInterrupt:
            continue


class FitLoop:
    """A training, epoch by epoch.

    Parameters
    ----------
    model : Sequential
        The epochs train it.
    epochs : iterator of Epoch
    state : FitState
    curves : Curves
        New losses are appended.
    install : callable
        Takes the `FitResult` at the end. A second call with the same result changes nothing.
    attributes : callable
        Returns the fitted attributes of a `FitResult`, for scikit-learn's callbacks.
    validation : Validation or None
    early_stopping : bool
    verbose : int
    file : CheckpointFile or None

    Attributes
    ----------
    finite : bool
        False after a loss that is not finite.
    interrupted : bool
        True after Ctrl-C.
    """

    def __init__(
        self,
        model: Sequential,
        epochs: Iterator[Epoch],
        state: FitState,
        curves: Curves,
        install: Callable[[FitResult], None],
        attributes: Callable[[FitResult], dict[str, Any]],
        *,
        validation: Validation | None = None,
        early_stopping: bool = False,
        verbose: int = 0,
        file: CheckpointFile | None = None,
    ) -> None:
        self.model, self.epochs, self.state, self.curves = model, epochs, state, curves
        self.install, self.attributes = install, attributes
        self.validation, self.file = validation, file
        self.early_stopping, self.verbose = early_stopping, verbose
        self.finite, self.interrupted = True, False
        self.last = self._finished()

    def run(self, max_iter: int, task: Any, told: dict[str, Any]) -> None:
        """Train for up to ``max_iter`` epochs, or until Ctrl-C after the first.

        ``task`` and what it is ``told`` are scikit-learn's callbacks.
        """
        try:
            self.up_to(max_iter, task, told)
        except KeyboardInterrupt:
            if self.last.epochs == 0:
                raise
            self.interrupted = True

    def up_to(self, n_epochs: int, task: Any = None, told: dict[str, Any] | None = None) -> None:
        """Train until there is a reason to stop.

        Interrupted, it leaves the result of the last finished epoch.
        """
        try:
            self._train(n_epochs, task or NoTask(), told or {})
            self._settle()
        except KeyboardInterrupt:
            if self.last.epochs > 0:
                complete(self._settle)
            raise

    def _train(self, n_epochs: int, task: Any, told: dict[str, Any]) -> None:
        state, model = self.state, self.model
        with ProgressReport(n_epochs, state.epochs, self.verbose) as report:
            while self.finite and state.epochs < n_epochs and not state.stopped:
                part = task.subcontext(task_name="epoch")
                part.call_on_fit_task_begin(**told)
                epoch = next(self.epochs)
                self.finite = bool(np.isfinite(epoch.loss) and np.isfinite(model.params).all())
                if self.finite:
                    report.update(round(epoch.size), self._note(epoch))
                else:
                    model.params[:] = self.last.params
                if part.call_on_fit_task_end(**told, reconstruction_attributes=self._attributes):
                    state.stopped = True
                if self.finite:
                    self.keep(now=state.stopped or state.epochs == n_epochs)

    def keep(self, now: bool) -> None:
        """Write a checkpoint, if there is a file and it is time."""
        if self.file is not None:
            curves = self.curves
            checkpoint = Checkpoint(
                self.state, self.model.params, curves.loss, curves.validation_loss
            )
            self.file.write(checkpoint, now)

    def _note(self, epoch: Epoch) -> dict[str, float]:
        """Record a finished epoch and return its figures. Assigning ``last`` completes it."""
        state, curves = self.state, self.curves
        shown, watched = {"loss": epoch.loss}, epoch.loss
        validation_losses: list[float] = []
        if self.validation is not None:
            validation_losses = [self.validation.loss()]
            shown["validation loss"] = validation_losses[0]
            if self.early_stopping:
                score = self.validation.score(len(curves.loss) + 1)
                watched = validation_losses[0] if score is None else -score
                if score is not None:
                    shown["validation score"] = score
        curves.loss.append(epoch.loss)
        curves.validation_loss += validation_losses
        state.progress.schedule.watched = watched
        params = self.model.params
        waited = state.watch.update(len(curves.loss), watched, params, self.early_stopping)
        state.stopped = (self.early_stopping and waited) or epoch.converged
        state.epochs += 1
        self.last = self._finished()
        return shown

    def _finished(self) -> Finished:
        """Return the present state, which must be that after an epoch."""
        state, curves = self.state, self.curves
        return Finished(
            state.epochs,
            state.stopped,
            self.model.params.copy(),
            len(curves.loss),
            len(curves.validation_loss),
            copy.copy(state.watch),
            copy.copy(state.progress.schedule),
        )

    def result(self) -> FitResult:
        """Return what the training leaves after the last finished epoch."""
        last, curves = self.last, self.curves
        model = copy.deepcopy(self.model)
        best = last.watch.best_params
        model.params = last.params if best is None else best
        kept = Curves(
            curves.loss[: last.n_losses], curves.validation_loss[: last.n_validation_losses]
        )
        return FitResult(model, kept, last.watch.best_iter, copy.copy(last.schedule))

    def _attributes(self) -> dict[str, Any]:
        """Return the fitted attributes, for scikit-learn's callbacks."""
        return self.attributes(self.result())

    def _settle(self) -> None:
        self.install(self.result())
