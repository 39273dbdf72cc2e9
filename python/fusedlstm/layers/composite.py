"""The base class of layers that contain layers."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer
from fusedlstm.layers.shapes import Shapes, count_of
from fusedlstm.layers.states import StateShapes


class Sublayer(NamedTuple):
    """A layer of a `Composite`, its slice of the parameters and its input size."""

    number: int
    layer: Layer[Any]
    params: slice
    input_size: int


class PackedLayers(NamedTuple):
    """Packed parameters of the layers of a `Composite`."""

    layers: tuple[Any, ...]  # the result of `Layer.pack`, or a copy of the parameters


@dataclass(frozen=True, init=False, repr=False)
class Composite(Layer[Any], abc.ABC):
    """Base class of layers that contain layers.

    Its parameters are the parameters of the layers, one after the other, under names such as
    ``"0.weight_ih"``. Its state is the tuple of the layers' states.
    """

    layers: tuple[Layer[Any], ...]

    is_sequential = True
    """True if the input of each layer is the output of the layer before."""

    def __init__(self, *layers: Layer[Any]) -> None:
        object.__setattr__(self, "layers", checked_layers(layers))

    @classmethod
    def from_fields(cls, layers: tuple[Layer[Any], ...]) -> Composite:
        """Return a layer with these fields, which were read from a file."""
        return cls(*layers)

    def __repr__(self) -> str:
        """Return a call that makes the layer."""
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": self.layers}  # the other attributes are caches

    # Properties. Some require that all layers have the property, the others that one layer has it.

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
        """True if the output depends on the position of the last step of the input."""

    @property
    def reads_backward(self) -> bool:
        return any(layer.reads_backward for layer in self.layers)

    # Parameters and states.

    @abc.abstractmethod
    def input_sizes(self, input_size: int) -> tuple[int, ...]:
        """Return the number of features that each layer reads."""

    def sublayers(self, input_size: int) -> tuple[Sublayer, ...]:
        """Return the layers with their slices of the parameters."""
        known = self._sublayers_by_size
        if input_size not in known:
            known[input_size] = self._make_sublayers(input_size)
        return known[input_size]

    def named_layers(self, input_size: int) -> Iterator[tuple[str, Layer[Any], int]]:
        """Yield the prefix of the parameters' names, the layer and the input size of each layer."""
        for sublayer in self.sublayers(input_size):
            yield str(sublayer.number), sublayer.layer, sublayer.input_size

    @cached_property
    def _sublayers_by_size(self) -> dict[int, tuple[Sublayer, ...]]:
        return {}

    def _make_sublayers(self, input_size: int) -> tuple[Sublayer, ...]:
        sublayers: list[Sublayer] = []
        start = 0
        for number, size in enumerate(self.input_sizes(input_size)):
            layer = self.layers[number]
            shapes = layer.param_shapes(size)
            of = layer.shares_params_of
            if of is None:
                stop = start + count_of(shapes)
                sublayers.append(Sublayer(number, layer, slice(start, stop), size))
                start = stop
            else:
                sublayers.append(Sublayer(number, layer, sublayers[of].params, size))
                check_shared(number, layer, size, sublayers[of])
        return tuple(sublayers)

    def param_shapes(self, input_size: int) -> Shapes:
        return {
            f"{sublayer.number}.{name}": shape
            for sublayer in self.sublayers(input_size)
            if sublayer.layer.shares_params_of is None
            for name, shape in sublayer.layer.param_shapes(sublayer.input_size).items()
        }

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        return {
            f"{sublayer.number}.{name}": values
            for sublayer in self.sublayers(input_size)
            if sublayer.layer.shares_params_of is None
            for name, values in sublayer.layer.init_params(sublayer.input_size, rng).items()
        }

    def state_shapes(self, batch: int, input_size: int = 1) -> StateShapes:
        return tuple(
            layer.state_shapes(batch, size)
            for layer, size in zip(self.layers, self.input_sizes(input_size), strict=True)
        )

    def pack(self, params: Array, input_size: int) -> PackedLayers:
        packed = []
        for sublayer in self.sublayers(input_size):
            own = params[sublayer.params]
            of_layer = sublayer.layer.pack(own, sublayer.input_size)
            packed.append(own.copy() if of_layer is None else of_layer)
        return PackedLayers(tuple(packed))


def added(a: Array | None, b: Array | None) -> Array | None:
    """Return the sum of two gradients. None means zero."""
    if a is None or b is None:
        return b if a is None else a
    total: Array = a + b
    return total


def params_of(params: Any, sublayer: Sublayer) -> Any:
    """Return the parameters of one layer, given all parameters, flat or packed."""
    if type(params) is PackedLayers:
        return params.layers[sublayer.number]
    return params[sublayer.params]


def checked_layers(layers: Any) -> tuple[Layer[Any], ...]:
    """Return the layers as a tuple, or raise an error if one of them is not a layer."""
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


def check_shared(number: int, layer: Layer[Any], size: int, sublayer: Sublayer) -> None:
    """Refuse a layer whose parameters differ in shape from the parameters that it shares."""
    own = list(layer.param_shapes(size).values())
    theirs = list(sublayer.layer.param_shapes(sublayer.input_size).values())
    if own != theirs:
        raise ValueError(
            f"layers[{number}] must have parameters of the shapes {theirs} of "
            f"layers[{sublayer.number}], which it shares; got {own}"
        )
