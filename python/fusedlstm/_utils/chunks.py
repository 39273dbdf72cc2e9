"""Chunks of large arrays, so that a memory map is not loaded as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

CHUNK_SIZE = 2**20
"""Number of array elements that are processed at a time."""


def row_chunks(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield consecutive rows of an array, in chunks of about `CHUNK_SIZE` elements."""
    rows = max(1, CHUNK_SIZE * len(array) // max(1, array.size))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def rows_per_chunk(row_size: int) -> int:
    """Return the number of rows of a chunk, at least 1, for rows of ``row_size`` elements."""
    return max(1, CHUNK_SIZE // row_size)
