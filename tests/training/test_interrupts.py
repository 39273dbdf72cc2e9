"""Training that Ctrl-C or an error interrupts."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from fusedlstm import LSTMClassifier, LSTMRegressor

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))


def quick(**options):
    return LSTMRegressor(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


class Interrupting:
    """A scorer that raises KeyboardInterrupt at one call."""

    def __init__(self, at):
        self.at, self.calls = at, 0

    def __call__(self, model, X, y):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return float(self.calls)


@pytest.mark.parametrize("at", [2, 3])
def test_an_interrupted_fit_ends_with_the_last_complete_epoch(at):
    model = quick(max_iter=9, early_stopping=True, scoring=Interrupting(at), tol=0.0)
    with pytest.warns(UserWarning, match=f"interrupted in epoch {at}. The model has the weights"):
        model.fit(X, TOTAL)
    expected = quick(max_iter=at - 1, early_stopping=True, scoring=Interrupting(99)).fit(X, TOTAL)
    assert model.n_iter_ == model.best_iter_ == at - 1
    assert model.loss_curve_ == expected.loss_curve_
    assert model.validation_loss_curve_ == expected.validation_loss_curve_
    assert model.predict(X).tobytes() == expected.predict(X).tobytes()
    assert model.set_params(scoring=None).fit(X, TOTAL).n_iter_ == 9


def test_a_fit_interrupted_within_an_epoch_ends_with_the_epoch_before(monkeypatch):
    model = quick(max_iter=5, batch_size=10)
    add, calls = type(model._task().loss).__call__, []

    def interrupt(self, z, y, weights):
        calls.append(1)
        if len(calls) == 2 * 4 + 3:
            raise KeyboardInterrupt
        return add(self, z, y, weights)

    monkeypatch.setattr(type(model._task().loss), "__call__", interrupt)
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        model.fit(X, TOTAL)
    monkeypatch.undo()
    expected = quick(max_iter=2, batch_size=10).fit(X, TOTAL)
    assert model.model_.params.tobytes() == expected.model_.params.tobytes()


def test_a_fit_interrupted_in_its_first_epoch_raises_keyboard_interrupt():
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
    """Return a scorer that raises an error at one call."""

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
def test_a_fit_that_fails_does_not_change_the_estimator(error, at, warm_start):
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


def test_an_interrupted_partial_fit_can_be_repeated(monkeypatch):
    options = {"dropout": 0.3, "schedule": "reduce_on_plateau"}
    model = quick(**options).partial_fit(X, TOTAL)
    before = model.predict(X)
    expected = copy.deepcopy(model).partial_fit(X, TOTAL)

    add, calls = type(model._task().loss).__call__, []

    def interrupt(self, z, y, weights):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return add(self, z, y, weights)

    with monkeypatch.context() as patch:
        patch.setattr(type(model._task().loss), "__call__", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(X, TOTAL)
    assert model.predict(X).tobytes() == before.tobytes()
    model.partial_fit(X, TOTAL)
    assert model.loss_curve_ == expected.loss_curve_
    assert model.model_.params.tobytes() == expected.model_.params.tobytes()


class InterruptAtLine:
    """Trace function that raises KeyboardInterrupt at one line that a fit executes.

    Parameters
    ----------
    at : int or None
        Number of the line event in the named modules, counted from 1; None: only count.
    """

    def __init__(self, modules, at=None):
        self.modules, self.at, self.count = modules, at, 0

    def __call__(self, frame, event, arg):
        folder, name = os.path.split(frame.f_code.co_filename)
        return self.line if name in self.modules and "fusedlstm" in folder else None

    def line(self, frame, event, arg):
        if event == "line":
            self.count += 1
            if self.count == self.at:
                raise KeyboardInterrupt
        return self.line

    def fit(self, model, method="fit"):
        before = sys.gettrace()
        sys.settrace(self)
        try:
            return getattr(model, method)(X, TOTAL)
        finally:
            sys.settrace(before)


def fitted_state(model):
    names = ("n_iter_", "best_iter_", "loss_", "loss_curve_", "validation_loss_curve_")
    schedule = repr(model._schedule_state)
    predicted = model.predict(X).tobytes()
    return model.model_.params.tobytes(), predicted, schedule, *(vars(model)[n] for n in names)


@pytest.mark.filterwarnings("ignore:Training was interrupted")
@pytest.mark.parametrize("options", [{}, {"early_stopping": True, "learning_rate": 0.2}], ids=str)
def test_fit_can_be_interrupted_at_any_line(options):
    def model(max_iter=3):
        return quick(max_iter=max_iter, schedule="reduce_on_plateau", **options)

    expected = {n: fitted_state(model(n).fit(X, TOTAL)) for n in (1, 2, 3)}
    modules = ("fit_loop.py", "state.py", "progress_bar.py")
    counter = InterruptAtLine(modules)
    counter.fit(model())
    assert counter.count > 100
    seen = set()
    for at in range(1, counter.count + 1):
        interrupted = model()
        try:
            InterruptAtLine(modules, at).fit(interrupted)
        except KeyboardInterrupt:
            if not hasattr(interrupted, "model_"):
                assert vars(interrupted).keys() == interrupted.get_params().keys()
                seen.add(0)
                continue
            assert interrupted.n_iter_ == 3  # the fit had ended and was checking for warnings
        assert fitted_state(interrupted) == expected[interrupted.n_iter_], at
        seen.add(interrupted.n_iter_)
    assert seen == {0, 1, 2, 3}


def test_partial_fit_can_be_interrupted_at_any_line():
    model = quick(dropout=0.3, schedule="reduce_on_plateau").partial_fit(X, TOTAL)
    before = fitted_state(model)
    counter = InterruptAtLine(("fit_loop.py", "state.py"))
    expected = fitted_state(counter.fit(copy.deepcopy(model), "partial_fit"))
    assert counter.count > 30
    for at in range(1, counter.count + 1):
        with pytest.raises(KeyboardInterrupt):
            InterruptAtLine(counter.modules, at).fit(model, "partial_fit")
        assert fitted_state(model) == before, at
    assert fitted_state(model.partial_fit(X, TOTAL)) == expected


def test_a_fit_interrupted_after_the_last_epoch_is_complete(monkeypatch):
    settle, calls = LSTMRegressor._take_snapshot, []

    def interrupt(self):
        calls.append(1)
        if len(calls) < 3:
            raise KeyboardInterrupt
        return settle(self)

    monkeypatch.setattr(LSTMRegressor, "_take_snapshot", interrupt)
    model = quick(max_iter=2)
    with pytest.warns(UserWarning, match="^Training was interrupted after the last epoch, 2. The"):
        model.fit(X, TOTAL)
    monkeypatch.undo()
    assert fitted_state(model) == fitted_state(quick(max_iter=2).fit(X, TOTAL))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_sigint_interrupts_a_fit():
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


def test_an_interrupted_classifier_ends_with_the_last_complete_epoch():
    model = LSTMClassifier(4, early_stopping=True, scoring=Interrupting(3), random_state=0)
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        model.fit(X, TOTAL > 0)
    assert model.n_iter_ == 2
