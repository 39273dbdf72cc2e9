"""scikit-learn's callbacks of a fit and of its epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fusedlstm._utils.callbacks import NoContext


class FitCallbacks:
    """The callbacks of a fit, or of one of its epochs.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext or None
        None if there are no callbacks.
    estimator, X, y, sample_weight : object
        The estimator and its training data as the user passed them.
    """

    def __init__(
        self,
        context: Any = None,
        estimator: Any = None,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
    ) -> None:
        self._context = NoContext() if context is None else context
        self._estimator = estimator
        self._X = X
        self._y = y
        self._sample_weight = sample_weight

    def of_epoch(self) -> FitCallbacks:
        """Return the callbacks for the next epoch."""
        context = self._context.subcontext(task_name="epoch")
        return FitCallbacks(context, self._estimator, self._X, self._y, self._sample_weight)

    def begin(self) -> None:
        """Call the callbacks at the beginning."""
        self._context.call_on_fit_task_begin(**self._arguments())

    def end(self, attributes: Callable[[], dict[str, Any]] | dict[str, Any]) -> bool:
        """Call the callbacks at the end, and return True if one of them stops the fit.

        ``attributes`` are the fitted attributes, or a function that returns them.
        """
        stop: bool = self._context.call_on_fit_task_end(
            **self._arguments(), reconstruction_attributes=attributes
        )
        return stop

    def _arguments(self) -> dict[str, Any]:
        weights = self._sample_weight
        metadata = {} if weights is None else {"sample_weight": weights}
        return {"estimator": self._estimator, "X": self._X, "y": self._y, "metadata": metadata}
