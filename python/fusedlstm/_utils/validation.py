"""Validation of arguments. Most functions return the checked value or raise an error.

Errors have one grammar, "`name` must be `what is needed`; got `value`", with a hint if it helps.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

DTYPES = ("float32", "float64")
_FLOATS = tuple(map(np.dtype, DTYPES))
LARGEST_INT = 2**31 - 1


def shown(value: object) -> str:
    """Return a short text that shows a value in an error message."""
    if isinstance(value, np.ndarray):
        kind = "an array" if type(value) is np.ndarray else f"a {type(value).__name__}"
        return f"{kind} of shape {value.shape} and dtype {value.dtype}"
    try:
        text = repr(value.item() if isinstance(value, np.generic) else value)
    except ValueError:  # an integer of thousands of digits
        return "a value that is too long to show"
    return text if len(text) <= 60 else text[:57] + "..."


def needs(name: str, needed: str, value: object, hint: str = "") -> str:
    """Return the text of an error message.

    Parameters
    ----------
    name : str
        Name of the argument.
    needed : str
        Requirement on the value, the text after "must be".
    value : object
        The wrong value.
    hint : str
        A sentence after the error.
    """
    return f"{name} must be {needed}; got {shown(value)}" + (f". {hint}" if hint else "")


def positive_int(name: str, value: object) -> int:
    """Return ``value`` as an int of at least 1."""
    return int_at_least(name, value, 1, "a positive integer")


def int_at_least(name: str, value: object, low: int, needed: str) -> int:
    """Return ``value`` as an int of at least ``low``; a bool raises a TypeError."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(needs(name, needed, value))
    if int(value) < low:
        raise ValueError(needs(name, needed, value))
    if int(value) > LARGEST_INT:
        raise ValueError(needs(name, f"at most {LARGEST_INT}", value))
    return int(value)


