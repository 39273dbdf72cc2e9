"""The end of training: max_iter, early stopping, nothing learned, Ctrl-C, a diverging loss."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.losses import log_loss
from fusedlstm.losses.constant import constant_loss
from fusedlstm.schedules import ReduceOnPlateau

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


def learned(**options):
    """Return an estimator that learns more than a constant in a few epochs."""
    return quick(**{"max_iter": 5, "learning_rate": 0.03, "batch_size": 8, **options})


def test_early_stopping_with_too_few_epochs():
    sentence = "^Training ended with max_iter=5 epochs before the validation loss stopped improving"
    with pytest.warns(ConvergenceWarning, match=sentence) as caught:
        learned(early_stopping=True, tol=0.0).fit(X, TOTAL)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="before the validation score stopped"):
        learned(early_stopping=True, scoring="r2").fit(X, TOTAL)


def test_no_warning_after_all_epochs_or_early_stopping():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        learned().fit(X, TOTAL)
        learned(early_stopping=True, max_iter=9, tol=1e9, n_iter_no_change=6).fit(X, TOTAL)
        quick(max_iter=1).partial_fit(X, TOTAL)


def test_all_epochs_are_trained_on_a_plateau():
    model = learned(max_iter=30, tol=1e9, n_iter_no_change=1).fit(X, TOTAL)
    assert model.n_iter_ == len(model.loss_curve_) == 30
    stopped = learned(max_iter=30, tol=1e9, n_iter_no_change=4, early_stopping=True).fit(X, TOTAL)
    assert stopped.n_iter_ == 5  # the first epoch always counts as an improvement


def test_lbfgs_ends_where_its_line_search_finds_no_decrease(tmp_path):
    options = {"optimizer": "lbfgs", "dtype": "float64", "max_iter": 5000}
    model = quick(**options).fit(X[:6], TOTAL[:6])
    assert model.n_iter_ < 5000
    assert model.loss_curve_[-1] == model.loss_curve_[-2]
    assert model.loss_curve_[-1] < 1e-12
    again = quick(**options).fit(X[:6], TOTAL[:6], checkpoint=tmp_path / "c")
    assert again.fit(X[:6], TOTAL[:6], checkpoint=tmp_path / "c").n_iter_ == model.n_iter_


NOISE = np.random.default_rng(1).standard_normal((40, 3))
LABELS = np.array(["a", "b", "b", "c"] * 10)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (LSTMRegressor(4), TOTAL),
        (LSTMRegressor(4), NOISE),
        (LSTMRegressor(4, loss="absolute_error"), NOISE[:, 0] ** 2),
        (LSTMRegressor(4, loss="huber"), NOISE),
        (LSTMRegressor(4, loss="pinball"), NOISE[:, 0]),
        (LSTMRegressor(4, loss="gaussian"), NOISE[:, 0]),
        (LSTMRegressor(4, loss="poisson"), np.arange(40) % 7),
        (LSTMClassifier(4), LABELS),
        (LSTMClassifier(4), LABELS == "a"),
        (LSTMClassifier(4, loss="focal", class_weight="balanced"), LABELS),
        (LSTMClassifier(4), NOISE > 0.5),
    ],
)
def test_a_model_that_learns_nothing(model, y):
    # All sequences are equal: the best that can be learned is the best constant.
    model.set_params(max_iter=60, random_state=0, learning_rate=0.03, schedule=None)
    same = np.repeat(X[:1], len(X), axis=0)
    with pytest.warns(ConvergenceWarning, match="the loss of the best constant pred") as caught:
        model.fit(same, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    curve = model.loss_curve_
    constant = float(re.split(" below | than ", str(caught[0].message))[1].split(",")[0])
    assert constant == pytest.approx(min(curve), rel=0.1, abs=1e-3)


def test_a_loss_above_that_of_a_constant():
    model = quick(max_iter=1, learning_rate=10.0, clip_norm=None)
    with pytest.warns(
        ConvergenceWarning, match=r"loss, [\d.]+, is no better than 1, the loss of t"
    ):
        model.fit(X, TOTAL)


def test_a_single_sequence_for_validation():
    model = quick(early_stopping=True, validation_fraction=0.02)
    with pytest.warns(
        UserWarning, match="sets 1 of 40 sequences aside.* Increase validation_fract"
    ):
        model.fit(X, TOTAL)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(validation_fraction=0.05).fit(X, TOTAL)
        model.fit(X, TOTAL, X_val=X[:1], y_val=TOTAL[:1])


def test_the_loss_of_the_priors_is_the_entropy():
    y = (LABELS == "a").astype(int)
    p = y.mean()
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert constant_loss(log_loss, 1, y, None) == pytest.approx(entropy, rel=1e-6)
    weights = np.where(y == 1, 2.0, 2 / 3)  # relative to their mean, balanced
    assert constant_loss(log_loss, 1, y, weights) == pytest.approx(np.log(2), rel=1e-6)


def test_constant_targets_leave_nothing_to_learn():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        quick().fit(X, np.ones(40))


@pytest.mark.parametrize("y", [TOTAL + 1e-7, np.array(["no", "yes"], object)[(TOTAL > 0) * 1]])
def test_scoring_gets_the_targets_as_they_were_given(y):
    seen = []

    def scoring(model, X_val, y_val):
        seen.append((len(X_val), y_val))
        return model.score(X_val, y_val)

    options = {"early_stopping": True, "scoring": scoring, "max_iter": 1, "random_state": 0}
    model = LSTMRegressor(4, **options) if y.dtype == float else LSTMClassifier(4, **options)
    model.fit(X, y, X_val=X[:7], y_val=y[:7])
    assert seen[-1][0] == 7
    assert seen[-1][1].tolist() == y[:7].tolist()
    model.set_params(validation_split="last", validation_fraction=0.25).fit(X, y)
    assert seen[-1][0] == 10
    assert seen[-1][1].tolist() == y[-10:].tolist()
    model.set_params(validation_split="random").fit(X, y)
    assert set(seen[-1][1].tolist()) <= set(y.tolist())


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
    add, calls = type(model._task().loss).of_targets, []

    def interrupt(self, z, y):
        calls.append(1)
        if len(calls) == 2 * 4 + 3:
            raise KeyboardInterrupt
        return add(self, z, y)

    monkeypatch.setattr(type(model._task().loss), "of_targets", interrupt)
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

    add, calls = type(model._task().loss).of_targets, []

    def interrupt(self, z, y):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return add(self, z, y)

    with monkeypatch.context() as patch:
        patch.setattr(type(model._task().loss), "of_targets", interrupt)
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
def test_interrupted_at_any_line(options):
    def model(max_iter=3):
        return quick(max_iter=max_iter, schedule="reduce_on_plateau", **options)

    expected = {n: fitted_state(model(n).fit(X, TOTAL)) for n in (1, 2, 3)}
    modules = ("fit_loop.py", "fit_state.py", "progress_bar.py")
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
            assert interrupted.n_iter_ == 3  # the fit had ended, and looked what to warn of
        assert fitted_state(interrupted) == expected[interrupted.n_iter_], at
        seen.add(interrupted.n_iter_)
    assert seen == {0, 1, 2, 3}


def test_partial_fit_interrupted_at_any_line():
    model = quick(dropout=0.3, schedule="reduce_on_plateau").partial_fit(X, TOTAL)
    before = fitted_state(model)
    counter = InterruptAtLine(("fit_loop.py", "fit_state.py"))
    expected = fitted_state(counter.fit(copy.deepcopy(model), "partial_fit"))
    assert counter.count > 30
    for at in range(1, counter.count + 1):
        with pytest.raises(KeyboardInterrupt):
            InterruptAtLine(counter.modules, at).fit(model, "partial_fit")
        assert fitted_state(model) == before, at
    assert fitted_state(model.partial_fit(X, TOTAL)) == expected


def test_interrupted_after_the_last_epoch(monkeypatch):
    settle, calls = LSTMRegressor._take_snapshot, []

    def interrupt(self):
        calls.append(1)
        if len(calls) < 3:
            raise KeyboardInterrupt
        return settle(self)

    monkeypatch.setattr(LSTMRegressor, "_take_snapshot", interrupt)
    model = quick(max_iter=2)
    with pytest.warns(UserWarning, match="^Training was interrupted after its last epoch, 2: the"):
        model.fit(X, TOTAL)
    monkeypatch.undo()
    assert fitted_state(model) == fitted_state(quick(max_iter=2).fit(X, TOTAL))


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


def test_a_callable_scoring_gets_rows_of_the_given_X():
    seen = []

    def scoring(model, X_val, y_val):
        seen.append(X_val)
        return -float(np.abs(model.predict(X_val) - y_val).max())

    model = quick(early_stopping=True, scoring=scoring, tol=0.0)
    options = {"validation_fraction": 0.25}
    model.set_params(**options, validation_split="last").fit(X, TOTAL)
    np.testing.assert_array_equal(seen[0], X[-10:])
    assert np.shares_memory(seen[0], X)
    assert seen[1] is seen[0]

    model.set_params(validation_split="random").fit(X, TOTAL)
    drawn = seen[-1]
    assert (drawn[:, None] == X[None]).all(axis=(2, 3)).any(axis=1).all()

    seen.clear()
    as_list = list(X)
    model.fit(as_list, TOTAL)
    assert type(seen[0]) is list
    assert {id(x) for x in seen[0]} <= {id(x) for x in as_list}
    np.testing.assert_array_equal(np.stack(seen[0]), drawn)

    seen.clear()
    held_out = X[:7].astype("f")
    model.fit(X, TOTAL, X_val=held_out, y_val=TOTAL[:7])
    assert seen[0] is held_out


def test_a_callable_scoring_gets_rows_of_a_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        X[:, :, 0], columns=list("abcdef"), index=[f"row {i}" for i in range(40)]
    )
    seen = []

    def scoring(model, X_val, y_val):
        seen.append(X_val)
        return model.score(X_val, y_val)

    quick(early_stopping=True, scoring=scoring).fit(frame, TOTAL)
    assert isinstance(seen[0], pandas.DataFrame)
    pandas.testing.assert_frame_equal(seen[0], frame.loc[seen[0].index])


def test_a_callable_scoring_gets_a_list_for_other_kinds_of_X():
    class Holder:
        def __array__(self, dtype=None, copy=None):
            return np.asarray(X, dtype)

    seen = []

    def scoring(model, X_val, y_val):
        seen.append(X_val)
        return model.score(X_val, y_val)

    model = quick(early_stopping=True, scoring=scoring, validation_split="last")
    model.fit(Holder(), TOTAL)
    assert type(seen[0]) is list
    np.testing.assert_array_equal(np.stack(seen[0]), X[-4:])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_named_score_that_is_not_finite():
    y, model = TOTAL > 0, LSTMClassifier(4, early_stopping=True, scoring="roc_auc", random_state=0)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="^scoring='roc_auc' must be finite .*; got nan for 3 seq"):
        model.fit(X, y, X_val=X[y][:3], y_val=y[y][:3])
    assert vars(model) == before


def test_a_callable_score_that_is_nan():
    scores = iter([np.nan, np.nan, 1.0, np.nan])
    model = quick(early_stopping=True, scoring=lambda *given: next(scores), max_iter=4)
    with pytest.warns(RuntimeWarning, match="^scoring returned nan in epoch 1: such") as caught:
        model.fit(X, TOTAL)
    assert [warning.category for warning in caught].count(RuntimeWarning) == 1
    assert caught[0].filename == __file__
    assert model.best_iter_ == 3


def test_named_scores_are_not_weighted_by_class():
    y = np.where(TOTAL > 1, "rare", "common")
    options = {"max_iter": 1, "early_stopping": True, "scoring": "accuracy", "random_state": 0}
    weights = np.where(np.arange(40) % 2, 1.0, 3.0)
    for given in (None, weights):
        model = LSTMClassifier(4, class_weight={"rare": 50.0, "common": 1.0}, **options)
        shown = model.set_params(verbose=0, schedule=ReduceOnPlateau())
        shown.fit(X, y, X_val=X, y_val=y, sample_weight_val=given)
        watched = shown._schedule_state.watched
        assert -watched == pytest.approx(shown.score(X, y, given))


def test_a_class_that_is_only_in_the_validation_part():
    order = np.argsort(TOTAL)
    y = np.repeat(["a", "b", "c"], [20, 17, 3])
    model = LSTMClassifier(4, early_stopping=True, validation_split="last", max_iter=1)
    with pytest.raises(
        ValueError, match="must have sequences of every class; got none of class 'c'"
    ):
        model.fit(X[order], y)
    assert not hasattr(model, "model_")
    model.set_params(validation_fraction=0.05).fit(X[order], y)


@pytest.mark.parametrize("optimizer", ["sgd", "lion"])
def test_a_loss_that_is_not_finite(optimizer):
    model = quick(optimizer=optimizer, learning_rate=1e38, clip_norm=None, max_iter=50)
    with pytest.warns(RuntimeWarning, match="no longer finite in epoch .* smaller") as caught:
        model.fit(X, TOTAL)
    assert [warning.category for warning in caught] == [RuntimeWarning]
    assert caught[0].filename == __file__
    assert np.isfinite(model.predict(X)).all()


def test_no_warning_about_counts_that_are_learned():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 6, 1))
    y = rng.poisson(1000 * np.exp(0.3 * np.clip(x[:, -1, 0], -2, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = LSTMRegressor(8, loss="poisson", max_iter=40, learning_rate=0.01, random_state=0)
        assert model.fit(x, y).score(x, y) > 0.8
        quick(loss="gaussian").fit(X, np.ones(40))


def test_scores_that_take_no_weights():
    options = {"early_stopping": True, "max_iter": 1, "random_state": 0}
    LSTMRegressor(4, scoring="neg_max_error", **options).fit(X, TOTAL, np.ones(40))
    LSTMClassifier(4, scoring="adjusted_rand_score", class_weight="balanced", **options).fit(
        X, TOTAL > 0
    )
