"""The grids of shapes: B sequences of T steps with I features, and H hidden units."""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """Sizes of a batch and a layer."""

    batch: int
    steps: int
    inputs: int
    hidden: int

    @property
    def flops(self) -> int:
        """Number of floating-point operations of the matrix products of an LSTM, forward."""
        return self.flops_of(self.batch * self.steps)

    def flops_of(self, steps: int) -> int:
        """Return the number of operations for ``steps``, the total number of steps of a batch."""
        return 8 * steps * self.hidden * (self.inputs + self.hidden)

    def __str__(self) -> str:
        """Return the name of the row."""
        return f"{self.batch}x{self.steps}x{self.inputs}-{self.hidden}"


SMALL = (Shape(1, 100, 8, 32), Shape(32, 50, 8, 32), Shape(32, 100, 16, 64))

GRIDS = {  # the shapes that the option --grid selects
    "small": SMALL,
    "full": (
        *SMALL,
        Shape(32, 100, 64, 128),
        Shape(64, 100, 128, 256),
        Shape(64, 50, 256, 512),
        Shape(128, 100, 32, 100),
        Shape(256, 28, 28, 128),
        Shape(16, 1000, 4, 32),
    ),
    "cells": (*SMALL[1:], Shape(32, 100, 64, 128)),
    "batches": tuple(
        Shape(batch, 50, 16, hidden)
        for batch in (1, 2, 4, 8)
        for hidden in (5, 16, 33, 64, 100, 128, 256, 512)
    ),
}
