"""A training, epoch by epoch: what is noted of each, when to stop, what is left at the end."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fusedlstm._callbacks import NoTask
from fusedlstm._checkpoints import Checkpoint, CheckpointFile
from fusedlstm._constant_loss import constant_loss
from fusedlstm._core import Array
from fusedlstm._fit_state import FitState, Watch
from fusedlstm._progress import ProgressReport
from fusedlstm._reading import Data, given_targets
from fusedlstm._warnings import warn
from fusedlstm.losses import (
    AbsoluteError,
    ClassificationLoss,
    Huber,
    Pinball,
    SquaredError,
)
from fusedlstm.schedules import ScheduleState
from fusedlstm.training import Epoch

NO_BETTER = 0.01
"""Share of the constant prediction's loss that the training loss must be below it."""

MOST_ROWS = 50_000
"""Targets of which the best constant prediction is computed, evenly spaced."""

NEGLIGIBLE_LOSS = 1e-6
"""Loss of a constant prediction that leaves nothing to learn."""

ZERO_AT_BEST = (ClassificationLoss, SquaredError, AbsoluteError, Huber, Pinball)
"""Losses that are 0 for perfect predictions, so that a share of the loss has a meaning."""


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


class Following:
    """An estimator's training, followed.

    Parameters
    ----------
    estimator : SequenceEstimator
        With a model that the epochs train, and curves that go on.
    epochs : iterator of Epoch
    state : FitState
    validation : Data or None
        What is watched.
    file : CheckpointFile or None
    """

    def __init__(
        self,
        estimator: Any,
        epochs: Iterator[Epoch],
        state: FitState,
        validation: Data | None = None,
        file: CheckpointFile | None = None,
    ) -> None:
        self.estimator, self.epochs, self.state = estimator, epochs, state
        self.validation, self.file = validation, file
        self.validation_X: Any = None  # as the user gave it, for a callable scoring
        self.finite, self.interrupted, self.score_was_nan = True, False, False
        self.last = self._finished()

    def to_the_end(self, task: Any, told: dict[str, Any]) -> None:
        """Train for up to ``max_iter`` epochs, or until Ctrl-C after the first.

        ``task`` and what it is ``told`` are scikit-learn's callbacks.
        """
        try:
            self.up_to(self.estimator.max_iter, task, told)
        except KeyboardInterrupt:
            if self.last.epochs == 0:
                raise
            self.interrupted = True

    def warn_of_the_end(self) -> None:
        """Say so if ``max_iter``, Ctrl-C or a loss that is not finite ended it."""
        estimator = self.estimator
        if self.interrupted and (self.last.stopped or self.last.epochs == estimator.max_iter):
            warn(
                f"Training was interrupted after its last epoch, {estimator.n_iter_}: the model is "
                f"fully trained.",
                UserWarning,
            )
        elif self.interrupted:
            warn(
                f"Training was interrupted in epoch {estimator.n_iter_ + 1}: it ends with the "
                f"weights of the epoch before.",
                UserWarning,
            )
        elif not self.finite:
            self.warn_of_divergence()
        elif estimator.early_stopping and not self.state.stopped:
            watched = "loss" if estimator.scoring is None else "score"
            warn(
                f"Training ended with max_iter={estimator.max_iter} epochs before the validation "
                f"{watched} stopped improving. Increase max_iter.",
                ConvergenceWarning,
            )

    def warn_if_constant(self, train: Data) -> None:
        """Warn if the model fits the training data no better than a constant prediction."""
        estimator = self.estimator
        curve = estimator.loss_curve_
        if self.interrupted or not self.finite or not curve:
            return
        y, weights = train.target_rows(MOST_ROWS)
        if (y == y[0]).all():  # nothing to learn
            return
        final = curve[estimator.best_iter_ - 1] if estimator.early_stopping else curve[-1]
        loss = estimator._loss()
        margin = NO_BETTER if isinstance(loss, ZERO_AT_BEST) else 0.0
        constant = constant_loss(
            loss,
            estimator._n_outputs(),
            y,
            weights,
            estimator._start(train),
        )
        if constant - final <= margin * abs(constant) and abs(constant) > NEGLIGIBLE_LOSS:
            than = "less than 1 % below" if final < constant else "no better than"
            warn(
                f"The training loss, {final:.4g}, is {than} {constant:.4g}, the "
                f"loss of the best constant prediction: the model has learned next to nothing from "
                f"X. Increase max_iter, try another learning_rate or batch_size, or check that the "
                f"rows of X and y belong together.",
                ConvergenceWarning,
            )

    def warn_of_divergence(self) -> None:
        """Say where the loss was no longer finite, and what to try."""
        warn(
            f"The loss is no longer finite in epoch {self.estimator.n_iter_ + 1}: training stops "
            f"with the weights of the epoch before. A smaller learning_rate or clip_norm may help.",
            RuntimeWarning,
        )

    def up_to(self, n_epochs: int, task: Any = None, told: dict[str, Any] | None = None) -> None:
        """Train until there is a reason to stop.

        Interrupted, it leaves what the last finished epoch left.
        """
        try:
            self._train(n_epochs, task or NoTask(), told or {})
            self._settle()
        except KeyboardInterrupt:
            if self.last.epochs > 0:
                complete(self._settle)
            raise

    def _train(self, n_epochs: int, task: Any, told: dict[str, Any]) -> None:
        state, model = self.state, self.estimator.model_
        with ProgressReport(n_epochs, state.epochs, self.estimator.verbose) as report:
            while self.finite and state.epochs < n_epochs and not state.stopped:
                part = task.subcontext(task_name="epoch")
                part.call_on_fit_task_begin(**told)
                epoch = next(self.epochs)
                self.finite = bool(np.isfinite(epoch.loss) and np.isfinite(model.params).all())
                if self.finite:
                    self._note(epoch)
                    report.update(epoch.size, self._shown())
                else:
                    model.params[:] = self.last.params
                if part.call_on_fit_task_end(**told, reconstruction_attributes=self._as_if_stopped):
                    state.stopped = True
                if self.finite:
                    self.keep(now=state.stopped or state.epochs == n_epochs)

    def keep(self, now: bool) -> None:
        """Write a checkpoint, if there is to be one and it is time."""
        if self.file is not None:
            of = self.estimator
            curves = of.loss_curve_, of.validation_loss_curve_
            self.file.write(Checkpoint(self.state, of.model_.params, *curves), now)

    def _note(self, epoch: Epoch) -> None:
        """Record a finished epoch. The assignment of ``last`` completes it."""
        estimator, state = self.estimator, self.state
        watched, validation_losses = epoch.loss, []
        if self.validation is not None:
            validation_losses = [estimator._evaluate_loss(self.validation)]
            if estimator.early_stopping:
                scored = estimator.scoring is not None
                watched = -self._score(self.validation) if scored else validation_losses[0]
        estimator.loss_curve_.append(epoch.loss)
        estimator.validation_loss_curve_ += validation_losses
        state.progress.schedule.watched = watched
        n_iter, params = len(estimator.loss_curve_), estimator.model_.params
        waited = state.watch.update(n_iter, watched, params, estimator.early_stopping)
        state.stopped = (bool(estimator.early_stopping) and waited) or epoch.converged
        state.epochs += 1
        self.last = self._finished()

    def _finished(self) -> Finished:
        """Return the present state, which must be that after an epoch."""
        estimator, state = self.estimator, self.state
        return Finished(
            state.epochs,
            state.stopped,
            estimator.model_.params.copy(),
            len(estimator.loss_curve_),
            len(estimator.validation_loss_curve_),
            copy.copy(state.watch),
            copy.copy(state.progress.schedule),
        )

    def _score(self, data: Data) -> float:
        """Return the value of ``scoring`` for the data, with the targets that the user gave.

        A callable gets X as the user gave it; scorers with a name read it once, as `fit` does.
        """
        estimator = self.estimator
        if callable(estimator.scoring):
            if self.validation_X is None:
                self.validation_X = data.given_X()
            y = given_targets(data.targets)
            score = float(estimator.scoring(estimator, self.validation_X, y))
            if np.isnan(score) and not self.score_was_nan:
                self.score_was_nan = True
                warn(
                    f"scoring returned nan in epoch {len(estimator.loss_curve_) + 1}: such an "
                    f"epoch does not count as an improvement.",
                    RuntimeWarning,
                )
            return score
        scorer = estimator._scorer(estimator.scoring)
        takes_weights = "sample_weight" in inspect.signature(scorer._score_func).parameters
        weights = {}
        if takes_weights and data.sample_weight is not None:
            weights["sample_weight"] = data.sample_weight
        score = float(scorer(estimator, data.sequences, data.targets, **weights))
        if not np.isfinite(score):
            raise ValueError(
                f"scoring={estimator.scoring!r} must be finite for the validation data; got "
                f"{score} for {len(data.targets)} sequences. Scores may be undefined if a class "
                f"is missing or if there is one sequence only."
            )
        return score

    def _shown(self) -> dict[str, float]:
        """Return what there is to tell of the last epoch."""
        estimator = self.estimator
        shown = {"loss": estimator.loss_curve_[-1]}
        if estimator.validation_loss_curve_:
            shown["validation loss"] = estimator.validation_loss_curve_[-1]
        watched = self.state.progress.schedule.watched
        if estimator.early_stopping and estimator.scoring is not None and watched is not None:
            shown["validation score"] = -watched
        return shown

    def _as_if_stopped(self) -> dict[str, Any]:
        """Return the fitted attributes that training would leave after the last finished epoch."""
        estimator, last = self.estimator, self.last
        model = copy.deepcopy(estimator.model_)
        best = last.watch.best_params
        model.params = last.params if best is None else best
        curve = estimator.loss_curve_[: last.n_losses]
        return {
            "model_": model,
            "n_iter_": len(curve),
            "best_iter_": last.watch.best_iter,
            "loss_": curve[-1] if curve else np.nan,
            "loss_curve_": curve,
            "validation_loss_curve_": estimator.validation_loss_curve_[: last.n_validation_losses],
        }

    def _settle(self) -> None:
        """Set the fitted attributes, all at once. A second call changes nothing."""
        attributes = self._as_if_stopped()
        attributes["_schedule_state"] = copy.copy(self.last.schedule)
        vars(self.estimator).update(attributes)
        self.estimator._freeze()  # predictions do not need it
