"""scikit-learn's callbacks of a fit and of its epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fusedlstm._utils.callbacks import NoTask


class FitCallbacks:
    """The callbacks of a fit, or of one of its epochs.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext or None
        None: there are no callbacks.
    **arguments : object
        Arguments of all callbacks: the estimator and its data.
    """

    def __init__(self, context: Any = None, **arguments: Any) -> None:
        self._context = NoTask() if context is None else context
        self._arguments = arguments

    def of_epoch(self) -> FitCallbacks:
        """Return the callbacks of the next epoch."""
        return FitCallbacks(self._context.subcontext(task_name="epoch"), **self._arguments)

    def begin(self) -> None:
        """Call the callbacks at the beginning."""
        self._context.call_on_fit_task_begin(**self._arguments)

    def end(self, attributes: Callable[[], dict[str, Any]] | dict[str, Any]) -> bool:
        """Call the callbacks at the end, and return True if one of them stops the fit.

        ``attributes`` are the fitted attributes, or a function that returns them.
        """
        stop: bool = self._context.call_on_fit_task_end(
            **self._arguments, reconstruction_attributes=attributes
        )
        return stop
