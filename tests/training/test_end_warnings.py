"""Warnings at the end of training: max_iter, nothing learned, a loss that is not finite."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.losses import log_loss
from fusedlstm.losses.constant import constant_loss

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))


def quick(**options):
    return LSTMRegressor(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


def learned(**options):
    """Return an estimator that learns more than a constant in a few epochs."""
    return quick(**{"max_iter": 5, "learning_rate": 0.03, "batch_size": 8, **options})


def test_early_stopping_that_reaches_max_iter_gives_a_warning():
    sentence = "^Training ended with max_iter=5 epochs before the validation loss stopped improving"
    with pytest.warns(ConvergenceWarning, match=sentence) as caught:
        learned(early_stopping=True, tol=0.0).fit(X, TOTAL)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="before the validation score stopped"):
        learned(early_stopping=True, scoring="r2").fit(X, TOTAL)


def test_no_warning_after_all_epochs_or_early_stopping():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        learned().fit(X, TOTAL)
        learned(early_stopping=True, max_iter=9, tol=1e9, n_iter_no_change=6).fit(X, TOTAL)
        quick(max_iter=1).partial_fit(X, TOTAL)
    assert not caught


def test_all_epochs_are_trained_on_a_plateau():
    model = learned(max_iter=30, tol=1e9, n_iter_no_change=1).fit(X, TOTAL)
    assert model.n_iter_ == len(model.loss_curve_) == 30
    stopped = learned(max_iter=30, tol=1e9, n_iter_no_change=4, early_stopping=True).fit(X, TOTAL)
    assert stopped.n_iter_ == 5  # the first epoch always counts as an improvement


def test_lbfgs_stops_when_its_line_search_finds_no_decrease(tmp_path):
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
def test_a_model_that_learns_only_a_constant_gives_a_warning(model, y):
    # All sequences are equal, so the best prediction is a constant.
    model.set_params(max_iter=60, random_state=0, learning_rate=0.03, schedule=None)
    same = np.repeat(X[:1], len(X), axis=0)
    with pytest.warns(ConvergenceWarning, match="the loss of the best constant pred") as caught:
        model.fit(same, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    curve = model.loss_curve_
    constant = float(re.split(" below | than ", str(caught[0].message))[1].split(",")[0])
    assert constant == pytest.approx(min(curve), rel=0.1, abs=1e-3)


def test_a_loss_above_that_of_a_constant_gives_a_warning():
    model = quick(max_iter=1, learning_rate=10.0, clip_norm=None)
    with pytest.warns(
        ConvergenceWarning, match=r"loss, [\d.]+, is no better than 1, the loss of t"
    ):
        model.fit(X, TOTAL)


def test_a_validation_set_of_one_sequence_gives_a_warning():
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
    weights = np.where(y == 1, 2.0, 2 / 3)  # balanced weights, relative to their mean
    assert constant_loss(log_loss, 1, y, weights) == pytest.approx(np.log(2), rel=1e-6)


def test_constant_targets_give_no_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        quick().fit(X, np.ones(40))
    assert not caught


@pytest.mark.parametrize("optimizer", ["sgd", "lion"])
def test_a_loss_that_is_not_finite_gives_one_warning(optimizer):
    model = quick(optimizer=optimizer, learning_rate=1e38, clip_norm=None, max_iter=50)
    with pytest.warns(RuntimeWarning, match="no longer finite in epoch .* smaller") as caught:
        model.fit(X, TOTAL)
    assert [warning.category for warning in caught] == [RuntimeWarning]
    assert caught[0].filename == __file__
    assert np.isfinite(model.predict(X)).all()


def test_no_warning_for_counts_that_are_learned():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 6, 1))
    y = rng.poisson(1000 * np.exp(0.3 * np.clip(x[:, -1, 0], -2, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = LSTMRegressor(8, loss="poisson", max_iter=40, learning_rate=0.01, random_state=0)
        assert model.fit(x, y).score(x, y) > 0.8
        quick(loss="gaussian").fit(X, np.ones(40))
