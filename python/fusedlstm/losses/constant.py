"""Loss of the best constant output, a baseline for the loss of a trained model."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from fusedlstm._core import Array
from fusedlstm.losses.base import Loss


def constant_loss(
    loss: Loss, n_outputs: int, y: Array, weights: Array | None, start: Array | None = None
) -> float:
    """Return the smallest loss of a model that has the same output for all sequences.

    The output is computed with L-BFGS.

    Parameters
    ----------
    loss : callable
        Function of raw outputs (n, n_outputs), targets and weights.
    n_outputs : int
        Number of outputs of the model.
    y : array (n, ...)
        Encoded targets.
    weights : array (n,) or None
        Weights of the sequences.
    start : array (n_outputs,) or None
        Output at which the minimization starts. None means zero.

    Returns
    -------
    float
        The smallest loss.
    """

    def value_and_gradient(z: Array) -> tuple[float, Array]:
        outputs = np.tile(z, (len(y), 1))
        with np.errstate(over="ignore", invalid="ignore"):
            value, dy = loss(outputs, y, weights)
        return value, dy.sum(axis=0, dtype=np.float64)

    first = np.zeros(n_outputs) if start is None else np.asarray(start, np.float64)
    return float(minimize(value_and_gradient, first, jac=True, method="L-BFGS-B").fun)
