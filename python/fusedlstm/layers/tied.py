"""A layer with the parameters of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer, Shapes, can_lower
from fusedlstm.layers.composite import Composite
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import Shapes as StateShapes
from fusedlstm.layers.states import State


@dataclass(frozen=True)
class Tied(Layer[Any]):
    """A layer that uses the parameters of an earlier layer of the same `Chain` or `Sequential`.

    The gradients of both add up. `Sequential.named_params` and files have the parameters once,
    under the name of the earlier layer.

    Parameters
    ----------
    number : int
        Number of the earlier layer.
    layer : layer
        Its parameters have the shapes of the earlier layer's.

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
            needed = "a layer that does not consist of layers"
            raise ValueError(check.needs("layer", needed, self.layer))

    @property
    def shares_params_of(self) -> int:
        return self.number

    @property
    def pointwise(self) -> bool:
        return self.layer.pointwise

    @property
    def causal(self) -> bool:
        return self.layer.causal

    @property
    def reduces(self) -> bool:
        return self.layer.reduces

    @property
    def random(self) -> bool:
        return self.layer.random

    @property
    def maskable(self) -> bool:
        return self.layer.maskable

    @property
    def has_complete_state(self) -> bool:
        return self.layer.has_complete_state

    @property
    def selects(self) -> bool:
        return self.layer.selects

    @property
    def reads_last(self) -> bool:
        return self.layer.reads_last

    @property
    def reads_backward(self) -> bool:
        return self.layer.reads_backward

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
