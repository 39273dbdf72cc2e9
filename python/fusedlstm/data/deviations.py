"""Standard deviations of columns: constant columns, and numbers whose squares underflow."""

from __future__ import annotations

import numpy as np

from fusedlstm._core import Array

SMALL_SPREAD = 1e-140
"""Standard deviations below this bound may have been computed from squares that underflow."""


def is_constant(mean: Array, spread: Array | float) -> Array:
    """Return True where a standard deviation is that of a constant.

    It is then of the size of the rounding errors of the mean, or so small that its reciprocal
    overflows.
    """
    numbers = np.finfo(np.float64)
    constant: Array = spread <= np.maximum(10 * numbers.eps * np.abs(mean), numbers.tiny)
    return constant


def root_mean_square(deviations: Array, weights: Array | None = None) -> Array:
    """Return the root mean square of each column, correct if the squares underflow."""
    unit = unit_without_underflow(np.abs(deviations).max(axis=0))
    squares = np.average((deviations / unit) ** 2, axis=0, weights=weights)
    spread: Array = np.sqrt(squares) * unit
    return spread


def unit_without_underflow(largest: Array) -> Array:
    """Return powers of two, at most 1: numbers divided by them have squares that do not underflow.

    Parameters
    ----------
    largest : array
        Largest absolute values.
    """
    _, exponent = np.frexp(largest)
    unit: Array = np.ldexp(1.0, np.clip(exponent, -1000, 0))
    return unit
