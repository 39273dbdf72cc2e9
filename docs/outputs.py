"""Outputs under the code of the pages.

A block of Python that prints something is followed by a block of text with what it printed.
`python docs/outputs.py [PAGE ...]` runs the pages and writes these blocks; the tests compare them
with a run, but for the digits of numbers.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(```python\n(?P<code>.*?)```\n)(\n```text\n(?P<output>.*?)```\n)?", re.DOTALL)


def run(page: Path) -> list[str]:
    """Run a page's code as one program; return what each block printed."""
    names: dict[str, object] = {}
    outputs = []
    for number, block in enumerate(BLOCK.finditer(page.read_text()), 1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block["code"], f"{page.name}, block {number}", "exec"), names)
        lines = (line.rstrip() for line in printed.getvalue().splitlines())
        outputs.append("".join(f"{line}\n" for line in lines))
    return outputs


def shown(page: Path) -> list[str]:
    """Return the outputs that stand on a page, one for each block of code."""
    return [block["output"] or "" for block in BLOCK.finditer(page.read_text())]


def without_digits(output: str) -> list[str]:
    """Return the words of an output; numbers differ between machines and become ``#``."""
    text = re.sub(r"[-+]?\d*\.?\d+(e[-+]?\d+)?\.?|\b(nan|inf)\b", "#", output)
    return re.sub(r"[\[\](),]", " ", text).split()


def write(page: Path) -> None:
    """Put the outputs of a run under the code of a page."""
    outputs = iter(run(page))

    def with_output(block: re.Match[str]) -> str:
        output = next(outputs)
        return block[1] + (f"\n```text\n{output}```\n" if output else "")

    page.write_text(BLOCK.sub(with_output, page.read_text()))


if __name__ == "__main__":
    pages = [Path(name).resolve() for name in sys.argv[1:]] or sorted(DOCS.glob("guide/*.md"))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for path in pages:
            write(path)
