"""The forms in which users hold sequences, read into one of two containers.

`PaddedSequences` views an array (n, T, F), `PackedSequences` holds sequences of unequal lengths end
to end. Both give out some sequences at a time as a padded array with lengths.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check

NUMBERS_OF_A_PIECE = 2**20
"""Numbers that are looked at at a time: a memory map is never in memory as a whole."""

Lengths = npt.NDArray[np.int64]
Form = Literal["2d", "3d", "ragged"]


def is_frame(X: Any) -> bool:
    """Return True for a data frame of pandas or of a library with the same attributes."""
    return hasattr(type(X), "dtypes") and hasattr(X, "columns")


class Sequences(abc.ABC):
    """Some sequences of the same number of features."""

    n_features: int
    form: Form

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of sequences."""

    @abc.abstractmethod
    def take(self, rows: Any, dtype: npt.DTypeLike | None) -> tuple[Array, Lengths | None]:
        """Return the sequences ``rows`` (a slice or indices), padded, and their lengths.

        ``dtype`` is that of the result; None keeps that of the data.
        """

    def select(self, rows: npt.NDArray[np.intp]) -> Sequences:
        """Return a view of the sequences ``rows``."""
        return SelectedSequences(self, rows)

    @abc.abstractmethod
    def lengths(self) -> Lengths:
        """Return the number of steps of each sequence."""

    def starts_of_all(self) -> Lengths:
        """Return where each sequence starts if all are put end to end, and the end."""
        starts = np.zeros(len(self) + 1, np.int64)
        np.cumsum(self.lengths(), out=starts[1:])
        return starts

    @abc.abstractmethod
    def longest(self) -> int:
        """Return a number of steps that none exceeds."""

    @abc.abstractmethod
    def numbers(self) -> Array:
        """Return an array of all steps, with padding if there is any."""

    def check_range(self, dtype: npt.DTypeLike, name: str = "X") -> None:
        """Refuse numbers that are too large for a dtype."""
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
    """An array (n, T, F), and the number of real steps where it differs from T."""

    x: Array
    real_steps: Lengths | None = None
    form: Form = "3d"

    @property
    def n_features(self) -> int:  # type: ignore[override]
        """Features of a step."""
        return int(self.x.shape[2])

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Any, dtype: npt.DTypeLike | None) -> tuple[Array, Lengths | None]:
        if self.real_steps is None:
            x = self.x[rows]
            return (x if dtype is None else x.astype(dtype, copy=False)), None
        lengths = self.real_steps[rows]
        return _in_dtype(self.x[rows, : lengths.max()], dtype), lengths

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
    """All steps end to end, (total steps, F); sequence i is ``values[starts[i]:starts[i + 1]]``.

    Targets of steps may be (total steps,).
    """

    values: Array
    starts: Lengths
    form: Form = "ragged"

    @property
    def n_features(self) -> int:  # type: ignore[override]
        """Features of a step."""
        return 1 if self.values.ndim == 1 else int(self.values.shape[1])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: Any, dtype: npt.DTypeLike | None) -> tuple[Array, Lengths | None]:
        starts = self.starts[:-1][rows]
        lengths = self.starts[1:][rows] - starts
        steps = np.arange(lengths.max())
        # Past its end a sequence repeats its last step, which nobody reads.
        index = starts[:, np.newaxis] + np.minimum(steps, lengths[:, np.newaxis] - 1)
        return _in_dtype(self.values.take(index, axis=0), dtype), lengths

    def lengths(self) -> Lengths:
        return np.diff(self.starts)

    def longest(self) -> int:
        return int(self.lengths().max())

    def numbers(self) -> Array:
        return self.values


