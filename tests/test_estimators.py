"""The estimators: every form of X and y, reproducibility, and validation."""

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
from fusedlstm import LSTMClassifier, LSTMRegressor, SequenceScaler
from fusedlstm.layers import LSTM, Dense, Dropout, LastStep
from fusedlstm.optimizers import SGD, Adam

BOTH = [LSTMClassifier, LSTMRegressor]


def sequences(n=40, steps=6, features=2, seed=0):
    """X (n, steps, features) and the sum of each sequence."""
    X = np.random.default_rng(seed).standard_normal((n, steps, features))
    return X, X.sum(axis=(1, 2))


def targets(estimator, total):
    """The sum for a regressor; whether it is positive for a classifier."""
    if isinstance(estimator, LSTMClassifier) or estimator is LSTMClassifier:
        return np.where(total > 0, "plus", "minus")
    return total


def quick(estimator, **kwargs):
    defaults = {"hidden_size": 8, "max_iter": 5, "random_state": 0}
    return estimator(**{**defaults, **kwargs})


def numbers(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


# Learning


def test_classifying_digits_by_their_rows():
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8) / 16
    model = LSTMClassifier(32, max_iter=100, random_state=0).fit(X[:900], y[:900])
    assert model.score(X[900:], y[900:]) > 0.88


def test_classifying_two_classes():
    X, total = sequences(300)
    y = targets(LSTMClassifier, total)
    model = LSTMClassifier(16, max_iter=40, random_state=0).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.8


def test_regression():
    X, y = sequences(300)
    model = LSTMRegressor(16, max_iter=40, random_state=0).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.9


@pytest.mark.parametrize("normalize_y", ["auto", True, False])
def test_targets_far_from_zero(normalize_y):
    X, y = sequences(300)
    model = LSTMRegressor(16, max_iter=40, normalize_y=normalize_y, random_state=0)
    score = model.fit(X[:200], y[:200] * 1e4 + 1e6).score(X[200:], y[200:] * 1e4 + 1e6)
    assert (score > 0.9) == bool(normalize_y)


def test_several_outputs():
    X, y = sequences(300)
    Y = np.stack([y, -10 * y, X[:, -1, 0]], axis=1)
    model = LSTMRegressor(24, max_iter=60, random_state=0).fit(X[:200], Y[:200])
    assert model.predict(X[200:]).shape == (100, 3)
    assert model.score(X[200:], Y[200:]) > 0.85


def test_one_column_of_targets_stays_a_column():
    X, y = sequences()
    assert quick(LSTMRegressor).fit(X, y[:, np.newaxis]).predict(X).shape == (40, 1)
    assert quick(LSTMRegressor).fit(X, y).predict(X).shape == (40,)


def test_constant_targets():
    X, _ = sequences()
    model = quick(LSTMRegressor, max_iter=50, n_iter_no_change=50).fit(X, np.full(40, 3.0))
    np.testing.assert_allclose(model.predict(X), 3, atol=0.1)


# Forms


@pytest.mark.parametrize("estimator", BOTH)
def test_all_forms_of_3d_give_the_same(estimator):
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
def test_unequal_lengths(estimator):
    X, total = sequences()
    lengths = np.random.default_rng(1).integers(1, 7, 40)
    ragged = [x[:n] for x, n in zip(X, lengths, strict=True)]
    model = quick(estimator).fit(ragged, targets(estimator, total))
    together = numbers(model, ragged)
    for i in (0, 7, 31):
        alone = numbers(model, X[i : i + 1, : lengths[i]])
        assert alone.tobytes() == together[i : i + 1].tobytes()


@pytest.mark.parametrize("estimator", BOTH)
def test_2d(estimator):
    X, total = sequences(features=1)
    y = targets(estimator, total)
    model = quick(estimator).fit(X[:, :, 0], y)
    assert model.n_features_in_ == 6
    expected = numbers(model, X[:, :, 0])
    for form in (X[:, :, 0].tolist(), X, [x.ravel() for x in X]):
        assert numbers(model, form).tobytes() == expected.tobytes()
    assert numbers(model, X[:, :4]).shape == expected.shape  # other lengths, if not in 2-D
    with pytest.raises(ValueError, match="X has 5 features, but .* is expecting 6 features as inp"):
        model.predict(X[:, :5, 0])


def test_data_frames():
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
def test_another_number_of_steps(estimator):
    X, total = sequences()
    model = quick(estimator).fit(X, targets(estimator, total))
    assert model.n_features_in_ == 2
    for steps in (1, 3, 20):
        assert len(numbers(model, np.zeros((5, steps, 2)))) == 5


