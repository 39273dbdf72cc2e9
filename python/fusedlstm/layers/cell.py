"""The base class of recurrent cells."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fusedlstm._core import Array
from fusedlstm.layers.shapes import Shapes


class Cell(abc.ABC):
    """Base class of recurrent cells: the equations, parameters and states of one step.

    A subclass of `Recurrent` implements these methods.
    """

    hidden_size: int
    trainable_states: ClassVar[tuple[str, ...]] = ("h",)
    """Names of the first states, which `trainable_state` makes parameters."""

    @abc.abstractmethod
    def core_cell(self) -> dict[str, Any]:
        """Return the ``family`` of the cell in the core, its activations and its options."""

    @abc.abstractmethod
    def cell_shapes(self, input_size: int) -> Shapes:
        """Return the shapes of the parameters of one direction, in the order of the core."""

    @abc.abstractmethod
    def cell_init(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        """Return initial values of one direction. Parameters without a value start at zero."""

    def state_sizes(self) -> tuple[int, ...]:
        """Return the size of each state. The size of h is also the size of the output."""
        return (self.hidden_size,)

    def candidate_rates(self) -> tuple[float, float]:
        """Return the rates of candidate dropout and of zoneout of c."""
        return 0.0, 0.0