@dataclass(frozen=True, eq=False)
class SelectedSequences(Sequences):
    """Some of other sequences, which stay where they are: they may be a memory map."""

    base: Sequences
    rows: npt.NDArray[np.intp]

    @property
    def n_features(self) -> int:  # type: ignore[override]
        """Features of a step."""
        return self.base.n_features

    @property
    def form(self) -> Form:  # type: ignore[override]
        """What came."""
        return self.base.form

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Any, dtype: npt.DTypeLike | None) -> tuple[Array, Lengths | None]:
        return self.base.take(self.rows[rows], dtype)

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
    """Return the real steps of all sequences, (N, ...)."""
    if isinstance(sequences, PackedSequences):
        return sequences.values
    if isinstance(sequences, SelectedSequences) and isinstance(sequences.base, PackedSequences):
        base = sequences.base
        starts, lengths = base.starts[sequences.rows], sequences.lengths()
        first = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        steps: Array = base.values[first + np.arange(lengths.sum())]
        return steps
    return np.concatenate(as_list(sequences))


def _in_dtype(array: Array, dtype: npt.DTypeLike | None) -> Array:
    return array if dtype is None else array.astype(dtype, copy=False)


def pack(arrays: list[Array]) -> PackedSequences:
    """Put arrays (T_i, F) end to end."""
    starts = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum([len(array) for array in arrays], out=starts[1:])
    return PackedSequences(np.concatenate(arrays), starts)


def read_sequences(X: Any, name: str = "X", allow_nan: bool = False) -> Sequences:
    """Read whatever holds sequences.

    Parameters
    ----------
    X : array (n, T, F), array or data frame (n, T), list of arrays (T_i, F) or (T_i,), …
        Steps at the end of a sequence that are NaN in every feature are padding.
    name : str
        What errors call it.
    allow_nan : bool
        Whether NaN may stand elsewhere too.

    Returns
    -------
    Sequences
        Numbers checked to be finite; ``form`` says what came.
    """
    if type(X) is np.ndarray and X.ndim > 0 and X.dtype.kind != "O":  # as most often
        return _read_array(X, name, allow_nan)
    if isinstance(X, Sequences):
        return X
    if hasattr(X, "toarray"):
        raise TypeError(f"Sparse data not supported: {name} must be dense; got {type(X).__name__}")
    if isinstance(X, (list, tuple)):
        return _read_list(X, name, allow_nan)
    array = _as_array(X, name)
    if array.dtype.kind == "O" and array.ndim == 1 and array.size and np.ndim(array[0]):
        return _read_list(list(array), name, allow_nan)
    return _read_array(array, name, allow_nan)


def read_series(series: Any, name: str = "series") -> Array:
    """Return one long sequence as finite numbers, (n_timesteps, n_features)."""
    needed = "numbers of shape (n_timesteps,) or (n_timesteps, n_features)"
    try:
        array = np.asarray(series)
    except ValueError:  # nested lists of unequal lengths
        raise ValueError(check.needs(name, needed, series)) from None
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(check.needs(name, needed, series))
    numbers = _numbers(array, name)
    numbers = numbers.reshape(len(numbers), -1)
    _check_finite(numbers, name, of_one=True)
    return numbers


def _read_list(items: AbstractSequence[Any], name: str, allow_nan: bool) -> Sequences:
    if len(items) == 0:
        raise ValueError(check.needs(name, "at least one sequence", items))
    # Data frames one by one, since numpy takes long to put a list of them into one array.
    if any((isinstance(item, np.ndarray) and item.ndim > 0) or is_frame(item) for item in items):
        return _read_ragged(items, name, allow_nan)
    try:
        array = np.asarray(items)
    except ValueError:  # of unequal lengths
        return _read_ragged(items, name, allow_nan)
    return _read_array(array, name, allow_nan)


def _as_array(X: Any, name: str) -> Array:
    if np.ma.isMaskedArray(X):
        hint = f"Pass {name}.filled(numpy.nan) if what is masked is padding."
        raise TypeError(check.needs(name, "an array without a mask", X, hint))
    if type(X).__name__.endswith("GroupBy"):
        hint = "Use fusedlstm.sequences_from_frame(df, id=..., time=...)."
        raise TypeError(check.needs(name, "an array or a list of sequences", X, hint))
    try:
        array = np.asarray(X)
    except (TypeError, ValueError):  # such as an awkward array of unequal lengths
        hint = f"Pass a list of arrays, such as [numpy.asarray(x) for x in {name}]."
        kind = f"{type(X).__module__.partition('.')[0]}.{type(X).__name__}"
        raise ValueError(
            f"{name} must be an array or a list of sequences; got {kind}. {hint}"
        ) from None
    if array.ndim == 0:
        hint = f"Did you mean list({name})?" if isinstance(X, Iterator) else ""
        raise ValueError(
            f"Expected {name} to be a 2D or 3D array or a list of sequences; got {check.shown(X)}"
            + (f". {hint}" if hint else "")
        )
    return array


