"""The parameters of the regressors and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from fusedlstm._estimator import SequenceEstimator
from fusedlstm.losses import REGRESSION_LOSSES, RegressionLoss, as_loss
from fusedlstm.model import Sequential
from fusedlstm.optimizers import LBFGS, as_optimizer
from fusedlstm.tasks import Numbers

NumbersT = TypeVar("NumbersT", bound=Numbers)

LARGEST_DECAY = 0.02
"""Upper bound of ``weight_decay="auto"``."""


@dataclass(repr=False, eq=False, kw_only=True)
class NumberEstimator(SequenceEstimator):
    """Base class of the regressors of sequences and of steps."""

    loss: str | RegressionLoss = "squared_error"
    learning_rate: float = 0.002
    weight_decay: float | str = "auto"
    normalize_y: bool | str = "auto"

    def _numbers(self, kind: type[NumbersT]) -> NumbersT:
        """Return the task of the parameters and the fitted attributes."""
        fitted = vars(self)
        loss: RegressionLoss = as_loss(self.loss, REGRESSION_LOSSES, RegressionLoss)  # type: ignore[type-abstract]
        return kind(
            loss,
            self.loss,
            self.normalize_y,
            self.dtype,
            fitted.get("_fitted_loss"),
            fitted.get("_y_mean"),
            fitted.get("_y_scale"),
            fitted.get("_y_ndim", 1),
        )

    def _check_params(self) -> None:
        super()._check_params()
        self._numbers(Numbers).check()

    def _check_weight_decay(self) -> None:
        if not self._has_auto_decay():
            super()._check_weight_decay()

    def _has_auto_decay(self) -> bool:
        return isinstance(self.weight_decay, str) and self.weight_decay == "auto"

    def _decay_for(self, n_targets: int) -> float:
        if not self._has_auto_decay():
            return float(self.weight_decay)
        if isinstance(as_optimizer(self.optimizer), LBFGS):
            return 0.0
        return min(1 / n_targets, LARGEST_DECAY)

    def _adjust_initial(self, model: Sequential) -> None:
        """Scale the input weights of the first layer from LeCun's variance to Xavier's.

        The network then starts as a smoother function of its inputs, which predicts numbers better
        from few noisy sequences (bench/defaults.py). Layers of the user's own stay as they are.
        """
        if self.layers is not None:
            return
        gain = np.sqrt(2 * model.input_size / (model.input_size + self.hidden_size))
        for name, values in model.named_params().items():
            if name.startswith("0.weight_ih"):
                values *= gain
