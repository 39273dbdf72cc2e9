"""The base class of the regressors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.utils.metaestimators import available_if

from fusedlstm.estimators.base import SequenceEstimator
from fusedlstm.estimators.parameters import is_auto, takes_batches
from fusedlstm.estimators.tasks import Numbers
from fusedlstm.losses import REGRESSION_LOSSES, RegressionLoss, as_loss

if TYPE_CHECKING:
    from typing_extensions import Self

NumbersT = TypeVar("NumbersT", bound=Numbers)


@dataclass(repr=False, eq=False, kw_only=True)
class NumberEstimator(SequenceEstimator):
    """Base class of the regressors of sequences and of steps."""

    loss: str | RegressionLoss = "squared_error"
    learning_rate: float = 0.002
    weight_decay: float | str = "auto"
    normalize_y: bool | str = "auto"

    def _numbers(self, kind: type[NumbersT]) -> NumbersT:
        """Return the task for the parameters and the fitted attributes."""
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

    @available_if(takes_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the model for one epoch. The first call creates the model.

        The optimizer continues from its state after the previous call. The targets are normalized
        with the mean and the scale of the first call.

        Parameters
        ----------
        X, y : like X and y of `fit`
        sample_weight : array (n_samples,), default None
            Weights of the sequences in the loss. They are divided by their mean in this call.

        Returns
        -------
        self

        Raises
        ------
        AttributeError
            If the optimizer is L-BFGS, which does not train on batches.
        ValueError
            If ``early_stopping`` is True, or X or y are invalid.

        Examples
        --------
        >>> import numpy as np
        >>> from fusedlstm import LSTMRegressor
        >>> rng = np.random.default_rng(0)
        >>> model = LSTMRegressor(hidden_size=8, random_state=0)
        >>> for _ in range(50):
        ...     X = rng.standard_normal((64, 5, 1))
        ...     model = model.partial_fit(X, X[:, -1, 0])
        >>> model.n_iter_, bool(model.score(X, X[:, -1, 0]) > 0.9)
        (50, True)
        """
        self._partial_fit(X, y, sample_weight)
        return self

    def _check_params(self) -> None:
        super()._check_params()
        self._numbers(Numbers).check()

    def _check_weight_decay(self) -> None:
        if not is_auto(self.weight_decay):
            super()._check_weight_decay()
