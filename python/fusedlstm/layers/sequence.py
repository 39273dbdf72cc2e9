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
        All steps, or vectors after a layer that reduces. None in the forward pass if no layer reads
        the steps. None in the backward pass if the gradient of the steps is zero.
    lengths : int64 array (B,) or None
        Number of real steps of each sequence. The real steps come first, then the padding. None:
        all steps are real.
    last : array (B, F) or None
        The final output of each direction of a recurrent layer, which `LastStep` reads.
    """

    x: Array | None
    lengths: npt.NDArray[np.int64] | None = None
    last: Array | None = None

    @property
    def size(self) -> int:
        """Number of features, F."""
        array: Any = self.last if self.x is None else self.x
        return array.shape[-1]  # type: ignore[no-any-return]

    def steps(self) -> Array:
        """Return ``x``, which must not be None."""
        assert self.x is not None, "the previous layer did not compute all steps"
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
        """Return a batch with the same lengths and new real steps.

        Parameters
        ----------
        rows : array (N, K)
            The real steps of all sequences, in the order in which the method `rows` returns them.

        Returns
        -------
        Sequence
            ``x`` is (B, T, K), and zero after the end of each sequence, or (B, K).
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
    array : array (B, T, ...) or (N, ...)
    mask : bool array (B, T) or None
        True for real steps. None: all steps are real.
    axes : {1, 2} or None, default None
        2 if the first two axes of ``array`` are sequences and steps, 1 if its first axis is rows,
        which are returned unchanged. None: 2 if the array has at least three axes, else 1. Not
        used with a mask.

    Returns
    -------
    array (N, ...)
        C-contiguous.
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
