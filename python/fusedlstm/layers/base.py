"""The base class of layers."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from fusedlstm._core import Array
from fusedlstm.layers.properties import LayerProperties
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.shapes import Shapes
from fusedlstm.layers.states import Shapes as StateShapes
from fusedlstm.layers.states import State

SavedT = TypeVar("SavedT")


class Layer(LayerProperties, abc.ABC, Generic[SavedT]):
    """Base class of layers: frozen configuration and pure functions.

    The properties `pointwise`, `causal`, `reduces`, `random` and a few others describe the layer.
    Streams, truncated backpropagation, masks and L-BFGS require some of them and refuse other
    layers. The defaults are cautious: a layer that sets no property works in `forward`, `backward`
    and `Sequential.predict`, and is refused elsewhere.

    `backward` adds the gradients of the parameters to ``grads`` and returns other gradients as new
    arrays. ``params`` and ``grads`` are flat. They hold the arrays of `param_shapes`, one after the
    other.
    """

    # Sizes and shapes.

    @abc.abstractmethod
    def output_size(self, input_size: int) -> int:
        """Return the number of features of the output, given the number of the input."""

    def gives_last(self, given: bool) -> bool:
        """Return True if the output has ``last``, given whether the input has ``last``."""
        return False

    def needs_steps(self, all_steps: bool) -> bool:
        """Return True if ``x`` of the input is read, given whether ``x`` of the output is read."""
        return True

    def state_shapes(self, batch: int, input_size: int = 1) -> StateShapes:
        """Return the shapes of the arrays of the state, (1, batch, …). None: no state."""
        return None

    def param_shapes(self, input_size: int) -> Shapes:
        """Return the shape of each parameter array, in order."""
        return {}

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        """Return initial values of the parameters. Parameters without a value start at zero."""
        return {}

    # Computation.

    def pack(self, params: Array, input_size: int) -> object | None:
        """Return an object that makes `run` faster in place of ``params``, or None."""
        return None

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        """Compute the output and the state.

        With ``all_steps=False``, ``x`` of the output is not read.
        """
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
        """Compute the output, the state and the values that `backward` needs.

        ``rng`` may be used only during this call. None: the layer draws no random numbers.
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
        """Add to ``grads``, and return the gradients of the input and of the initial state.

        The gradient of the input is None without ``input_gradient``. The gradient of the state is
        None if `forward` was given no state.
        """

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        """Add the layer to a program of the core. Return False if the core cannot compute it.

        ``params`` is the parameters, which the program reads at every call, or the object that
        `pack` made of them.
        """
        return False


def can_lower(layer: Layer[Any]) -> bool:
    """Return False if a subclass overrides `run` or `forward` of the class that defines `lower`."""
    order = type(layer).__mro__
    definer = {
        name: next(i for i, kind in enumerate(order) if name in vars(kind))
        for name in ("lower", "run", "forward")
    }
    return definer["lower"] <= min(definer["run"], definer["forward"])
