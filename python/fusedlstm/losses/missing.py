"""Losses with targets that are missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusedlstm._core import Array
from fusedlstm.losses.base import mean_and_gradient
from fusedlstm.losses.regression import RegressionLoss


@dataclass(frozen=True)
class WithMissing:
    """A loss of numbers, to which targets that are NaN contribute nothing.

    Parameters
    ----------
    loss : RegressionLoss
    """

    loss: RegressionLoss

    def __call__(
        self, y_pred: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        """Return the mean over the targets that are not missing, and its gradient."""
        missing = np.isnan(y)
        if not missing.any():
            return self.loss(y_pred, y, weights)
        value, dy = self.loss.of_targets(y_pred, np.where(missing, 0, y).astype(y.dtype))
        columns = self.loss.target_of_outputs(y.shape[1])
        # A loss of several quantiles has one more axis.
        of_value = missing.reshape(missing.shape + (1,) * (value.ndim - 2))
        value, dy = np.where(of_value, 0, value), np.where(missing[:, columns], 0, dy)
        present = int(missing.size - missing.sum()) * (value.size // missing.size)
        return mean_and_gradient(value, dy, max(present, 1), weights, y_pred.dtype)

    def _count(self, y: Array) -> float:
        """Return the number of rows that the targets that are not missing would fill."""
        present = int(np.count_nonzero(~np.isnan(y)))
        return present / int(y.shape[1])
