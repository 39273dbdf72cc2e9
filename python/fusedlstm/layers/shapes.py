"""Shapes of parameters, and flat arrays that hold the parameters one after the other."""

from __future__ import annotations

import math
from typing import TypeAlias

from fusedlstm._core import Array

Shapes: TypeAlias = "dict[str, tuple[int, ...]]"
"""Shapes of parameters, by name."""


def count_of(shapes: Shapes) -> int:
    """Return the number of elements of arrays of these shapes."""
    return sum(math.prod(shape) for shape in shapes.values())


def views_of(flat: Array, shapes: Shapes) -> dict[str, Array]:
    """Return views of a flat array by name. It contains the arrays one after the other."""
    views, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        views[name] = flat[start:stop].reshape(shape)
        start = stop
    return views
