"""A model as a table of text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fusedlstm.layers import Composite, Layer, Residual

if TYPE_CHECKING:
    from fusedlstm.models.model import Model

LONGEST_LAYER = 48


class Table(str):
    """Text of several lines that a prompt and a notebook show as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text without quotes."""
        return str(self)


def summary(model: Model, standardizes: bool = False) -> Table:
    """Return the layers with the shapes of their outputs, their parameters and bytes.

    Layers of a layer of layers are indented below it; its numbers include theirs.

    Parameters
    ----------
    model : Model
    standardizes : bool
        Whether an estimator standardizes the input of the model.
    """
    rows = [("", "layer", "output", "parameters", "bytes")]
    if standardizes:
        rows.append(("", "standardize", f"(B, T, {model.input_size})", "0", "0"))
    number = "0" if not _is_chain(model.layer) else ""
    for name, text, output, count in _rows_of(number, model.layer, model.input_size, "T, "):
        if name:
            rows.append((name, text, output, *_counts(model, count)))
    rows.append(("", "total", "", *_counts(model, len(model.params))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(
            text.rjust(width) if column > 2 else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    line = "-" * max(map(len, table))
    head = f"{type(model).__name__}, input (B, T, {model.input_size}), {model.dtype.name}"
    return Table("\n".join([head, line, table[0], line, *table[1:-1], line, table[-1]]))


def _is_chain(layer: Layer[Any]) -> bool:
    return isinstance(layer, Composite) and layer.in_a_row


def _rows_of(
    name: str, layer: Layer[Any], input_size: int, steps: str
) -> Iterator[tuple[str, str, str, int]]:
    """Yield number, text, output and number of parameters of a layer and of its layers."""
    after = "" if layer.reduces else steps
    shapes = {} if layer.shares_params_of is not None else layer.param_shapes(input_size)
    count = sum(map(math.prod, shapes.values()))
    indent = "  " * name.count(".")
    composite = isinstance(layer, Composite)
    text = type(layer).__name__ if composite else _short(repr(layer))
    yield name, indent + text, f"(B, {after}{layer.output_size(input_size)})", count
    if not isinstance(layer, Composite):
        return
    prefix = f"{name}." if name else ""
    for place in layer.places(input_size):
        yield from _rows_of(f"{prefix}{place.number}", place.layer, place.input_size, steps)
        if layer.in_a_row and place.layer.reduces:
            steps = ""
    projection = layer._projection(input_size) if isinstance(layer, Residual) else None
    if projection is not None:
        yield from _rows_of(f"{prefix}projection", projection, input_size, steps)


def _counts(model: Model, count: int) -> tuple[str, str]:
    return f"{count:,}", f"{count * model.dtype.itemsize:,}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_LAYER else text[: LONGEST_LAYER - 3] + "..."
