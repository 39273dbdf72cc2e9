"""The base class of layers that consist of layers."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer, Shapes
from fusedlstm.layers.states import Shapes as StateShapes


class Place(NamedTuple):
    """A layer within a layer of layers, and its slice of the parameters."""

    number: int
    layer: Layer[Any]
    params: slice
    input_size: int


class Packed(NamedTuple):
    """Packed parameters: an entry per layer, packed or a copy of its parameters."""

    layers: tuple[Any, ...]


@dataclass(frozen=True, init=False, repr=False)
class Composite(Layer[Any], abc.ABC):
    """A layer that consists of layers.

    Its parameters are theirs, one after the other, under names such as ``"0.weight_ih"``. Its state
    is the tuple of their states.
    """

    layers: tuple[Layer[Any], ...]

    in_a_row = True
    """True if the input of each layer is the output of the one before."""

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

    def named_layers(self, input_size: int) -> Iterator[tuple[str, Layer[Any], int]]:
        """Yield the layers with the prefix of their parameters' names and their input size."""
        for place in self.places(input_size):
            yield str(place.number), place.layer, place.input_size

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


def added(a: Array | None, b: Array | None) -> Array | None:
    """Return the sum of two gradients, of which None is zero."""
    if a is None or b is None:
        return b if a is None else a
    total: Array = a + b
    return total


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


def check_shared(number: int, layer: Layer[Any], size: int, place: Place) -> None:
    """Refuse a layer whose parameters do not fit those that it shares."""
    own = list(layer.param_shapes(size).values())
    theirs = list(place.layer.param_shapes(place.input_size).values())
    if own != theirs:
        raise ValueError(
            f"layers[{number}] must have parameters of the shapes {theirs} of "
            f"layers[{place.number}], which it shares; got {own}"
        )
