"""Sources of batches: sequences in memory, or one long series."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.data.forms import read_sequences, read_series
from fusedlstm.data.sequences import Sequences
from fusedlstm.data.targets import pack_targets

__all__ = ["Batch", "BatchSource", "Order", "SequenceBatches", "SeriesBatches"]

Order = npt.NDArray[np.intp]


class Batch(NamedTuple):
    """Some sequences with their targets.

    Attributes
    ----------
    x : array (B, T, F)
    lengths : int64 array (B,) or None
        Number of real steps of each sequence. None: all steps are real.
    y : array (B, ...) or (B, T, ...)
        Targets, per sequence or per step.
    weights : array (B,) or (B, T) or None, default None
        Weights, per sequence or per step, divided by their mean over the training set.
    goes_on : bool, default False
        True if the sequences are continuations of the sequences of the previous batch. The model
        then starts from the final states of the previous batch.
    """

    x: Array
    lengths: npt.NDArray[np.int64] | None
    y: Array
    weights: Array | None = None
    goes_on: bool = False


class BatchSource(Protocol):
    """Interface of the sources of batches.

    If the optional attribute ``carries_states`` is True, each batch except the first starts from
    the final states of the previous batch.
    """

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""

    def order(self, rng: np.random.Generator) -> Order:
        """Return an array that determines the batches of an epoch, such as a permutation."""

    def batch(self, order: Order, i: int) -> Batch:
        """Return batch ``i`` of an epoch, counted from 0. ``order`` is from the method `order`."""


class SequenceBatches:
    """Batches of sequences in memory.

    Parameters
    ----------
    X : array (n, T, F), or another form of X that the estimators accept
        It may be a memory map, from which one batch at a time is copied.
    y : array (n, ...), or list of arrays (T_i, ...)
        Targets, per sequence or per step. T_i is the number of steps of sequence i.
    batch_size : int
        Number of sequences in a batch. The last batch may have fewer.
    weights : array (n,), list of arrays (T_i,), or None, default None
        Weights, per sequence or per step, divided by their mean.
    dtype : {"float32", "float64"}, default "float32"
        The dtype of the model.
    shuffle : bool, default True
        If True, each epoch has the sequences in a new random order.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, length or values.

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
        self.y = y
        self.weights = weights
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
        """Return the numbers of the sequences in the order of an epoch, (n,)."""
        order = np.arange(len(self.sequences))
        if self.shuffle:
            rng.shuffle(order)
        return order

    def batch(self, order: Order, i: int) -> Batch:
        """Return batch ``i``, with as many steps as its longest sequence."""
        rows = order[i * self.batch_size : (i + 1) * self.batch_size]
        x, lengths = self.sequences.take(rows, self.dtype)
        weights = None if self.weights is None else _rows(self.weights, rows)
        return Batch(x, lengths, _rows(self.y, rows), weights)


class SeriesBatches:
    """Batches of one long series with one target per step.

    The series is cut into ``batch_size`` parts of equal length. A batch contains the next ``steps``
    steps of every part. The model starts from the final states of the previous batch, and gradients
    are propagated back to the first step of the batch. Up to ``batch_size - 1`` steps at the end of
    the series are not used.

    Parameters
    ----------
    series : array (n_timesteps, n_features) or (n_timesteps,)
        It may be a memory map, from which one batch at a time is copied.
    targets : array (n_timesteps, ...)
        Targets of the steps, with the axes that the loss requires: (n_timesteps, n_targets) for
        ``squared_error``, or class indices (n_timesteps,) for ``log_loss``.
    batch_size : int
        Number of parts, B.
    steps : int
        Number of steps in a batch. The last batch of an epoch may have fewer.
    dtype : {"float32", "float64"}, default "float32"
        The dtype of the model.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, length or values.

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
    """Each batch except the first starts from the final states of the previous batch."""

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
        """Return the numbers of the batches, in the order of time."""
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


def _is_ragged(values: Any) -> bool:
    """Return True for a list of values per step, with one element per sequence."""
    if isinstance(values, np.ndarray):
        return values.dtype.kind == "O" and values.ndim == 1
    return isinstance(values, (list, tuple))


def _rows(values: Any, rows: Order) -> Array:
    """Return the values of some sequences. Values per step are padded to the same length."""
    array: Array = values.take(rows, None)[0] if isinstance(values, Sequences) else values[rows]
    return array


def __dir__() -> list[str]:
    return sorted(__all__)