def _read_array(array: Array, name: str, allow_nan: bool) -> Sequences:
    numbers = _numbers(array, name)
    if numbers.ndim < 2:
        raise ValueError(
            f"Expected {name} to be a 2D or 3D array or a list of sequences; got a {numbers.ndim}D "
            f"array of shape {numbers.shape}. Reshape your data: {name}.reshape(1, -1) if it is "
            f"one sequence of one feature, {name}.reshape(-1, 1) if it is one step of many."
        )
    if numbers.ndim > 3:
        needed = "(n_samples, n_timesteps, n_features), a list of sequences or 2D"
        raise ValueError(check.needs(name, f"an array of shape {needed}", array))
    if 0 in numbers.shape:
        # scikit-learn calls the columns of a 2D array features.
        axes = ("sample(s)", "timestep(s)", "feature(s)")[:: 2 if numbers.ndim == 2 else 1]
        what = axes[numbers.shape.index(0)]
        raise ValueError(
            f"Found array with 0 {what} (shape={numbers.shape}) while a minimum of 1 is required: "
            f"{name} must have at least one sequence of at least one step and feature"
        )
    if numbers.ndim == 2:
        hint = ""
        if not (allow_nan or _all_finite(numbers)) and _ends_in_nan(numbers):
            hint = (
                f". If NaN at the end of a row is padding, pass a 3-D array, "
                f"np.asarray({name})[..., np.newaxis], or a list of sequences"
            )
        _check_finite(numbers, name, allow_nan, hint=hint)
        return PaddedSequences(numbers[:, :, np.newaxis], None, "2d")
    return PaddedSequences(numbers, _trailing_nan(numbers, name, allow_nan))


def _read_ragged(items: AbstractSequence[Any], name: str, allow_nan: bool) -> PackedSequences:
    arrays: list[Array] = []
    for i, item in enumerate(items):
        array = item if _is_ready(item) else _read_one(item, f"{name}[{i}]")
        if arrays and array.shape[1] != arrays[0].shape[1]:
            needed = f"a sequence of {arrays[0].shape[1]} features, as {name}[0]"
            raise ValueError(check.needs(f"{name}[{i}]", needed, item))
        arrays.append(array)
    packed = pack(arrays)
    if not _all_finite(packed.values):
        for wrong, array in enumerate(arrays):
            item = f"{name}[{wrong}]"
            _check_finite(array, item, allow_nan, of_one=True, parent=name)
    return packed


def _is_ready(item: Any) -> bool:
    """Whether this is what `_read_one` would return as it is; most often it is."""
    return (
        type(item) is np.ndarray
        and item.ndim == 2
        and item.size > 0
        and item.dtype.kind == "f"
        and item.itemsize >= 4
    )


def _read_one(item: Any, name: str) -> Array:
    """Read one sequence, (T, F)."""
    try:  # to_numpy of a data frame is several times as fast as numpy.asarray
        array = item.to_numpy() if is_frame(item) else np.asarray(item)
    except ValueError:  # nested lists of unequal lengths
        array = np.empty(0)
    if array.ndim not in (1, 2) or 0 in array.shape:
        needed = "an array of shape (n_timesteps, n_features) or (n_timesteps,), not empty"
        raise ValueError(check.needs(name, needed, item))
    if np.ma.isMaskedArray(item):
        raise TypeError(check.needs(name, "an array without a mask", item))
    array = _numbers(array, name)
    return array[:, np.newaxis] if array.ndim == 1 else array


