"""The interface between a model and its layers."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from fusedlstm._core import Array
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import Shapes as StateShapes
from fusedlstm.layers.states import State

Shapes = dict[str, tuple[int, ...]]
"""Shapes of parameters, by name."""

SavedT = TypeVar("SavedT")


class Layer(abc.ABC, Generic[SavedT]):
    """Frozen configuration and pure functions.

    A layer tells what it is by the properties `pointwise`, `causal`, `reduces`, `random` and a few
    others. Streams, truncated back-propagation, masks and L-BFGS refuse layers that do not have the
    property they need. Their defaults are the cautious ones: a layer that sets none of them works
    in `forward`, `backward` and `predict`, and is refused elsewhere.

    Gradients of parameters are added to ``grads``; activations are new arrays. Both flat vectors
    hold the arrays of `param_shapes`, one after the other.
    """

    # Properties.

    @property
    def pointwise(self) -> bool:
        """True if each step of the output depends on the same step of the input alone.

        Such a layer takes vectors, (B, F), too.
        """
        return False

    @property
    def causal(self) -> bool:
        """True if no step of the output depends on later steps of the input.

        What the output needs of earlier steps is in the layer's state.
        """
        return self.pointwise

    @property
    def reduces(self) -> bool:
        """True if the output is one vector per sequence."""
        return False

    @property
    def random(self) -> bool:
        """True if `forward` draws from its generator."""
        return True

    @property
    def maskable(self) -> bool:
        """True if a masked step may be left out of the sequence."""
        return self.pointwise or self.reduces

    @property
    def has_complete_state(self) -> bool:
        """True if a sequence that is run in pieces, with the state, gives what the whole gives."""
        return True

    @property
    def selects(self) -> bool:
        """True if the output is one of the steps, unchanged, as that of `LastStep`.

        Pointwise layers directly before such a layer are then run after it, on the vectors.
        """
        return False

    @property
    def reads_last(self) -> bool:
        """True if the output depends on which step of the input is the last."""
        return self.selects

    @property
    def reads_backward(self) -> bool:
        """True if some of the output is computed from the last step of a sequence to the first."""
        return False

    @property
    def shares_params_of(self) -> int | None:
        """Number of the earlier layer of the same `Chain` whose parameters this layer uses."""
        return None

    def gives_last(self, given: bool) -> bool:
        """Return whether the output has ``last``, given whether the input has."""
        return False

    # Shapes.

    @abc.abstractmethod
    def output_size(self, input_size: int) -> int:
        """Return the number of features of the output, given that of the input."""

    def needs_steps(self, all_steps: bool) -> bool:
        """Return whether ``x`` of the input is read, given whether that of the output is."""
        return True

    def state_shapes(self, batch: int, input_size: int = 1) -> StateShapes:
        """Return the shapes of the arrays of the state, (1, batch, …); None without a state."""
        return None

    def param_shapes(self, input_size: int) -> Shapes:
        """Return the shape of each parameter array, in order."""
        return {}

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        """Return initial values for the parameters; those that are left out are zero."""
        return {}

    # Computation.

    def pack(self, params: Array, input_size: int) -> object | None:
        """Return an object that `run` takes in place of ``params`` and is faster with, or None."""
        return None

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        """Compute the output alone. With ``all_steps=False``, ``x`` of the output is not read."""
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

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        """Add the layer to a program of the core; return False if the core cannot compute it.

        ``params`` are parameters, which are read at every call, or what `pack` made of them.
        """
        return False


def can_lower(layer: Layer[Any]) -> bool:
    """Return False if a subclass overrides the computation of the class that lowers itself."""
    order = type(layer).__mro__
    definer = {
        name: next(i for i, kind in enumerate(order) if name in vars(kind))
        for name in ("lower", "run", "forward")
    }
    return definer["lower"] <= min(definer["run"], definer["forward"])
