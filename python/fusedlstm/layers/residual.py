"""Layers with a residual connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer
from fusedlstm.layers.chain import Chain
from fusedlstm.layers.composite import Composite, PackedLayers, added
from fusedlstm.layers.dense import Dense
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.shapes import Shapes, count_of
from fusedlstm.layers.states import State


class Residual(Composite):
    """Layers applied one after the other, with a residual connection [1]_.

    The output is the output of the last layer plus the input of the first layer. If their sizes
    differ, a linear `Dense` layer projects the input to the size of the output. Its parameters are
    ``projection.weight`` and ``projection.bias``.

    Parameters
    ----------
    *layers : layers
        Layers with an output at every step.

    Raises
    ------
    ValueError
        If a layer reduces the steps, as `LastStep` and `Pool` do.

    References
    ----------
    .. [1] He et al., "Deep Residual Learning for Image Recognition", 2016.

    Examples
    --------
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense, LastStep, Residual
    >>> model = Sequential([Residual(LSTM(8)), LastStep(), Dense(2)], input_size=3)
    >>> list(model.named_params())
    ['0.0.weight_ih', '0.0.weight_hh', '0.0.bias', '0.projection.weight', '0.projection.bias', \
'2.weight', '2.bias']
    """

    def __init__(self, *layers: Layer[Any]) -> None:
        super().__init__(*layers)
        for number, layer in enumerate(self.layers):
            if layer.reduces:
                needed = "a layer with an output at every step, which is added to the input"
                raise ValueError(check.needs(f"layers[{number}]", needed, layer))

    @cached_property
    def _chain(self) -> Chain:
        return Chain(*self.layers)

    @property
    def reads_last(self) -> bool:
        return self._chain.reads_last

    def output_size(self, input_size: int) -> int:
        return self._chain.output_size(input_size)

    def input_sizes(self, input_size: int) -> tuple[int, ...]:
        return self._chain.input_sizes(input_size)

    def named_layers(self, input_size: int) -> Iterator[tuple[str, Layer[Any], int]]:
        yield from super().named_layers(input_size)
        projection = self._projection(input_size)
        if projection is not None:
            yield "projection", projection, input_size

    def _projection(self, input_size: int) -> Dense | None:
        size = self.output_size(input_size)
        return None if size == input_size else Dense(size)

    def _split(self, flat: Array, input_size: int) -> tuple[Array, Array]:
        """Split an array with the layout of the parameters into layers and projection."""
        count = count_of(self._chain.param_shapes(input_size))
        return flat[:count], flat[count:]

    def param_shapes(self, input_size: int) -> Shapes:
        shapes = self._chain.param_shapes(input_size)
        projection = self._projection(input_size)
        if projection is not None:
            of_projection = projection.param_shapes(input_size)
            shapes |= {f"projection.{name}": shape for name, shape in of_projection.items()}
        return shapes

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        values = dict(self._chain.init_params(input_size, rng))
        projection = self._projection(input_size)
        if projection is not None:
            of_projection = projection.init_params(input_size, rng)
            values |= {f"projection.{name}": array for name, array in of_projection.items()}
        return values

    def pack(self, params: Array, input_size: int) -> PackedLayers:
        own, rest = self._split(params, input_size)
        projection = self._projection(input_size)
        of_rest = None if projection is None else projection.pack(rest, input_size)
        return PackedLayers((self._chain.pack(own, input_size), of_rest))

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        size = seq.size
        own, rest = params.layers if type(params) is PackedLayers else self._split(params, size)
        out, after = self._chain.run(own, seq, state)
        projection = self._projection(size)
        given = seq.zeroed()
        if projection is not None:
            given = projection.run(rest, given)[0]
        return self._sum(given, out), after

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Any]:
        size = seq.size
        own, rest = self._split(params, size)
        (out, after), saved = self._chain.forward(own, seq, state, rng)
        projection, kept = self._projection(size), None
        given = seq.zeroed()
        if projection is not None:
            (given, _), kept = projection.forward(rest, given)
        return (self._sum(given, out), after), (size, saved, projection, kept, seq.lengths)

    def backward(
        self,
        params: Array,
        saved: Any,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        size, of_chain, projection, kept, lengths = saved
        own, rest = self._split(params, size)
        own_grads, rest_grads = self._split(grads, size)
        dchain, before = self._chain.backward(
            own, of_chain, dseq, dstate, own_grads, input_gradient
        )
        dx: Array | None = Sequence(dseq.steps(), lengths).zeroed().x
        if projection is not None:
            assert dx is not None
            through, _ = projection.backward(
                rest, kept, Sequence(dx, lengths), None, rest_grads, input_gradient
            )
            dx = None if through is None else through.x
        if not input_gradient:
            return None, before
        assert dchain is not None
        return Sequence(added(dx, dchain.x), lengths), before

    @staticmethod
    def _sum(given: Sequence, out: Sequence) -> Sequence:
        return Sequence(given.steps() + out.steps(), out.lengths)
