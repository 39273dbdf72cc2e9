"""Initial values of weight matrices."""

from __future__ import annotations

import math

import numpy as np

from fusedlstm._core import Array

__all__ = ["orthogonal", "xavier_uniform"]

BLOCK = 256
"""Vectors that `orthogonal` treats together."""


def xavier_uniform(rng: np.random.Generator, fan_out: int, fan_in: int) -> Array:
    """Return a (fan_out, fan_in) matrix, uniform with variance 2 / (fan_in + fan_out)."""
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_out, fan_in))


def orthogonal(rng: np.random.Generator, rows: int, columns: int | None = None) -> Array:
    """Return a random matrix of orthonormal columns or rows (Saxe, McClelland and Ganguli 2014).

    Square if ``columns`` is left out.

    Notes
    -----
    Gram and Schmidt's process in blocks, each passed through twice, is as exact as LAPACK's QR and
    spares its many small threaded steps, which on shared cores take a second for 128 columns.
    """
    columns = rows if columns is None else columns
    vectors: Array = rng.standard_normal((max(rows, columns), min(rows, columns))).T.copy()
    for start in range(0, len(vectors), BLOCK):
        before, block = vectors[:start], vectors[start : start + BLOCK]
        for _ in range(2):
            block -= (block @ before.T) @ before
            for number, vector in enumerate(block):
                vector -= (block[:number] @ vector) @ block[:number]
                vector /= math.sqrt(vector @ vector)
    return vectors.T if rows >= columns else vectors


def __dir__() -> list[str]:
    return sorted(__all__)
