"""Training: a source of batches, and a generator that yields once an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.data.sequences import Sequences, read_sequences, read_series
from fusedlstm.data.targets import pack_targets
from fusedlstm.layers.requirements import (
    require_carried_state,
    require_loss,
    require_targets_of,
    require_truncation,
)
from fusedlstm.layers.states import State
from fusedlstm.losses import Loss
from fusedlstm.models.model import Model
from fusedlstm.optimizers import LBFGS, Optimizer, OptimizerState, clip_by_norm
from fusedlstm.schedules import Schedule, ScheduleState
from fusedlstm.training.step import truncated_pass, whole_pass

__all__ = [
    "Batch",
    "BatchSource",
    "Epoch",
    "SequenceBatches",
    "SeriesBatches",
    "epochs",
    "weight_mask",
]

Order = npt.NDArray[np.intp]


class Batch(NamedTuple):
    """Some sequences with their targets.

    Attributes
    ----------
    x : array (B, T, F)
    lengths : int64 array (B,) or None
    y : array (B, ...)
        Of sequences, or of all steps, (B, T, ...), as the loss takes them.
    weights : array (B,) or (B, T) or None
        Of the sequences or of the steps, relative to the mean over the training set.
    goes_on : bool
        Its sequences are those of the batch before, further on: states are carried over.
    """

    x: Array
    lengths: npt.NDArray[np.int64] | None
    y: Array
    weights: Array | None = None
    goes_on: bool = False


class BatchSource(Protocol):
    """Where batches come from: memory, a memory map, pieces of one long series."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""

    def order(self, rng: np.random.Generator) -> Order:
        """Return the order of an epoch, drawn from ``rng``."""

    def batch(self, order: Order, i: int) -> Batch:
        """Return batch ``i`` of an epoch in this order."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch did.

    Attributes
    ----------
    number : int
        Counted from 1.
    loss : float
        Mean over the epoch's batches, weighted by their outputs, each before its update.
    size : float
        How many outputs these were: sequences, or steps.
    converged : bool
        Whether further epochs would change nothing: the line search of L-BFGS found no decrease.
    """

    number: int
    loss: float
    size: float
    converged: bool = False


