"""Callbacks of scikit-learn 1.9 and later.

`NoContext` replaces the callback context in earlier versions of scikit-learn, and in `partial_fit`,
which does not call callbacks.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CallbackSupportMixin", "NoContext", "with_callbacks"]


class NoContext:
    """A callback context without callbacks."""

    def subcontext(self, **_: Any) -> NoContext:
        """Return the context of a subtask."""
        return self

    def call_on_fit_task_begin(self, **_: Any) -> None:
        """Do nothing."""

    def call_on_fit_task_end(self, **_: Any) -> bool:
        """Return False: training does not stop."""
        return False


try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Base class of estimators without callbacks."""

        def _init_callback_context(self, **_: Any) -> NoContext:
            return NoContext()

    def with_callbacks(method: Any) -> Any:
        """Return the method unchanged."""
        return method