@pytest.mark.parametrize("labels", [[0, 1], [5, -2], ["b", "a"], [True, False], [2.0, 1.0]])
def test_labels_of_any_kind(labels):
    X, total = sequences()
    y = np.where(total > 0, *labels)
    model = quick(LSTMClassifier).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    assert set(model.predict(X)) <= set(labels)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_probabilities(n_classes):
    X, total = sequences(80)
    y = np.digitize(total, np.quantile(total, np.arange(1, n_classes) / n_classes))
    model = quick(LSTMClassifier).fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (80, n_classes)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-4)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])


@pytest.mark.parametrize("estimator", BOTH)
def test_input_is_left_alone(estimator):
    X, total = sequences()
    y = targets(estimator, total)
    kept = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    quick(estimator).fit(X, y).predict(X)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_a_memory_map(tmp_path):
    X, y = sequences()
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = quick(LSTMRegressor).fit(X, y).predict(X)
    np.testing.assert_array_equal(quick(LSTMRegressor).fit(mapped, y).predict(mapped), expected)


def test_prediction_goes_in_chunks(monkeypatch):
    X, y = sequences()
    model = quick(LSTMRegressor).fit(X, y)
    expected = model.predict(X)
    monkeypatch.setattr("fusedlstm.estimators.snapshot.MAX_NUMBERS_PER_CHUNK", 100)
    assert model.predict(X).tobytes() == expected.tobytes()


# Reproducibility


@pytest.mark.parametrize("estimator", BOTH)
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"dropout": 0.3}])
def test_random_state_is_exact(estimator, options):
    X, total = sequences()
    y = targets(estimator, total)
    models = [quick(estimator, n_threads=n, **options).fit(X, y) for n in (1, 2, 3)]
    for other in models[1:]:
        assert other.model_.params.tobytes() == models[0].model_.params.tobytes()
        assert other.loss_curve_ == models[0].loss_curve_
    another = quick(estimator, random_state=1, **options).fit(X, y)
    assert another.loss_curve_ != models[0].loss_curve_


def test_random_state_may_be_a_generator():
    X, y = sequences()
    one, same, other = (
        quick(LSTMRegressor, random_state=np.random.RandomState(s)).fit(X, y) for s in (5, 5, 6)
    )
    assert one.loss_curve_ == same.loss_curve_
    assert one.loss_curve_ != other.loss_curve_


@pytest.mark.parametrize("estimator", BOTH)
def test_fitting_again_starts_afresh(estimator):
    X, total = sequences()
    model = quick(estimator)
    first = model.fit(X, targets(estimator, total)).loss_curve_
    model.fit(X[:20, :, :1], targets(estimator, total)[:20])
    assert model.fit(X, targets(estimator, total)).loss_curve_ == first


@pytest.mark.parametrize("estimator", BOTH)
def test_copies_pickles_and_clones(estimator):
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


# Training


def test_curves():
    X, y = sequences()
    model = quick(LSTMRegressor).fit(X, y, X_val=X[:5], y_val=y[:5])
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_loss_curve_) == 5
    assert model.loss_ == model.loss_curve_[-1]
    error = (model.predict(X[:5]) - y[:5]) / y.std()
    assert model.validation_loss_curve_[-1] == pytest.approx(np.mean(error**2), rel=1e-4)
    assert quick(LSTMRegressor).fit(X, y).validation_loss_curve_ == []


@pytest.mark.parametrize("estimator", BOTH)
def test_early_stopping_restores_the_best_weights(estimator):
    X, total = sequences(120)
    noise = np.random.default_rng(1).standard_normal(120) * 3
    y = targets(estimator, total + noise)
    model = quick(estimator, hidden_size=32, max_iter=200, early_stopping=True, n_iter_no_change=5)
    model.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    curve = model.validation_loss_curve_
    assert model.n_iter_ < 200
    assert model.best_iter_ == 1 + int(np.argmin(curve))
    if estimator is LSTMRegressor:
        error = (model.predict(X[80:]) - y[80:]) / y[:80].std()
        assert np.mean(error**2) == pytest.approx(min(curve), rel=1e-4)
    else:
        p = model.predict_proba(X[80:])[np.arange(40), np.searchsorted(model.classes_, y[80:])]
        assert -np.log(p).mean() == pytest.approx(min(curve), rel=1e-4)


