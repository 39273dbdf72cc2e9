"""The examples in docs/ run, each page's as one program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
CODE = {
    str(page.relative_to(DOCS)): "\n".join(
        re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    )
    for page in sorted(DOCS.glob("**/*.md"))
}
NEEDS = {"pytorch.md": "torch"}
ELSEWHERE = {"adapters.md"}  # tests/contrib/run has its libraries


@pytest.mark.parametrize("name", [name for name in CODE if CODE[name] and name not in ELSEWHERE])
def test_examples(name, tmp_path, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
    monkeypatch.chdir(tmp_path)
    exec(compile(CODE[name], name, "exec"), {})


def test_every_task_has_an_example():
    assert all(CODE[name] for name in CODE if name.startswith("guide/"))


def test_every_page_is_in_the_contents():
    contents = (DOCS / "index.md").read_text()
    for name in CODE:
        if name != "index.md":
            assert re.search(rf"^{name.removesuffix('.md')}$", contents, re.MULTILINE), name
