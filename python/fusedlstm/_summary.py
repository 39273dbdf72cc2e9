"""A model as a table of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fusedlstm.layers import LastStep

if TYPE_CHECKING:
    from fusedlstm.model import Sequential

LONGEST_LAYER = 48


class Table(str):
    """Text of several lines that a prompt and a notebook show as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text without quotes."""
        return str(self)


def summary(model: Sequential, standardizes: bool = False) -> Table:
    """Return the layers with the shapes of their outputs, their parameters and bytes.

    Parameters
    ----------
    model : Sequential
    standardizes : bool
        Whether an estimator standardizes the input of the model.
    """
    rows = [("", "layer", "output", "parameters", "bytes")]
    if standardizes:
        rows.append(("", "standardize", f"(B, T, {model.input_size})", "0", "0"))
    size, steps, total = model.input_size, "T, ", 0
    for number, layer in enumerate(model.layers):
        count = sum(math.prod(shape) for shape in layer.param_shapes(size).values())
        size = layer.output_size(size)
        steps = "" if isinstance(layer, LastStep) else steps
        output = f"(B, {steps}{size})"
        rows.append((str(number), _short(repr(layer)), output, *_counts(model, count)))
        total += count
    rows.append(("", "total", "", *_counts(model, total)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(
            text.rjust(width) if column > 2 else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    line = "-" * max(map(len, table))
    head = f"Sequential, input (B, T, {model.input_size}), {model.dtype.name}"
    return Table("\n".join([head, line, table[0], line, *table[1:-1], line, table[-1]]))


def _counts(model: Sequential, count: int) -> tuple[str, str]:
    return f"{count:,}", f"{count * model.dtype.itemsize:,}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_LAYER else text[: LONGEST_LAYER - 3] + "..."
