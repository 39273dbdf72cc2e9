"""Batches of sequences, the input and output of layers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array

__all__ = ["Sequence", "rows_of"]


class Sequence(NamedTuple):
    """A batch of sequences, or the gradient of a batch.

    Attributes
    ----------
    x : array (B, T, F), array (B, F) or None
        All steps, or vectors after a layer that reduces. In the forward pass None if no layer reads
        the steps, in the backward pass None if their gradient is zero.
    lengths : int64 array (B,) or None
        Number of real steps of each sequence. They are its first steps. None: all have T.
    last : array (B, F) or None
        The final output of each direction of a recurrent layer, for `LastStep`. Other layers do not
        read or set it.
    """

    x: Array | None
    lengths: npt.NDArray[np.int64] | None = None
    last: Array | None = None

    @property
    def size(self) -> int:
        """Number of features."""
        array: Any = self.last if self.x is None else self.x
        return array.shape[-1]  # type: ignore[no-any-return]

    def steps(self) -> Array:
        """Return ``x``, which must not be None."""
        assert self.x is not None, "the layer before was told not to compute all steps"
        return self.x

    def mask(self) -> npt.NDArray[np.bool_] | None:
        """Return an array (B, T) that is True for real steps. None: all steps are real."""
        if self.lengths is None or self.x is None or self.x.ndim == 2:
            return None
        mask: npt.NDArray[np.bool_] = np.arange(self.x.shape[1]) < self.lengths[:, np.newaxis]
        return mask

    def rows(self) -> Array:
        """Return the real steps of all sequences, or the vectors, as an array (N, F)."""
        return rows_of(self.steps(), None if self.lengths is None else self.mask())

    def with_rows(self, rows: Array) -> Sequence:
        """Return a batch with the same lengths and other real steps.

        It is zero after the end of each sequence.

        Parameters
        ----------
        rows : array (N, K)
            The real steps, in the order of the method `rows`.
        """
        x = self.steps()
        if x.ndim == 2:
            return Sequence(rows)
        mask = self.mask()
        shape = (*x.shape[:2], *rows.shape[1:])
        if mask is None:
            return Sequence(rows.reshape(shape))
        flat = np.zeros((mask.size, *shape[2:]), rows.dtype)
        flat[np.flatnonzero(mask)] = rows
        return Sequence(flat.reshape(shape), self.lengths)

    def zeroed(self) -> Sequence:
        """Return the batch with zeros after the end of each sequence."""
        mask = self.mask()
        if mask is None:
            return self
        return self._replace(x=np.where(mask[:, :, np.newaxis], self.steps(), 0))


def rows_of(array: Array, mask: npt.NDArray[np.bool_] | None, axes: int | None = None) -> Array:
    """Return the real steps of an array (B, T, ...) as rows (N, ...).

    Parameters
    ----------
    array : array
    mask : bool array (B, T) or None
        None: all steps are real.
    axes : int or None
        Number of leading axes that are sequences and steps: 2, or 1 for an array whose rows are
        returned unchanged. None: 2 if the array has at least three axes, else 1.
    """
    if mask is not None and array.shape[:2] == mask.shape:  # `take` is faster than a mask
        array = array.reshape(-1, *array.shape[2:]).take(np.flatnonzero(mask), axis=0)
    elif mask is not None:
        array = array[mask]
    elif axes == 2 or (axes is None and array.ndim > 2):
        array = array.reshape(-1, *array.shape[2:])
    return array if array.flags.c_contiguous and array.flags.aligned else np.array(array, order="C")


def __dir__() -> list[str]:
    return sorted(__all__)
