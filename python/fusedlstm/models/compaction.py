"""Masks: removal of the masked steps of each sequence before the computation.

A masked step does not change the state of a recurrent layer, in either direction. So the result is
the same as for a shorter sequence without the masked steps, and the computing time is proportional
to the number of real steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check


@dataclass(frozen=True)
class RealSteps:
    """The positions of the real steps, which are not masked.

    ``latest`` is k at the k-th real step and at the masked steps directly after it. k is counted
    from 0. ``latest`` is -1 before the first and after the last real step.
    """

    mask: npt.NDArray[np.bool_]  # (B, T): True for real steps
    lengths: npt.NDArray[np.int64]  # (B,): numbers of real steps
    times: npt.NDArray[np.intp]  # (B, lengths.max()): position of the k-th real step
    latest: npt.NDArray[np.intp]  # (B, T)

    @classmethod
    def of(cls, mask: npt.ArrayLike, batch: int, steps: int) -> RealSteps:
        """Check a mask, (B, T) of booleans, and return the positions of its real steps."""
        check.without_mask("mask", mask)
        array = np.asarray(mask)
        if array.dtype != bool or array.shape != (batch, steps):
            needed = f"an array of booleans of shape {(batch, steps)}"
            raise ValueError(check.needs("mask", needed, mask))
        lengths = array.sum(axis=1, dtype=np.int64)
        if not lengths.all():
            row = int(np.argmin(lengths))
            raise ValueError(
                f"mask must be True for at least one step of each sequence; got none in row {row}"
            )
        times = np.argsort(~array, axis=1, kind="stable")[:, : lengths.max()]
        latest = np.cumsum(array, axis=1) - 1
        latest[~array & (latest == lengths[:, np.newaxis] - 1)] = -1
        return cls(array, lengths, times, latest)

    def take(self, x: Array) -> Array:
        """Return the real steps of an array (B, T, F), as (B, lengths.max(), F)."""
        taken: Array = np.take_along_axis(x, self.times[:, :, np.newaxis], axis=1)
        return taken

    def spread(self, y: Array) -> Array:
        """Return the outputs at all steps, given the outputs at the real steps.

        A masked step between two real steps repeats the output of the latest real step.
        """
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
