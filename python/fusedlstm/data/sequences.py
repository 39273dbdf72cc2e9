"""Containers of sequences.

`PaddedSequences` is a view of an array (n, T, F). `PackedSequences` concatenates sequences of
unequal lengths. The method `take` of both returns some sequences as a padded array with lengths.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check

Lengths = npt.NDArray[np.int64]
Form = Literal["2d", "3d", "ragged"]


class Standardizing(Protocol):
    """Interface of the standardization of X."""

    def __call__(self, x: Array) -> Array:
        """Return the standardized array (..., n_features)."""

    def take(self, x: Array, first: Any, lengths: Lengths | None) -> Array | None:
        """Return the standardized result of `core.take_sequences`."""


class Sequences(abc.ABC):
    """Sequences with the same number of features.

    Attributes
    ----------
    n_features : int
    form : {"2d", "3d", "ragged"}
        Form in which the user passed the sequences. "ragged" stands for a list of arrays.
    """

    n_features: int
    form: Form

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of sequences."""

    @abc.abstractmethod
    def take(self, rows: Any, dtype: npt.DTypeLike | None) -> tuple[Array, Lengths | None]:
        """Return some sequences as a padded array, and their lengths.

        Parameters
        ----------
        rows : slice or int array
            Indices of the sequences.
        dtype : dtype or None
            Data type of the result. With None it is the data type of the sequences.

        Returns
        -------
        x : array (B, T, F)
            Values past the end of a sequence are undefined.
        lengths : int64 array (B,) or None
            None if all sequences have T steps.
        """

    def take_standardized(
        self, rows: Any, standardizer: Standardizing
    ) -> tuple[Array, Lengths | None]:
        """Return the result of `take`, standardized."""
        x, lengths = self.take(rows, None)
        return standardizer(x), lengths

    def select(self, rows: npt.NDArray[np.intp]) -> Sequences:
        """Return a view of the sequences ``rows``."""
        return SelectedSequences(self, rows)

    @abc.abstractmethod
    def lengths(self) -> Lengths:
        """Return the number of steps of each sequence."""

    def starts_of_all(self) -> Lengths:
        """Return the offsets (n + 1,) of the sequences in their concatenation, with its length."""
        starts = np.zeros(len(self) + 1, np.int64)
        np.cumsum(self.lengths(), out=starts[1:])
        return starts

    @abc.abstractmethod
    def longest(self) -> int:
        """Return an upper bound of the numbers of steps."""

    @abc.abstractmethod
    def numbers(self) -> Array:
        """Return an array of all steps, including padding."""

    def check_range(self, dtype: npt.DTypeLike, name: str = "X") -> None:
        """Raise a ValueError for numbers outside the range of a dtype."""
        values, dtype = self.numbers(), np.dtype(dtype)
        if values.dtype.itemsize <= dtype.itemsize:
            return
        limit = np.finfo(dtype).max
        smallest, largest = np.fmin.reduce(values, None), np.fmax.reduce(values, None)
        if smallest < -limit or largest > limit:
            wrong = largest if largest > limit else smallest
            raise ValueError(check.needs(name, f"numbers within {dtype.name}'s range", wrong))


@dataclass(frozen=True, eq=False)
class PaddedSequences(Sequences):
    """Sequences in one array.

    Attributes
    ----------
    x : array (n, T, F)
    real_steps : int64 array (n,) or None
        Number of steps of each sequence, without padding. None if all have T steps.
    form : {"2d", "3d"}
    """

    x: Array
    real_steps: Lengths | None = None
    form: Form = "3d"

    @property
    def n_features(self) -> int:  # type: ignore[override]
        """Number of features."""
        return int(self.x.shape[2])

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Any, dtype: npt.DTypeLike | None) -> tuple[Array, Lengths | None]:
        lengths = None if self.real_steps is None else self.real_steps[rows]
        x = core.take_sequences(self.x, rows, lengths)
        if x is None:
            x = self.x[rows] if lengths is None else self.x[rows, : lengths.max()]
        return _in_dtype(x, dtype), lengths

    def take_standardized(
        self, rows: Any, standardizer: Standardizing
    ) -> tuple[Array, Lengths | None]:
        lengths = None if self.real_steps is None else self.real_steps[rows]
        x = standardizer.take(self.x, rows, lengths)
        return super().take_standardized(rows, standardizer) if x is None else (x, lengths)

    def lengths(self) -> Lengths:
        if self.real_steps is not None:
            return self.real_steps
        return np.full(len(self.x), self.x.shape[1], np.int64)

    def longest(self) -> int:
        return int(self.x.shape[1])

    def numbers(self) -> Array:
        return self.x


