"""A fitted estimator predicts with the weights that it had at the end of its training."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.layers import GRU, LSTM

X = np.random.default_rng(0).standard_normal((40, 6, 2))
LABELS = (X[:, :, 0].sum(axis=1) > 0).astype(int)
STACKS = {
    "plain": None,
    "bidirectional": (LSTM(4, bidirectional=True), GRU(3)),
    "merged by sum": (LSTM(4, bidirectional=True, merge="sum"),),
    "layer norm": (LSTM(4, layer_norm=True),),
    "initial state": (GRU(4, trainable_state=True, zoneout=0.1),),
}


def fitted_on(layers=None, **parameters):
    parameters = {"max_iter": 2, "random_state": 0, "standardize": False, **parameters}
    model = LSTMClassifier(64 if layers else 4, layers=layers, **parameters)
    return model.fit(X, LABELS)


@pytest.mark.parametrize("name", STACKS)
def test_estimators_predict_the_bits_of_their_model(name, dtype):
    model = fitted_on(STACKS[name], dtype=dtype.name)
    ragged = [x[: 1 + i % 6] for i, x in enumerate(X)]
    for given in (X, X[:1], X[:, ::2], np.asfortranarray(X), ragged):
        rows = [np.asarray(x, dtype)[np.newaxis] for x in given]
        expected = np.concatenate([model.model_.predict(x) for x in rows])
        np.testing.assert_array_equal(model.decision_function(given), expected[:, 0])


@pytest.mark.parametrize("name", STACKS)
def test_predictions_ignore_later_changes_of_parameters(name):
    model = fitted_on(STACKS[name])
    before = model.predict_proba(X)
    model.model_.params[:] = 0
    np.testing.assert_array_equal(model.predict_proba(X), before)
    if name not in ("bidirectional", "merged by sum"):
        stream = model.stream(len(X))
        np.testing.assert_array_equal([stream.step(x) for x in X.swapaxes(0, 1)][-1], before)
    # A copy, or a model assigned to model_, predicts with the current weights of its model.
    np.testing.assert_array_equal(copy.deepcopy(model).predict_proba(X), 0.5)
    model.model_ = copy.deepcopy(model.model_)
    np.testing.assert_array_equal(model.predict_proba(X), 0.5)


def test_assigned_parameters_take_effect():
    model = fitted_on()
    stream, before = model.stream(len(X)), model.predict_proba(X)
    model.model_.params = np.zeros_like(model.model_.params)
    np.testing.assert_array_equal(model.predict_proba(X), 0.5)
    np.testing.assert_array_equal([stream.step(x) for x in X.swapaxes(0, 1)][-1], before)
    with pytest.raises(ValueError, match="params must be"):
        model.model_.params = [1.0]
    np.testing.assert_array_equal(model.predict_proba(X), 0.5)


def test_copies_and_files_predict_the_same(tmp_path):
    model = fitted_on()
    model.save(tmp_path / "model")
    expected = model.predict_proba(X)
    for same in (
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        copy.copy(model),
        fusedlstm.load(tmp_path / "model"),
    ):
        before = dict(vars(same))
        np.testing.assert_array_equal(same.predict_proba(X), expected)
        assert vars(same) == before
    assert not vars(clone(model)).keys() & {"model_", "_snapshot"}


def test_packed_weights_are_not_pickled():
    model = LSTMRegressor(64, max_iter=1).fit(X, X[:, 0, 0])
    assert len(pickle.dumps(model)) < model.model_.params.nbytes + 10_000


def test_predictions_change_with_more_training():
    model = fitted_on()
    for train in (
        lambda: model.partial_fit(X, LABELS),
        lambda: model.set_params(warm_start=True).fit(X, LABELS),
        lambda: model.set_params(warm_start=False, random_state=1).fit(X, LABELS),
    ):
        before = model.predict_proba(X)
        train()
        assert not np.array_equal(model.predict_proba(X), before)
        expected = pickle.loads(pickle.dumps(model)).predict_proba(X)
        np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_a_fit_that_raises_an_error_does_not_change_predictions():
    model = fitted_on()
    before = model.predict_proba(X)
    for wrong in ({"hidden_size": 5, "warm_start": True}, {"optimizer": "none"}):
        refused = copy.deepcopy(model).set_params(**wrong)
        with pytest.raises(ValueError):  # noqa: PT011
            refused.fit(X, LABELS)
        np.testing.assert_array_equal(refused.predict_proba(X), before)


def test_scores_during_training_use_the_current_weights():
    scores = []

    def scoring(estimator, X, y):
        proba = estimator.predict_proba(X)
        logits = estimator.model_.predict(X.astype("f"))
        np.testing.assert_allclose(proba[:, 1], 1 / (1 + np.exp(-logits[:, 0])), rtol=1e-6)
        scores.append(proba[0, 0])
        return 0.0

    model = fitted_on(early_stopping=True, scoring=scoring)
    model.set_params(warm_start=True).fit(X, LABELS)
    assert len(set(scores)) == 4


def test_predictions_in_threads_and_processes_are_the_same():
    model = fitted_on()
    expected = model.predict_proba(X)
    with ThreadPoolExecutor(8) as pool:
        for given in pool.map(model.predict_proba, [X] * 100):
            np.testing.assert_array_equal(given, expected)
    for given in Parallel(n_jobs=2)(delayed(model.predict_proba)(X) for _ in range(2)):
        np.testing.assert_array_equal(given, expected)
