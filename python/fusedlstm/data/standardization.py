"""Standardization of X inside the estimators: zero mean and unit variance per feature.

The statistics are computed in float64 over the real steps of the training sequences. The compiled
core standardizes sequences when they are taken from their container, so X itself is not copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm._utils.chunks import rows_per_chunk
from fusedlstm._utils.user_warnings import warn
from fusedlstm.data.deviations import SMALL_SPREAD, is_constant, unit_without_underflow
from fusedlstm.data.sequences import Lengths, Sequences


class Standardizer:
    """Function of arrays (..., n_features): ``(x - mean) / scale``, computed in float64.

    Parameters
    ----------
    mean, scale : float64 array (n_features,)
    dtype : {"float32", "float64"}
        Data type of the results.

    Attributes
    ----------
    core : object
        The standardizer of the compiled core, for streams.
    """

    def __init__(self, mean: Array, scale: Array, dtype: npt.DTypeLike) -> None:
        self.core = core.Standardizer(np.dtype(dtype).name, mean, scale)
        self._standardize = self.core.standardize
        self.take: Any = self.core.take

    def __call__(self, x: Array) -> Array:
        """Return the standardized array, contiguous."""
        y = self._standardize(x)
        if y is None:
            kind = np.float32 if x.dtype == np.float32 else np.float64
            y = self._standardize(np.require(x, kind, ["C", "A", "E"]))
        assert y is not None
        return y


class StandardizedSequences(Sequences):
    """Sequences that are standardized when they are taken.

    Parameters
    ----------
    sequences : Sequences
    standardizer : Standardizer
    """

    def __init__(self, sequences: Sequences, standardizer: Standardizer) -> None:
        self.base, self.standardizer = sequences, standardizer
        self.n_features, self.form = sequences.n_features, sequences.form

    def __len__(self) -> int:
        return len(self.base)

    def take(self, rows: Any, dtype: npt.DTypeLike | None) -> tuple[Array, Lengths | None]:
        """Return the standardized sequences ``rows`` in the standardizer's data type."""
        return self.base.take_standardized(rows, self.standardizer)

    def lengths(self) -> Lengths:
        """Return the number of steps of each sequence."""
        return self.base.lengths()

    def longest(self) -> int:
        """Return an upper bound of the number of steps."""
        return self.base.longest()

    def numbers(self) -> Array:
        """Return the steps before standardization."""
        return self.base.numbers()


def mean_and_scale(sequences: Sequences, weights: Array | None) -> tuple[Array, Array]:
    """Return mean and standard deviation of each feature over all real steps.

    Parameters
    ----------
    sequences : Sequences
    weights : array (n,) or None
        Weights of the sequences.

    Returns
    -------
    mean, scale : float64 array (n_features,)
        The scale of a constant feature is 1.

    Notes
    -----
    The function reads the data once, chunk by chunk. The moments of the chunks are merged (Chan,
    Golub and LeVeque, 1983), which keeps the variance accurate for a large mean. If squares of a
    feature may underflow, the feature is divided by a power of two, which needs two more passes.
    """
    mean, scale = _moments(sequences, weights)
    if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
        largest = np.nanmax(np.abs(sequences.numbers()))
        raise ValueError(check.needs("X", "numbers with finite squares", largest))
    small = (scale < SMALL_SPREAD) & ~is_constant(mean, SMALL_SPREAD)
    if small.any():
        largest = np.zeros_like(mean)
        for steps, _ in _weighted_chunks(sequences, None):
            largest = np.maximum(largest, np.abs(steps - mean).max(axis=0))
        unit = np.where(small, unit_without_underflow(largest), 1.0)
        if (unit < 1).any():
            mean, scale = _moments(sequences, weights, unit)
            mean, scale = mean * unit, scale * unit
    return mean, np.where(is_constant(mean, scale), 1.0, scale)


def _moments(
    sequences: Sequences, weights: Array | None, unit: Array | None = None
) -> tuple[Array, Array]:
    """Return mean and standard deviation of each feature, both divided by ``unit``."""
    total, mean, squares = 0.0, np.zeros(sequences.n_features), np.zeros(sequences.n_features)
    with np.errstate(over="ignore", invalid="ignore"):
        for steps, of_steps in _weighted_chunks(sequences, weights):
            if unit is not None:
                steps = steps / unit
            weight = of_steps.sum()
            if weight == 0:
                continue
            chunk_mean = of_steps @ steps / weight
            shift = chunk_mean - mean
            share = weight / (total + weight)
            mean = mean + shift * share
            squares = squares + of_steps @ (steps - chunk_mean) ** 2 + shift**2 * total * share
            total += weight
        return mean, np.sqrt(squares / total)


def warn_of_constant_features(sequences: Sequences, scale: Array | None) -> None:
    """Warn if features are constant in the first call of `partial_fit`.

    Parameters
    ----------
    sequences : Sequences
        Sequences of the first call.
    scale : array (n_features,) or None
        Scale of the features, 1 for a constant feature. None if X is not standardized.
    """
    if scale is None:
        return
    values = sequences.numbers()
    constant = []
    for feature in np.flatnonzero(scale == 1):
        low, high = (float(f(values[..., feature], None)) for f in (np.fmin.reduce, np.fmax.reduce))
        if is_constant(np.array(low), np.array(high - low)):
            constant.append(str(feature))
    if constant:
        which = "feature" if len(constant) == 1 else "features"
        is_or_are = "is" if len(constant) == 1 else "are"
        shown = ", ".join(constant[:5]) + (", ..." if len(constant) > 5 else "")
        warn(
            f"X is standardized with the mean and scale of the first call of partial_fit, in which "
            f"{which} {shown} {is_or_are} constant. The scale stays 1 in later calls. Pass a first "
            f"batch in which every feature varies, or scale X before and set standardize=False.",
            UserWarning,
        )


def _weighted_chunks(sequences: Sequences, weights: Array | None) -> Iterator[tuple[Array, Array]]:
    """Yield chunks of the real steps (n_steps, n_features), and the weights of the steps."""
    longest = int(sequences.lengths().max())
    rows = rows_per_chunk(longest * sequences.n_features)
    for start in range(0, len(sequences), rows):
        part = slice(start, start + rows)
        x, lengths = sequences.take(part, np.float64)
        n_sequences, n_steps = x.shape[:2]
        of_sequences = np.ones(n_sequences) if weights is None else weights[part]
        if lengths is None:
            yield x.reshape(-1, x.shape[2]), np.repeat(of_sequences, n_steps)
        else:
            real = np.arange(n_steps) < lengths[:, np.newaxis]
            yield x[real], np.repeat(of_sequences, lengths)
