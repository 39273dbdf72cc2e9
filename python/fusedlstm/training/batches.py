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
    y : array (B, ...)
        Targets as the loss takes them: of the sequences, or of all steps, (B, T, ...).
    weights : array (B,) or (B, T) or None
        Weights of the sequences or of the steps, relative to the mean over the training set.
    goes_on : bool
        True if the sequences continue those of the previous batch: the model then starts from the
        final states of that batch.
    """

    x: Array
    lengths: npt.NDArray[np.int64] | None
    y: Array
    weights: Array | None = None
    goes_on: bool = False


class BatchSource(Protocol):
    """Interface of the sources of batches, such as memory, a memory map or one long series."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""

    def order(self, rng: np.random.Generator) -> Order:
        """Return the order of an epoch, drawn from ``rng``."""

    def batch(self, order: Order, i: int) -> Batch:
        """Return batch ``i`` of an epoch in this order."""


class SequenceBatches:
    """Batches of sequences in memory.

    Parameters
    ----------
    X : array (n, T, F), or any other form that the estimators take
        It may be a memory map: only one batch at a time is copied.
    y : array (n, ...), or list of arrays (T_i, ...)
        Targets of the sequences, or of the steps.
    weights : array (n,), list of arrays (T_i,), or None
        Weights of the sequences or of the steps, relative to their mean.
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
        """Return the order of the sequences in an epoch."""
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
    """Batches of one long series with targets at every step; states are carried between batches.

    The series is cut into ``batch_size`` parts of equal length. A batch holds the next ``steps``
    steps of every part, and the model starts from the final states of the previous batch. Up to
    ``batch_size - 1`` steps at the end of the series are left out. Gradients are propagated back to
    the beginning of a batch.

    Parameters
    ----------
    series : array (n_timesteps, n_features) or (n_timesteps,)
        It may be a memory map: only one batch at a time is copied.
    targets : array (n_timesteps, ...)
        Targets of the steps. The loss must be a loss of vectors, such as ``squared_error``.
    batch_size : int
    steps : int
        Number of steps of a batch. The last batch of an epoch may have fewer.
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
        """Return the batches in the order of time."""
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
    """Return True for values of steps, given as one object per sequence."""
    if isinstance(values, np.ndarray):
        return values.dtype.kind == "O" and values.ndim == 1
    return isinstance(values, (list, tuple))


def _rows(values: Any, rows: Order) -> Array:
    """Return the values of some sequences; values of steps are padded."""
    array: Array = values.take(rows, None)[0] if isinstance(values, Sequences) else values[rows]
    return array


def __dir__() -> list[str]:
    return sorted(__all__)
