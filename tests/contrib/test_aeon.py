"""The adapters pass aeon's checks and predict what their estimators predict."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip(
    "aeon", reason="aeon is not installed; `bash tests/contrib/run aeon` installs it"
)

from aeon.pipeline import make_pipeline
from aeon.testing.estimator_checking import check_estimator
from aeon.transformations.collection import Normalizer
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.contrib.aeon import SequenceClassifier, SequenceRegressor
from problems import equal_series, run_example, series

LSTM = {"hidden_size": 8, "max_iter": 20, "learning_rate": 0.01, "random_state": 0}


@pytest.mark.parametrize("adapter", [SequenceClassifier, SequenceRegressor])
def test_adapters_pass_the_checks_of_aeon(adapter):
    results = check_estimator(adapter)
    assert {name: result for name, result in results.items() if result != "PASSED"} == {}
    assert len(results) >= 40
    names = " ".join(results)
    kind = "classifier" if adapter is SequenceClassifier else "regressor"
    for check in (
        "check_constructor",
        "check_set_params",
        "check_fit_deterministic",
        "check_fit_updates_state_and_cloning",
        "check_non_state_changing_method",
        "check_persistence_via_pickle",
        "check_raises_not_fitted_error",
        f"check_{kind}_output",
    ):
        assert f"{check}(" in names
    for form in ("EqualLengthMultivariate", "UnequalLengthUnivariate", "UnequalLengthMultivariate"):
        assert f"datatype={form}" in names


def test_adapters_predict_what_their_estimator_predicts():
    X, y = series()
    adapter = SequenceClassifier(LSTMClassifier(**LSTM)).fit(X[:40], y[:40])
    ours = LSTMClassifier(**LSTM).fit([x.T for x in X[:40]], y[:40])
    last = [x.T for x in X[40:]]
    assert np.array_equal(adapter.predict(X[40:]), ours.predict(last))
    assert np.array_equal(adapter.predict_proba(X[40:]), ours.predict_proba(last))
    assert adapter.score(X, y) > 0.9


def test_all_forms_of_x_give_the_same_predictions():
    X, y = equal_series()
    adapter = SequenceRegressor(LSTMRegressor(**LSTM)).fit(X, y)
    predicted = adapter.predict(X)
    from_list = SequenceRegressor(LSTMRegressor(**LSTM)).fit(list(X), y)
    assert np.array_equal(from_list.predict(list(X)), predicted)
    assert np.array_equal(adapter.predict(list(X)), predicted)
    assert adapter.predict([X[0], X[1, :, :3]])[0] == predicted[0]  # other lengths than in fit


def test_series_of_one_channel_may_be_two_dimensional():
    X, y = equal_series(channels=1)
    flat = SequenceRegressor(LSTMRegressor(**LSTM)).fit(X[:, 0], y).predict(X[:, 0])
    assert np.array_equal(flat, SequenceRegressor(LSTMRegressor(**LSTM)).fit(X, y).predict(X))


def test_grid_search_over_nested_parameters():
    X, y = series()
    model = SequenceClassifier(LSTMClassifier(**LSTM))
    search = GridSearchCV(model, {"estimator__hidden_size": [1, 8]}, cv=2, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"estimator__hidden_size": 8}
    assert search.best_estimator_.estimator_.hidden_size == 8


def test_adapters_work_in_a_pipeline_of_aeon():
    X, y = series()
    model = make_pipeline(Normalizer(), SequenceClassifier(LSTMClassifier(**LSTM))).fit(X, y)
    assert model.predict(X).shape == (60,)


def test_clone_and_pickle():
    X, y = series()
    adapter = SequenceClassifier(LSTMClassifier(**LSTM)).fit(X, y)
    assert not clone(adapter).is_fitted
    assert np.array_equal(pickle.loads(pickle.dumps(adapter)).predict(X), adapter.predict(X))
    assert not hasattr(adapter.estimator, "model_")


@pytest.mark.parametrize("wrong", [LSTMRegressor(), LSTMClassifier, None, 5])
def test_an_unsuitable_estimator_is_an_error(wrong):
    with pytest.raises(TypeError, match="estimator must be a classifier, such as LSTMClassifier"):
        SequenceClassifier(wrong).fit(*series())


def test_the_example_in_the_docs_runs():
    assert run_example("aeon")["accuracy"] > 0.9
