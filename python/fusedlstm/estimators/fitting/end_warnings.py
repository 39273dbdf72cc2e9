"""Warnings at the end of a fit."""

from __future__ import annotations

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fusedlstm._core import Array
from fusedlstm._utils.user_warnings import warn
from fusedlstm.data.reading import Data
from fusedlstm.estimators.fitting.fit_loop import FitLoop
from fusedlstm.estimators.parameters import Parameters
from fusedlstm.estimators.tasks import Task
from fusedlstm.losses import (
    AbsoluteError,
    ClassificationLoss,
    Huber,
    Pinball,
    SquaredError,
)
from fusedlstm.losses.constant import constant_loss

MIN_IMPROVEMENT = 0.01
"""Smallest improvement over the loss of the best constant prediction, as a share of this loss."""

MAX_ROWS = 50_000
"""Largest number of targets from which the best constant prediction is computed."""

NEGLIGIBLE_LOSS = 1e-6
"""If the loss of a constant prediction is at most this value, there is nothing to learn."""

ZERO_AT_BEST = (ClassificationLoss, SquaredError, AbsoluteError, Huber, Pinball)
"""Losses that are 0 for perfect predictions. Their relative differences are meaningful."""


def warn_after_fit(loop: FitLoop, parameters: Parameters, task: Task, data: Data) -> None:
    """Warn if a fit ended early, or if its model is no better than a constant prediction.

    Parameters
    ----------
    loop : FitLoop
    parameters : Parameters
        The estimator.
    task : Task
    data : Data
        The training data.
    """
    losses, max_iter = loop.curves.loss[: loop.last.n_losses], parameters.max_iter
    n_iter = len(losses)
    if loop.interrupted and (loop.last.stopped or loop.last.epochs == max_iter):
        warn(
            f"Training was interrupted after the last epoch, {n_iter}. The model is fully trained.",
            UserWarning,
        )
    elif loop.interrupted:
        warn(
            f"Training was interrupted in epoch {n_iter + 1}. The model has the weights of the "
            f"previous epoch.",
            UserWarning,
        )
    elif not loop.finite:
        warn_of_divergence(n_iter)
    elif loop.early_stopping and not loop.state.stopped:
        monitored = "loss" if parameters.scoring is None else "score"
        warn(
            f"Training ended with max_iter={max_iter} epochs before the validation {monitored} "
            f"stopped improving. Increase max_iter.",
            ConvergenceWarning,
        )
    if loop.finite and not loop.interrupted and losses:
        final = losses[loop.last.watch.best_iter - 1] if loop.early_stopping else losses[-1]
        warn_if_constant(final, task, data)


def warn_of_divergence(n_iter: int) -> None:
    """Warn that the loss of the epoch after ``n_iter`` epochs was not finite."""
    warn(
        f"The loss is no longer finite in epoch {n_iter + 1}. Training stops with the weights of "
        f"the previous epoch. A smaller learning_rate or clip_norm may help.",
        RuntimeWarning,
    )


def warn_if_constant(final: float, task: Task, data: Data) -> None:
    """Warn if a model fits the training data no better than a constant prediction.

    Parameters
    ----------
    final : float
        The training loss of the model.
    task : Task
    data : Data
        The training data.
    """
    y, weights = data.target_rows(MAX_ROWS)
    if _is_constant(y):
        return
    margin = MIN_IMPROVEMENT if isinstance(task.loss, ZERO_AT_BEST) else 0.0
    constant = constant_loss(task.training_loss, task.n_outputs, y, weights, task.start(data))
    if constant - final <= margin * abs(constant) and abs(constant) > NEGLIGIBLE_LOSS:
        than = "less than 1 % below" if final < constant else "no better than"
        warn(
            f"The training loss, {final:.4g}, is {than} {constant:.4g}, the loss of the best "
            f"constant prediction. The model has learned almost nothing from X. Increase max_iter, "
            f"try another learning_rate or batch_size, or check that the rows of X and y belong "
            f"together.",
            ConvergenceWarning,
        )


def _is_constant(y: Array) -> bool:
    """Return True if all targets that are not NaN are equal, in each column."""
    if y.dtype.kind == "f" and np.isnan(y).any():
        columns = y.reshape(len(y), -1)
        present = columns[:, ~np.isnan(columns).all(axis=0)]
        return bool((np.nanmin(present, axis=0) == np.nanmax(present, axis=0)).all())
    return bool((y == y[0]).all())