def epochs(
    model: Model,
    source: BatchSource,
    loss: Loss,
    optimizer: Optimizer,
    *,
    learning_rate: float,
    schedule: Schedule | None = None,
    rng: np.random.Generator,
    clip_norm: float | None = None,
    weight_decay: float = 0.0,
    state: OptimizerState | None = None,
    tbptt_steps: int | None = None,
    schedule_state: ScheduleState | None = None,
) -> Iterator[Epoch]:
    """Train a model, one epoch at each step of the iteration, for as long as it goes on.

    Parameters
    ----------
    model : Model
        Its parameters are updated in place.
    source : BatchSource
    loss : callable
        From `fusedlstm.losses`.
    optimizer : Optimizer
        With `LBFGS` it is `fusedlstm.training.full_batch_epochs` that trains.
    learning_rate : float
    schedule : Schedule or None
        From `fusedlstm.schedules`; it looks at the epochs' losses, or what the caller puts into
        ``schedule_state.watched`` after an epoch.
    rng : numpy Generator
        Draws the order of the batches and what dropout drops.
    clip_norm : float or None
        Largest Euclidean norm of a gradient.
    weight_decay : float
        Applies to weights, not to biases.
    state : OptimizerState or None
    schedule_state : ScheduleState or None
        To go on from; None starts afresh.
    tbptt_steps : int or None
        Back-propagate through so many steps at the end of each sequence; what comes before them
        only leads to the state they start from. With targets of steps the gradient goes through
        every chunk of so many steps. Memory for activations is bounded by it.

    Yields
    ------
    Epoch

    Examples
    --------
    >>> import numpy as np
    >>> from itertools import islice
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense, LastStep
    >>> from fusedlstm.losses import squared_error
    >>> from fusedlstm.optimizers import Adam
    >>> from fusedlstm.training import SequenceBatches, epochs
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((64, 10, 1)).astype("float32")
    >>> source = SequenceBatches(x, x.mean(axis=1), batch_size=16)
    >>> model = Sequential([LSTM(8), LastStep(), Dense(1)], input_size=1, random_state=0)
    >>> run = epochs(model, source, squared_error, Adam(), learning_rate=0.01, rng=rng)
    >>> losses = [epoch.loss for epoch in islice(run, 20)]
    >>> losses[-1] < losses[0]
    True
    """
    if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
        needed, hint = "an optimizer from fusedlstm.optimizers, such as Adam()", ""
        if isinstance(optimizer, type):
            hint = f"Did you mean {optimizer.__name__}(...)?"
        elif isinstance(optimizer, LBFGS):
            hint = "Train with L-BFGS by fusedlstm.training.full_batch_epochs."
        raise TypeError(check.needs("optimizer", needed, optimizer, hint))
    require_loss(loss)
    grads = np.zeros_like(model.params)
    state = optimizer.init(model.params) if state is None else state
    at = ScheduleState() if schedule_state is None else schedule_state
    decay_mask = weight_mask(model) if weight_decay > 0 or optimizer.l1 > 0 else None
    if tbptt_steps is not None:
        check.positive_int("tbptt_steps", tbptt_steps)
        require_truncation(model.layer)
    if getattr(source, "carries_states", False) and len(source) > 1:
        require_carried_state(model.layer, "for batches that go on from each other")
    require_targets_of(model.layer, getattr(source, "y", None))
    number = 0
    while True:
        number += 1
        if schedule is not None:
            schedule.update(at)
        order = source.order(rng)
        total = 0.0
        size: float = 0
        model_state: State = None
        for i in range(len(source)):
            batch = source.batch(order, i)
            grads[:] = 0
            before = model_state if batch.goes_on else None
            if tbptt_steps is None:
                passed = whole_pass(model, batch, loss, rng, grads, before)
            else:
                passed = truncated_pass(model, batch, loss, rng, grads, tbptt_steps, before)
            model_state = passed.state
            if clip_norm is not None:
                clip_by_norm(grads, clip_norm)
            rate = learning_rate
            if schedule is not None:
                rate *= schedule.multiplier(at, i, len(source))
            optimizer.step(model.params, grads, state, rate, weight_decay, decay_mask)
            total += passed.loss * passed.size
            size += passed.size
        at.epoch, at.watched = at.epoch + 1, total / size
        yield Epoch(number, total / size, size)


def weight_mask(model: Model) -> Array:
    """Return 1 for the elements of weight matrices and 0 for those of biases, flat."""
    mask = np.zeros_like(model.params)
    for values in model.views(mask).values():
        values[...] = values.ndim > 1
    return mask


