"""The example of the README runs, and its links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def text():
    return README.read_text()


def test_the_example_prints_what_the_readme_shows(text, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert float(printed.split()[1]) > 0.96
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert re.sub(r"\d", "#", shown) == re.sub(r"\d", "#", printed)


def test_links_of_the_readme_exist(text):
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    for link in links:
        assert (README.parent / link).exists(), link