@pytest.mark.parametrize(
    ("estimator", "scoring"),
    [
        (LSTMClassifier, "accuracy"),
        (LSTMClassifier, "neg_log_loss"),
        (LSTMRegressor, "r2"),
        (LSTMRegressor, lambda model, X, y: -float(np.abs(model.predict(X) - y).max())),
    ],
)
@pytest.mark.parametrize("three_d", [True, False])
def test_early_stopping_on_a_score(estimator, scoring, three_d):
    X, total = sequences(100, features=1)
    y = targets(estimator, total)
    model = quick(estimator, max_iter=60, early_stopping=True, scoring=scoring, n_iter_no_change=4)
    model.fit(X if three_d else X[:, :, 0], y)
    assert 1 <= model.best_iter_ <= model.n_iter_ <= 60
    assert len(model.validation_loss_curve_) == model.n_iter_


def test_a_score_on_weighted_data():
    X, total = sequences(100)
    y = targets(LSTMClassifier, total)
    weight = np.where(y[60:] == "plus", 1e-6, 1.0)
    model = quick(LSTMClassifier, max_iter=30, early_stopping=True, scoring="accuracy", tol=0.0)
    model.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:], sample_weight_val=weight)
    scores = []
    for epochs in range(1, model.n_iter_ + 1):
        then = quick(LSTMClassifier, max_iter=epochs).fit(X[:60], y[:60])
        scores.append(then.score(X[60:], y[60:], sample_weight=weight))
    assert model.best_iter_ == 1 + int(np.argmax(np.round(scores, 9)))


def test_the_validation_split_keeps_the_classes():
    X, _ = sequences(60)
    y = np.where(np.arange(60) < 6, "rare", "common")
    model = quick(LSTMClassifier, early_stopping=True, validation_fraction=0.5).fit(X, y)
    assert set(model.classes_) == {"rare", "common"}


def test_a_loss_that_is_not_finite_stops_with_a_warning():
    X, y = sequences()
    model = quick(LSTMRegressor, optimizer="sgd", learning_rate=1e30, clip_norm=None, max_iter=50)
    with pytest.warns(RuntimeWarning, match="no longer finite in epoch .* smaller learning_rate"):
        model.fit(X, y)
    assert np.isfinite(model.model_.params).all()
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw", SGD(momentum=0.9)])
def test_optimizers(optimizer):
    X, y = sequences(100)
    model = quick(LSTMRegressor, optimizer=optimizer, max_iter=30, learning_rate=0.01).fit(X, y)
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]


def test_a_regressor_starts_with_small_input_weights():
    X, y = sequences()
    model = quick(LSTMRegressor, hidden_size=64, learning_rate=1e-12, max_iter=1).fit(X, y)
    spread = model.model_.named_params()["0.weight_ih"].std()
    assert spread == pytest.approx(np.sqrt(2 / (2 + 64)), rel=0.1)  # Xavier's
    own = quick(LSTMRegressor, hidden_size=64, layers=(LSTM(64),), learning_rate=1e-12, max_iter=1)
    spread = own.fit(X, y).model_.named_params()["0.weight_ih"].std()
    assert spread == pytest.approx(np.sqrt(1 / 2), rel=0.1)  # LeCun's


@pytest.mark.parametrize(("n", "decay"), [(80, 1 / 80), (30, 0.02)])
def test_auto_weight_decay_of_the_regressor(n, decay):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, 4, 1)), rng.standard_normal(n)
    auto = quick(LSTMRegressor, max_iter=2).fit(X, y)
    explicit = quick(LSTMRegressor, max_iter=2, weight_decay=decay).fit(X, y)
    assert auto.weight_decay == "auto"
    assert auto.model_.params.tobytes() == explicit.model_.params.tobytes()
    without = quick(LSTMRegressor, max_iter=2, weight_decay=0.0).fit(X, y)
    assert (auto.model_.params != without.model_.params).any()


def test_weight_decay_shrinks_weights():
    X, y = sequences()
    norms = [
        np.linalg.norm(quick(LSTMRegressor, max_iter=20, weight_decay=w).fit(X, y).model_.params)
        for w in (0.0, 1.0)
    ]
    assert norms[1] < norms[0]


def test_sample_weight():
    X, y = sequences()
    weight = np.r_[np.ones(20), np.zeros(20)]
    model = quick(LSTMRegressor, max_iter=60, batch_size=40, shuffle=False, normalize_y=False)
    some = clone(model).fit(X[:20], y[:20])
    # Weights of zero leave a sequence out; the mean over the batch makes up for it.
    weighted = model.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(weighted.predict(X), some.predict(X), atol=1e-3)


