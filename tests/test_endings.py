"""How training ends: too few epochs, Ctrl-C, a loss that is not finite."""

from __future__ import annotations

import copy
import re
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fusedlstm import LSTMClassifier, LSTMRegressor

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))


def quick(**options):
    return LSTMRegressor(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


class Interrupting:
    """Scores, until it is Ctrl-C."""

    def __init__(self, at):
        self.at, self.calls = at, 0

    def __call__(self, model, X, y):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return float(self.calls)


def test_too_few_epochs():
    sentence = "max_iter=3 epochs, before the training loss had stopped getting better"
    with pytest.warns(ConvergenceWarning, match=sentence) as caught:
        quick().fit(X, TOTAL)
    assert caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="before the validation data had stopped"):
        quick(early_stopping=True).fit(X, TOTAL)


def test_no_warning_where_there_is_nothing_to_say():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        quick(tol=1e9, n_iter_no_change=2).fit(X, TOTAL)
        quick(max_iter=5, tol=1e9, n_iter_no_change=4).fit(X, TOTAL)
        quick().partial_fit(X, TOTAL)


@pytest.mark.parametrize("at", [2, 3])
def test_an_interrupted_fit(at):
    model = quick(max_iter=9, early_stopping=True, scoring=Interrupting(at), tol=0.0)
    with pytest.warns(UserWarning, match=f"interrupted in epoch {at}: it ends with the weights"):
        model.fit(X, TOTAL)
    expected = quick(max_iter=at - 1, early_stopping=True, scoring=Interrupting(99)).fit(X, TOTAL)
    assert model.n_iter_ == model.best_iter_ == at - 1
    assert model.loss_curve_ == expected.loss_curve_
    assert model.validation_loss_curve_ == expected.validation_loss_curve_
    assert model.predict(X).tobytes() == expected.predict(X).tobytes()
    assert model.set_params(scoring=None).fit(X, TOTAL).n_iter_ == 9


def test_interrupted_in_mid_epoch(monkeypatch):
    model = quick(max_iter=5, batch_size=10)
    add, calls = type(model._loss()).of_targets, []

    def interrupt(self, z, y):
        calls.append(1)
        if len(calls) == 2 * 4 + 3:
            raise KeyboardInterrupt
        return add(self, z, y)

    monkeypatch.setattr(type(model._loss()), "of_targets", interrupt)
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        model.fit(X, TOTAL)
    monkeypatch.undo()
    expected = quick(max_iter=2, batch_size=10).fit(X, TOTAL)
    assert model.model_.params.tobytes() == expected.model_.params.tobytes()


def test_interrupted_before_there_is_anything():
    model = quick(early_stopping=True, scoring=Interrupting(1))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, TOTAL)
    warm = quick(warm_start=True).fit(X, TOTAL)
    before = warm.predict(X)
    warm.set_params(early_stopping=True, scoring=Interrupting(1))
    with pytest.raises(KeyboardInterrupt):
        warm.fit(X, TOTAL)
    assert warm.predict(X).tobytes() == before.tobytes()
    assert warm.n_iter_ == 3


def failing(error, at=1):
    """A score that fails at a call."""

    def score(model, X, y):
        calls.append(1)
        if len(calls) == at:
            raise error
        return float(len(calls))

    calls = []
    return score


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize(
    ("error", "at"), [(KeyboardInterrupt(), 1), (ZeroDivisionError(), 1), (ZeroDivisionError(), 3)]
)
def test_a_fit_that_fails_changes_nothing(error, at, warm_start):
    model = quick(early_stopping=True, scoring=failing(error, at), max_iter=4)
    with pytest.raises(type(error)):
        model.fit(X, TOTAL)
    assert vars(model).keys() == model.get_params().keys()
    model.set_params(scoring=None, warm_start=warm_start).fit(X, TOTAL)
    before, predicted = dict(vars(model)), model.predict(X)
    curve = list(model.loss_curve_)
    model.scoring = failing(error, at)
    with pytest.raises(type(error)):
        model.fit(X + 1, TOTAL)
    model.scoring = None
    assert vars(model) == before
    assert model.loss_curve_ == curve
    assert model.predict(X).tobytes() == predicted.tobytes()


def test_a_part_that_is_interrupted_can_come_again(monkeypatch):
    options = {"dropout": 0.3, "schedule": "reduce_on_plateau"}
    model = quick(**options).partial_fit(X, TOTAL)
    before = model.predict(X)
    expected = copy.deepcopy(model).partial_fit(X, TOTAL)

    add, calls = type(model._loss()).of_targets, []

    def interrupt(self, z, y):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return add(self, z, y)

    with monkeypatch.context() as patch:
        patch.setattr(type(model._loss()), "of_targets", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(X, TOTAL)
    assert model.predict(X).tobytes() == before.tobytes()
    model.partial_fit(X, TOTAL)
    assert model.loss_curve_ == expected.loss_curve_
    assert model.model_.params.tobytes() == expected.model_.params.tobytes()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_real_signal():
    script = """if True:
        import signal, sys, warnings, numpy as np
        # A shell starts what runs in the background deaf to the signal.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from fusedlstm import LSTMRegressor
        X = np.random.default_rng(0).standard_normal((200, 50, 2))
        y = X.sum(axis=(1, 2))

        def score(model, X, y):
            print("epoch", flush=True)
            return np.random.rand()

        model = LSTMRegressor(
            32, max_iter=10**6, early_stopping=True, scoring=score, n_iter_no_change=10**6,
            random_state=0,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, y)
        print("ended", model.n_iter_, len(model.loss_curve_), np.isfinite(model.predict(X)).all())
        print([str(warning.message) for warning in caught], flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for _ in range(4):
            assert process.stdout.readline() == "epoch\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    ended, said = [line for line in out.splitlines() if line != "epoch"]
    n_iter, length = map(int, re.findall(r"\d+", ended))
    assert n_iter == length >= 3
    assert ended.endswith("True")
    assert f"interrupted in epoch {n_iter + 1}" in said


def test_a_classifier_ends_so_too():
    model = LSTMClassifier(4, early_stopping=True, scoring=Interrupting(3), random_state=0)
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        model.fit(X, TOTAL > 0)
    assert model.n_iter_ == 2


@pytest.mark.parametrize("optimizer", ["sgd", "lion"])
def test_a_loss_that_is_not_finite(optimizer):
    model = quick(optimizer=optimizer, learning_rate=1e38, clip_norm=None, max_iter=50)
    with pytest.warns(RuntimeWarning, match="no longer finite in epoch .* smaller") as caught:
        model.fit(X, TOTAL)
    assert [warning.category for warning in caught] == [RuntimeWarning]
    assert caught[0].filename == __file__
    assert np.isfinite(model.predict(X)).all()
