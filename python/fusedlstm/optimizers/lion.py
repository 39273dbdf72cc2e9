"""Lion: the sign of an average."""

from __future__ import annotations

from dataclasses import dataclass

from fusedlstm._core import core
from fusedlstm._utils import validation as check
from fusedlstm.optimizers.base import Optimizer, OptimizerState, Step, keyword_only


@keyword_only
@dataclass(frozen=True, kw_only=True, repr=False)
class Lion(Optimizer):
    """Steps of one length for all parameters, by the sign of an average of gradients.

    ``p -= learning_rate sign(beta1 m + (1 - beta1) g)``, ``m = beta2 m + (1 - beta2) g``. Weight
    decay is decoupled. A learning rate of a third to a tenth of Adam's suits it.

    Parameters
    ----------
    beta1, beta2 : float in [0, 1), default 0.9 and 0.99
    l1, clip_value : see `Optimizer`

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

    def _update(self, step: Step, state: OptimizerState) -> None:
        core.lion_step(
            step.params,
            step.grads,
            state.averages["mean"],
            step.learning_rate,
            self.beta1,
            self.beta2,
            *step.decay,
        )
