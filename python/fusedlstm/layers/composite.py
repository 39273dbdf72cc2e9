"""Layers of layers: in a row, beside the identity, side by side."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fusedlstm import _validation as check
from fusedlstm._core import Array
from fusedlstm._draws import Draws
from fusedlstm._states import Shapes as StateShapes
from fusedlstm._states import State
from fusedlstm.layers.base import Layer, Shapes, can_lower
from fusedlstm.layers.conformance import checked_backward, checked_forward, is_foreign
from fusedlstm.layers.dense import Dense
from fusedlstm.sequence import Sequence


class Place(NamedTuple):
    """A layer within a layer of layers, and its slice of the parameters."""

    number: int
    layer: Layer[Any]
    params: slice
    input_size: int


class Step(NamedTuple):
    """A layer of a `Chain` at its turn."""

    place: Place
    all_steps: bool  # of its output are read
    selects: bool
    random: bool
    foreign: bool  # its class is not of this package


class Kept(NamedTuple):
    """What a layer of another project saved, and its input."""

    saved: Any
    x: Array


class Packed(NamedTuple):
    """What a layer of layers packs: an entry per layer, packed or a copy of its parameters."""

    layers: tuple[Any, ...]


@dataclass(frozen=True, init=False, repr=False)
class Composite(Layer[Any], abc.ABC):
    """A layer that consists of layers.

    Its parameters are theirs, one after the other, under names such as ``"0.weight_ih"``. Its state
    is the tuple of their states.
    """

    layers: tuple[Layer[Any], ...]

    in_a_row = True
    """Whether the input of each layer is the output of the one before."""

    def __init__(self, *layers: Layer[Any]) -> None:
        object.__setattr__(self, "layers", checked_layers(layers))

    @classmethod
    def from_fields(cls, layers: tuple[Layer[Any], ...]) -> Composite:
        """Make one of its fields, as they are read from a file."""
        return cls(*layers)

    def __repr__(self) -> str:
        """Return a call that makes the layer."""
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": self.layers}  # the rest is computed again

    # Properties: those that all layers have.

    @property
    def pointwise(self) -> bool:
        return all(layer.pointwise for layer in self.layers)

    @property
    def causal(self) -> bool:
        return all(layer.causal for layer in self.layers)

    @property
    def random(self) -> bool:
        return any(layer.random for layer in self.layers)

    @property
    def maskable(self) -> bool:
        return all(layer.maskable for layer in self.layers)

    @property
    def has_complete_state(self) -> bool:
        return all(layer.has_complete_state for layer in self.layers)

    @property
    @abc.abstractmethod
    def reads_last(self) -> bool:
        """True if the output depends on which step of the input is the last."""

    @property
    def reads_backward(self) -> bool:
        return any(layer.reads_backward for layer in self.layers)

    # Parameters and states.

    @abc.abstractmethod
    def input_sizes(self, input_size: int) -> tuple[int, ...]:
        """Return the number of features that each layer reads."""

    def places(self, input_size: int) -> tuple[Place, ...]:
        """Return the layers with their slices of the parameters."""
        known = self._places_by_size
        if input_size not in known:
            known[input_size] = self._divided(input_size)
        return known[input_size]

    @cached_property
    def _places_by_size(self) -> dict[int, tuple[Place, ...]]:
        return {}

    def _divided(self, input_size: int) -> tuple[Place, ...]:
        places: list[Place] = []
        start = 0
        for number, size in enumerate(self.input_sizes(input_size)):
            layer = self.layers[number]
            shapes = layer.param_shapes(size)
            of = layer.shares_params_of
            if of is None:
                stop = start + count_of(shapes)
                places.append(Place(number, layer, slice(start, stop), size))
                start = stop
            else:
                places.append(Place(number, layer, places[of].params, size))
                check_shared(number, layer, size, places[of])
        return tuple(places)

    def param_shapes(self, input_size: int) -> Shapes:
        return {
            f"{place.number}.{name}": shape
            for place in self.places(input_size)
            if place.layer.shares_params_of is None
            for name, shape in place.layer.param_shapes(place.input_size).items()
        }

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        return {
            f"{place.number}.{name}": values
            for place in self.places(input_size)
            if place.layer.shares_params_of is None
            for name, values in place.layer.init_params(place.input_size, rng).items()
        }

    def state_shapes(self, batch: int, input_size: int = 1) -> StateShapes:
        return tuple(
            layer.state_shapes(batch, size)
            for layer, size in zip(self.layers, self.input_sizes(input_size), strict=True)
        )

    def pack(self, params: Array, input_size: int) -> Packed:
        packed = []
        for place in self.places(input_size):
            own = params[place.params]
            of_layer = place.layer.pack(own, place.input_size)
            packed.append(own.copy() if of_layer is None else of_layer)
        return Packed(tuple(packed))


class Generators:
    """The generators of the layers of one call; None for layers that draw nothing."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self._draws = None if rng is None else Draws(rng)

    def of(self, place: Place) -> np.random.Generator | None:
        """Return the generator of a layer, valid until the next one is asked for."""
        if self._draws is None or not place.layer.random:
            return None
        return self._draws.of_layer(place.number)

    def end(self) -> None:
        """Give the generator back."""
        if self._draws is not None:
            self._draws.end()


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
        for place, wanted, selects, random, foreign in steps:
            number, layer, own, _ = place
            if not selects and seq.last is not None:
                seq = Sequence(seq.x, seq.lengths)
            result = layer.forward(
                params[own],
                seq,
                None if state is None else state[number],
                draws.of_layer(number) if random and draws is not None else None,
                wanted,
            )
            if foreign:
                result = checked_forward(number, layer, seq, result)
                result = result[0], Kept(result[1], seq.steps())
            (seq, after[number]), kept = result
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
            number, layer, own, _ = steps[turn].place
            foreign, of_layer = steps[turn].foreign, kept[turn]
            result = layer.backward(
                params[own],
                of_layer.saved if foreign else of_layer,
                gradient,
                None if dstate is None else dstate[number],
                grads[own],
                input_gradient or turn > 0,
            )
            if foreign:
                checked_backward(number, layer, of_layer.x, result)
            gradient, before[number] = result
        return gradient, tuple(before)

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        return all(
            can_lower(place.layer)
            and place.layer.lower(program, params_of(params, place), place.input_size, wanted)
            for place, wanted, *_ in self.steps(input_size, all_steps)
        )