def test_class_weight():
    X, total = sequences(200)
    y = targets(LSTMClassifier, total)
    shares = [
        np.mean(quick(LSTMClassifier, class_weight=w).fit(X, y).predict(X) == "plus")
        for w in (None, {"plus": 100.0, "minus": 1.0}, {"plus": 1.0, "minus": 100.0})
    ]
    assert shares[1] > shares[0] > shares[2]
    quick(LSTMClassifier, class_weight="balanced").fit(X, y)


def test_layers_of_ones_own():
    X, y = sequences()
    layers = (LSTM(4, bidirectional=True), Dropout(0.1), LSTM(3), LastStep(), Dense(5, "tanh"))
    model = quick(LSTMRegressor, hidden_size=64, layers=layers).fit(X, y)
    assert model.model_.layers == (*layers, Dense(1))
    model = quick(LSTMRegressor, hidden_size=64, layers=layers[:3]).fit(X, y)
    assert model.model_.layers == (*layers[:3], LastStep(), Dense(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 128}, "hidden_size=128 has no effect with layers"),
        (
            {"hidden_size": 64, "num_layers": 3, "cell": "gru"},
            "num_layers=3, cell='gru' have no effect",
        ),
        ({"bidirectional": True, "dropout": 0.1}, "bidirectional=True, dropout=0.1 have no effect"),
        ({"recurrent_dropout": 0.1}, "recurrent_dropout=0.1 has no effect with layers"),
    ],
)
@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_options_without_effect_beside_layers(estimator, options, message):
    X, y = sequences()
    model = estimator(layers=(LSTM(4),), max_iter=1, random_state=0)
    model.fit(X, y > 0)  # without a warning
    before = model.predict(X)
    with pytest.warns(UserWarning, match=message):
        model.set_params(**options).fit(X, y > 0)
    np.testing.assert_array_equal(model.predict(X), before)
    clone(model).set_params(layers=None)


@pytest.mark.parametrize(
    ("estimator", "layers"),
    [
        (LSTMClassifier, (LSTM(3), LastStep(), Dense(2))),
        (LSTMClassifier, (LSTM(3), LastStep(), Dense(1, "sigmoid"), Dropout(0.1))),
        (LSTMClassifier, (LSTM(3), Dense(2))),
        (LSTMRegressor, (LSTM(3), LastStep(), Dense(1))),
    ],
)
def test_a_second_output_layer_is_refused(estimator, layers):
    X, y = sequences()
    with pytest.raises(ValueError, match="layers must not contain the output layer, which LSTM"):
        estimator(layers=layers, max_iter=1).fit(X, y > 0)


def test_a_linear_hidden_layer_gives_a_warning():
    X, y = sequences()
    body = (LSTM(3), LastStep())
    with pytest.warns(UserWarning, match=r"layers ends in Dense\(units=5.*, a linear layer before"):
        LSTMRegressor(layers=(*body, Dense(5)), max_iter=1).fit(X, y)
    LSTMRegressor(layers=(*body, Dense(5, "relu")), max_iter=1).fit(X, y)
    LSTMRegressor(layers=(Dense(5), LSTM(3)), max_iter=1).fit(X, y)


def test_what_the_options_build():
    X, y = sequences()
    model = quick(LSTMRegressor, num_layers=2, bidirectional=True, dropout=0.2).fit(X, y)
    lstm = LSTM(8, bidirectional=True)
    assert model.model_.layers == (lstm, Dropout(0.2), lstm, Dropout(0.2), LastStep(), Dense(1))


def test_double_precision():
    X, y = sequences()
    model = quick(LSTMRegressor, dtype="float64").fit(X, y)
    assert model.model_.params.dtype == "float64"
    assert model.predict(X).dtype == "float64"
    single = quick(LSTMRegressor).fit(X, y)
    assert single.model_.params.dtype == "float32"
    assert single.predict(X).dtype == "float64"  # targets are decoded in double precision


# Inside scikit-learn


@pytest.mark.parametrize("estimator", BOTH)
def test_pipeline_and_cross_validation(estimator):
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


def test_better_than_a_line_on_what_is_not_one():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 8))
    y = np.abs(X).sum(axis=1)
    line = LinearRegression().fit(X[:300], y[:300]).score(X[300:], y[300:])
    model = LSTMRegressor(32, max_iter=60, random_state=0).fit(X[:300], y[:300])
    assert model.score(X[300:], y[300:]) > line + 0.3


def test_names_come_with_the_estimators():
    assert fusedlstm.LSTMClassifier is LSTMClassifier