@dataclass(frozen=True, eq=False)
class PackedSequences(Sequences):
    """Concatenated sequences; sequence i is ``values[starts[i]:starts[i + 1]]``.

    Attributes
    ----------
    values : array (n_steps, F), or (n_steps,) for targets of steps
    starts : int64 array (n + 1,)
    form : {"ragged"}
    """

    values: Array
    starts: Lengths
    form: Form = "ragged"

    @property
    def n_features(self) -> int:  # type: ignore[override]
        """Number of features."""
        return 1 if self.values.ndim == 1 else int(self.values.shape[1])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: Any, dtype: npt.DTypeLike | None) -> tuple[Array, Lengths | None]:
        starts = self.starts[:-1][rows]
        lengths = self.starts[1:][rows] - starts
        x = core.take_sequences(self.values, starts, lengths)
        if x is None:
            x = self._padded(starts, lengths)
        return _in_dtype(x, dtype), lengths

    def take_standardized(
        self, rows: Any, standardizer: Standardizing
    ) -> tuple[Array, Lengths | None]:
        starts = self.starts[:-1][rows]
        lengths = self.starts[1:][rows] - starts
        x = standardizer.take(self.values, starts, lengths)
        if x is None:
            x = standardizer(self._padded(starts, lengths))
        return x, lengths

    def _padded(self, starts: Lengths, lengths: Lengths) -> Array:
        steps = np.arange(lengths.max())
        # The padding repeats the last step of a sequence. These values are never read.
        index = starts[:, np.newaxis] + np.minimum(steps, lengths[:, np.newaxis] - 1)
        padded: Array = self.values.take(index, axis=0)
        return padded

    def lengths(self) -> Lengths:
        return np.diff(self.starts)

    def longest(self) -> int:
        return int(self.lengths().max())

    def numbers(self) -> Array:
        return self.values


@dataclass(frozen=True, eq=False)
class SelectedSequences(Sequences):
    """A selection of other sequences, without a copy, because they may be a memory map.

    Attributes
    ----------
    base : Sequences
    rows : int array (n,)
    """

    base: Sequences
    rows: npt.NDArray[np.intp]

    @property
    def n_features(self) -> int:  # type: ignore[override]
        """Number of features."""
        return self.base.n_features

    @property
    def form(self) -> Form:  # type: ignore[override]
        """Form of the base."""
        return self.base.form

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Any, dtype: npt.DTypeLike | None) -> tuple[Array, Lengths | None]:
        return self.base.take(self.rows[rows], dtype)

    def take_standardized(
        self, rows: Any, standardizer: Standardizing
    ) -> tuple[Array, Lengths | None]:
        return self.base.take_standardized(self.rows[rows], standardizer)

    def lengths(self) -> Lengths:
        return self.base.lengths()[self.rows]

    def longest(self) -> int:
        return self.base.longest()

    def numbers(self) -> Array:
        return self.base.numbers()


def as_list(sequences: Sequences) -> list[Array]:
    """Return the sequences as a list of arrays (T_i, ...)."""
    taken = (sequences.take(slice(i, i + 1), None)[0][0] for i in range(len(sequences)))
    return list(taken)


def all_steps(sequences: Sequences) -> Array:
    """Return the steps of all sequences without padding, (n_steps, ...)."""
    if isinstance(sequences, PackedSequences):
        return sequences.values
    if isinstance(sequences, SelectedSequences) and isinstance(sequences.base, PackedSequences):
        starts, lengths = sequences.base.starts[sequences.rows], sequences.lengths()
        first = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        steps: Array = sequences.base.values[first + np.arange(lengths.sum())]
        return steps
    return np.concatenate(as_list(sequences))


def _in_dtype(array: Array, dtype: npt.DTypeLike | None) -> Array:
    return array if dtype is None or array.dtype == dtype else array.astype(dtype)


def pack(arrays: list[Array]) -> PackedSequences:
    """Concatenate arrays (T_i, F)."""
    starts = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum([len(array) for array in arrays], out=starts[1:])
    return PackedSequences(np.concatenate(arrays), starts)
