"""The estimators: what they learn, forms of X and y, reproducibility."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import fusedlstm
from estimator_data import sequences, targets
from fusedlstm import LSTMClassifier, LSTMRegressor, SequenceScaler
from fusedlstm.layers import LSTM, Dropout
from fusedlstm.optimizers import SGD, Adam

BOTH = [LSTMClassifier, LSTMRegressor]


def quick(estimator, **kwargs):
    defaults = {"hidden_size": 8, "max_iter": 5, "random_state": 0}
    return estimator(**{**defaults, **kwargs})


def numbers(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


# Learning.


def test_the_classifier_learns_digits_row_by_row():
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8) / 16
    model = LSTMClassifier(32, max_iter=100, random_state=0).fit(X[:900], y[:900])
    assert model.score(X[900:], y[900:]) > 0.88


def test_the_classifier_learns_two_classes():
    X, total = sequences(300)
    y = targets(LSTMClassifier, total)
    model = LSTMClassifier(16, max_iter=40, random_state=0).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.8


def test_the_regressor_learns_sums():
    X, y = sequences(300)
    model = LSTMRegressor(16, max_iter=40, random_state=0).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.9


@pytest.mark.parametrize("normalize_y", ["auto", True, False])
def test_normalize_y_helps_with_targets_far_from_zero(normalize_y):
    X, y = sequences(300)
    model = LSTMRegressor(16, max_iter=40, normalize_y=normalize_y, random_state=0)
    score = model.fit(X[:200], y[:200] * 1e4 + 1e6).score(X[200:], y[200:] * 1e4 + 1e6)
    assert (score > 0.9) == bool(normalize_y)


def test_the_regressor_learns_several_outputs():
    X, y = sequences(300)
    Y = np.stack([y, -10 * y, X[:, -1, 0]], axis=1)
    model = LSTMRegressor(24, max_iter=60, random_state=0).fit(X[:200], Y[:200])
    assert model.predict(X[200:]).shape == (100, 3)
    assert model.score(X[200:], Y[200:]) > 0.85


def test_predictions_have_the_shape_of_the_targets():
    X, y = sequences()
    assert quick(LSTMRegressor).fit(X, y[:, np.newaxis]).predict(X).shape == (40, 1)
    assert quick(LSTMRegressor).fit(X, y).predict(X).shape == (40,)


def test_constant_targets_are_predicted():
    X, _ = sequences()
    model = quick(LSTMRegressor, max_iter=50, n_iter_no_change=50).fit(X, np.full(40, 3.0))
    np.testing.assert_allclose(model.predict(X), 3, atol=0.1)


# Forms of X and y.


@pytest.mark.parametrize("estimator", BOTH)
def test_all_forms_of_3d_X_give_the_same_bits(estimator):
    X, total = sequences(features=2)
    y = targets(estimator, total)
    expected = numbers(quick(estimator).fit(X, y), X)
    forms = {
        "list of arrays": list(X),
        "object array": np.array([*list(X), None], object)[:-1],
        "nested lists": X.tolist(),
        "Fortran order": np.asfortranarray(X),
        "NaN padding": np.concatenate([X, np.full((40, 3, 2), np.nan)], axis=1),
    }
    for form in forms.values():
        model = quick(estimator).fit(form, y)
        assert numbers(model, form).tobytes() == expected.tobytes()
        assert numbers(model, X).tobytes() == expected.tobytes()


@pytest.mark.parametrize("estimator", BOTH)
def test_unequal_lengths_give_the_bits_of_single_sequences(estimator):
    X, total = sequences()
    lengths = np.random.default_rng(1).integers(1, 7, 40)
    ragged = [x[:n] for x, n in zip(X, lengths, strict=True)]
    model = quick(estimator).fit(ragged, targets(estimator, total))
    together = numbers(model, ragged)
    for i in (0, 7, 31):
        alone = numbers(model, X[i : i + 1, : lengths[i]])
        assert alone.tobytes() == together[i : i + 1].tobytes()


@pytest.mark.parametrize("estimator", BOTH)
def test_2d_X_is_one_feature_per_step(estimator):
    X, total = sequences(features=1)
    y = targets(estimator, total)
    model = quick(estimator).fit(X[:, :, 0], y)
    assert model.n_features_in_ == 6
    expected = numbers(model, X[:, :, 0])
    for form in (X[:, :, 0].tolist(), X, [x.ravel() for x in X]):
        assert numbers(model, form).tobytes() == expected.tobytes()
    assert numbers(model, X[:, :4]).shape == expected.shape  # other lengths, except in 2-D
    with pytest.raises(ValueError, match="X has 5 features, but .* is expecting 6 features as inp"):
        model.predict(X[:, :5, 0])


def test_data_frames_give_the_predictions_of_arrays():
    pandas = pytest.importorskip("pandas")
    X, y = sequences(features=1)
    frame = pandas.DataFrame(X[:, :, 0], columns=[f"lag {i}" for i in range(6)])
    model = quick(LSTMRegressor).fit(frame, pandas.Series(y))
    assert list(model.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(
        model.predict(frame), quick(LSTMRegressor).fit(X[:, :, 0], y).predict(X[:, :, 0])
    )
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"lag 0": "other"}))


@pytest.mark.parametrize("estimator", BOTH)
def test_sequences_in_predict_may_have_other_lengths(estimator):
    X, total = sequences()
    model = quick(estimator).fit(X, targets(estimator, total))
    assert model.n_features_in_ == 2
    for steps in (1, 3, 20):
        assert len(numbers(model, np.zeros((5, steps, 2)))) == 5


@pytest.mark.parametrize("labels", [[0, 1], [5, -2], ["b", "a"], [True, False], [2.0, 1.0]])
def test_labels_may_have_any_type(labels):
    X, total = sequences()
    y = np.where(total > 0, *labels)
    model = quick(LSTMClassifier).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    assert set(model.predict(X)) <= set(labels)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_probabilities_sum_to_one(n_classes):
    X, total = sequences(80)
    y = np.digitize(total, np.quantile(total, np.arange(1, n_classes) / n_classes))
    model = quick(LSTMClassifier).fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (80, n_classes)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-4)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])


@pytest.mark.parametrize("estimator", BOTH)
def test_fit_and_predict_do_not_write_to_their_input(estimator):
    X, total = sequences()
    y = targets(estimator, total)
    kept = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    quick(estimator).fit(X, y).predict(X)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_X_may_be_a_memory_map(tmp_path):
    X, y = sequences()
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = quick(LSTMRegressor).fit(X, y).predict(X)
    np.testing.assert_array_equal(quick(LSTMRegressor).fit(mapped, y).predict(mapped), expected)


def test_predictions_in_chunks_have_the_same_bits(monkeypatch):
    X, y = sequences()
    model = quick(LSTMRegressor).fit(X, y)
    expected = model.predict(X)
    monkeypatch.setattr("fusedlstm.estimators.snapshot.MAX_NUMBERS_PER_CHUNK", 100)
    assert model.predict(X).tobytes() == expected.tobytes()


# Reproducibility.


@pytest.mark.parametrize("estimator", BOTH)
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"dropout": 0.3}])
def test_random_state_gives_the_same_bits_for_any_threads(estimator, options):
    X, total = sequences()
    y = targets(estimator, total)
    models = [quick(estimator, n_threads=n, **options).fit(X, y) for n in (1, 2, 3)]
    for other in models[1:]:
        assert other.model_.params.tobytes() == models[0].model_.params.tobytes()
        assert other.loss_curve_ == models[0].loss_curve_
    another = quick(estimator, random_state=1, **options).fit(X, y)
    assert another.loss_curve_ != models[0].loss_curve_


def test_random_state_may_be_a_random_state_object():
    X, y = sequences()
    one, same, other = (
        quick(LSTMRegressor, random_state=np.random.RandomState(s)).fit(X, y) for s in (5, 5, 6)
    )
    assert one.loss_curve_ == same.loss_curve_
    assert one.loss_curve_ != other.loss_curve_


@pytest.mark.parametrize("estimator", BOTH)
def test_fit_starts_from_new_weights(estimator):
    X, total = sequences()
    model = quick(estimator)
    first = model.fit(X, targets(estimator, total)).loss_curve_
    model.fit(X[:20, :, :1], targets(estimator, total)[:20])
    assert model.fit(X, targets(estimator, total)).loss_curve_ == first


@pytest.mark.parametrize("estimator", BOTH)
def test_copies_and_pickles_give_the_same_predictions(estimator):
    X, total = sequences()
    model = quick(
        estimator, hidden_size=64, optimizer=Adam(beta2=0.99), layers=(LSTM(5), Dropout(0.1))
    )
    model.fit(X, targets(estimator, total))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert numbers(other, X).tobytes() == numbers(model, X).tobytes()
    fresh = clone(model)
    assert not hasattr(fresh, "model_")
    assert fresh.get_params() == model.get_params()


# Use within scikit-learn.


@pytest.mark.parametrize("estimator", BOTH)
def test_cross_validation_of_a_pipeline_learns(estimator):
    X, total = sequences(60)
    pipeline = make_pipeline(SequenceScaler(), quick(estimator, max_iter=60))
    scores = cross_val_score(pipeline, X * 100 + 5, targets(estimator, total), cv=3)
    assert scores.mean() > 0.5


@pytest.mark.parametrize("estimator", BOTH)
def test_parameters_are_stored_as_given(estimator):
    given = {"hidden_size": 3, "optimizer": SGD(), "layers": (LSTM(2),), "tol": 0.5}
    model = estimator(**given)
    assert {name: model.get_params()[name] for name in given} == given
    assert model.set_params(hidden_size=9).hidden_size == 9


def test_the_regressor_beats_a_linear_model_on_a_nonlinear_function():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 8))
    y = np.abs(X).sum(axis=1)
    line = LinearRegression().fit(X[:300], y[:300]).score(X[300:], y[300:])
    model = LSTMRegressor(32, max_iter=60, random_state=0).fit(X[:300], y[:300])
    assert model.score(X[300:], y[300:]) > line + 0.3


def test_estimators_are_exported_by_the_package():
    assert fusedlstm.LSTMClassifier is LSTMClassifier
