"""Searches for NaN and infinity, in chunks of large arrays."""

from __future__ import annotations

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm._utils import chunks
from fusedlstm._utils.chunks import row_chunks
from fusedlstm.data.sequences import Lengths


def all_finite(array: Array) -> bool:
    """Return True if an array contains neither NaN nor infinity."""
    known = core.all_finite(array)
    if known is not None:
        return known
    if array.size <= chunks.CHUNK_SIZE:
        return bool(np.isfinite(array).all())
    return all(np.isfinite(chunk).all() for chunk in row_chunks(array))


def check_finite(
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
    """Raise a ValueError if an array contains infinity, or NaN where it is not allowed.

    The error names the sequence, the step and the feature.

    Parameters
    ----------
    array : array (n, T), (n, T, F), or with ``of_one`` (T, F)
    name : str
    allow_nan : bool
    of_one : bool
        True if the array is one sequence.
    parent : str
        Name of the list that contains the sequence ``name``.
    real : bool array (n, T) or None
        True for the steps to check. With None all steps are checked.
    start : int
        Index of the first sequence of the array.
    hint : str
        Text that is appended to the error about NaN.
    """
    if all_finite(array if real is None else array[real]):
        return
    for kind, wrong in (("NaN", np.isnan), ("infinity", np.isinf)):
        if kind == "NaN" and allow_nan:
            continue
        row = start
        for chunk in row_chunks(array):
            found = wrong(chunk)
            if real is not None:
                found &= real[row - start : row - start + len(chunk), :, np.newaxis]
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
            row += len(chunk)


def ends_in_nan(array: Array) -> bool:
    """Return True if NaN occurs only at the ends of rows of an array (n, T), and no row is NaN."""
    for chunk in row_chunks(array):
        nan = np.isnan(chunk)
        at_end = np.logical_and.accumulate(nan[:, ::-1], axis=1)[:, ::-1]
        if (nan != at_end).any() or at_end[:, 0].any():
            return False
    return True


def lengths_before_nan(array: Array, name: str, allow_nan: bool) -> Lengths | None:
    """Return the number of steps before the NaN padding; None if all numbers are finite.

    Parameters
    ----------
    array : array (n, T, F)
    name, allow_nan
        See `check_finite`, which checks the steps before the padding.
    """
    if all_finite(array):
        return None
    lengths = np.empty(len(array), np.int64)
    start = 0
    for chunk in row_chunks(array):
        padding = np.asarray(np.isnan(chunk).all(axis=2))
        empty = np.asarray(padding.all(axis=1))
        if empty.any():
            wrong = start + int(np.argmax(empty))
            raise ValueError(f"{name}[{wrong}] must have at least one step that is not NaN")
        real_steps = array.shape[1] - np.argmin(padding[:, ::-1], axis=1)
        real = np.arange(array.shape[1]) < real_steps[:, np.newaxis]
        check_finite(chunk, name, allow_nan, real=real, start=start)
        lengths[start : start + len(chunk)] = real_steps
        start += len(chunk)
    return lengths
