"""Gradients over the root of their own squares: Adagrad and RMSprop."""

from __future__ import annotations

from dataclasses import dataclass

from fusedlstm._core import core
from fusedlstm._utils import validation as check
from fusedlstm.optimizers.base import Optimizer, OptimizerState, Step, keyword_only


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares so far.

    Parameters
    ----------
    epsilon : float, default 1e-10
    l1, clip_value : see `Optimizer`

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

    def _update(self, step: Step, state: OptimizerState) -> None:
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
    """Gradients divided by a running root mean square of their own.

    Parameters
    ----------
    rho : float in [0, 1), default 0.99
        Weight of the past in the average.
    epsilon : float, default 1e-8
    l1, clip_value : see `Optimizer`

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

    def _update(self, step: Step, state: OptimizerState) -> None:
        core.rmsprop_step(
            step.params,
            step.grads,
            state.averages["squares"],
            step.learning_rate,
            self.rho,
            self.epsilon,
            *step.decay,
        )
