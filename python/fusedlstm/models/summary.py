"""Tables of the layers of a model, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fusedlstm.layers import Composite, Layer
from fusedlstm.layers.shapes import count_of
from fusedlstm.models.inference import Inference

MAX_LAYER_LENGTH = 48
"""Maximum number of characters of the repr of a layer in the table."""

HEADINGS = ("", "layer", "output", "parameters", "bytes")


class Table(str):
    """Text whose repr is the text without quotes, so that prompts show its lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text without quotes."""
        return str(self)


def summary(model: Inference, standardizes: bool = False) -> Table:
    """Return the layers with the shapes of their outputs, their parameters and bytes.

    Layers inside a `Composite` are indented below it. The numbers of the `Composite` include the
    numbers of its layers.

    Parameters
    ----------
    model : Model
    standardizes : bool
        True if an estimator standardizes the input of the model.
    """
    size, itemsize = model.input_size, model.dtype.itemsize
    rows = [HEADINGS]
    if standardizes:
        rows.append(("", "standardize", f"(B, T, {size})", "0", "0"))
    number = "0" if not _is_chain(model.layer) else ""
    for name, text, output, count in _rows_of(number, model.layer, size, "T, "):
        if name:
            rows.append((name, text, output, *_counts(count, itemsize)))
    total = count_of(model.layer.param_shapes(size))
    rows.append(("", "total", "", *_counts(total, itemsize)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(
            text.rjust(width) if column > 2 else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    line = "-" * max(map(len, table))
    head = f"{type(model).__name__}, input (B, T, {size}), {model.dtype.name}"
    return Table("\n".join([head, line, table[0], line, *table[1:-1], line, table[-1]]))


def _is_chain(layer: Layer[Any]) -> bool:
    return isinstance(layer, Composite) and layer.is_sequential


def _rows_of(
    name: str, layer: Layer[Any], input_size: int, steps: str
) -> Iterator[tuple[str, str, str, int]]:
    """Yield name, repr, output shape and number of parameters of a layer and of its layers."""
    after = "" if layer.reduces else steps
    shapes = {} if layer.shares_params_of is not None else layer.param_shapes(input_size)
    indent = "  " * name.count(".")
    composite = isinstance(layer, Composite)
    text = type(layer).__name__ if composite else _short(repr(layer))
    output = f"(B, {after}{layer.output_size(input_size)})"
    yield name, indent + text, output, count_of(shapes)
    if not isinstance(layer, Composite):
        return
    prefix = f"{name}." if name else ""
    for own_name, part, size in layer.named_layers(input_size):
        yield from _rows_of(prefix + own_name, part, size, steps)
        if layer.is_sequential and part.reduces:
            steps = ""


def _counts(count: int, itemsize: int) -> tuple[str, str]:
    return f"{count:,}", f"{count * itemsize:,}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_LAYER_LENGTH else text[: MAX_LAYER_LENGTH - 3] + "..."
