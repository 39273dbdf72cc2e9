"""Checks of a classifier's y of several columns."""

from __future__ import annotations

from typing import Any

from fusedlstm._core import Array
from fusedlstm._warnings import warn


def warn_of_label_matrix(y: Array, n_timesteps: int, given: Any) -> None:
    """Warn if the columns of y are probably not independent labels.

    Parameters
    ----------
    y : array (n_samples, n_labels)
        Zeros and ones.
    n_timesteps : int
        Number of steps of the longest sequence.
    given : object
        y as the user gave it.
    """
    n_samples, n_labels = y.shape
    if n_labels < 2:
        return
    if n_labels == n_timesteps:
        warn(
            f"y has one column per time step ({n_timesteps}). Targets are one row per sequence: "
            f"each column is taken as an independent label of the whole sequence.",
            UserWarning,
        )
    elif n_samples > 1 and bool((y.sum(axis=1) == 1).all()):
        array = "y.to_numpy()" if hasattr(given, "to_numpy") else "y"
        warn(
            f"Each row of y has exactly one 1, but its columns are taken as independent labels. "
            f"For classes that exclude each other pass {array}.argmax(axis=1).",
            UserWarning,
        )
