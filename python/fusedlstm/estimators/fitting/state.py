"""State of a fit between two epochs, from which training can continue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm.files.classes import can_be_saved
from fusedlstm.optimizers import AnyOptimizer, OptimizerState
from fusedlstm.schedules import ScheduleState


@can_be_saved(
    {
        "tol": float,
        "patience": int,
        "best": float,
        "best_params": npt.NDArray[Any] | None,
        "best_iter": int,
        "waited": int,
    },
    name="Watch",
)
@dataclass
class EarlyStopping:
    """The best epoch so far, and the criterion to stop.

    Attributes
    ----------
    tol : float
        Minimum decrease of the monitored value that counts as an improvement.
    patience : int
        Number of epochs without an improvement after which training stops.
    best : float
        Smallest value so far.
    best_params : array or None
        Parameters of the epoch with the smallest value. None if they are not kept.
    best_iter : int
        Number of the epoch with the smallest value.
    waited : int
        Number of epochs since the last improvement by more than ``tol``.
    """

    tol: float
    patience: int
    best: float = np.inf
    best_params: Array | None = None
    best_iter: int = 0
    waited: int = 0

    def update(self, iteration: int, value: float, params: Array, keep: bool) -> bool:
        """Record the value of an epoch, and return True if training should stop.

        Parameters
        ----------
        iteration : int
            Number of the epoch.
        value : float
            The monitored value. Smaller is better.
        params : array (n_params,)
        keep : bool
            True to keep a copy of the parameters of the best epoch.
        """
        self.waited = 0 if value < self.best - self.tol else self.waited + 1
        if value < self.best:
            self.best, self.best_iter = value, iteration
            self.best_params = params.copy() if keep else None
        return self.waited >= self.patience


@can_be_saved(
    {
        "optimizer": AnyOptimizer,
        "state": OptimizerState,
        "rng": np.random.Generator,
        "schedule": ScheduleState,
    },
    name="Progress",
)
@dataclass
class TrainingState:
    """State of training between two epochs, without the parameters of the model.

    Attributes
    ----------
    optimizer : Optimizer
    state : OptimizerState
    rng : numpy Generator
        Random numbers for the order of the batches, dropout and zoneout.
    schedule : ScheduleState
    """

    optimizer: AnyOptimizer
    state: OptimizerState
    rng: np.random.Generator
    schedule: ScheduleState = field(default_factory=ScheduleState)


@can_be_saved(
    {
        "seed": int,
        "progress": TrainingState,
        "watch": EarlyStopping,
        "epochs": int,
        "stopped": bool,
    },
    name="FitState",
)
@dataclass
class FitState:
    """State of a fit. Checkpoint files contain the names of the fields.

    Attributes
    ----------
    seed : int
        Seed of all random numbers of the fit.
    progress : TrainingState
    watch : EarlyStopping
    epochs : int
        Number of finished epochs of this fit.
    stopped : bool
        True if early stopping, convergence or a callback ended the fit.
    """

    seed: int
    progress: TrainingState
    watch: EarlyStopping
    epochs: int = 0
    stopped: bool = False
