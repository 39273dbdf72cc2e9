"""Layers applied one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer, can_lower
from fusedlstm.layers.composite import Composite, Sublayer, params_of
from fusedlstm.layers.conformance import checked_backward, checked_forward, is_custom
from fusedlstm.layers.rng import LayerGenerators
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State, StateShapes


class PlannedLayer(NamedTuple):
    """A layer of a `Chain`, with the properties that `Chain.run` and `Chain.forward` use."""

    sublayer: Sublayer
    all_steps: bool  # `Sequence.x` of the output is read
    selects: bool
    random: bool
    custom: bool  # the class is not defined in this package


class CustomSaved(NamedTuple):
    """The values that a custom layer returned for `backward`, and its input."""

    saved: Any
    x: Array


class Chain(Composite):
    """Layers applied one after the other.

    Parameters
    ----------
    *layers : layers
        The input of each layer is the output of the layer before.

    Notes
    -----
    `LastStep` directly after pointwise layers is computed before them. So the pointwise layers are
    applied to one vector per sequence. After a recurrent layer, this vector is the final output of
    each direction.

    Examples
    --------
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Chain, Dense, LastStep, Residual
    >>> block = Chain(LSTM(8), Dense(4, activation="tanh"))
    >>> model = Sequential([block, Residual(LSTM(4)), LastStep()], input_size=3)
    >>> list(model.named_params())[3:5]
    ['0.1.weight', '0.1.bias']
    """

    def __init__(self, *layers: Layer[Any]) -> None:
        super().__init__(*layers)
        check_order(self.layers)

    @property
    def reduces(self) -> bool:
        return any(layer.reduces for layer in self.layers)

    @property
    def reads_last(self) -> bool:
        first = next((layer for layer in self.layers if not layer.pointwise), None)
        return first is not None and first.reads_last

    def gives_last(self, given: bool) -> bool:
        for number in self.order:
            given = self.layers[number].gives_last(given)
        return given

    def output_size(self, input_size: int) -> int:
        for layer in self.layers:
            input_size = layer.output_size(input_size)
        return input_size

    def input_sizes(self, input_size: int) -> tuple[int, ...]:
        sizes = []
        for layer in self.layers:
            sizes.append(input_size)
            input_size = layer.output_size(input_size)
        return tuple(sizes)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The numbers of the layers in the order of computation."""
        order: list[int] = []
        for number, layer in enumerate(self.layers):
            at = len(order)
            while layer.selects and at > 0 and self.layers[order[at - 1]].pointwise:
                at -= 1
            order.insert(at, number)
        return tuple(order)

    @cached_property
    def _plans(self) -> dict[tuple[int, bool], tuple[PlannedLayer, ...]]:
        return {}

    def plan(self, input_size: int, all_steps: bool) -> tuple[PlannedLayer, ...]:
        """Return the layers in the order of computation.

        Parameters
        ----------
        input_size : int
        all_steps : bool
            True if `Sequence.x` of the output of the chain is read.
        """
        key = input_size, all_steps
        if key not in self._plans:
            sublayers, reverse_plan = self.sublayers(input_size), []
            for number in reversed(self.order):
                layer = self.layers[number]
                flags = layer.selects, layer.random, is_custom(layer)
                reverse_plan.append(PlannedLayer(sublayers[number], all_steps, *flags))
                all_steps = self.layers[number].needs_steps(all_steps)
            self._plans[key] = tuple(reversed(reverse_plan))
        return self._plans[key]

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        after: list[State] = [None] * len(self.layers)
        for sublayer, wanted, selects, _, custom in self.plan(seq.size, all_steps):
            if not selects and seq.last is not None:
                seq = Sequence(seq.x, seq.lengths)
            number, layer = sublayer.number, sublayer.layer
            own = params_of(params, sublayer)
            before = None if state is None else state[number]
            if custom and type(layer).run is Layer.run:
                result = layer.forward(own, seq, before, None, wanted)
                seq, after[number] = checked_forward(number, layer, seq, result)[0]
            else:
                seq, after[number] = layer.run(own, seq, before, wanted)
        return seq, tuple(after)

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Any]:
        plan, saved = self.plan(seq.steps().shape[-1], all_steps), []
        after: list[State] = [None] * len(plan)
        generators = None if rng is None else LayerGenerators(rng)
        for (number, layer, own, _), wanted, selects, random, custom in plan:
            if seq.last is not None and not selects:
                seq = Sequence(seq.x, seq.lengths)
            before = None if state is None else state[number]
            generator = generators.for_layer(number) if random and generators is not None else None
            if custom:
                result = layer.forward(params[own], seq, before, generator, wanted)
                (out, after[number]), kept = checked_forward(number, layer, seq, result)
                saved.append(CustomSaved(kept, seq.steps()))
                seq = out
            else:
                (seq, after[number]), kept = layer.forward(
                    params[own], seq, before, generator, wanted
                )
                saved.append(kept)
        if generators is not None:
            generators.release()
        return (seq, tuple(after)), (plan, saved)

    def backward(
        self,
        params: Array,
        saved: Any,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        plan, kept = saved
        before: list[State] = [None] * len(plan)
        gradient: Any = dseq
        for position in range(len(plan) - 1, -1, -1):
            (number, layer, own, _), _, _, _, custom = plan[position]
            of_state = None if dstate is None else dstate[number]
            wanted = input_gradient or position > 0
            if custom:
                values, x = kept[position]
                result = layer.backward(params[own], values, gradient, of_state, grads[own], wanted)
                gradient, before[number] = checked_backward(number, layer, x, result)
            else:
                gradient, before[number] = layer.backward(
                    params[own], kept[position], gradient, of_state, grads[own], wanted
                )
        return gradient, tuple(before)

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        for sublayer, wanted, *_ in self.plan(input_size, all_steps):
            layer, own = sublayer.layer, params_of(params, sublayer)
            if not (can_lower(layer) and layer.lower(program, own, sublayer.input_size, wanted)):
                return False
        return True


def state_from_leaves(layer: Layer[Any], shapes: StateShapes, leaves: Iterator[State]) -> State:
    """Return the state of a layer, given the result of `state_leaves`."""
    if not isinstance(layer, Chain):
        return None if shapes is None else next(leaves)
    parts: list[State] = [None] * len(layer.layers)
    for number in layer.order:
        parts[number] = state_from_leaves(layer.layers[number], shapes[number], leaves)
    return tuple(parts)


def state_leaves(layer: Layer[Any], state: State) -> Iterator[State]:
    """Yield the states of the layers with a state, in the order of computation.

    A layer that is not a `Chain` has one state.
    """
    if not isinstance(layer, Chain):
        if state is not None:
            yield state
        return
    for number in layer.order:
        yield from state_leaves(layer.layers[number], state[number])


def check_order(layers: tuple[Layer[Any], ...]) -> None:
    """Refuse layers for sequences after a layer that reduces, and ambiguous last steps.

    The last step is ambiguous after a layer that reads backward, because its final output is at the
    first step.
    """
    reducing: Layer[Any] | None = None
    last = False  # True if the sequence has `Sequence.last`
    backward: Layer[Any] | None = None  # the layer that read the sequence backward
    for number, layer in enumerate(layers):
        if reducing is not None and not layer.pointwise:
            raise ValueError(
                f"layers[{number}] must be a layer for vectors after "
                f"{type(reducing).__name__}, which reduces sequences; got {layer!r}"
            )
        ambiguous = layer.reads_last and not (layer.selects and last)
        if ambiguous and backward is not None:
            raise ValueError(
                f"layers[{number}] must follow a layer that gives each direction's final output; "
                f"got {layer!r} after {backward!r}. Put LastStep into the Chain of the "
                f"bidirectional layer, or use Pool instead."
            )
        if layer.reduces:
            reducing = layer
        if not layer.pointwise:
            last = layer.gives_last(last)
            backward = layer if layer.reads_backward else None
        of = layer.shares_params_of
        if of is not None and not 0 <= of < number:
            needed = f"the number of an earlier layer, at most {number - 1}"
            if number == 0:
                needed = "the number of an earlier layer, and there is none before layers[0]"
            raise ValueError(check.needs(f"layers[{number}].number", needed, of))
