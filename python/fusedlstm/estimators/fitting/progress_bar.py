"""The progress of a fit on stderr: a bar in a terminal or notebook, otherwise lines of text."""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from types import TracebackType
from typing import Any

SECONDS_BETWEEN_LINES = 10.0


class _Output:
    """Wrapper of a text stream. After the first error all text is discarded.

    Parameters
    ----------
    stream : text stream or None
        None for no output.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._works = stream, stream is not None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __eq__(self, other: object) -> bool:
        """Return True for the wrapped stream, so that tqdm reads the width of the terminal."""
        return other is self or other is self._stream

    def __hash__(self) -> int:
        return hash(self._stream)

    def write(self, text: str) -> int:
        """Write text if possible."""
        self._call("write", text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if possible."""
        self._call("flush")

    def isatty(self) -> bool:
        """Return True for a terminal."""
        return bool(self._call("isatty"))

    def _call(self, name: str, *args: str) -> Any:
        if not self._works:
            return None
        try:
            return getattr(self._stream, name)(*args)
        except (AttributeError, OSError, ValueError):  # no such method, broken pipe, closed file
            self._works = False
            return None


class ProgressReport:
    """Shows the completed epochs on stderr. If stderr is None or broken, nothing is shown.

    Parameters
    ----------
    n_epochs : int
        Number of epochs of the fit, if it does not stop early.
    done : int
        Number of epochs that are already completed, such as the epochs of a checkpoint.
    verbose : int
        0: nothing is shown. 1: a bar, or without a terminal a line every ten seconds. 2: a bar, or
        without a terminal a line per epoch.
    """

    def __init__(self, n_epochs: int, done: int, verbose: int) -> None:
        self._n_epochs, self._verbose = n_epochs, verbose
        self._epoch = self._first = done
        self._bar = None
        if verbose:
            self._tqdm = _import_tqdm()
            self._output = _Output(sys.stderr)
            notebook = "ipykernel" in sys.modules and sys.stderr is not None
            if notebook or self._output.isatty():
                file = None if notebook else self._output
                self._bar = self._tqdm(total=n_epochs, initial=done, unit="epoch", file=file)
        self._start = self._last_time = time.monotonic()
        self._last_line = ""

    def __enter__(self) -> ProgressReport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._last_line:
            print(self._last_line, file=self._output)

    def update(self, n_samples: int, values: dict[str, float]) -> None:
        """Show a completed epoch with its losses and scores, by name."""
        if not self._verbose:
            return
        self._epoch += 1
        now = time.monotonic()
        rate = (self._epoch - self._first) / max(now - self._start, 1e-9)
        shown = [f"{name}={value:.4g}" for name, value in values.items()]
        speed = f"{rate * n_samples:,.0f} samples/s"
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join([*shown, speed]), False)
            self._bar.update()
            return
        left = self._tqdm.format_interval((self._n_epochs - self._epoch) / rate)
        counted = f"epoch {self._epoch}/{self._n_epochs}"
        line = ", ".join([counted, *shown, speed, f"{left} left"])
        first = self._epoch == self._first + 1
        if self._verbose > 1 or first or now - self._last_time >= SECONDS_BETWEEN_LINES:
            print(line, file=self._output, flush=True)
            self._last_time, line = now, ""
        self._last_line = line


def _import_tqdm() -> Any:
    """Return the class of tqdm for a notebook with ipywidgets, or for text."""
    if "ipykernel" in sys.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module("ipywidgets")
            from tqdm.notebook import tqdm as notebook_tqdm

            return notebook_tqdm
    from tqdm.std import tqdm

    return tqdm
