"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

from fusedlstm._core import core
from fusedlstm._utils import validation as check
from fusedlstm.optimizers.base import Optimizer, OptimizerState, StepArguments, keyword_only


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum.

    ``v = momentum * v + g``, then ``p -= learning_rate * v``, or with Nesterov momentum
    ``p -= learning_rate * (g + momentum * v)`` [1]_. Weight decay is added to the gradient g.

    Parameters
    ----------
    momentum : float in [0, 1), default 0
        Factor of the velocity v of the previous step.
    nesterov : bool, default False
        If True, use Nesterov momentum. ``momentum`` must be positive.
    l1 : float of at least 0, default 0
        Weight of an L1 penalty on the weights. Biases are excluded, as in weight decay.
    clip_value : positive float or None, default None
        Elements of the gradient are clipped to [-clip_value, clip_value], before the L1 penalty is
        added. None means no clipping.

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

    def _update(self, step: StepArguments, state: OptimizerState) -> None:
        core.sgd_step(
            step.params,
            step.grads,
            state.averages.get("velocity"),
            step.learning_rate,
            self.momentum,
            self.nesterov,
            *step.decay,
        )
