"""The examples of each page in docs/ run as one program and print what the page shows."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
SPEC = importlib.util.spec_from_file_location("outputs", DOCS / "outputs.py")
outputs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(outputs)
CODE = {
    str(page.relative_to(DOCS)): "\n".join(
        re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    )
    for page in sorted(DOCS.glob("**/*.md"))
}
NEEDS = {"pytorch.md": "torch"}
ELSEWHERE = {"adapters.md"}  # tests/contrib/run installs its libraries


@pytest.mark.parametrize("name", [name for name in CODE if CODE[name] and name not in ELSEWHERE])
def test_the_examples_of_each_page_run(name, tmp_path, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
    monkeypatch.chdir(tmp_path)
    printed, shown = outputs.run(DOCS / name), outputs.shown(DOCS / name)
    if name.startswith("guide/"):  # `python docs/outputs.py` writes the outputs
        assert [outputs.without_digits(text) for text in shown] == [
            outputs.without_digits(text) for text in printed
        ]


def test_the_recursive_forecast_follows_the_last_observation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "guide/forecast.md").read_text().partition("## Several features")[0]
    names = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), names)
    last = np.sqrt(names["sunspots"])[-12:]
    assert names["future"][0] == names["model"].predict(last[np.newaxis])[0]
    again = names["model"].predict([[*last[1:], names["future"][0]]])[0]
    assert names["future"][1] == again


def test_every_guide_has_an_example():
    assert all(CODE[name] for name in CODE if name.startswith("guide/"))


def test_every_page_is_in_the_contents():
    contents = (DOCS / "index.md").read_text()
    for name in CODE:
        if name != "index.md":
            assert re.search(rf"^{name.removesuffix('.md')}$", contents, re.MULTILINE), name
