"""Initial values of weights and biases.

Random numbers are drawn in float32 for models of both dtypes, so their parameters agree.
"""

from __future__ import annotations

import math

import numpy as np

from fusedlstm._core import Array

__all__ = ["lecun_uniform", "orthogonal", "spread_gate_bias", "uniform", "xavier_uniform"]

CHUNK = 1 << 16
"""Number of random numbers that are drawn and then scaled while they are in the CPU cache."""

MAX_GATE_BIAS = 5.0
"""Upper limit of the biases that `spread_gate_bias` returns."""


def uniform(rng: np.random.Generator, shape: tuple[int, ...], deviation: float) -> Array:
    """Return a float32 array from a uniform distribution with mean 0.

    Parameters
    ----------
    rng : numpy Generator
    shape : tuple of int
    deviation : float
        Standard deviation of the distribution.
    """
    values = np.empty(shape, np.float32)
    flat = values.reshape(-1)
    width = np.float32(math.sqrt(12) * deviation)
    for start in range(0, len(flat), CHUNK):
        chunk = flat[start : start + CHUNK]
        rng.random(out=chunk, dtype=np.float32)
        chunk -= np.float32(0.5)
        chunk *= width
    return values


def lecun_uniform(rng: np.random.Generator, rows: int, fan_in: int) -> Array:
    """Return a (rows, fan_in) matrix, uniform with variance 1 / fan_in.

    References
    ----------
    .. [1] LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
    """
    return uniform(rng, (rows, fan_in), 1 / math.sqrt(fan_in))


def spread_gate_bias(units: int) -> Array:
    """Return biases (units,) of a sigmoid forget gate, for memories of different lengths.

    A unit whose forget gate has the bias b keeps a memory for about 1 + exp(b) steps. The bias of
    unit k is ``MAX_GATE_BIAS * ((k + 1/2) / units)**2``. So half of the units have memories of 2 to
    5 steps, and the last units of about 100 steps, at most 150.

    References
    ----------
    .. [1] Tallec and Ollivier, "Can Recurrent Neural Networks Warp Time?", 2018.
    """
    evenly = (np.arange(units) + 0.5) / units
    biases: Array = (MAX_GATE_BIAS * evenly**2).astype(np.float32)
    return biases


def xavier_uniform(rng: np.random.Generator, fan_out: int, fan_in: int) -> Array:
    """Return a (fan_out, fan_in) matrix, uniform with variance 2 / (fan_in + fan_out).

    References
    ----------
    .. [1] Glorot and Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural
       Networks", 2010.
    """
    return uniform(rng, (fan_out, fan_in), math.sqrt(2 / (fan_in + fan_out)))


def orthogonal(rng: np.random.Generator, rows: int, columns: int | None = None) -> Array:
    """Return a random matrix with orthonormal columns or rows.

    The matrix is square if ``columns`` is None. The number of operations is proportional to
    ``max(rows, columns) ** 2``.

    Notes
    -----
    Orthogonal weights keep the length of the hidden state from step to step [1]_. The square
    matrix of n rows is a product of two sparse orthogonal matrices, as in [2]_. The n coordinates
    are the cells of a grid of about sqrt(n) rows and columns. The first factor applies a random
    orthogonal matrix to each row of the grid. The second factor applies a random orthogonal matrix
    to each column. Every element of the product is one multiplication. If the grid has more than n
    cells, the last cells of its last column are left out. The element of the cells (i, k) and
    (j, l) is 0 if the cell (i, l) is left out.

    References
    ----------
    .. [1] Saxe, McClelland and Ganguli, "Exact Solutions to the Nonlinear Dynamics of Learning in
       Deep Linear Neural Networks", 2014.
    .. [2] Dao et al., "Monarch: Expressive Structured Matrices for Efficient and Accurate
       Training", 2022.
    """
    columns = rows if columns is None else columns
    size = max(rows, columns)
    height = math.isqrt(size - 1) + 1
    width = -(-size // height)
    short = height * width - size  # rows of the grid that have no cell in the last column
    full = height - short
    of_rows = np.zeros((height, width, width), np.float32)
    of_rows[:full] = _orthogonal_blocks(rng, full, width)
    of_rows[full:, :-1, :-1] = _orthogonal_blocks(rng, short, width - 1)
    of_columns = np.zeros((width, height, height), np.float32)
    of_columns[:-1] = _orthogonal_blocks(rng, width - 1, height)
    of_columns[-1, :full, :full] = _orthogonal_blocks(rng, 1, full)[0]
    # out[(j, l), (i, k)] = of_columns[l, j, i] * of_rows[i, l, k]: from cell (i, k) along row i
    # to (i, l), then along column l to (j, l).
    matrix = np.empty((size, size), np.float32)
    edge = full * width
    parts = [(slice(full), width, slice(edge))]
    if short:
        parts.append((slice(full, None), width - 1, slice(edge, None)))
    for to, wide_to, below in parts:
        for start, wide_from, beside in parts:
            left = of_columns[:wide_to, to, start].transpose(1, 0, 2)
            right = of_rows[start, :wide_to, :wide_from].transpose(1, 0, 2)
            view = matrix[below, beside].reshape(*left.shape, wide_from)
            np.multiply(left[..., np.newaxis], right, out=view)
    return matrix[:rows, :columns]


def _orthogonal_blocks(rng: np.random.Generator, count: int, size: int) -> Array:
    """Return random orthogonal matrices (count, size, size), by the Gram-Schmidt process.

    Every vector is orthogonalized twice, in float64. The sums do not use BLAS, so their bits do not
    depend on its number of threads.
    """
    blocks: Array = rng.standard_normal((count, size, size), dtype=np.float32).astype(np.float64)
    for number in range(size):
        before, vectors = blocks[:, :number], blocks[:, number]
        for _ in range(2):
            along = np.einsum("nij,nj->ni", before, vectors)
            vectors -= np.einsum("nij,ni->nj", before, along)
        vectors /= np.sqrt(np.einsum("nj,nj->n", vectors, vectors))[:, np.newaxis]
    return blocks


def __dir__() -> list[str]:
    return sorted(__all__)
