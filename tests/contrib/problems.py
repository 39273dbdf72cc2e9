"""Helpers of the adapters' tests: series with channels first, and the examples in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

ADAPTERS = Path(__file__).parents[2] / "docs" / "adapters.md"


def series(n=60, channels=2, lengths=(3, 9)):
    """Return lists of n arrays (channels, steps), and labels that a small model learns."""
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((channels, steps)) for steps in rng.integers(*lengths, size=n)]
    return X, np.array(["up" if x[0].sum() > 0 else "down" for x in X])


def equal_series(n=60, channels=2, steps=8):
    """Return an array (n, channels, steps), and numbers that a small model learns."""
    X = np.random.default_rng(0).standard_normal((n, channels, steps))
    return X, X[:, 0].sum(axis=1)


def run_example(library):
    """Run the example of this library in the docs and return its variables."""
    (code,) = re.findall(rf"## {library}\n.*?```python\n(.*?)```", ADAPTERS.read_text(), re.DOTALL)
    names = {}
    exec(compile(code, ADAPTERS.name, "exec"), names)
    return names
