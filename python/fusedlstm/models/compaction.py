"""Masked steps: the real steps of each sequence are computed as a shorter sequence.

A recurrent layer carries its state over a masked step, in either direction, as if the sequence did
not have the step. So masked steps are taken out before the computation, and the work is
proportional to the number of real steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check


@dataclass(frozen=True)
class RealSteps:
    """The positions of the steps that are not masked.

    ``latest`` has for each step the number of the latest real step at or before it. It is -1 before
    the first and after the last real step.
    """

    mask: npt.NDArray[np.bool_]  # (B, T)
    lengths: npt.NDArray[np.int64]  # (B,)
    times: npt.NDArray[np.intp]  # (B, longest): the position of the k-th real step
    latest: npt.NDArray[np.intp]  # (B, T)

    @classmethod
    def of(cls, mask: npt.ArrayLike, batch: int, steps: int) -> RealSteps:
        """Read a mask, (B, T) of booleans."""
        check.without_mask("mask", mask)
        array = np.asarray(mask)
        if array.dtype != bool or array.shape != (batch, steps):
            needed = f"an array of booleans of shape {(batch, steps)}"
            raise ValueError(check.needs("mask", needed, mask))
        lengths = array.sum(axis=1, dtype=np.int64)
        if not lengths.all():
            row = int(np.argmin(lengths))
            raise ValueError(
                f"mask must leave at least one step of each sequence; row {row} has none"
            )
        times = np.argsort(~array, axis=1, kind="stable")[:, : lengths.max()]
        latest = np.cumsum(array, axis=1) - 1
        latest[~array & (latest == lengths[:, np.newaxis] - 1)] = -1
        return cls(array, lengths, times, latest)

    def take(self, x: Array) -> Array:
        """Return the real steps of an array (B, T, F)."""
        taken: Array = np.take_along_axis(x, self.times[:, :, np.newaxis], axis=1)
        return taken

    def spread(self, y: Array) -> Array:
        """Return the outputs at all steps. A masked step repeats the output before it."""
        rows = np.arange(len(y))[:, np.newaxis]
        spread: Array = y[rows, self.latest]
        spread[self.latest < 0] = 0
        return spread

    def gather(self, dy: Array) -> Array:
        """Return the gradient of the argument of `spread`, given the gradient of its result."""
        gathered = np.zeros((len(dy), self.times.shape[1], dy.shape[2]), dy.dtype)
        rows, times = np.nonzero(self.latest >= 0)
        np.add.at(gathered, (rows, self.latest[rows, times]), dy[rows, times])
        return gathered

    def scatter(self, dx: Array) -> Array:
        """Return the gradient of the argument of `take`, given the gradient of its result.

        It is zero at masked steps.
        """
        scattered = np.zeros((*self.mask.shape, dx.shape[2]), dx.dtype)
        scattered[self.mask] = dx[np.arange(dx.shape[1]) < self.lengths[:, np.newaxis]]
        return scattered
