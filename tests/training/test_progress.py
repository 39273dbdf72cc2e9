"""The output of ``verbose``."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.estimators.fitting import progress_bar as _progress
from fusedlstm.estimators.fitting.progress_bar import ProgressReport

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 5, 2))
TOTAL = X.sum(axis=(1, 2))


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self):
        return True


def fit(**options):
    return LSTMRegressor(**{"hidden_size": 4, "max_iter": 5, "random_state": 0, **options})


def test_a_terminal_shows_a_progress_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    fit(verbose=1).fit(X, TOTAL, X_val=X, y_val=TOTAL)
    shown = sys.stderr.getvalue()
    assert "\r" in shown
    assert "5/5" in shown
    assert re.search(r"loss=[\d.]+, validation loss=[\d.]+, [\d,]+ samples/s", shown)


def test_other_streams_show_lines(capsys):
    fit(verbose=1).fit(X, TOTAL)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2  # the first and the last epoch
    number = r"[\d.e+-]+"
    for i, line in zip((1, 5), lines, strict=True):
        pattern = rf"epoch {i}/5, loss={number}, [\d,]+ samples/s, \d\d:\d\d left"
        assert re.fullmatch(pattern, line)


def test_lines_show_the_validation_score(capsys):
    model = LSTMClassifier(4, max_iter=3, early_stopping=True, scoring="accuracy", verbose=2)
    model.fit(X, TOTAL > 0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(re.search(r"validation loss=\S+, validation score=[01][.\d]*,", x) for x in lines)


def test_verbose_0_prints_nothing(capsys):
    fit().fit(X, TOTAL)
    shown = capsys.readouterr()
    assert shown.err == shown.out == ""


def test_lines_are_printed_at_intervals_of_time(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now)
    with ProgressReport(n_epochs=40, done=3, verbose=1) as report:
        for _ in range(20):
            now += 2.0
            report.update(100, {"loss": 0.5})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "epoch 4/40", "epoch 9/40", "epoch 14/40", "epoch 19/40", "epoch 23/40"
    ]  # fmt: skip
    assert lines[-1] == "epoch 23/40, loss=0.5, 50 samples/s, 00:34 left"


def test_tqdm_is_imported_only_for_verbose():
    code = """
import sys
from fusedlstm import LSTMRegressor
LSTMRegressor(2, max_iter=1).fit([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0])
assert not any(name.split(".")[0] == "tqdm" for name in sys.modules)
LSTMRegressor(2, max_iter=1, verbose=1).fit([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0])
assert "tqdm" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_warning_in_a_notebook_without_ipywidgets():
    code = """
import sys, types, warnings
sys.modules["ipywidgets"] = None
sys.modules["ipykernel"] = types.ModuleType("ipykernel")
shell = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.ModuleType("IPython")
sys.modules["IPython"].get_ipython = lambda: shell
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from fusedlstm import LSTMRegressor
    LSTMRegressor(2, max_iter=1, verbose=1).fit([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0])
assert not [w for w in caught if "Tqdm" in w.category.__name__], caught
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "1/1" in done.stderr


class Broken(io.StringIO):
    """A stream whose methods fail after a number of calls of ``write``."""

    def __init__(self, error, terminal, after=0):
        super().__init__()
        self.error, self.terminal, self.after = error, terminal, after

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.after -= 1
        if self.after < 0:
            raise self.error
        return super().write(text)


def expected_without_progress():
    return fit().fit(X, TOTAL).predict(X).tobytes()


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space"), ValueError("closed")]
)
def test_a_fit_continues_when_stderr_fails(error, after, terminal, monkeypatch):
    expected = expected_without_progress()
    broken = Broken(error, terminal, after)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", broken)
        model = fit(verbose=2).fit(X, TOTAL)
    assert broken.after < 0
    assert model.predict(X).tobytes() == expected


class Untouchable:
    """A stream that must not be used."""

    def __getattr__(self, name):
        raise AssertionError(name)


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_a_fit_works_without_stderr(verbose, monkeypatch):
    expected = expected_without_progress()
    closed = open(os.devnull, "w")  # noqa: SIM115
    closed.close()
    for stream in (None, closed, *([Untouchable()] if verbose == 0 else [])):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            model = fit(verbose=verbose).fit(X, TOTAL)
        assert model.predict(X).tobytes() == expected


def test_the_bar_is_as_wide_as_the_terminal(monkeypatch):
    import tqdm.std

    monkeypatch.setattr(tqdm.std, "_screen_shape_wrapper", lambda: lambda file: (120, 24))
    monkeypatch.setattr(sys, "stderr", Terminal())
    fit(verbose=1).fit(X, TOTAL)
    assert len(sys.stderr.getvalue().split("\r")[-1].rstrip("\n")) == 120