def _numbers(array: Array, name: str) -> Array:
    """Return the array as real numbers, floats unless they already are."""
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must be real; got {array.dtype}")
    if array.dtype.kind == "f" and array.dtype.itemsize >= 4:
        return array
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind == "O" and array.ndim > 0:
        if array.size and np.ndim(array.flat[0]) > 0:
            hint = "Pass a list of arrays (n_timesteps, n_features), one per sequence."
            raise ValueError(check.needs(name, "numbers", array, f"Its cells are arrays. {hint}"))
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:  # it names what is no number
            missing = np.asarray(np.frompyfunc(_is_pandas_na, 1, 1)(array), bool)
            if missing.any():
                return _numbers(np.where(missing, np.nan, array), name)
            kind = TypeError if isinstance(error, TypeError) else ValueError
            hint = f"{error}".rstrip(".") + "."
            raise kind(check.needs(name, "numbers", array, hint)) from None
    raise ValueError(check.needs(name, "numbers", array))


def _is_pandas_na(value: object) -> bool:
    return type(value).__name__ == "NAType"


def pieces(array: Array) -> Iterator[Array]:
    """Give out an array, some rows at a time."""
    rows = max(1, NUMBERS_OF_A_PIECE * len(array) // max(1, array.size))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def _all_finite(array: Array) -> bool:
    known = core.all_finite(array)
    if known is not None:
        return known
    if array.size <= NUMBERS_OF_A_PIECE:
        return bool(np.isfinite(array).all())
    return all(np.isfinite(piece).all() for piece in pieces(array))


def _check_finite(
    array: Array,
    name: str,
    allow_nan: bool = False,
    *,
    of_one: bool = False,
    parent: str = "",
    real: Array | None = None,
    start: int = 0,
    hint: str = "",
) -> None:
    """Refuse NaN, unless allowed, and infinity; the error names the sequence, step and feature.

    Parameters
    ----------
    array : array (n, T), (n, T, F), or with ``of_one`` (T, F)
    name : str
    allow_nan : bool
    of_one : bool
        The array is one sequence.
    parent : str
        Name of the list that holds the sequence ``name``.
    real : bool array (n, T) or None
        The steps to check; None: all.
    start : int
        Number of the first sequence of the array.
    hint : str
        Added to the message about NaN.
    """
    if _all_finite(array if real is None else array[real]):
        return
    for kind, wrong in (("NaN", np.isnan), ("infinity", np.isinf)):
        if kind == "NaN" and allow_nan:
            continue
        row = start
        for piece in pieces(array):
            found = wrong(piece)
            if real is not None:
                found &= real[row - start : row - start + len(piece), :, np.newaxis]
            if found.any():
                index = [int(i) for i in np.argwhere(found)[0]]
                index[0] += row
                item = name if of_one else f"{name}[{index.pop(0)}]"
                at = f"step {index[0]}" + "".join(f", feature {i}" for i in index[1:])
                fill = f"; SequenceImputer fills missing values{hint}" if kind == "NaN" else ""
                whole = parent or name
                raise ValueError(
                    f"Input {whole} contains {kind}: {item} contains {kind} at {at}{fill}"
                )
            row += len(piece)


def _ends_in_nan(array: Array) -> bool:
    """Return True if the NaN of an array (n, T) are at the end of its rows, and no row is NaN."""
    for piece in pieces(array):
        nan = np.isnan(piece)
        at_end = np.logical_and.accumulate(nan[:, ::-1], axis=1)[:, ::-1]
        if (nan != at_end).any() or at_end[:, 0].any():
            return False
    return True


def _trailing_nan(array: Array, name: str, allow_nan: bool) -> Lengths | None:
    """Steps of each sequence before the last ones that are NaN in every feature."""
    if _all_finite(array):
        return None
    lengths = np.empty(len(array), np.int64)
    start = 0
    for piece in pieces(array):
        padding = np.asarray(np.isnan(piece).all(axis=2))
        empty = np.asarray(padding.all(axis=1))
        if empty.any():
            wrong = start + int(np.argmax(empty))
            raise ValueError(f"{name}[{wrong}] must have at least one step that is not NaN")
        real_steps = array.shape[1] - np.argmin(padding[:, ::-1], axis=1)
        real = np.arange(array.shape[1]) < real_steps[:, np.newaxis]
        _check_finite(piece, name, allow_nan, real=real, start=start)
        lengths[start : start + len(piece)] = real_steps
        start += len(piece)
    return lengths
