"""Reading of targets of steps, and checks of targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm._utils.user_warnings import warn
from fusedlstm.data.forms import is_frame
from fusedlstm.data.sequences import PackedSequences, Sequences, all_steps


def warn_of_label_matrix(y: Array, n_timesteps: int, given: Any) -> None:
    """Warn if the columns of y are probably not independent labels.

    Parameters
    ----------
    y : array (n_samples, n_labels)
        Zeros and ones.
    n_timesteps : int
        Number of steps of the longest sequence.
    given : object
        y as the user passed it.
    """
    n_samples, n_labels = y.shape
    if n_labels < 2:
        return
    if n_labels == n_timesteps:
        warn(
            f"y has one column per time step ({n_timesteps}). Each row of y is read as the targets "
            f"of one sequence, and each column as an independent label of the whole sequence.",
            UserWarning,
        )
    elif n_samples > 1 and bool((y.sum(axis=1) == 1).all()):
        array = "y.to_numpy()" if hasattr(given, "to_numpy") else "y"
        warn(
            f"Each row of y has exactly one 1, but the columns are read as independent labels. For "
            f"mutually exclusive classes pass {array}.argmax(axis=1).",
            UserWarning,
        )


def pack_targets(
    y: Any, lengths: npt.NDArray[np.int64], name: str = "y", width: int | None = None
) -> PackedSequences:
    """Return concatenated targets of steps.

    Parameters
    ----------
    y : list of arrays (T_i, ...), or array (n, T, ...)
        Values of an array past the end of a sequence are ignored.
    lengths : int array (n,)
        Number of steps of each sequence.
    name : str
    width : int or None
        Required number of steps of an array, including padding. With None, any number that is at
        least the length of the longest sequence.

    Returns
    -------
    PackedSequences
    """
    check.without_mask(name, y)
    array = y.to_numpy() if is_frame(y) else y
    if not isinstance(y, (list, tuple)) and hasattr(y, "__array__"):  # such as a Series of arrays
        array = np.asarray(y)
    rows: Any
    if isinstance(array, np.ndarray) and (array.dtype.kind != "O" or array.ndim > 1):
        least = int(lengths.max()) if width is None else width
        too_wide = width is not None and array.shape[1:2] > (width,)
        if array.ndim not in (2, 3) or array.shape[1] < least or too_wide:
            shape = f"({len(lengths)}, {least})"
            needed = f"targets of all steps, of shape {shape} or {shape[:-1]}, n_outputs)"
            raise ValueError(check.needs(name, needed, y))
        rows = list(array)
        if len(rows) == len(lengths):
            rows = [row[:n] for row, n in zip(rows, lengths, strict=True)]
    elif isinstance(array, (list, tuple, np.ndarray)):
        rows = list(array)
    else:
        needed = "a list of arrays, one target for each step of each sequence"
        raise TypeError(check.needs(name, needed, y))
    if len(rows) != len(lengths):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: "
            f"[{len(lengths)}, {len(rows)}]"
        )
    arrays = [
        _targets_of_one(row, n, f"{name}[{i}]")
        for i, (row, n) in enumerate(zip(rows, lengths.tolist(), strict=True))
    ]
    first = arrays[0]
    for i, array in enumerate(arrays):
        if array.shape[1:] != first.shape[1:]:
            needed = f"of shape (n_timesteps, {first.shape[1]})" if first.ndim == 2 else "1-D"
            raise ValueError(check.needs(f"{name}[{i}]", f"{needed}, as {name}[0]", array))
        kinds = {array.dtype.kind, first.dtype.kind}
        if "O" not in kinds and (array.dtype.kind in "US") != (first.dtype.kind in "US"):
            needed = "all text or all numbers"
            raise ValueError(check.needs(name, needed, f"{first.dtype} and {array.dtype}"))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    # The memory order must be C, because another order would change the bits of sums over steps.
    return PackedSequences(np.ascontiguousarray(np.concatenate(arrays)), starts)


def refuse_step_targets(y: Any, sequences: Sequences, name: str, kind: str, use: str) -> None:
    """Raise a ValueError for targets of steps if the estimator has one prediction per sequence.

    Parameters
    ----------
    y : object
        Targets as the user passed them. Lists of equal lengths are accepted, because they may be
        several targets of each sequence.
    sequences : Sequences
    name, kind : str
        Name and kind of the targets, for errors.
    use : str
        Name of the estimator for targets of steps.
    """
    values = np.asarray(y) if hasattr(y, "__array__") else y
    if isinstance(values, np.ndarray) and (values.dtype.kind != "O" or values.ndim != 1):
        return
    if not isinstance(values, (list, tuple, np.ndarray)) or not all(map(has_length, values)):
        return
    counts = list(map(len, values))
    if len(set(counts)) > 1 and counts == sequences.lengths().tolist():
        raise step_targets_error(name, kind, use)


def step_targets_error(name: str, kind: str, use: str) -> ValueError:
    """Return the error about targets of steps for an estimator with one prediction per sequence."""
    return ValueError(
        f"{name} must have one {kind} per sequence; got one {kind} per step. To predict at every "
        f"step use {use}."
    )


def has_length(value: Any) -> bool:
    """Return True for a list or an array of values, False for a number or a string."""
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return False
    return bool(getattr(value, "ndim", 1))


def refuse_at(
    name: str,
    needed: str,
    targets: Sequences,
    wrong: npt.NDArray[np.bool_],
    got: str = "",
    hint: str = "",
) -> None:
    """Raise a ValueError that names the first wrong target, if any target is wrong.

    Parameters
    ----------
    name, needed : str
    targets : Sequences
    wrong : bool array (n_steps,)
        True for the steps with wrong targets, in the concatenation of all sequences.
    got : str
        Description of the wrong target. If empty, the value is shown.
    hint : str
        Sentence that is appended to the error.
    """
    if wrong.any():
        first = int(np.argmax(wrong))
        starts = targets.starts_of_all()
        i = int(np.searchsorted(starts, first, side="right")) - 1
        value = got or check.shown(all_steps(targets)[first])
        sentence = f"{name}[{i}] must be {needed}; got {value} at step {first - starts[i]}"
        raise ValueError(f"{sentence}. {hint}" if hint else sentence)


def _targets_of_one(row: Any, n: int, name: str) -> Array:
    needed = f"{n} target{'s'[: n > 1]}, one for each step of the sequence"
    try:
        array = row.to_numpy() if is_frame(row) else np.asarray(row)
    except ValueError:  # nested lists of unequal lengths
        raise ValueError(check.needs(name, needed, row)) from None
    if array.ndim not in (1, 2) or len(array) != n:
        raise ValueError(check.needs(name, needed, row))
    return array
