"""Helpers of the tests: numeric gradients, relative errors, unaligned arrays."""

from __future__ import annotations

import numpy as np


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def numeric_gradient(function, at, step=1e-5):
    """Return central differences of a scalar function of an array, element by element."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        kept = at[index]
        at[index] = kept + step
        above = function()
        at[index] = kept - step
        below = function()
        at[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient


def relative_error(value, expected):
    """Return the largest absolute error over max(1, largest absolute expected value)."""
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape, (value.shape, expected.shape)
    return float(np.abs(value - expected).max() / max(1.0, np.abs(expected).max()))


def unaligned(array):
    """Return a copy whose elements are at unaligned addresses."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    copy = memory[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    assert not copy.flags.aligned
    return copy
