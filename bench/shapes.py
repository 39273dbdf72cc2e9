"""The grid: B sequences of T steps with I features, H hidden units."""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """One row of the grid. ``calls`` a round, so that a round takes about a millisecond or more."""

    batch: int
    steps: int
    inputs: int
    hidden: int
    calls: int

    @property
    def flops(self) -> int:
        """Multiplications and additions of a forward pass; those of padding are not counted."""
        return 8 * self.batch * self.steps * self.hidden * (self.inputs + self.hidden)

    def __str__(self) -> str:
        """Give the name of the row."""
        return f"{self.batch}x{self.steps}x{self.inputs}-{self.hidden}"


GRIDS = {
    "small": [Shape(1, 100, 8, 32, 20), Shape(32, 50, 8, 32, 4), Shape(32, 100, 16, 64, 1)],
    "full": [
        Shape(1, 100, 8, 32, 20),
        Shape(32, 50, 8, 32, 4),
        Shape(32, 100, 16, 64, 1),
        Shape(32, 100, 64, 128, 1),
        Shape(64, 100, 128, 256, 1),
        Shape(64, 50, 256, 512, 1),
        Shape(128, 100, 32, 100, 1),
        Shape(256, 28, 28, 128, 1),
        Shape(16, 1000, 4, 32, 1),
    ],
}