class Residual(Composite):
    """Layers in a row, whose output is added to their input.

    Parameters
    ----------
    *layers : layers
        They keep the steps. If their output has another size than their input, the input goes
        through a linear `Dense` of that size first, whose parameters are ``projection.weight`` and
        ``projection.bias``.

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
                needed = "a layer that keeps the steps, since they are added to the input"
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

    def _projection(self, input_size: int) -> Dense | None:
        size = self.output_size(input_size)
        return None if size == input_size else Dense(size)

    def _split(self, flat: Array, input_size: int) -> tuple[Array, Array]:
        """Divide an array laid out like the parameters into those of the layers and the rest."""
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

    def pack(self, params: Array, input_size: int) -> Packed:
        own, rest = self._split(params, input_size)
        projection = self._projection(input_size)
        of_rest = None if projection is None else projection.pack(rest, input_size)
        return Packed((self._chain.pack(own, input_size), of_rest))

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        size = seq.size
        own, rest = params.layers if type(params) is Packed else self._split(params, size)
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
        dinner, before = self._chain.backward(
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
        assert dinner is not None
        return Sequence(added(dx, dinner.x), lengths), before

    @staticmethod
    def _sum(given: Sequence, out: Sequence) -> Sequence:
        return Sequence(given.steps() + out.steps(), out.lengths)


class Parallel(Composite):
    """Layers side by side, whose outputs are joined along the features.

    Parameters
    ----------
    *branches : layers
        All keep the steps, or all reduce them. A branch of several layers is a `Chain`.

    Examples
    --------
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import GRU, LSTM, Dense, LastStep, Parallel
    >>> model = Sequential([Parallel(LSTM(8), GRU(4)), LastStep(), Dense(2)], input_size=3)
    >>> list(model.named_params())[3]
    '0.1.weight_ih'
    """

    in_a_row = False

    def __init__(self, *branches: Layer[Any]) -> None:
        super().__init__(*branches)
        kinds = {branch.reduces for branch in self.layers}
        if len(kinds) > 1:
            needed = "layers that all keep the steps or all reduce them"
            raise ValueError(check.needs("branches", needed, self.layers))
        if any(branch.shares_params_of is not None for branch in self.layers):
            needed = "layers with parameters of their own"
            raise ValueError(check.needs("branches", needed, self.layers))

    @property
    def reduces(self) -> bool:
        return self.layers[0].reduces

    @property
    def reads_last(self) -> bool:
        return any(branch.reads_last for branch in self.layers)

    def gives_last(self, given: bool) -> bool:
        return all(branch.gives_last(given) for branch in self.layers)

    def output_size(self, input_size: int) -> int:
        return sum(branch.output_size(input_size) for branch in self.layers)

    def input_sizes(self, input_size: int) -> tuple[int, ...]:
        return (input_size,) * len(self.layers)

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        outs, after = [], []
        for place in self.places(seq.size):
            before = None if state is None else state[place.number]
            own = params_of(params, place)
            out, of_branch = place.layer.run(own, readable(seq, place), before)
            outs.append(out)
            after.append(of_branch)
        return self._joined(outs), tuple(after)

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Any]:
        outs, after, saved, generators = [], [], [], Generators(rng)
        places = self.places(seq.size)
        for place in places:
            before = None if state is None else state[place.number]
            (out, of_branch), kept = place.layer.forward(
                params[place.params], readable(seq, place), before, generators.of(place)
            )
            outs.append(out)
            after.append(of_branch)
            saved.append(kept)
        generators.end()
        widths = [out.size for out in outs]
        return (self._joined(outs), tuple(after)), (places, saved, widths, seq.lengths)

    def backward(
        self,
        params: Array,
        saved: Any,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        places, kept, widths, lengths = saved
        stops = np.cumsum(widths)[:-1]
        dx = None if dseq.x is None else np.split(dseq.x, stops, axis=-1)
        dlast = None if dseq.last is None else np.split(dseq.last, stops, axis=-1)
        before: list[State] = []
        total: Sequence | None = None
        for place in places:
            number = place.number
            of_branch = Sequence(
                None if dx is None else check.contiguous(dx[number]),
                dseq.lengths,
                None if dlast is None else check.contiguous(dlast[number]),
            )
            gradient, of_state = place.layer.backward(
                params[place.params],
                kept[number],
                of_branch,
                None if dstate is None else dstate[number],
                grads[place.params],
                input_gradient,
            )
            before.append(of_state)
            if gradient is not None and total is not None:
                x, last = added(total.x, gradient.x), added(total.last, gradient.last)
                total = Sequence(x, lengths, last)
            elif gradient is not None:
                total = Sequence(gradient.x, lengths, gradient.last)
        return total, tuple(before)

    def _joined(self, outs: list[Sequence]) -> Sequence:
        last = None
        if all(out.last is not None for out in outs):
            last = np.concatenate([out.last for out in outs], axis=-1)
        x = np.concatenate([out.zeroed().steps() for out in outs], axis=-1)
        return Sequence(x, outs[0].lengths, last)


def added(a: Array | None, b: Array | None) -> Array | None:
    """Return the sum of two gradients, of which None is zero."""
    if a is None or b is None:
        return b if a is None else a
    total: Array = a + b
    return total


def readable(seq: Sequence, place: Place) -> Sequence:
    """Return the input of a branch, without the final outputs unless it selects them."""
    return seq if seq.last is None or place.layer.selects else Sequence(seq.x, seq.lengths)


def params_of(params: Any, place: Place) -> Any:
    """Return a layer's part of parameters, packed or not."""
    return params.layers[place.number] if type(params) is Packed else params[place.params]


def count_of(shapes: Shapes) -> int:
    """Return the number of elements of arrays of these shapes."""
    return sum(math.prod(shape) for shape in shapes.values())


def checked_layers(layers: Any) -> tuple[Layer[Any], ...]:
    """Return the layers as a tuple."""
    needed = "a sequence of layers from fusedlstm.layers"
    try:
        checked = tuple(layers)
    except TypeError:
        raise TypeError(check.needs("layers", needed, layers)) from None
    if not checked:
        raise ValueError(check.needs("layers", needed, layers))
    for number, layer in enumerate(checked):
        if not isinstance(layer, Layer):
            hint = f"Did you mean {layer.__name__}(...)?" if isinstance(layer, type) else ""
            raise TypeError(check.needs(f"layers[{number}]", "a layer", layer, hint))
    return checked


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


def check_shared(number: int, layer: Layer[Any], size: int, place: Place) -> None:
    """Refuse a layer whose parameters do not fit those that it shares."""
    own = list(layer.param_shapes(size).values())
    theirs = list(place.layer.param_shapes(place.input_size).values())
    if own != theirs:
        raise ValueError(
            f"layers[{number}] must have parameters of the shapes {theirs} of "
            f"layers[{place.number}], which it shares; got {own}"
        )
