"""Training: a source of batches, and a generator that yields once an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from fusedlstm import _validation as check
from fusedlstm._core import Array
from fusedlstm._sequences import read_sequences
from fusedlstm.losses import Loss
from fusedlstm.model import Sequential
from fusedlstm.optimizers import Optimizer, OptimizerState, clip_by_norm

Order = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Batch:
    """Some sequences with their targets.

    Attributes
    ----------
    x : array (B, T, F)
    lengths : int64 array (B,) or None
    y : array (B, ...)
    weights : array (B,) or None
        Relative to the mean over the training set; what the loss takes.
    """

    x: Array
    lengths: npt.NDArray[np.int64] | None
    y: Array
    weights: Array | None = None


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
        Mean over the epoch's batches, weighted by their sizes, each before its update.
    """

    number: int
    loss: float


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
    """

    optimizer: Optimizer
    state: OptimizerState
    rng: np.random.Generator


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


def epochs(
    model: Sequential,
    source: BatchSource,
    loss: Loss,
    optimizer: Optimizer,
    *,
    learning_rate: float,
    rng: np.random.Generator,
    clip_norm: float | None = None,
    weight_decay: float = 0.0,
    state: OptimizerState | None = None,
) -> Iterator[Epoch]:
    """Train a model, one epoch at each step of the iteration, for as long as it goes on.

    Parameters
    ----------
    model : Sequential
        Its parameters are updated in place.
    source : BatchSource
    loss : callable
        From `fusedlstm.losses`.
    optimizer : Optimizer
    learning_rate : float
    rng : numpy Generator
        Draws the order of the batches and what dropout drops.
    clip_norm : float or None
        Largest Euclidean norm of a gradient.
    weight_decay : float
        Applies to weights, not to biases.
    state : OptimizerState or None
        To go on from; None starts afresh.

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
    grads = np.zeros_like(model.params)
    state = optimizer.init(model.params) if state is None else state
    decay_mask = weight_mask(model) if weight_decay > 0 else None
    number = 0
    while True:
        number += 1
        order = source.order(rng)
        total, count = 0.0, 0
        for i in range(len(source)):
            batch = source.batch(order, i)
            y_pred, saved = model.forward(batch.x, batch.lengths, rng)
            with np.errstate(over="ignore", invalid="ignore"):  # the caller sees it in the loss
                value, dy = loss(y_pred, batch.y, batch.weights)
            grads[:] = 0
            model.add_gradients(saved, dy, grads)
            if clip_norm is not None:
                clip_by_norm(grads, clip_norm)
            optimizer.step(model.params, grads, state, learning_rate, weight_decay, decay_mask)
            total += value * len(batch.x)
            count += len(batch.x)
        yield Epoch(number, total / count)


def weight_mask(model: Sequential) -> Array:
    """Return 1 for the elements of weight matrices and 0 for those of biases, flat."""
    mask = np.zeros_like(model.params)
    for values in model.views(mask).values():
        values[...] = values.ndim > 1
    return mask


class SequenceBatches:
    """Batches of sequences in memory.

    Parameters
    ----------
    X : array (n, T, F), or any other form that the estimators take
        A memory map is fine: only a batch at a time is copied.
    y : array (n, ...)
    weights : array (n,) or None
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
        y: Array,
        *,
        batch_size: int,
        weights: Array | None = None,
        dtype: npt.DTypeLike = "float32",
        shuffle: bool = True,
    ) -> None:
        self.sequences = read_sequences(X)
        self.y, self.weights = y, weights
        self.batch_size = check.positive_int("batch_size", batch_size)
        self.dtype = check.float_dtype("dtype", dtype)
        self.shuffle = check.true_or_false("shuffle", shuffle)
        needed = f"an array of length {len(self.sequences)}, as X"
        given = {"y": y} if weights is None else {"y": y, "weights": weights}
        for name, array in given.items():
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
        return Batch(x, lengths, self.y[rows], None if self.weights is None else self.weights[rows])
