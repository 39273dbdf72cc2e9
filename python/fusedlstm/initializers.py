"""Initial values of weight matrices."""

from __future__ import annotations

import math

import numpy as np

from fusedlstm._core import Array


def xavier_uniform(rng: np.random.Generator, fan_out: int, fan_in: int) -> Array:
    """Return a (fan_out, fan_in) matrix, uniform with variance 2 / (fan_in + fan_out)."""
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_out, fan_in))


def orthogonal(rng: np.random.Generator, size: int) -> Array:
    """Return a random orthogonal matrix (Saxe, McClelland and Ganguli 2014)."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    signs: Array = np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q * signs