class SeriesBatches:
    """Batches of one endless series with targets at every step; states go on from each to the next.

    The series is cut into ``batch_size`` parts of equal length, which are read side by side,
    ``steps`` at a time; up to ``batch_size - 1`` steps at its end are left out. Gradients go back
    to the beginning of a batch.

    Parameters
    ----------
    series : array (n_timesteps, n_features) or (n_timesteps,)
        A memory map is fine: only a batch at a time is copied.
    targets : array (n_timesteps, ...)
        Of each step. The loss is one of vectors, such as ``squared_error``.
    batch_size : int
    steps : int
        Of a batch; the last ones of an epoch may be fewer.
    dtype : {"float32", "float64"}, default "float32"

    Examples
    --------
    >>> import numpy as np
    >>> from itertools import islice
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense
    >>> from fusedlstm.losses import squared_error
    >>> from fusedlstm.optimizers import Adam
    >>> from fusedlstm.training import SeriesBatches, epochs
    >>> series = np.sin(np.arange(2001) / 10)
    >>> source = SeriesBatches(series[:-1], series[1:, np.newaxis], batch_size=4, steps=50)
    >>> model = Sequential([LSTM(8), Dense(1)], input_size=1, random_state=0)
    >>> rng = np.random.default_rng(0)
    >>> run = epochs(model, source, squared_error, Adam(), learning_rate=0.01, rng=rng)
    >>> losses = [epoch.loss for epoch in islice(run, 10)]
    >>> losses[-1] < 0.1 * losses[0]
    True
    """

    carries_states = True
    """Each batch but the first goes on from the one before."""

    def __init__(
        self,
        series: npt.ArrayLike,
        targets: Array,
        *,
        batch_size: int,
        steps: int,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        self.series = read_series(series, "series")
        self.batch_size = check.positive_int("batch_size", batch_size)
        self.steps = check.positive_int("steps", steps)
        self.dtype = check.float_dtype("dtype", dtype)
        self.length = len(self.series) // self.batch_size
        if self.length == 0:
            needed = f"at most {len(self.series)}, the steps of the series"
            raise ValueError(check.needs("batch_size", needed, batch_size))
        needed = f"an array of length {len(self.series)}, as series"
        if not isinstance(cast(object, targets), np.ndarray):
            raise TypeError(check.needs("targets", needed, targets))
        if targets.shape[:1] != (len(self.series),):
            raise ValueError(check.needs("targets", needed, targets))
        self.targets = targets

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-self.length // self.steps)

    def order(self, rng: np.random.Generator) -> Order:
        """Return the order of time."""
        return np.arange(len(self))

    def batch(self, order: Order, i: int) -> Batch:
        """Return batch ``i``."""
        start = int(order[i]) * self.steps
        x, y = (self._parts(array, start) for array in (self.series, self.targets))
        return Batch(x.astype(self.dtype, copy=False), None, y, goes_on=i > 0)

    def _parts(self, array: Array, start: int) -> Array:
        rows = array[: self.length * self.batch_size]
        parts: Array = rows.reshape(self.batch_size, self.length, *array.shape[1:])
        return parts[:, start : start + self.steps]


class SequenceBatches:
    """Batches of sequences in memory.

    Parameters
    ----------
    X : array (n, T, F), or any other form that the estimators take
        A memory map is fine: only a batch at a time is copied.
    y : array (n, ...), or list of arrays (T_i, ...)
        Targets of sequences, or of steps.
    weights : array (n,), list of arrays (T_i,), or None
        Of the sequences or of the steps, relative to their mean.
    batch_size : int
    dtype : {"float32", "float64"}, default "float32"
    shuffle : bool, default True

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.training import SequenceBatches
    >>> source = SequenceBatches(np.zeros((10, 5, 2)), np.arange(10), batch_size=4, shuffle=False)
    >>> order = source.order(np.random.default_rng(0))
    >>> len(source), source.batch(order, 2).y.tolist()
    (3, [8, 9])
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        *,
        batch_size: int,
        weights: Any = None,
        dtype: npt.DTypeLike = "float32",
        shuffle: bool = True,
    ) -> None:
        self.sequences = read_sequences(X)
        self.y, self.weights = y, weights
        self.batch_size = check.positive_int("batch_size", batch_size)
        self.dtype = check.float_dtype("dtype", dtype)
        self.shuffle = check.true_or_false("shuffle", shuffle)
        needed = f"an array of length {len(self.sequences)}, as X"
        if _is_ragged(y):
            self.y = y = pack_targets(y, self.sequences.lengths())
        if _is_ragged(weights):
            packed = pack_targets(weights, self.sequences.lengths(), "weights")
            self.weights = weights = packed
        for name, array in {"y": y, "weights": weights}.items():
            if isinstance(array, Sequences) or (name == "weights" and array is None):
                continue
            if not isinstance(cast(object, array), np.ndarray):
                raise TypeError(check.needs(name, needed, array))
            if array.shape[:1] != (len(self.sequences),):
                raise ValueError(check.needs(name, needed, array))

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-len(self.sequences) // self.batch_size)

    def order(self, rng: np.random.Generator) -> Order:
        """Return the order of the sequences in an epoch."""
        order = np.arange(len(self.sequences))
        if self.shuffle:
            rng.shuffle(order)
        return order

    def batch(self, order: Order, i: int) -> Batch:
        """Return batch ``i``, cut to its longest sequence."""
        rows = order[i * self.batch_size : (i + 1) * self.batch_size]
        x, lengths = self.sequences.take(rows, self.dtype)
        weights = None if self.weights is None else _rows(self.weights, rows)
        return Batch(x, lengths, _rows(self.y, rows), weights)


def _is_ragged(values: Any) -> bool:
    """Return whether these are values of steps, an object per sequence."""
    if isinstance(values, np.ndarray):
        return values.dtype.kind == "O" and values.ndim == 1
    return isinstance(values, (list, tuple))


def _rows(values: Any, rows: Order) -> Array:
    """Return the values of some sequences, or padded those of their steps."""
    array: Array = values.take(rows, None)[0] if isinstance(values, Sequences) else values[rows]
    return array


def __dir__() -> list[str]:
    return sorted(__all__)
