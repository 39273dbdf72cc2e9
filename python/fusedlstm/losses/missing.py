"""Regression losses that ignore missing targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusedlstm._core import Array
from fusedlstm.losses.base import mean_and_gradient
from fusedlstm.losses.regression import RegressionLoss


@dataclass(frozen=True)
class WithMissing:
    """Regression loss that ignores targets that are NaN.

    Parameters
    ----------
    loss : RegressionLoss
        The loss of each target that is not NaN.
    """

    loss: RegressionLoss

    def __call__(
        self, y_pred: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        """Return the mean of the weighted losses of targets that are not NaN, and its gradient.

        Parameters
        ----------
        y_pred : array (B, n_outputs)
            Raw output of the model.
        y : array (B, n_targets)
            Targets. NaN marks a missing target.
        weights : array (B,) or None
            Weights of the rows.

        Returns
        -------
        value : float
            The loss.
        dy : array like y_pred
            Gradient with respect to ``y_pred``, zero for the outputs of missing targets.
        """
        missing = np.isnan(y)
        if not missing.any():
            return self.loss(y_pred, y, weights)
        value, dy = self.loss.of_targets(y_pred, np.where(missing, 0, y).astype(y.dtype))
        columns = self.loss.target_of_outputs(y.shape[1])
        # With several quantiles, `value` has a third axis.
        of_value = missing.reshape(missing.shape + (1,) * (value.ndim - 2))
        value, dy = np.where(of_value, 0, value), np.where(missing[:, columns], 0, dy)
        present = int(missing.size - missing.sum()) * (value.size // missing.size)
        return mean_and_gradient(value, dy, max(present, 1), weights, y_pred.dtype)

    def count_rows(self, y: Array) -> float:
        """Return the number of targets that are not NaN, divided by the number per row."""
        present = int(np.count_nonzero(~np.isnan(y)))
        return present / int(y.shape[1])
