"""L-BFGS: curvature from the last steps. `fusedlstm.training.full_batch` trains with it."""

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
    """Limited-memory BFGS on all data at once, for small data sets.

    An epoch is one iteration: a direction from the gradient and the last steps, and along it
    `scipy.optimize.line_search` for a step that meets the strong Wolfe conditions. There is no
    learning rate, and the gradient is not clipped.

    Parameters
    ----------
    history : int, default 10
        Steps that are remembered.
    max_line_search : int, default 20
        Largest number of lengths to try in an iteration.

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
        """Return the state before the first iteration."""
        none = np.empty((0, params.size))
        return OptimizerState(0, {"steps": none, "changes": none})

    def direction(self, gradient: Array, state: OptimizerState) -> Array:
        """Return a direction of descent."""
        from scipy.optimize import LbfgsInvHessProduct

        steps, changes = state.averages["steps"], state.averages["changes"]
        if len(steps) == 0:
            return -gradient / max(1.0, float(np.linalg.norm(gradient)))
        # The inverse Hessian starts from the identity times the last step's curvature, which is
        # the identity itself once steps and changes are measured in units of its root.
        curvature = (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
        unit = np.sqrt(curvature)
        product = LbfgsInvHessProduct(steps / unit, changes * unit)
        descent: Array = -curvature * (product @ gradient)
        return descent

    def remember(self, step: Array, change: Array, state: OptimizerState) -> None:
        """Note a step and the change of the gradient along it; without curvature, forget all."""
        state.t += 1
        remembered = {"steps": step, "changes": change}
        if step @ change <= np.finfo(np.float64).eps * (change @ change):
            state.averages = {name: np.empty((0, step.size)) for name in remembered}
            return
        state.averages = {
            name: np.concatenate([state.averages[name], value[np.newaxis]])[-self.history :]
            for name, value in remembered.items()
        }
