"""What a model asks of a layer."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from fusedlstm._core import Array
from fusedlstm.sequence import Sequence

State: TypeAlias = tuple[Array, ...] | None
"""What a recurrent layer hands from one call to the next; None for other layers."""

Shapes: TypeAlias = dict[str, tuple[int, ...]]

SavedT = TypeVar("SavedT")


class Layer(abc.ABC, Generic[SavedT]):
    """Frozen configuration and pure functions.

    Parameters accumulate in ``grads`` (+=); activations are new arrays. Both flat vectors hold the
    arrays of `param_shapes`, one after the other.
    """

    @abc.abstractmethod
    def output_size(self, input_size: int) -> int:
        """Return the features of the output, given those of the input."""

    def needs_steps(self, all_steps: bool) -> bool:
        """Return whether ``x`` of the input is read if that of the output is wanted or not."""
        return True

    def draws(self) -> bool:
        """Return whether `forward` draws from its generator."""
        return True

    def state_shapes(self, batch: int) -> tuple[tuple[int, ...], ...] | None:
        """Return the shapes of the arrays of the state, None for a layer without one."""
        return None

    @property
    def has_complete_state(self) -> bool:
        """True if a sequence that is run in pieces, with the state, gives what the whole gives."""
        return True

    def param_shapes(self, input_size: int) -> Shapes:
        """Return the shape of each parameter array, in order."""
        return {}

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        """Return initial values for the parameters; those that are left out are zero."""
        return {}

    def pack(self, params: Array, input_size: int) -> object | None:
        """Return what `run` takes in place of ``params`` and is faster with, if there is such."""
        return None

    def run(
        self, params: Array, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        """Compute the output alone. ``all_steps=False``: nobody will read ``x`` of the output."""
        (out, new_state), _ = self.forward(params, seq, state, None, all_steps)
        return out, new_state

    @abc.abstractmethod
    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], SavedT]:
        """Compute the output and what `backward` needs.

        ``rng`` is for this call alone; None: nothing is random.
        """

    @abc.abstractmethod
    def backward(
        self,
        params: Array,
        saved: SavedT,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        """Add to ``grads``; return the gradient of the input, if wanted, and of the initial state.

        The latter is None where `forward` was given no state.
        """
