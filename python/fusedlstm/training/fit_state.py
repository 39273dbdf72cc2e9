"""Where a training stands, so that it can go on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fusedlstm._core import Array
from fusedlstm.optimizers import AnyOptimizer, OptimizerState
from fusedlstm.schedules import ScheduleState


@dataclass
class Watch:
    """The best epoch so far, and how long ago it was.

    Attributes
    ----------
    tol : float
        What counts as an improvement.
    patience : int
        Epochs without one after which to stop.
    best : float
    best_params : array or None
    best_iter : int
    waited : int
        Epochs since the last improvement.
    """

    tol: float
    patience: int
    best: float = np.inf
    best_params: Array | None = None
    best_iter: int = 0
    waited: int = 0

    def update(self, iteration: int, value: float, params: Array, keep: bool) -> bool:
        """Note a value of which less is better; return whether to stop."""
        self.waited = 0 if value < self.best - self.tol else self.waited + 1
        if value < self.best:
            self.best, self.best_iter = value, iteration
            self.best_params = params.copy() if keep else None
        return self.waited >= self.patience


@dataclass
class Progress:
    """Where a training stands, so that it can go on; the model's parameters stand in the model.

    Attributes
    ----------
    optimizer : Optimizer
    state : OptimizerState
    rng : numpy Generator
        Draws the order of the batches and what dropout drops.
    schedule : ScheduleState
    """

    optimizer: AnyOptimizer
    state: OptimizerState
    rng: np.random.Generator
    schedule: ScheduleState = field(default_factory=ScheduleState)


@dataclass
class FitState:
    """Where a fit stands.

    Attributes
    ----------
    seed : int
        What everything random in the fit comes from.
    progress : Progress
    watch : Watch
    epochs : int
        Finished in this fit.
    stopped : bool
        Whether something other than their number ended it.
    """

    seed: int
    progress: Progress
    watch: Watch
    epochs: int = 0
    stopped: bool = False
