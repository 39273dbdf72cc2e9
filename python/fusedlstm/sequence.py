"""The value that travels between layers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array

__all__ = ["Sequence"]


class Sequence(NamedTuple):
    """A batch of sequences on its way through a model, or its gradient on the way back.

    Attributes
    ----------
    x : array (B, T, F), array (B, F) or None
        All steps; after `LastStep`, vectors. None where nobody reads the steps (forward), or where
        their gradient is zero (backward).
    lengths : int64 array (B,) or None
        Real steps of each sequence, counted from the first; None if all have T.
    last : array (B, F) or None
        What `LastStep` takes: of each direction of a recurrent layer its own final output.
    """

    x: Array | None
    lengths: npt.NDArray[np.int64] | None = None
    last: Array | None = None

    def steps(self) -> Array:
        """Return ``x``, which must be there."""
        assert self.x is not None, "a layer that reads all steps follows one that was told not to"
        return self.x

    def mask(self) -> npt.NDArray[np.bool_] | None:
        """Return which of the steps are real, (B, T); None if all are."""
        if self.lengths is None or self.x is None or self.x.ndim == 2:
            return None
        mask: npt.NDArray[np.bool_] = np.arange(self.x.shape[1]) < self.lengths[:, np.newaxis]
        return mask


def __dir__() -> list[str]:
    return sorted(__all__)
