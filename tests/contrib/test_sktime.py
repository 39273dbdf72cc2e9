"""The adapters pass sktime's checks and predict what their estimators predict."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip(
    "sktime", reason="sktime is not installed; `bash tests/contrib/run sktime` installs it"
)

import pandas as pd
import sktime
from packaging.version import Version
from sktime.classification.model_selection import TSCGridSearchCV
from sktime.datatypes import convert_to
from sktime.transformations.series.exponent import ExponentTransformer
from sktime.utils.estimator_checks import check_estimator

from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.contrib.sktime import SequenceClassifier, SequenceRegressor
from problems import equal_series, run_example, series

# Up to version 1.1, the search of sktime reads scikit-learn's tags in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:sklearn")

LSTM = {"hidden_size": 8, "max_iter": 20, "learning_rate": 0.01, "random_state": 0}


@pytest.mark.parametrize("adapter", [SequenceClassifier, SequenceRegressor])
def test_adapters_pass_the_checks_of_sktime(adapter):
    results = check_estimator(adapter, verbose=False)
    failed = {name: result for name, result in results.items() if result != "PASSED"}
    if adapter is SequenceRegressor and Version(sktime.__version__) < Version("1.2"):
        # sktime fits one regressor per target; fusedlstm learns all targets in one network.
        failed = {name: result for name, result in failed.items() if "multioutput" not in name}
    assert failed == {}
    assert len(results) >= 130
    kind = "classifier" if adapter is SequenceClassifier else "regressor"
    assert {name.partition("[")[0] for name in results} >= {
        "test_constructor",
        "test_doctest_examples",
        "test_fit_idempotent",
        "test_get_test_params_coverage",
        "test_multioutput",
        "test_multiprocessing_idempotent",
        "test_non_state_changing_method_contract",
        "test_persistence_via_pickle",
        "test_raises_not_fitted_error",
        "test_save_estimators_to_file",
        "test_set_params_sklearn",
        f"test_{kind}_output",
    }
    for scenario in ("ClassifierFitPredictMultivariate", "ClassifierFitPredictUnequalLength"):
        assert f"test_{kind}_output[{adapter.__name__}-0-{scenario}]" in results


def test_adapters_predict_what_their_estimator_predicts():
    X, y = series()
    adapter = SequenceClassifier(LSTMClassifier(**LSTM)).fit(X[:40], y[:40])
    ours = LSTMClassifier(**LSTM).fit([x.T for x in X[:40]], y[:40])
    last = [x.T for x in X[40:]]
    assert np.array_equal(adapter.predict(X[40:]), ours.predict(last))
    assert np.array_equal(adapter.predict_proba(X[40:]), ours.predict_proba(last))
    assert adapter.score(X, y) > 0.9


@pytest.mark.parametrize("form", ["df-list", "pd-multiindex", "nested_univ"])
def test_all_forms_of_x_give_the_same_predictions(form):
    X, y = equal_series()
    predicted = SequenceRegressor(LSTMRegressor(**LSTM)).fit(X, y).predict(X)
    other = convert_to(X, form)
    adapter = SequenceRegressor(LSTMRegressor(**LSTM)).fit(other, y)
    assert np.array_equal(adapter.predict(other), predicted)
    assert np.array_equal(adapter.predict(list(X)), predicted)


def test_panels_of_unequal_lengths_are_read():
    X, y = series()
    frames = [pd.DataFrame(x.T, columns=["a", "b"]) for x in X]
    predicted = SequenceClassifier(LSTMClassifier(**LSTM)).fit(X, y).predict_proba(X)
    for panel in (frames, convert_to(frames, "pd-multiindex")):
        adapter = SequenceClassifier(LSTMClassifier(**LSTM)).fit(panel, y)
        assert np.array_equal(adapter.predict_proba(panel), predicted)


def test_series_of_one_channel_may_be_one_dimensional():
    X, y = series(channels=1)
    flat = SequenceClassifier(LSTMClassifier(**LSTM)).fit([x[0] for x in X], y)
    full = SequenceClassifier(LSTMClassifier(**LSTM)).fit(X, y)
    assert np.array_equal(flat.predict_proba(X), full.predict_proba(X))


def test_one_network_learns_several_targets():
    X, y = equal_series()
    targets = pd.DataFrame({"sum": y, "last": X[:, 0, -1]})
    adapter = SequenceRegressor(LSTMRegressor(**LSTM)).fit(X, targets)
    predicted = adapter.predict(X)
    ours = LSTMRegressor(**LSTM).fit(X.swapaxes(1, 2), targets)
    assert list(predicted.columns) == ["sum", "last"]
    assert np.array_equal(predicted, ours.predict(X.swapaxes(1, 2)))


def test_grid_search_over_nested_parameters():
    X, y = series()
    frames = [pd.DataFrame(x.T) for x in X]
    grid = {"estimator__hidden_size": [1, 8]}
    search = TSCGridSearchCV(SequenceClassifier(LSTMClassifier(**LSTM)), grid, cv=2).fit(frames, y)
    assert search.best_params_ == {"estimator__hidden_size": 8}


def test_adapters_work_in_a_pipeline_of_sktime():
    X, y = equal_series()
    adapter = SequenceRegressor(LSTMRegressor(**LSTM))
    same = (ExponentTransformer(1.0, offset=0.0) * adapter).fit(X, y).predict(X)
    assert np.allclose(same, adapter.fit(X, y).predict(X))


def test_clone_and_pickle():
    X, y = series()
    adapter = SequenceClassifier(LSTMClassifier(**LSTM)).fit(X, y)
    assert not adapter.clone().is_fitted
    assert np.array_equal(pickle.loads(pickle.dumps(adapter)).predict(X), adapter.predict(X))
    assert not hasattr(adapter.estimator, "model_")


@pytest.mark.parametrize("wrong", [LSTMRegressor(), LSTMClassifier, None, 5])
def test_an_unsuitable_estimator_is_an_error(wrong):
    with pytest.raises(TypeError, match="estimator must be a classifier, such as LSTMClassifier"):
        SequenceClassifier(wrong).fit(*series())


def test_the_example_in_the_docs_runs():
    assert run_example("sktime")["accuracy"] > 0.9
