"""Merging of the outputs of the directions of a recurrent layer, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.sequence import Sequence

MERGES = ("concat", "sum", "average")


def merged(merge: str, y: Array | None, h: Array, lengths: Any) -> Sequence:
    """Return the output of a recurrent layer.

    Parameters
    ----------
    merge : {"concat", "sum", "average"}
    y : array (B, T, D * H) or None
        Outputs of the D directions, concatenated along the features.
    h : array (D, B, H)
        Final hidden states.
    lengths : int64 array (B,) or None
    """
    if len(h) == 1:
        return Sequence(y, lengths, h[0])
    if merge == "concat":
        return Sequence(y, lengths, np.concatenate(h, axis=1))
    factor = h.dtype.type(1 if merge == "sum" else 0.5)
    if y is not None:
        size = h.shape[2]
        y = factor * (y[..., :size] + y[..., size:])
    return Sequence(y, lengths, factor * (h[0] + h[1]))


def unmerged(merge: str, directions: int, dy: Array | None) -> Array | None:
    """Return the gradient of the concatenated outputs, given that of the merged output."""
    if dy is None or merge == "concat" or directions == 1:
        return dy
    factor = dy.dtype.type(1 if merge == "sum" else 0.5)
    concatenated: Array = factor * np.concatenate([dy, dy], axis=-1)
    return concatenated


def unmerged_last(merge: str, directions: int, dlast: Array) -> Array:
    """Return the gradient of the final hidden states, (D, B, H), given that of ``last``."""
    if directions == 1:
        return check.contiguous(dlast)[np.newaxis]
    concatenated = unmerged(merge, directions, dlast)
    assert concatenated is not None
    by_direction = concatenated.reshape(len(dlast), directions, -1).transpose(1, 0, 2)
    return np.ascontiguousarray(by_direction)
