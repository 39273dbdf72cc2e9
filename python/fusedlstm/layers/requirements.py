"""Checks of the layer properties that streams, states, masks and optimizers require."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fusedlstm.layers import Composite, Layer


def leaves(layer: Layer[Any], name: str = "layer") -> Iterator[tuple[str, Layer[Any]]]:
    """Yield the layers that contain no layers, with names such as ``layers[1].layers[0]``."""
    if isinstance(layer, Composite):
        prefix = "" if name == "layer" else f"{name}."
        for number, part in enumerate(layer.layers):
            yield from leaves(part, f"{prefix}layers[{number}]")
    else:
        yield name, layer


def require_carried_state(layer: Layer[Any], use: str) -> None:
    """Refuse layers whose state cannot be passed from one call to the next."""
    for name, leaf in leaves(layer):
        if leaf.reads_backward:
            raise ValueError(f"{name} must not read sequences backward {use}; got {leaf!r}")
    require_state(layer, use)


def require_state(layer: Layer[Any], use: str) -> None:
    """Refuse layers that cannot start from a given state."""
    require_complete_state(layer, use)
    for name, leaf in leaves(layer):
        if not (leaf.causal or leaf.reads_backward):
            raise ValueError(f"{name} must be causal {use}; got {leaf!r}")


def require_complete_state(layer: Layer[Any], use: str) -> None:
    """Refuse layers with an incomplete state."""
    for name, leaf in leaves(layer):
        if not leaf.has_complete_state:
            raise ValueError(
                f"{name} must have a complete state {use}; got {leaf!r}, whose property "
                f"`has_complete_state` is False"
            )


def require_maskable(layer: Layer[Any]) -> None:
    """Refuse layers that cannot skip masked steps."""
    for name, leaf in leaves(layer):
        if not leaf.maskable:
            raise ValueError(
                f"{name} must be maskable if mask is given; got {leaf!r}, whose property "
                f"`maskable` is False"
            )


def require_stream(layer: Layer[Any]) -> None:
    """Refuse layers that cannot be computed one step at a time."""
    for name, leaf in leaves(layer):
        if leaf.reads_backward:
            raise ValueError(f"{name} must not read sequences backward for a stream; got {leaf!r}")
        if not leaf.causal:
            raise ValueError(f"{name} must be causal for a stream; got {leaf!r}")
        require_state_to_reduce(name, leaf)
    require_complete_state(layer, "for a stream")


def require_truncation(layer: Layer[Any]) -> None:
    """Refuse layers whose state cannot be passed from one chunk of steps to the next."""
    require_complete_state(layer, "with tbptt_steps")
    for name, leaf in leaves(layer):
        if leaf.reads_backward:
            raise ValueError(
                f"{name} must not read sequences backward with tbptt_steps; got {leaf!r}"
            )
        if not leaf.causal:
            raise ValueError(f"{name} must be causal with tbptt_steps; got {leaf!r}")
        require_state_to_reduce(name, leaf)


def require_state_to_reduce(name: str, layer: Layer[Any]) -> None:
    """Refuse a causal layer that reduces sequences and has no state."""
    if layer.reduces and not layer.selects and layer.state_shapes(1, 1) is None:
        raise ValueError(
            f"{name} must have a state to be causal, because it reduces sequences; got {layer!r}. "
            f"Implement state_shapes, or remove causal = True."
        )


def require_deterministic(layer: Layer[Any]) -> None:
    """Refuse layers that draw random numbers, which L-BFGS does not support."""
    for name, leaf in leaves(layer):
        if leaf.random:
            raise ValueError(
                f"layers must be layers without dropout, zoneout and DropConnect for L-BFGS; got "
                f"{leaf!r} for {name}, whose property `random` is True"
            )
