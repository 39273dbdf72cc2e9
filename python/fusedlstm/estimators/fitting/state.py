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
        Smallest decrease that counts as an improvement.
    patience : int
        Number of epochs without an improvement after which training stops.
    best : float
        Smallest value so far.
    best_params : array or None
        Parameters of the best epoch, if they are kept.
    best_iter : int
        Number of the best epoch.
    waited : int
        Number of epochs since the last improvement.
    """

    tol: float
    patience: int
    best: float = np.inf
    best_params: Array | None = None
    best_iter: int = 0
    waited: int = 0

    def update(self, iteration: int, value: float, params: Array, keep: bool) -> bool:
        """Record the value of an epoch, smaller is better; return True if training should stop."""
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
    """State of a training, without the parameters of the model.

    Attributes
    ----------
    optimizer : Optimizer
    state : OptimizerState
    rng : numpy Generator
        Source of the order of the batches and of the dropout masks.
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
    """State of a fit. The names of the fields are the names in checkpoint files.

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
