"""Checks of layers: the properties that streams, states, masks and optimizers need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fusedlstm.layers import Composite, Layer


def leaves(layer: Layer[Any], name: str = "layer") -> Iterator[tuple[str, Layer[Any]]]:
    """Yield the layers that consist of no layers, with names such as ``layers[1].layers[0]``."""
    if isinstance(layer, Composite):
        prefix = "" if name == "layer" else f"{name}."
        for number, part in enumerate(layer.layers):
            yield from leaves(part, f"{prefix}layers[{number}]")
    else:
        yield name, layer


def require_carried_state(layer: Layer[Any], use: str) -> None:
    """Refuse layers of which a state cannot be carried from one call to the next."""
    for name, leaf in leaves(layer):
        if leaf.reads_backward:
            raise ValueError(f"{name} must read forward only {use}; got {leaf!r}")
    require_state(layer, use)


def require_state(layer: Layer[Any], use: str) -> None:
    """Refuse layers that cannot start from a state."""
    require_complete_state(layer, use)
    for name, leaf in leaves(layer):
        if not (leaf.causal or leaf.reads_backward):
            raise ValueError(f"{name} must be causal {use}; got {leaf!r}")


def require_complete_state(layer: Layer[Any], use: str) -> None:
    """Refuse layers of which a state is incomplete, where a state is carried on."""
    for name, leaf in leaves(layer):
        if not leaf.has_complete_state:
            raise ValueError(
                f"{name} must have a complete state {use}; got {leaf!r}, whose gates of the step "
                f"before are not in its state"
            )


def require_maskable(layer: Layer[Any]) -> None:
    """Refuse layers for which a masked step may not be left out."""
    for name, leaf in leaves(layer):
        if not leaf.maskable:
            raise ValueError(
                f"{name} must be maskable with mask, so that masked steps can be left out; got "
                f"{leaf!r}"
            )


def require_stream(layer: Layer[Any]) -> None:
    """Refuse layers that cannot compute one step at a time."""
    for name, leaf in leaves(layer):
        if leaf.reads_backward:
            raise ValueError(
                f"A stream needs layers that read forward; {name} reads each sequence from its "
                f"last step: {leaf!r}"
            )
        if not leaf.causal:
            raise ValueError(f"A stream needs causal layers; {name} is not: {leaf!r}")
        require_state_to_reduce(name, leaf)
    require_complete_state(layer, "for a stream")


def require_truncation(layer: Layer[Any]) -> None:
    """Refuse layers whose states cannot be carried from one chunk of steps to the next."""
    require_complete_state(layer, "with tbptt_steps")
    for name, leaf in leaves(layer):
        if leaf.reads_backward:
            raise ValueError(f"{name} must read forward only with tbptt_steps; got {leaf!r}")
        if not leaf.causal:
            raise ValueError(f"{name} must be causal with tbptt_steps; got {leaf!r}")
        require_state_to_reduce(name, leaf)


def require_state_to_reduce(name: str, layer: Layer[Any]) -> None:
    """Refuse a causal layer that reduces and cannot know earlier steps."""
    if layer.reduces and not layer.selects and layer.state_shapes(1, 1) is None:
        raise ValueError(
            f"{name} must have a state to be causal, since it reduces sequences; got {layer!r}. "
            f"Write state_shapes, or leave out causal = True."
        )


def require_deterministic(layer: Layer[Any]) -> None:
    """Refuse layers that draw random numbers, for L-BFGS."""
    for name, leaf in leaves(layer):
        if leaf.random:
            raise ValueError(
                f"layers must be layers without dropout, zoneout and DropConnect for L-BFGS; got "
                f"{leaf!r} for {name}, whose property `random` is True"
            )
