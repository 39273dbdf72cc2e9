"""Checkpoints and callables: a fit continues only with the same functions and objects."""

from __future__ import annotations

import functools
import operator
import os
import subprocess
import sys
import threading
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import get_scorer, make_scorer, precision_score, recall_score

from checkpoint_problems import TOTAL, X, quick
from fusedlstm import LSTMClassifier
from fusedlstm.files.digests import UndescribableError, describe
from fusedlstm.losses import RegressionLoss
from fusedlstm.schedules import Schedule

pytestmark = pytest.mark.usefixtures("one_thread")


def scaled(factor):
    def scorer(estimator, X, y):
        return factor * estimator.score(X, y)

    return scorer


def from_source(source, name="scorer", **variables):
    """Run source code as a user's module and return one of its names."""
    variables["__name__"] = "a_script"
    exec(source, variables)
    return variables[name]


def script(source, **variables):
    return lambda: from_source(source, **variables)


class Counting:
    """A scorer with a state."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, estimator, X, y):
        return self.weight

    def method(self, estimator, X, y):
        return self.weight

    @staticmethod
    def fixed(estimator, X, y):
        return 0.0


@dataclass(frozen=True, repr=False)
class OwnLoss(RegressionLoss):
    """A weighted squared error."""

    weight: float = 1.0

    def of_targets(self, z, y):
        return self.weight * (z - y) ** 2, 2 * self.weight * (z - y)


@dataclass(frozen=True, repr=False)
class OwnSchedule(Schedule):
    """A constant schedule."""

    factor: float = 1.0

    def multiplier(self, state, i=0, n=1):
        return self.factor


SCORER = "def scorer(e, X, y): return {}\n"
DIFFERENT = {
    "the sign of make_scorer": [
        lambda: make_scorer(recall_score),
        lambda: make_scorer(recall_score, greater_is_better=False),
        lambda: make_scorer(precision_score),
        lambda: make_scorer(recall_score, pos_label=0),
        lambda: make_scorer(recall_score, response_method="predict_proba"),
    ],
    "functions of scikit-learn": [lambda: recall_score, lambda: precision_score],
    "names of scorers": [lambda: get_scorer("r2"), lambda: get_scorer("neg_max_error")],
    "builtin functions": [lambda: max, lambda: min, lambda: operator.add],
    "ufuncs": [lambda: np.add, lambda: np.subtract],
    "lambdas": [
        lambda: lambda e, X, y: 1,
        lambda: lambda e, X, y: 2,
        lambda: lambda e, X, y: 1.0,
        lambda: lambda e, X, y: y[0],
        lambda: lambda e, X, y: y[1],
    ],
    "names of attributes": [lambda: lambda e, X, y: y.min(), lambda: lambda e, X, y: y.max()],
    "defaults": [lambda: lambda e, X, y, a=1: a, lambda: lambda e, X, y, a=2: a],
    "keyword defaults": [lambda: lambda e, X, *, a=1: a, lambda: lambda e, X, *, a=2: a],
    "closures": [lambda: scaled(1.0), lambda: scaled(2.0), lambda: scaled(np.ones(3))],
    "arrays in closures": [
        lambda: scaled(np.array([1.0, 2.0])),
        lambda: scaled(np.array([1.0, 3.0])),
        lambda: scaled(np.array([[1.0, 2.0]])),
    ],
    "functions in closures": [lambda: scaled(max), lambda: scaled(scaled(3)), lambda: scaled(min)],
    "partials": [
        lambda: functools.partial(scaled(1.0), 1),
        lambda: functools.partial(scaled(1.0), 2),
        lambda: functools.partial(scaled(1.0), y=2),
        lambda: functools.partial(scaled(2.0), 1),
    ],
    "instances": [lambda: Counting(1), lambda: Counting(2), lambda: Counting("1")],
    "methods": [
        lambda: Counting(1).method,
        lambda: Counting(2).method,
        lambda: Counting(1).fixed,
        lambda: Counting(1).__call__,
    ],
    "custom losses": [lambda: OwnLoss(1.0), lambda: OwnLoss(2.0)],
    "custom schedules": [lambda: OwnSchedule(1.0), lambda: OwnSchedule(2.0)],
    "constants in code": [
        script(SCORER.format("y in {'a', 'b'}")),
        script(SCORER.format("y in {'a'}")),
    ],
    "globals": [
        script("A = 1\n" + SCORER.format("A")),
        script("A = 2\n" + SCORER.format("A")),
        script("A = (1, 2)\n" + SCORER.format("A")),
    ],
    "global functions": [
        script("def f(): return 1\n" + SCORER.format("f()")),
        script("def f(): return 2\n" + SCORER.format("f()")),
    ],
    "functions of functions": [
        script("def f(): return 1\ndef g(): return f()\n" + SCORER.format("[g() for _ in y]")),
        script("def f(): return 2\ndef g(): return f()\n" + SCORER.format("[g() for _ in y]")),
    ],
    "methods of a class": [
        script("class A:\n def f(self): return 1\nscorer = A()"),
        script("class A:\n def f(self): return 2\nscorer = A()"),
        script("class A:\n f = 3\nscorer = A()"),
    ],
    "cached functions": [
        script(f"import functools\n@functools.lru_cache\n{SCORER.format(1)}"),
        script(f"import functools\n@functools.lru_cache\n{SCORER.format(2)}"),
    ],
}


@pytest.mark.parametrize("makes", DIFFERENT.values(), ids=DIFFERENT)
def test_different_callables_have_different_descriptions(makes):
    described = [describe(make()) for make in makes]
    assert len(set(described)) == len(makes)
    assert described == [describe(make()) for make in makes]  # again the same


def test_descriptions_are_the_same_in_another_process():
    code = """if True:
        import test_checkpoint_descriptions as t
        for makes in t.DIFFERENT.values():
            for make in makes:
                print(t.describe(make()))
    """
    ours = [describe(make()) for makes in DIFFERENT.values() for make in makes]
    for seed in ("1", "2"):  # seeds of string hashes
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=os.path.dirname(__file__), capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert ran.stdout.split() == ours


def test_the_line_number_of_a_function_does_not_change_its_description():
    source = SCORER.format(1)
    assert describe(from_source(source)) == describe(from_source("\n" * 9 + source))


def test_results_collected_by_a_function_do_not_change_its_description():
    results = []
    source = "def scorer(e, X, y): results.append(1)"
    before = describe(from_source(source, results=results))
    results.append(1)
    assert describe(from_source(source, results=results)) == before


def test_objects_that_refer_to_themselves_are_described():
    first, second = Counting(1), Counting(1)
    first.weight, second.weight = first, [second]
    assert describe(first) == describe(first)
    assert describe(first) != describe(second)


WITHOUT_STATE = [threading.Lock, lambda: (x for x in ()), lambda: sys.stdout]


@pytest.mark.parametrize("make", WITHOUT_STATE)
def test_objects_whose_state_cannot_be_described_are_an_error(make, tmp_path):
    value = make()
    with pytest.raises(UndescribableError):
        describe(scaled(value))
    model = quick(early_stopping=True, scoring=scaled(value))
    with pytest.raises(TypeError, match="scoring must be an object that a checkpoint can compare"):
        model.fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("scoring", [{"scoring": scaled(1.0)}, {"scoring": scaled(2.0)}]),
        ("loss", [{"loss": OwnLoss(1.0)}, {"loss": OwnLoss(2.0)}]),
        ("schedule", [{"schedule": OwnSchedule(1.0)}, {"schedule": OwnSchedule(0.5)}]),
    ],
)
def test_a_checkpoint_with_another_callable_is_an_error(name, options, tmp_path):
    first, second = ({"early_stopping": True, **each} for each in options)
    model = quick(**first).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    again = quick(**first).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert again.model_.params.tobytes() == model.model_.params.tobytes()
    with pytest.raises(ValueError, match=f"of a fit with another {name}. Remove it to start"):
        quick(**second).fit(X, TOTAL, checkpoint=tmp_path / "fit")


def test_a_checkpoint_with_a_scorer_of_the_other_sign_is_an_error(tmp_path):
    def model(better):
        scorer = make_scorer(recall_score, greater_is_better=better)
        return quick(LSTMClassifier, early_stopping=True, scoring=scorer)

    model(True).fit(X, TOTAL > 0, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match="of a fit with another scoring"):
        model(False).fit(X, TOTAL > 0, checkpoint=tmp_path / "fit")
