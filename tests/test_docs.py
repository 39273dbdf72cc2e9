"""The examples in docs/ run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NEEDS = {"pytorch.md": "torch"}


@pytest.mark.parametrize("name", NEEDS)
def test_examples(name):
    pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    assert blocks
    names: dict = {}
    for code in blocks:
        exec(compile(code, name, "exec"), names)
