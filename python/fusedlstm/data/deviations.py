"""Standard deviations of constant columns and of numbers whose squares underflow."""

from __future__ import annotations

import numpy as np

from fusedlstm._core import Array

SMALL_SPREAD = 1e-140
"""Squares may have underflowed in the computation of a standard deviation below this bound."""


def is_constant(mean: Array, spread: Array | float) -> Array:
    """Return True for each column that is constant, according to its standard deviation.

    The standard deviation of a constant column is at most a rounding error of the mean, or so small
    that its reciprocal overflows.
    """
    numbers = np.finfo(np.float64)
    constant: Array = spread <= np.maximum(10 * numbers.eps * np.abs(mean), numbers.tiny)
    return constant


def root_mean_square(deviations: Array, weights: Array | None = None) -> Array:
    """Return the root mean square of each column, without underflow of the squares."""
    unit = unit_without_underflow(np.abs(deviations).max(axis=0))
    squares = np.average((deviations / unit) ** 2, axis=0, weights=weights)
    spread: Array = np.sqrt(squares) * unit
    return spread


def unit_without_underflow(largest: Array) -> Array:
    """Return a divisor for each column, such that squares of divided numbers do not underflow.

    The divisors are powers of two and at most 1.

    Parameters
    ----------
    largest : array
        Largest absolute value of each column.
    """
    _, exponent = np.frexp(largest)
    unit: Array = np.ldexp(1.0, np.clip(exponent, -1000, 0))
    return unit
