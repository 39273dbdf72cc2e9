"""Reading of sequences in all forms: arrays, lists of arrays, data frames."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as AbstractSequence
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.data.finite import all_finite, check_finite, ends_in_nan, lengths_before_nan
from fusedlstm.data.sequences import PackedSequences, PaddedSequences, Sequences, pack

_AXES = {2: ("sample(s)", "feature(s)"), 3: ("sample(s)", "timestep(s)", "feature(s)")}
"""Names of the axes in scikit-learn's error about empty arrays, by the number of axes."""


def is_frame(X: Any) -> bool:
    """Return True for a data frame of pandas, or of a library with the same attributes."""
    return hasattr(type(X), "dtypes") and hasattr(X, "columns")


def read_sequences(X: Any, name: str = "X", allow_nan: bool = False) -> Sequences:
    """Read sequences in any form.

    Parameters
    ----------
    X : array (n, T, F), array or data frame (n, T), list of arrays (T_i, F) or (T_i,), …
        Steps at the end of a sequence that are NaN in every feature are padding in a 3-D array.
    name : str
        Name of X in errors.
    allow_nan : bool
        If False, NaN raises an error in all steps except padding.

    Returns
    -------
    Sequences
        Real steps contain no infinity, and NaN only with ``allow_nan``. ``form`` is the form of X.
    """
    if type(X) is np.ndarray and X.ndim > 0 and X.dtype.kind != "O":  # the most frequent form
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
    """Return one sequence as an array of finite numbers, (n_timesteps, n_features)."""
    needed = "numbers of shape (n_timesteps,) or (n_timesteps, n_features)"
    try:
        array = np.asarray(series)
    except ValueError:  # nested lists of unequal lengths
        raise ValueError(check.needs(name, needed, series)) from None
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(check.needs(name, needed, series))
    numbers = _as_floats(array, name)
    numbers = numbers.reshape(len(numbers), -1)
    check_finite(numbers, name, of_one=True)
    return numbers


def _read_list(X: AbstractSequence[Any], name: str, allow_nan: bool) -> Sequences:
    if len(X) == 0:
        raise ValueError(check.needs(name, "at least one sequence", X))
    # NumPy converts a list of data frames to one array slowly, so each data frame is read.
    if any((isinstance(item, np.ndarray) and item.ndim > 0) or is_frame(item) for item in X):
        return _read_ragged(X, name, allow_nan)
    try:
        array = np.asarray(X)
    except ValueError:  # of unequal lengths
        return _read_ragged(X, name, allow_nan)
    return _read_array(array, name, allow_nan)


def _as_array(X: Any, name: str) -> Array:
    if np.ma.isMaskedArray(X):
        hint = f"Pass {name}.filled(numpy.nan) if the masked values are padding."
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
    numbers = _as_floats(array, name)
    if numbers.ndim < 2:
        raise ValueError(
            f"Expected {name} to be a 2D or 3D array or a list of sequences; got a {numbers.ndim}D "
            f"array of shape {numbers.shape}. Reshape your data: {name}.reshape(1, -1) if it is "
            f"one sequence of one feature, {name}.reshape(-1, 1) if it is sequences of one step."
        )
    if numbers.ndim > 3:
        needed = (
            "an array of shape (n_samples, n_timesteps, n_features) or (n_samples, n_timesteps)"
        )
        raise ValueError(check.needs(name, f"{needed}, or a list of sequences", array))
    if 0 in numbers.shape:
        what = _AXES[numbers.ndim][numbers.shape.index(0)]
        raise ValueError(
            f"Found array with 0 {what} (shape={numbers.shape}) while a minimum of 1 is required: "
            f"{name} must have at least one sequence of at least one step and feature"
        )
    if numbers.ndim == 2:
        hint = ""
        if not (allow_nan or all_finite(numbers)) and ends_in_nan(numbers):
            hint = (
                f". If NaN at the end of a row is padding, pass a 3-D array, "
                f"np.asarray({name})[..., np.newaxis], or a list of sequences"
            )
        check_finite(numbers, name, allow_nan, hint=hint)
        return PaddedSequences(numbers[:, :, np.newaxis], None, "2d")
    return PaddedSequences(numbers, lengths_before_nan(numbers, name, allow_nan))


def _read_ragged(X: AbstractSequence[Any], name: str, allow_nan: bool) -> PackedSequences:
    arrays: list[Array] = []
    for i, item in enumerate(X):
        array = item if _is_ready(item) else _read_one(item, f"{name}[{i}]")
        if arrays and array.shape[1] != arrays[0].shape[1]:
            needed = f"a sequence of {arrays[0].shape[1]} features, as {name}[0]"
            raise ValueError(check.needs(f"{name}[{i}]", needed, item))
        arrays.append(array)
    packed = pack(arrays)
    if not all_finite(packed.values):
        for i, array in enumerate(arrays):
            check_finite(array, f"{name}[{i}]", allow_nan, of_one=True, parent=name)
    return packed


def _is_ready(item: Any) -> bool:
    """Return True for an array that `_read_one` would return unchanged."""
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
    array = _as_floats(array, name)
    return array[:, np.newaxis] if array.ndim == 1 else array


def _as_floats(array: Array, name: str) -> Array:
    """Return the array as floats; an array of float32 or float64 is not copied."""
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must be real; got {array.dtype}")
    if array.dtype.kind == "f" and array.dtype.itemsize >= 4:
        return array
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind == "O" and array.ndim > 0:
        if array.size and np.ndim(array.flat[0]) > 0:
            hint = "Pass a list of arrays (n_timesteps, n_features), one per sequence."
            raise ValueError(
                check.needs(name, "numbers", array, f"Its elements are arrays. {hint}")
            )
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:  # the text names the wrong value
            missing = np.asarray(np.frompyfunc(_is_pandas_na, 1, 1)(array), bool)
            if missing.any():
                return _as_floats(np.where(missing, np.nan, array), name)
            kind = TypeError if isinstance(error, TypeError) else ValueError
            hint = f"{error}".rstrip(".") + "."
            raise kind(check.needs(name, "numbers", array, hint)) from None
    raise ValueError(check.needs(name, "numbers", array))


def _is_pandas_na(value: object) -> bool:
    """Return True for `pandas.NA`, without importing pandas."""
    return type(value).__name__ == "NAType"
