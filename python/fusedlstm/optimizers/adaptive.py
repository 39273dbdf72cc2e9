"""Adagrad and RMSprop: gradients divided by the root of accumulated squares."""

from __future__ import annotations

from dataclasses import dataclass

from fusedlstm._core import core
from fusedlstm._utils import validation as check
from fusedlstm.optimizers.base import Optimizer, OptimizerState, StepArguments, keyword_only


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class Adagrad(Optimizer):
    """Adagrad [1]_: gradients divided by the root of the sum of all their squares so far.

    ``s = s + g**2``, then ``p -= learning_rate * g / (sqrt(s) + epsilon)``. Weight decay is added
    to the gradient.

    Parameters
    ----------
    epsilon : positive float, default 1e-10
        Added to the root, to avoid division by zero.
    l1 : float of at least 0, default 0
        Weight of an L1 penalty on the weights. Biases are excluded, as in weight decay.
    clip_value : positive float or None, default None
        Elements of the gradient are clipped to [-clip_value, clip_value], before the L1 penalty is
        added. None means no clipping.

    References
    ----------
    .. [1] Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
       Optimization", 2011.

    Examples
    --------
    >>> from fusedlstm.optimizers import Adagrad
    >>> Adagrad()
    Adagrad()
    """

    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        check.positive("epsilon", self.epsilon)

    def averages(self) -> tuple[str, ...]:
        return ("squares",)

    def _update(self, step: StepArguments, state: OptimizerState) -> None:
        core.adagrad_step(
            step.params,
            step.grads,
            state.averages["squares"],
            step.learning_rate,
            self.epsilon,
            *step.decay,
        )


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class RMSprop(Optimizer):
    """RMSprop [1]_: gradients divided by the root of the running mean of their square.

    ``s = rho * s + (1 - rho) * g**2``, then ``p -= learning_rate * g / (sqrt(s) + epsilon)``.
    Weight decay is added to the gradient.

    Parameters
    ----------
    rho : float in [0, 1), default 0.99
        Decay rate of the running mean.
    epsilon : positive float, default 1e-8
        Added to the root, to avoid division by zero.
    l1 : float of at least 0, default 0
        Weight of an L1 penalty on the weights. Biases are excluded, as in weight decay.
    clip_value : positive float or None, default None
        Elements of the gradient are clipped to [-clip_value, clip_value], before the L1 penalty is
        added. None means no clipping.

    References
    ----------
    .. [1] Tieleman and Hinton, "Lecture 6.5: RMSprop", 2012.

    Examples
    --------
    >>> from fusedlstm.optimizers import RMSprop
    >>> RMSprop(rho=0.9)
    RMSprop(rho=0.9)
    """

    rho: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check.fraction("rho", self.rho)
        check.positive("epsilon", self.epsilon)

    def averages(self) -> tuple[str, ...]:
        return ("squares",)

    def _update(self, step: StepArguments, state: OptimizerState) -> None:
        core.rmsprop_step(
            step.params,
            step.grads,
            state.averages["squares"],
            step.learning_rate,
            self.rho,
            self.epsilon,
            *step.decay,
        )
