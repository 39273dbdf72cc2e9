"""Adam, AdamW and Nadam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fusedlstm._core import core
from fusedlstm._utils import validation as check
from fusedlstm.optimizers.base import Optimizer, OptimizerState, StepArguments, keyword_only


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class Adam(Optimizer):
    """Adam [1]_: mean of the gradients, divided by the root of the mean of their squares.

    The running means are ``m = beta1 * m + (1 - beta1) * g`` and
    ``v = beta2 * v + (1 - beta2) * g**2``. Step t is
    ``p -= learning_rate * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + epsilon)``. Weight decay
    is added to the gradient g. `AdamW` decouples weight decay from the gradient.

    Parameters
    ----------
    beta1, beta2 : float in [0, 1), default 0.9 and 0.999
        Decay rates of the running means of the gradient and of its square.
    epsilon : positive float, default 1e-8
        Added to the root, to avoid division by zero.
    amsgrad : bool, default False
        If True, divide by the root of the largest running mean of the square so far (AMSGrad [2]_).
    l1 : float of at least 0, default 0
        Weight of an L1 penalty on the weights. Biases are excluded, as in weight decay.
    clip_value : positive float or None, default None
        Elements of the gradient are clipped to [-clip_value, clip_value], before the L1 penalty is
        added. None means no clipping.

    References
    ----------
    .. [1] Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.
    .. [2] Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", 2018.

    Examples
    --------
    >>> from fusedlstm.optimizers import Adam
    >>> Adam(beta2=0.99)
    Adam(beta2=0.99)
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    amsgrad: bool = False

    _decoupled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check.fraction("beta1", self.beta1)
        check.fraction("beta2", self.beta2)
        check.positive("epsilon", self.epsilon)
        check.true_or_false("amsgrad", self.amsgrad)

    def averages(self) -> tuple[str, ...]:
        return ("mean", "squares", "highest") if self.amsgrad else ("mean", "squares")

    def _update(self, step: StepArguments, state: OptimizerState) -> None:
        averages = state.averages
        options = (
            state.t,
            step.learning_rate,
            self.beta1,
            self.beta2,
            self.epsilon,
            *step.decay,
            self._decoupled,
        )
        params, grads, mean, squares = (
            step.params,
            step.grads,
            averages["mean"],
            averages["squares"],
        )
        if self.amsgrad:
            core.amsgrad_step(params, grads, mean, squares, averages["highest"], *options)
        else:
            core.adam_step(params, grads, mean, squares, *options)


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay [1]_.

    Before each step of `Adam`, the parameters are multiplied by ``1 - learning_rate *
    weight_decay``. The running means do not contain the weight decay.

    Parameters
    ----------
    beta1, beta2 : float in [0, 1), default 0.9 and 0.999
        Decay rates of the running means of the gradient and of its square.
    epsilon : positive float, default 1e-8
        Added to the root, to avoid division by zero.
    amsgrad : bool, default False
        If True, divide by the root of the largest running mean of the square so far.
    l1 : float of at least 0, default 0
        Weight of an L1 penalty on the weights. Biases are excluded, as in weight decay.
    clip_value : positive float or None, default None
        Elements of the gradient are clipped to [-clip_value, clip_value], before the L1 penalty is
        added. None means no clipping.

    References
    ----------
    .. [1] Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.

    Examples
    --------
    >>> from fusedlstm.optimizers import AdamW
    >>> AdamW()
    AdamW()
    """

    _decoupled: ClassVar[bool] = True


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class Nadam(Optimizer):
    """Adam with Nesterov momentum [1]_.

    The momentum coefficient of step t is ``beta1 * (1 - 0.96**(t * momentum_decay) / 2)``. It
    increases from ``beta1 / 2`` to ``beta1``.

    Parameters
    ----------
    beta1, beta2 : float in [0, 1), default 0.9 and 0.999
        Decay rates of the running means of the gradient and of its square.
    epsilon : positive float, default 1e-8
        Added to the root, to avoid division by zero.
    momentum_decay : float of at least 0, default 4e-3
        Rate at which the momentum coefficient increases.
    l1 : float of at least 0, default 0
        Weight of an L1 penalty on the weights. Biases are excluded, as in weight decay.
    clip_value : positive float or None, default None
        Elements of the gradient are clipped to [-clip_value, clip_value], before the L1 penalty is
        added. None means no clipping.

    References
    ----------
    .. [1] Dozat, "Incorporating Nesterov Momentum into Adam", 2016.

    Examples
    --------
    >>> from fusedlstm.optimizers import Nadam
    >>> Nadam(beta2=0.99)
    Nadam(beta2=0.99)
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    momentum_decay: float = 4e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check.fraction("beta1", self.beta1)
        check.fraction("beta2", self.beta2)
        check.positive("epsilon", self.epsilon)
        check.not_negative("momentum_decay", self.momentum_decay)

    def averages(self) -> tuple[str, ...]:
        return ("mean", "squares")

    def _momentum(self, t: int) -> float:
        return float(self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay)))

    def _update(self, step: StepArguments, state: OptimizerState) -> None:
        now, ahead = self._momentum(state.t), self._momentum(state.t + 1)
        state.momentum_product *= now
        product = state.momentum_product
        core.nadam_step(
            step.params,
            step.grads,
            state.averages["mean"],
            state.averages["squares"],
            state.t,
            step.learning_rate * ahead / (1 - product * ahead),
            step.learning_rate * (1 - now) / (1 - product),
            self.beta1,
            self.beta2,
            self.epsilon,
            *step.decay,
        )
