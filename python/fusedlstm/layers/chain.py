"""Layers in a row."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer, can_lower
from fusedlstm.layers.composite import Composite, Place, params_of
from fusedlstm.layers.conformance import checked_backward, checked_forward, is_foreign
from fusedlstm.layers.rng import Draws
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import Shapes as StateShapes
from fusedlstm.layers.states import State


class Step(NamedTuple):
    """A layer of a `Chain` at its turn."""

    place: Place
    all_steps: bool  # of its output are read
    selects: bool
    random: bool
    foreign: bool  # its class is not of this package


class Kept(NamedTuple):
    """The values that a layer of another project saved, and its input."""

    saved: Any
    x: Array


class Chain(Composite):
    """Layers in a row.

    Parameters
    ----------
    *layers : layers
        The input of each is the output of the one before.

    Notes
    -----
    `LastStep` after pointwise layers is computed before them: each of these has the same output
    for a step wherever it stands. After a bidirectional layer they so read each direction's own
    final output.

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
    def _steps_by_size(self) -> dict[tuple[int, bool], tuple[Step, ...]]:
        return {}

    def steps(self, input_size: int, all_steps: bool) -> tuple[Step, ...]:
        """Return the layers in the order of computation."""
        key = input_size, all_steps
        if key not in self._steps_by_size:
            places, steps = self.places(input_size), []
            for number in reversed(self.order):
                layer = self.layers[number]
                flags = layer.selects, layer.random, is_foreign(layer)
                steps.append(Step(places[number], all_steps, *flags))
                all_steps = self.layers[number].needs_steps(all_steps)
            self._steps_by_size[key] = tuple(reversed(steps))
        return self._steps_by_size[key]

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        after: list[State] = [None] * len(self.layers)
        for place, wanted, selects, _, foreign in self.steps(seq.size, all_steps):
            if not selects and seq.last is not None:
                seq = Sequence(seq.x, seq.lengths)
            own = params_of(params, place)
            before = None if state is None else state[place.number]
            if foreign and type(place.layer).run is Layer.run:
                whole = place.layer.forward(own, seq, before, None, wanted)
                result = checked_forward(place.number, place.layer, seq, whole)[0]
            else:
                result = place.layer.run(own, seq, before, wanted)
            seq, after[place.number] = result
        return seq, tuple(after)

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Any]:
        steps, saved = self.steps(seq.steps().shape[-1], all_steps), []
        after: list[State] = [None] * len(steps)
        draws = None if rng is None else Draws(rng)
        for step in steps:
            (number, layer, own, _), wanted, selects, random, foreign = step
            if seq[2] is not None and not selects:
                seq = Sequence(seq[0], seq[1])
            before = None if state is None else state[number]
            generator = draws.of_layer(number) if random and draws is not None else None
            if foreign:
                result = layer.forward(params[own], seq, before, generator, wanted)
                (out, after[number]), kept = checked_forward(number, layer, seq, result)
                saved.append(Kept(kept, seq.steps()))
                seq = out
            else:
                (seq, after[number]), kept = layer.forward(
                    params[own], seq, before, generator, wanted
                )
                saved.append(kept)
        if draws is not None:
            draws.end()
        return (seq, tuple(after)), (steps, saved)

    def backward(
        self,
        params: Array,
        saved: Any,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        steps, kept = saved
        before: list[State] = [None] * len(steps)
        gradient: Any = dseq
        for turn in range(len(steps) - 1, -1, -1):
            (number, layer, own, _), _, _, _, foreign = steps[turn]
            of_state = None if dstate is None else dstate[number]
            wanted = input_gradient or turn > 0
            if foreign:
                values, x = kept[turn]
                result = layer.backward(params[own], values, gradient, of_state, grads[own], wanted)
                gradient, before[number] = checked_backward(number, layer, x, result)
            else:
                gradient, before[number] = layer.backward(
                    params[own], kept[turn], gradient, of_state, grads[own], wanted
                )
        return gradient, tuple(before)

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        return all(
            can_lower(place.layer)
            and place.layer.lower(program, params_of(params, place), place.input_size, wanted)
            for place, wanted, *_ in self.steps(input_size, all_steps)
        )


def state_from_leaves(layer: Layer[Any], shapes: StateShapes, leaves: Iterator[State]) -> State:
    """Return the state of a layer.

    ``leaves`` yields the states of its layers that have one, in the order of computation.
    """
    if not isinstance(layer, Chain):
        return None if shapes is None else next(leaves)
    parts: list[State] = [None] * len(layer.layers)
    for number in layer.order:
        parts[number] = state_from_leaves(layer.layers[number], shapes[number], leaves)
    return tuple(parts)


def state_leaves(layer: Layer[Any], state: State) -> Iterator[State]:
    """Yield the states of the layers that have one, in the order of computation."""
    if not isinstance(layer, Chain):
        if state is not None:
            yield state
        return
    for number in layer.order:
        yield from state_leaves(layer.layers[number], state[number])


def check_order(layers: tuple[Layer[Any], ...]) -> None:
    """Refuse layers for sequences after one that reduces, and ambiguous last steps."""
    reducing: Layer[Any] | None = None
    last, backward = False, None  # of the sequence; the layer that reads it backward
    for number, layer in enumerate(layers):
        if reducing is not None and not layer.pointwise:
            raise ValueError(
                f"layers[{number}] must be a layer for vectors, since "
                f"{type(reducing).__name__} stands before it; got {layer!r}"
            )
        ambiguous = layer.reads_last and not (layer.selects and last)
        if ambiguous and backward is not None:
            raise ValueError(
                f"layers[{number}] must follow a layer that gives each direction's final output; "
                f"got {layer!r} after {backward!r}. Put LastStep directly into the row of the "
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
