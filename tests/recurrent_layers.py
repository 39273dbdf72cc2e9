"""All recurrent layers of the package."""

from __future__ import annotations

from inspect import isabstract

from fusedlstm import layers

RECURRENT = {
    name: kind
    for name in layers.__all__
    if isinstance(kind := getattr(layers, name), type)
    and issubclass(kind, layers.Recurrent)
    and not isabstract(kind)
}
"""The classes by name."""
