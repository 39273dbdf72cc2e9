"""Networks learn the tasks of `bench/learning.py`."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

TASKS = runpy.run_path(str(Path(__file__).parents[2] / "bench/learning.py"))["TASKS"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", TASKS)
def test_the_median_over_seeds_is_within_the_bound(name):
    figures = TASKS[name].run()
    assert TASKS[name].holds(figures), figures
