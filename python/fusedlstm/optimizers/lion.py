"""Lion: updates by the sign of a mean of gradients."""

from __future__ import annotations

from dataclasses import dataclass

from fusedlstm._core import core
from fusedlstm._utils import validation as check
from fusedlstm.optimizers.base import Optimizer, OptimizerState, StepArguments, keyword_only


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class Lion(Optimizer):
    """Lion [1]_: updates of the same size for all parameters, by the sign of a mean of gradients.

    ``p -= learning_rate * sign(beta1 * m + (1 - beta1) * g)``, then
    ``m = beta2 * m + (1 - beta2) * g``. Weight decay is decoupled from the gradient, as in `AdamW`.
    Suitable learning rates are 3 to 10 times smaller than for Adam [1]_.

    Parameters
    ----------
    beta1 : float in [0, 1), default 0.9
        Weight of the running mean m in the update.
    beta2 : float in [0, 1), default 0.99
        Decay rate of the running mean m.
    l1 : float of at least 0, default 0
        Weight of an L1 penalty on the weights. Biases are excluded, as in weight decay.
    clip_value : positive float or None, default None
        Elements of the gradient are clipped to [-clip_value, clip_value], before the L1 penalty is
        added. None means no clipping.

    References
    ----------
    .. [1] Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023.

    Examples
    --------
    >>> from fusedlstm.optimizers import Lion
    >>> Lion(beta2=0.98)
    Lion(beta2=0.98)
    """

    beta1: float = 0.9
    beta2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        check.fraction("beta1", self.beta1)
        check.fraction("beta2", self.beta2)

    def averages(self) -> tuple[str, ...]:
        return ("mean",)

    def _update(self, step: StepArguments, state: OptimizerState) -> None:
        core.lion_step(
            step.params,
            step.grads,
            state.averages["mean"],
            step.learning_rate,
            self.beta1,
            self.beta2,
            *step.decay,
        )