def real_in(
    name: str,
    value: object,
    needed: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return ``value`` as a finite float between the bounds."""
    if not isinstance(value, float) and (  # float first: it is frequent and fast to check
        isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real)
    ):
        raise TypeError(needs(name, needed, value))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    too_low = number <= low if open_low else number < low
    too_high = number >= high if open_high else number > high
    if not math.isfinite(number) or too_low or too_high:
        raise ValueError(needs(name, needed, value))
    return number


def positive(name: str, value: object) -> float:
    """Return ``value`` as a finite float above 0."""
    return real_in(name, value, "a positive number", 0.0, open_low=True)


def not_negative(name: str, value: object) -> float:
    """Return ``value`` as a finite float of at least 0."""
    return real_in(name, value, "a number of at least 0", 0.0)


def fraction(name: str, value: object) -> float:
    """Return ``value`` as a float in [0, 1)."""
    return real_in(name, value, "a number in [0, 1)", 0.0, 1.0, open_high=True)


def true_or_false(name: str, value: object) -> bool:
    """Return ``value`` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(needs(name, "True or False", value))
    return bool(value)


def true_false_or_auto(name: str, value: object) -> bool | str:
    """Return ``value`` if it is True, False or "auto"."""
    if isinstance(value, str) and value == "auto":
        return value
    if not isinstance(value, (bool, np.bool_)):
        raise (ValueError if isinstance(value, str) else TypeError)(
            needs(name, "True, False or 'auto'", value)
        )
    return bool(value)


def choice(name: str, value: object, options: Iterable[str], needed: str = "") -> str:
    """Return ``value`` if it is one of the options; the error suggests the nearest option."""
    names = list(options)
    if isinstance(value, str) and value in names:
        return value
    near = difflib.get_close_matches(value.lower(), names, n=1) if isinstance(value, str) else []
    hint = f"Did you mean {near[0]!r}?" if near else ""
    raise (ValueError if isinstance(value, str) else TypeError)(
        needs(name, needed or "one of " + ", ".join(names), value, hint)
    )


def float_dtype(name: str, value: object) -> np.dtype[Any]:
    """Return float32 or float64 as a dtype."""
    try:
        dtype: np.dtype[Any] | None = np.dtype(value)  # type: ignore[call-overload]
    except TypeError:
        dtype = None
    if value is None or dtype is None or dtype.name not in DTYPES:
        raise ValueError(needs(name, "'float32' or 'float64'", value))
    return dtype


def real_array(name: str, value: object, dtype: npt.DTypeLike) -> Array:
    """Return ``value`` as an array of this float dtype, copied only if necessary."""
    without_mask(name, value)
    try:
        array = np.asarray(value)
    except ValueError:  # nested sequences of unequal lengths
        raise ValueError(needs(name, "an array of numbers", value)) from None
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must be real; got {array.dtype}")
    if array.dtype.kind == "O" and array.ndim > 0:
        if any(number is None for number in array.flat):  # NumPy would convert it to NaN
            raise TypeError(needs(name, "an array of numbers", value, "It contains None."))
        try:
            return array.astype(dtype)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(needs(name, "an array of numbers", value)) from None
    if array.dtype.kind not in "biuf":
        raise TypeError(needs(name, "an array of numbers", value))
    return array.astype(dtype, copy=False)


def without_mask(name: str, value: object) -> None:
    """Raise a TypeError for a masked array, or a list of them: conversion ignores the mask."""
    if type(value) is np.ndarray:
        return
    for part in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(part, np.ma.MaskedArray):
            hint = "Call its method filled(value) first."
            raise TypeError(needs(name, "an array without a mask", part, hint))


def sequence_array(name: str, value: object, dtype: np.dtype[Any], features: int) -> Array:
    """Return an array (B, T, features) in which the features of a step are contiguous."""
    if (  # the most frequent case, in which no conversion is necessary
        type(value) is np.ndarray
        and value.dtype is dtype
        and value.ndim == 3
        and value.shape[2] == features
        and value.size
        and value.flags.c_contiguous
        and value.flags.aligned
    ):
        return value
    array = real_array(name, value, dtype)
    needed = f"an array of shape (n_sequences, n_timesteps, {features})"
    if array.ndim == 2 and array.shape[1] == features:
        raise ValueError(needs(name, needed, array, f"For one sequence pass {name}[np.newaxis]."))
    if array.ndim != 3 or array.shape[2] != features:
        raise ValueError(needs(name, needed, array))
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise ValueError(needs(name, "at least one sequence of at least one step", array))
    return with_steps_contiguous(array)


def with_steps_contiguous(array: Array) -> Array:
    """Return the array, copied only if the features of a step are not contiguous in memory."""
    item = array.itemsize
    apart = array.shape[2] > 1 and array.strides[2] != item
    if apart or not array.flags.aligned or any(stride % item for stride in array.strides):
        return contiguous(array)
    return array


def contiguous(array: Array) -> Array:
    """Return a C-contiguous and aligned array, copied only if necessary."""
    array = np.ascontiguousarray(array)
    return array if array.flags.aligned else array.copy()


def sequence_lengths(value: object, batch: int, steps: int) -> npt.NDArray[np.int64] | None:
    """Return lengths as int64: one integer in [1, steps] per sequence, or None."""
    if value is None:
        return None
    needed = f"{batch} integers, one per sequence"
    try:
        array = np.asarray(value)
    except ValueError:  # nested sequences of unequal lengths
        raise ValueError(needs("lengths", needed, value)) from None
    if array.dtype.kind not in "iu" or array.shape != (batch,):
        raise ValueError(needs("lengths", needed, value))
    if array.min() < 1 or array.max() > steps:
        wrong = int(array[(array < 1) | (array > steps)][0])
        raise ValueError(needs("lengths", f"between 1 and {steps}, the number of steps", wrong))
    return contiguous(array.astype(np.int64, copy=False))


def row_numbers(name: str, value: object, count: int) -> npt.NDArray[np.int64]:
    """Return indices of rows as int64: at least one, each in [0, count)."""
    needed = f"integers from 0 to {count - 1}, at least one"
    try:
        array = np.asarray(value)
    except ValueError:  # nested sequences of unequal lengths
        raise ValueError(needs(name, needed, value)) from None
    if array.dtype.kind not in "iu" or array.ndim != 1 or array.size == 0:
        raise ValueError(needs(name, needed, value))
    if array.min() < 0 or array.max() >= count:
        raise ValueError(needs(name, needed, value))
    return array.astype(np.int64)


def generator(name: str, value: object) -> np.random.Generator | None:
    """Return a numpy Generator or None."""
    if value is not None and not isinstance(value, np.random.Generator):
        raise TypeError(needs(name, "a numpy Generator or None", value))
    return value


def flat_array(name: str, value: object, like: Array | None = None) -> Array:
    """Return a flat, writeable array of the size and dtype of ``like``."""
    if (
        not isinstance(value, np.ndarray)
        or value.ndim != 1
        or not value.flags.carray  # contiguous, aligned and writeable
        or value.dtype not in _FLOATS
        or (like is not None and (value.shape != like.shape or value.dtype != like.dtype))
    ):
        what = "numbers" if like is None else f"{like.size} numbers of {like.dtype}"
        needed = f"a flat, contiguous, aligned and writeable array of {what}"
        raise (ValueError if isinstance(value, np.ndarray) else TypeError)(
            needs(name, needed, value)
        )
    return value
