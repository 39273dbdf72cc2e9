"""The README's example runs, and what it says can be checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def text():
    return README.read_text()


def test_the_example(text, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert float(printed.split()[1]) > 0.96
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert re.sub(r"\d", "#", shown) == re.sub(r"\d", "#", printed)


def test_links_lead_somewhere(text):
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    for link in links:
        assert (README.parent / link).exists(), link
