"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

from fusedlstm._core import core
from fusedlstm._utils import validation as check
from fusedlstm.optimizers.base import Optimizer, OptimizerState, Step, keyword_only


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    ``v = momentum v + g``, ``p -= learning_rate v``; with Nesterov's momentum
    ``p -= learning_rate (g + momentum v)``.

    Parameters
    ----------
    momentum : float in [0, 1), default 0
    nesterov : bool, default False
    l1, clip_value : see `Optimizer`

    References
    ----------
    .. [1] Sutskever et al., "On the Importance of Initialization and Momentum in Deep Learning",
       2013.

    Examples
    --------
    >>> from fusedlstm.optimizers import SGD
    >>> SGD(momentum=0.9, nesterov=True)
    SGD(momentum=0.9, nesterov=True)
    """

    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check.fraction("momentum", self.momentum)
        if check.true_or_false("nesterov", self.nesterov) and self.momentum == 0:
            raise ValueError("momentum must be positive with nesterov=True; got 0.0")

    def averages(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum > 0 else ()

    def _update(self, step: Step, state: OptimizerState) -> None:
        core.sgd_step(
            step.params,
            step.grads,
            state.averages.get("velocity"),
            step.learning_rate,
            self.momentum,
            self.nesterov,
            *step.decay,
        )
