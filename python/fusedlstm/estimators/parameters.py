"""The parameters of the estimators and their checks."""

from __future__ import annotations

import inspect
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state

from fusedlstm._utils import validation as check
from fusedlstm.layers import (
    CIFGLSTM,
    GRU,
    LSTM,
    RNN,
    Chain,
    Layer,
    LayerNormLSTM,
    PeepholeLSTM,
    Recurrent,
)
from fusedlstm.layers.composite import checked_layers
from fusedlstm.optimizers import LBFGS, AnyOptimizer, as_optimizer
from fusedlstm.schedules import Schedule, as_schedule

CELLS: dict[str, type[Recurrent]] = {
    "lstm": LSTM,
    "gru": GRU,
    "rnn": RNN,
    "peephole_lstm": PeepholeLSTM,
    "cifg_lstm": CIFGLSTM,
    "layer_norm_lstm": LayerNormLSTM,
}
"""The layers for the values of the parameter ``cell``."""


def _is_metric(function: object) -> bool:
    """Return True for a function (y_true, y_pred), as in `sklearn.metrics`."""
    if not callable(function):
        return False
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a compiled function
        return False
    return names[:1] == ["y_true"]


@dataclass(repr=False, eq=False)
class Parameters:
    """The parameters that all estimators have, with their defaults.

    The estimators are dataclasses derived from this class. They add parameters, and define
    parameters with other defaults again.
    """

    hidden_size: int = 64
    _: KW_ONLY
    num_layers: int = 1
    cell: str = "lstm"
    bidirectional: bool = False
    layers: tuple[Layer[Any], ...] | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    loss: Any = None
    optimizer: str | AnyOptimizer = "adam"
    learning_rate: float = 0.003
    schedule: str | Schedule | None = None
    weight_decay: float | str = 0.0
    clip_norm: float | None = 1.0
    batch_size: int | str = "auto"
    max_iter: int = 100
    tbptt_steps: int | None = None
    shuffle: bool = True
    early_stopping: bool = False
    scoring: Any = None
    validation_fraction: float = 0.1
    validation_split: str = "random"
    n_iter_no_change: int = 10
    tol: float = 1e-4
    standardize: bool | str = "auto"
    dtype: str = "float32"
    n_threads: int | None = None
    random_state: Any = None
    warm_start: bool = False
    verbose: int = 0

    def _check_weight_decay(self) -> None:
        check.not_negative("weight_decay", self.weight_decay)

    def _check_params(self) -> None:
        """Check every parameter."""
        check.positive_int("hidden_size", self.hidden_size)
        check.positive_int("num_layers", self.num_layers)
        check.choice("cell", self.cell, CELLS)
        check.true_or_false("bidirectional", self.bidirectional)
        if self.layers is not None:
            if not isinstance(self.layers, (tuple, list)):
                needed = "a tuple of layers from fusedlstm.layers or None"
                raise TypeError(check.needs("layers", needed, self.layers))
            Chain(*checked_layers(self.layers))
        check.fraction("dropout", self.dropout)
        check.fraction("recurrent_dropout", self.recurrent_dropout)
        check.positive("learning_rate", self.learning_rate)
        schedule, optimizer = as_schedule(self.schedule), as_optimizer(self.optimizer)
        if schedule is not None and isinstance(optimizer, LBFGS):
            raise ValueError(check.needs("schedule", "None for L-BFGS", self.schedule))
        self._check_weight_decay()
        if self.clip_norm is not None:
            check.positive("clip_norm", self.clip_norm)
        if not is_auto(self.batch_size):
            check.int_at_least("batch_size", self.batch_size, 1, "a positive integer or 'auto'")
        check.positive_int("max_iter", self.max_iter)
        if self.tbptt_steps is not None:
            check.positive_int("tbptt_steps", self.tbptt_steps)
        check.true_or_false("shuffle", self.shuffle)
        check.true_or_false("early_stopping", self.early_stopping)
        if self.scoring is not None and not callable(self.scoring):
            needed = "a name from sklearn.metrics.get_scorer_names(), a function or None"
            check.choice("scoring", self.scoring, get_scorer_names(), needed)
        elif _is_metric(self.scoring):
            name = getattr(self.scoring, "__name__", "...")
            needed = "a function of the estimator, X and y"
            hint = f"Use sklearn.metrics.make_scorer({name}) for a function of y_true and y_pred."
            raise TypeError(check.needs("scoring", needed, self.scoring, hint))
        check.real_in(
            "validation_fraction",
            self.validation_fraction,
            "a number in (0, 1)",
            0.0,
            1.0,
            open_low=True,
            open_high=True,
        )
        check.choice("validation_split", self.validation_split, ("random", "last"))
        check.positive_int("n_iter_no_change", self.n_iter_no_change)
        check.not_negative("tol", self.tol)
        check.true_false_or_auto("standardize", self.standardize)
        check.float_dtype("dtype", self.dtype)
        if self.n_threads is not None:
            check.positive_int("n_threads", self.n_threads)
        try:
            check_random_state(self.random_state)
        except ValueError:
            needed = f"an integer from 0 to {2**32 - 1}, a numpy RandomState or None"
            raise ValueError(check.needs("random_state", needed, self.random_state)) from None
        check.true_or_false("warm_start", self.warm_start)
        if not isinstance(self.verbose, bool):
            check.int_at_least("verbose", self.verbose, 0, "an integer of at least 0")


def is_auto(value: object) -> bool:
    """Return True if the value is the string "auto"."""
    return isinstance(value, str) and value == "auto"


def draw_seed(random_state: Any) -> int:
    """Return a random seed from the parameter ``random_state``."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


class Generators(NamedTuple):
    """Generators of random numbers.

    Attributes
    ----------
    initial : numpy Generator
        Draws the initial weights.
    training : numpy Generator
        Draws the order of the batches and the dropout masks.
    """

    initial: np.random.Generator
    training: np.random.Generator


def generators(seed: int) -> Generators:
    """Return the generators of a fit."""
    return Generators(*map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2)))


def takes_batches(estimator: Any) -> bool:
    """Return True if the optimizer trains on batches, as `partial_fit` requires."""
    if estimator.optimizer == "lbfgs" or isinstance(estimator.optimizer, LBFGS):
        needed = "an optimizer that trains on batches for partial_fit"
        raise AttributeError(check.needs("optimizer", needed, estimator.optimizer))
    return True
