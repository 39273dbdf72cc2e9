"""Scores of the validation data: names, callables and their arguments."""

from __future__ import annotations

import numpy as np
import pytest

from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.schedules import ReduceOnPlateau

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))


def quick(**options):
    return LSTMRegressor(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


@pytest.mark.parametrize("y", [TOTAL + 1e-7, np.array(["no", "yes"], object)[(TOTAL > 0) * 1]])
def test_scoring_gets_the_targets_as_given_by_the_user(y):
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
def test_a_named_score_that_is_not_finite_is_an_error():
    y, model = TOTAL > 0, LSTMClassifier(4, early_stopping=True, scoring="roc_auc", random_state=0)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="^scoring='roc_auc' must be finite .*; got nan for 3 seq"):
        model.fit(X, y, X_val=X[y][:3], y_val=y[y][:3])
    assert vars(model) == before


def test_a_nan_score_of_a_callable_gives_a_warning():
    scores = iter([np.nan, np.nan, 1.0, np.nan])
    model = quick(early_stopping=True, scoring=lambda *given: next(scores), max_iter=4)
    with pytest.warns(RuntimeWarning, match="^scoring returned nan in epoch 1. Epochs") as caught:
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


def test_a_class_only_in_the_validation_set_is_an_error():
    order = np.argsort(TOTAL)
    y = np.repeat(["a", "b", "c"], [20, 17, 3])
    model = LSTMClassifier(4, early_stopping=True, validation_split="last", max_iter=1)
    with pytest.raises(
        ValueError, match="must have sequences of every class; got none of class 'c'"
    ):
        model.fit(X[order], y)
    assert not hasattr(model, "model_")
    model.set_params(validation_fraction=0.05).fit(X[order], y)


def test_scorers_without_sample_weight_can_be_used():
    options = {"early_stopping": True, "max_iter": 1, "random_state": 0}
    regressor = LSTMRegressor(4, scoring="neg_max_error", **options)
    regressor.fit(X, TOTAL, np.ones(40))
    classifier = LSTMClassifier(
        4, scoring="adjusted_rand_score", class_weight="balanced", **options
    ).fit(X, TOTAL > 0)
    for model in (regressor, classifier):
        assert model.best_iter_ == 1
