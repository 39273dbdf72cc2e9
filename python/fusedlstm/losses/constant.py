"""The loss of the best constant prediction: the least that a model must improve on."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from fusedlstm._core import Array
from fusedlstm.losses import Loss


def constant_loss(
    loss: Loss, n_outputs: int, y: Array, weights: Array | None, start: Array | None = None
) -> float:
    """Return the smallest loss that outputs equal for all sequences have.

    Parameters
    ----------
    loss : callable
        Of raw outputs (n, n_outputs), targets and weights.
    n_outputs : int
    y : array (n, ...)
        Encoded targets.
    weights : array (n,) or None
    start : array (n_outputs,) or None
        A first guess of the outputs; None: zero.
    """

    def value_and_gradient(z: Array) -> tuple[float, Array]:
        outputs = np.tile(z, (len(y), 1))
        with np.errstate(over="ignore", invalid="ignore"):
            value, dy = loss(outputs, y, weights)
        return value, dy.sum(axis=0, dtype=np.float64)

    first = np.zeros(n_outputs) if start is None else np.asarray(start, np.float64)
    return float(minimize(value_and_gradient, first, jac=True, method="L-BFGS-B").fun)
