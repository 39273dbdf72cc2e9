"""L-BFGS: a quasi-Newton method for full-batch training.

The training loop is in `fusedlstm.training.full_batch`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm._utils.representation import ShortRepr
from fusedlstm.optimizers.base import OptimizerState, keyword_only


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class LBFGS(ShortRepr):
    """Limited-memory BFGS [1]_ for small data sets.

    Every iteration uses all training data, so one iteration is one epoch. It computes a descent
    direction from the gradient and the last steps. `scipy.optimize.line_search` then finds a step
    length that satisfies the strong Wolfe conditions. There is no learning rate, and the gradient
    is not clipped.

    Parameters
    ----------
    history : int, default 10
        Number of past steps from which the curvature is estimated.
    max_line_search : int, default 20
        Maximum number of iterations of the line search.

    References
    ----------
    .. [1] Liu and Nocedal, "On the Limited Memory BFGS Method for Large Scale Optimization", 1989.

    Examples
    --------
    >>> from fusedlstm.optimizers import LBFGS
    >>> LBFGS(history=20)
    LBFGS(history=20)
    """

    history: int = 10
    max_line_search: int = 20

    def __post_init__(self) -> None:
        check.positive_int("history", self.history)
        check.positive_int("max_line_search", self.max_line_search)

    def init(self, params: Array) -> OptimizerState:
        """Return the state before the first iteration.

        Parameters
        ----------
        params : array (n_params,)
            Parameters of the model, in a flat array.

        Returns
        -------
        OptimizerState
            A state without past steps.
        """
        none = np.empty((0, params.size))
        return OptimizerState(0, {"steps": none, "changes": none})

    def direction(self, gradient: Array, state: OptimizerState) -> Array:
        """Return a descent direction.

        Parameters
        ----------
        gradient : float64 array (n_params,)
            Gradient of the loss.
        state : OptimizerState
            The past steps.

        Returns
        -------
        float64 array (n_params,)
            The direction.
        """
        from scipy.optimize import LbfgsInvHessProduct

        steps, changes = state.averages["steps"], state.averages["changes"]
        if len(steps) == 0:
            return -gradient / max(1.0, float(np.linalg.norm(gradient)))
        # The initial inverse Hessian is `curvature` times the identity. scipy starts from the
        # identity, so steps and changes of the gradient are rescaled by the root of `curvature`.
        curvature = (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
        unit = np.sqrt(curvature)
        product = LbfgsInvHessProduct(steps / unit, changes * unit)
        descent: Array = -curvature * (product @ gradient)
        return descent

    def remember(self, step: Array, change: Array, state: OptimizerState) -> None:
        """Add a step to the state, and remove the oldest step if there are more than ``history``.

        If the curvature along the step is not positive, all steps are removed from the state.

        Parameters
        ----------
        step : float64 array (n_params,)
            Change of the parameters.
        change : float64 array (n_params,)
            Change of the gradient.
        state : OptimizerState
            The state to update, in place.
        """
        state.t += 1
        remembered = {"steps": step, "changes": change}
        if step @ change <= np.finfo(np.float64).eps * (change @ change):
            state.averages = {name: np.empty((0, step.size)) for name in remembered}
            return
        state.averages = {
            name: np.concatenate([state.averages[name], value[np.newaxis]])[-self.history :]
            for name, value in remembered.items()
        }
