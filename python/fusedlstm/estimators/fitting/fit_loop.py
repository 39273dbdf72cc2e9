"""The loop over the epochs of a fit: validation, early stopping, progress, checkpoints, Ctrl-C.

The loop does not depend on the estimators. The result is a `FitResult`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from fusedlstm._core import Array
from fusedlstm.estimators.fitting.callbacks import FitCallbacks
from fusedlstm.estimators.fitting.checkpoints import Checkpoint, CheckpointFile
from fusedlstm.estimators.fitting.progress_bar import ProgressReport
from fusedlstm.estimators.fitting.state import EarlyStopping, FitState
from fusedlstm.models.sequential import Sequential
from fusedlstm.schedules import ScheduleState
from fusedlstm.training.epochs import Epoch


class Validation(Protocol):
    """The validation data of a fit."""

    def loss(self) -> float:
        """Return the loss of the model on the validation data."""

    def score(self, epoch: int) -> float | None:
        """Return the score, where larger is better; None if early stopping monitors the loss."""


@dataclass
class Curves:
    """The losses of all epochs of a model, including the epochs of earlier fits."""

    loss: list[float]
    validation_loss: list[float]


class FitResult(NamedTuple):
    """The result of the training up to an epoch.

    Attributes
    ----------
    model : Sequential
        With early stopping, it has the best weights.
    curves : Curves
    best_iter : int
    schedule : ScheduleState
    """

    model: Sequential
    curves: Curves
    best_iter: int
    schedule: ScheduleState

    def attributes(self) -> dict[str, Any]:
        """Return the public fitted attributes of an estimator."""
        loss = self.curves.loss
        return {
            "model_": self.model,
            "n_iter_": len(loss),
            "best_iter_": self.best_iter,
            "loss_": loss[-1] if loss else np.nan,
            "loss_curve_": loss,
            "validation_loss_curve_": self.curves.validation_loss,
        }


class CompletedEpoch(NamedTuple):
    """Copy of the state of the training at the end of an epoch.

    Attributes
    ----------
    epochs : int
        Number of completed epochs of this fit.
    stopped : bool
        True if the training must not continue, even with a larger ``max_iter``.
    params : array (n_params,)
    n_losses, n_validation_losses : int
        Lengths of the loss curves.
    watch : EarlyStopping
    schedule : ScheduleState
    """

    epochs: int
    stopped: bool
    params: Array
    n_losses: int
    n_validation_losses: int
    watch: EarlyStopping
    schedule: ScheduleState


def call_to_the_end(function: Callable[[], None]) -> None:
    """Call a function. If Ctrl-C interrupts the call, repeat it.

    A repeated call must have the effect of a single call.
    """
    while True:
        try:
            return function()
        except KeyboardInterrupt:
            continue


class FitLoop:
    """Trains a model epoch by epoch.

    Parameters
    ----------
    model : Sequential
        The model that the epochs train.
    epochs : iterator of Epoch
        Each step trains the model for one epoch.
    state : FitState
        State to start from. It is updated.
    curves : Curves
        New losses are appended.
    install : callable
        Function of the `FitResult`, called at the end. A second call with the same result must
        change nothing.
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
    last : CompletedEpoch
        State at the end of the last completed epoch.
    """

    def __init__(
        self,
        model: Sequential,
        epochs: Iterator[Epoch],
        state: FitState,
        curves: Curves,
        install: Callable[[FitResult], None],
        *,
        validation: Validation | None = None,
        early_stopping: bool = False,
        verbose: int = 0,
        file: CheckpointFile | None = None,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.state = state
        self.curves = curves
        self.install = install
        self.validation = validation
        self.early_stopping = early_stopping
        self.verbose = verbose
        self.file = file
        self.finite = True
        self.interrupted = False
        self.last = self._completed()

    def run(self, max_iter: int, callbacks: FitCallbacks) -> None:
        """Train for up to ``max_iter`` epochs. Ctrl-C after the first epoch ends the training."""
        try:
            self.train_up_to(max_iter, callbacks)
        except KeyboardInterrupt:
            if self.last.epochs == 0:
                raise
            self.interrupted = True

    def train_up_to(self, n_epochs: int, callbacks: FitCallbacks | None = None) -> None:
        """Train until the fit has ``n_epochs`` epochs or stops early, and install the result.

        After Ctrl-C, the result of the last completed epoch is installed and KeyboardInterrupt is
        raised.
        """
        try:
            self._train(n_epochs, callbacks or FitCallbacks())
            self._install()
        except KeyboardInterrupt:
            if self.last.epochs > 0:
                call_to_the_end(self._install)
            raise

    def save_checkpoint(self, now: bool) -> None:
        """Write the checkpoint file, if there is one. See `CheckpointFile.write` for ``now``."""
        if self.file is not None:
            curves = self.curves
            checkpoint = Checkpoint(
                self.state, self.model.params, curves.loss, curves.validation_loss
            )
            self.file.write(checkpoint, now)

    def result(self) -> FitResult:
        """Return the result after the last completed epoch."""
        last, curves = self.last, self.curves
        model = copy.deepcopy(self.model)
        best = last.watch.best_params
        model.params = last.params if best is None else best
        kept = Curves(
            curves.loss[: last.n_losses], curves.validation_loss[: last.n_validation_losses]
        )
        return FitResult(model, kept, last.watch.best_iter, copy.copy(last.schedule))

    def _train(self, n_epochs: int, callbacks: FitCallbacks) -> None:
        state, model = self.state, self.model
        with ProgressReport(n_epochs, state.epochs, self.verbose) as report:
            while self.finite and state.epochs < n_epochs and not state.stopped:
                callbacks_of_epoch = callbacks.of_epoch()
                callbacks_of_epoch.begin()
                epoch = next(self.epochs)
                self.finite = bool(np.isfinite(epoch.loss) and np.isfinite(model.params).all())
                if self.finite:
                    report.update(round(epoch.size), self._record(epoch))
                else:
                    model.params[:] = self.last.params
                if callbacks_of_epoch.end(lambda: self.result().attributes()):
                    state.stopped = True
                if self.finite:
                    self.save_checkpoint(now=state.stopped or state.epochs == n_epochs)

    def _record(self, epoch: Epoch) -> dict[str, float]:
        """Record a completed epoch and return its figures for the progress report.

        The epoch is complete when ``last`` has been assigned. Ctrl-C before the assignment discards
        the epoch.
        """
        state, curves = self.state, self.curves
        figures, monitored = {"loss": epoch.loss}, epoch.loss
        validation_losses: list[float] = []
        if self.validation is not None:
            validation_losses = [self.validation.loss()]
            figures["validation loss"] = validation_losses[0]
            if self.early_stopping:
                score = self.validation.score(len(curves.loss) + 1)
                monitored = validation_losses[0] if score is None else -score
                if score is not None:
                    figures["validation score"] = score
        curves.loss.append(epoch.loss)
        curves.validation_loss += validation_losses
        state.progress.schedule.watched = monitored
        params = self.model.params
        stop = state.watch.update(len(curves.loss), monitored, params, self.early_stopping)
        state.stopped = (self.early_stopping and stop) or epoch.converged
        state.epochs += 1
        self.last = self._completed()
        return figures

    def _completed(self) -> CompletedEpoch:
        """Return the current state, which must be the state at the end of an epoch."""
        state, curves = self.state, self.curves
        return CompletedEpoch(
            state.epochs,
            state.stopped,
            self.model.params.copy(),
            len(curves.loss),
            len(curves.validation_loss),
            copy.copy(state.watch),
            copy.copy(state.progress.schedule),
        )

    def _install(self) -> None:
        self.install(self.result())
