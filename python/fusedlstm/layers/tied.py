"""Layers that share parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer, can_lower
from fusedlstm.layers.composite import Composite
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.shapes import Shapes
from fusedlstm.layers.states import State, StateShapes


def _of_layer(name: str) -> Any:
    """Return a property of `Tied` that returns the same property of ``self.layer``."""
    doc = getattr(Layer, name).__doc__
    return property(lambda tied: getattr(tied.layer, name), doc=doc)


@dataclass(frozen=True)
class Tied(Layer[Any]):
    """A layer that uses the parameters of an earlier layer of the same `Chain` or `Sequential`.

    The gradients of both layers are added [1]_. `Sequential.named_params` and files contain the
    parameters once, under the name of the earlier layer.

    Parameters
    ----------
    number : int
        Number of the earlier layer, counted from 0.
    layer : layer
        A layer with parameters of the same shapes as the earlier layer. It contains no layers.

    References
    ----------
    .. [1] Press and Wolf, "Using the Output Embedding to Improve Language Models", 2017.

    Examples
    --------
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import Dense, LastStep, Tied
    >>> layers = [Dense(4, activation="tanh"), Tied(0, Dense(4, activation="tanh")), LastStep()]
    >>> list(Sequential(layers, input_size=4).named_params())
    ['0.weight', '0.bias']
    """

    number: int
    layer: Layer[Any]

    def __post_init__(self) -> None:
        check.int_at_least("number", self.number, 0, "the number of an earlier layer")
        if not isinstance(self.layer, Layer):
            raise TypeError(check.needs("layer", "a layer", self.layer))
        if isinstance(self.layer, (Composite, Tied)):
            needed = "a layer that contains no layers"
            raise ValueError(check.needs("layer", needed, self.layer))

    @property
    def shares_params_of(self) -> int:
        return self.number

    pointwise = _of_layer("pointwise")
    causal = _of_layer("causal")
    reduces = _of_layer("reduces")
    random = _of_layer("random")
    maskable = _of_layer("maskable")
    has_complete_state = _of_layer("has_complete_state")
    selects = _of_layer("selects")
    reads_last = _of_layer("reads_last")
    reads_backward = _of_layer("reads_backward")

    def gives_last(self, given: bool) -> bool:
        return self.layer.gives_last(given)

    def output_size(self, input_size: int) -> int:
        return self.layer.output_size(input_size)

    def needs_steps(self, all_steps: bool) -> bool:
        return self.layer.needs_steps(all_steps)

    def state_shapes(self, batch: int, input_size: int = 1) -> StateShapes:
        return self.layer.state_shapes(batch, input_size)

    def param_shapes(self, input_size: int) -> Shapes:
        return self.layer.param_shapes(input_size)

    def pack(self, params: Array, input_size: int) -> object | None:
        return self.layer.pack(params, input_size)

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        return self.layer.run(params, seq, state, all_steps)

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Any]:
        return self.layer.forward(params, seq, state, rng, all_steps)

    def backward(
        self,
        params: Array,
        saved: Any,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        return self.layer.backward(params, saved, dseq, dstate, grads, input_gradient)

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        layer = self.layer
        return can_lower(layer) and layer.lower(program, params, input_size, all_steps)
