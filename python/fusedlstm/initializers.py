"""Initial values of weight matrices."""

from __future__ import annotations

import math

import numpy as np

from fusedlstm._core import Array


def xavier_uniform(rng: np.random.Generator, fan_out: int, fan_in: int) -> Array:
    """Return a (fan_out, fan_in) matrix, uniform with variance 2 / (fan_in + fan_out)."""
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_out, fan_in))


def orthogonal(rng: np.random.Generator, rows: int, columns: int | None = None) -> Array:
    """Return a random matrix of orthonormal columns or rows (Saxe, McClelland and Ganguli 2014).

    Square if ``columns`` is left out.
    """
    columns = rows if columns is None else columns
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    signs = np.where(np.diagonal(r) < 0, -1.0, 1.0)
    matrix: Array = q * signs
    return matrix if rows >= columns else matrix.T
