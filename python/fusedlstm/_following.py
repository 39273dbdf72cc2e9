"""A training, epoch by epoch: what is noted of each, when to stop, what is left at the end."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fusedlstm._callbacks import NoTask
from fusedlstm._checkpoints import Checkpoint, CheckpointFile
from fusedlstm._constant_loss import constant_loss
from fusedlstm._core import Array
from fusedlstm._fit_state import FitState
from fusedlstm._progress import ProgressReport
from fusedlstm._reading import Data
from fusedlstm._warnings import warn
from fusedlstm.losses import (
    AbsoluteError,
    ClassificationLoss,
    Huber,
    Pinball,
    SquaredError,
)
from fusedlstm.training import Epoch

NO_BETTER = 0.01
"""Share of the constant prediction's loss that the training loss must be below it."""

MOST_ROWS = 50_000
"""Targets of which the best constant prediction is computed, evenly spaced."""

NEGLIGIBLE_LOSS = 1e-6
"""Loss of a constant prediction that leaves nothing to learn."""

ZERO_AT_BEST = (ClassificationLoss, SquaredError, AbsoluteError, Huber, Pinball)
"""Losses that are 0 for perfect predictions, so that a share of the loss has a meaning."""


def _is_constant(y: Array) -> bool:
    """Return True if all targets that are not NaN are the same."""
    if y.dtype.kind == "f" and np.isnan(y).any():
        columns = y.reshape(len(y), -1)
        present = columns[:, ~np.isnan(columns).all(axis=0)]
        return bool((np.nanmin(present, axis=0) == np.nanmax(present, axis=0)).all())
    return bool((y == y[0]).all())


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
        self.validation_y: Any = None
        self.finite, self.interrupted, self.score_was_nan = True, False, False

    def to_the_end(self, task: Any, told: dict[str, Any]) -> None:
        """Train for up to ``max_iter`` epochs, or until Ctrl-C after the first.

        ``task`` and what it is ``told`` are scikit-learn's callbacks.
        """
        try:
            self.up_to(self.estimator.max_iter, task, told)
        except KeyboardInterrupt:
            if self.state.epochs == 0:
                raise
            self.interrupted = True

    def warn_of_the_end(self) -> None:
        """Say so if ``max_iter``, Ctrl-C or a loss that is not finite ended it."""
        estimator = self.estimator
        if self.interrupted:
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
        if _is_constant(y):  # nothing to learn
            return
        final = curve[estimator.best_iter_ - 1] if estimator.early_stopping else curve[-1]
        loss = estimator._loss()
        margin = NO_BETTER if isinstance(loss, ZERO_AT_BEST) else 0.0
        constant = constant_loss(
            estimator._training_loss(),
            estimator._n_outputs(),
            y,
            weights,
            estimator._start(train),
        )
        if constant - final <= margin * abs(constant) and abs(constant) > NEGLIGIBLE_LOSS:
            warn(
                f"The training loss, {final:.4g}, is not more than 1 % below {constant:.4g}, the "
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
        task, told = task or NoTask(), told or {}
        state, model = self.state, self.estimator.model_
        good = model.params.copy()
        try:
            with ProgressReport(n_epochs, state.epochs, self.estimator.verbose) as report:
                while self.finite and state.epochs < n_epochs and not state.stopped:
                    part = task.subcontext(task_name="epoch")
                    part.call_on_fit_task_begin(**told)
                    epoch = next(self.epochs)
                    self.finite = bool(np.isfinite(epoch.loss) and np.isfinite(model.params).all())
                    if self.finite:
                        stop = self._note(epoch.loss) or epoch.converged
                        good[:] = model.params
                        state.epochs, state.stopped = state.epochs + 1, stop
                        report.update(round(epoch.size), self._shown())
                    else:
                        model.params[:] = good
                    if part.call_on_fit_task_end(
                        **told, reconstruction_attributes=self._as_if_stopped
                    ):
                        state.stopped = True
                    if self.finite:
                        self.keep(now=state.stopped or state.epochs == n_epochs)
        except KeyboardInterrupt:
            model.params[:] = good
            if state.epochs > 0:
                self._settle()
            raise
        self._settle()

    def keep(self, now: bool) -> None:
        """Write a checkpoint, if there is to be one and it is time."""
        if self.file is not None:
            of = self.estimator
            curves = of.loss_curve_, of.validation_loss_curve_
            self.file.write(Checkpoint(self.state, of.model_.params, *curves), now)

    def _note(self, loss: float) -> bool:
        """Note what an epoch came to; return whether it is time to stop."""
        estimator, state = self.estimator, self.state
        watched = loss
        if self.validation is not None:
            validation_loss = estimator._evaluate_loss(self.validation)
            if estimator.early_stopping:
                scored = estimator.scoring is not None
                watched = -self._score(self.validation) if scored else validation_loss
            estimator.validation_loss_curve_.append(validation_loss)
        estimator.loss_curve_.append(loss)
        state.progress.schedule.watched = watched
        epoch, params = len(estimator.loss_curve_), estimator.model_.params
        waited = state.watch.update(epoch, watched, params, estimator.early_stopping)
        return bool(estimator.early_stopping) and waited

    def _score(self, data: Data) -> float:
        """Return the value of ``scoring`` for the data, with the targets that the user gave.

        A callable gets X as the user gave it; scorers with a name read it once, as `fit` does.
        """
        estimator = self.estimator
        if callable(estimator.scoring):
            if self.validation_X is None:
                self.validation_X = data.given_X()
                self.validation_y = data.given_targets()
            score = float(estimator.scoring(estimator, self.validation_X, self.validation_y))
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
        """Return the fitted attributes that training would leave if it stopped here."""
        estimator, watch = self.estimator, self.state.watch
        model = copy.deepcopy(estimator.model_)
        if watch.best_params is not None:
            model.params = watch.best_params
        curve = list(estimator.loss_curve_)
        return {
            "model_": model,
            "n_iter_": len(curve),
            "best_iter_": watch.best_iter,
            "loss_": curve[-1] if curve else np.nan,
            "loss_curve_": curve,
            "validation_loss_curve_": list(estimator.validation_loss_curve_),
        }

    def _settle(self) -> None:
        """Leave what a fit leaves."""
        self.estimator._schedule_state = self.state.progress.schedule
        vars(self.estimator).update(self._as_if_stopped())
        self.estimator._freeze()
