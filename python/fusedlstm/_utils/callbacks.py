"""scikit-learn's callbacks, which came with its version 1.9.

Where they are missing, and in `partial_fit`, which tells nobody of its steps, `NoTask` stands for a
task that nobody watches.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CallbackSupportMixin", "NoTask", "with_callbacks"]


class NoTask:
    """A task without callbacks."""

    def subcontext(self, **_: Any) -> NoTask:
        """Return a part of the task."""
        return self

    def call_on_fit_task_begin(self, **_: Any) -> None:
        """Tell nobody."""

    def call_on_fit_task_end(self, **_: Any) -> bool:
        """Tell nobody, and do not stop."""
        return False


try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator that nobody watches."""

        def _init_callback_context(self, **_: Any) -> NoTask:
            return NoTask()

    def with_callbacks(method: Any) -> Any:
        """Return the method."""
        return method
