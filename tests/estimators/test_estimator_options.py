"""Options of the estimators: validation, weights, layers, optimizers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from estimator_data import sequences, targets
from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.layers import LSTM, Dense, Dropout, LastStep
from fusedlstm.optimizers import SGD

BOTH = [LSTMClassifier, LSTMRegressor]


def quick(estimator, **kwargs):
    defaults = {"hidden_size": 8, "max_iter": 5, "random_state": 0}
    return estimator(**{**defaults, **kwargs})


def test_loss_curves_have_one_value_per_epoch():
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
def test_early_stopping_follows_a_score(estimator, scoring, three_d):
    X, total = sequences(100, features=1)
    y = targets(estimator, total)
    model = quick(estimator, max_iter=60, early_stopping=True, scoring=scoring, n_iter_no_change=4)
    model.fit(X if three_d else X[:, :, 0], y)
    assert 1 <= model.best_iter_ <= model.n_iter_ <= 60
    assert len(model.validation_loss_curve_) == model.n_iter_


def test_early_stopping_scores_use_the_validation_weights():
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
def test_regressors_train_with_each_optimizer(optimizer):
    X, y = sequences(100)
    model = quick(LSTMRegressor, optimizer=optimizer, max_iter=30, learning_rate=0.01).fit(X, y)
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]


def test_initial_input_weights_of_the_default_regressor_are_small():
    X, y = sequences()
    model = quick(LSTMRegressor, hidden_size=64, learning_rate=1e-12, max_iter=1).fit(X, y)
    spread = model.model_.named_params()["0.weight_ih"].std()
    assert spread == pytest.approx(np.sqrt(2 / (2 + 64)), rel=0.1)  # Xavier initialization
    own = quick(LSTMRegressor, hidden_size=64, layers=(LSTM(64),), learning_rate=1e-12, max_iter=1)
    spread = own.fit(X, y).model_.named_params()["0.weight_ih"].std()
    assert spread == pytest.approx(np.sqrt(1 / 2), rel=0.1)  # LeCun initialization


@pytest.mark.parametrize(("n", "decay"), [(80, 1 / 80), (30, 0.02)])
def test_auto_weight_decay_depends_on_the_number_of_sequences(n, decay):
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


def test_sequences_of_weight_zero_do_not_count():
    X, y = sequences()
    weight = np.r_[np.ones(20), np.zeros(20)]
    model = quick(LSTMRegressor, max_iter=60, batch_size=40, shuffle=False, normalize_y=False)
    some = clone(model).fit(X[:20], y[:20])
    # A sequence of weight zero does not count: the loss is the mean over the weights.
    weighted = model.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(weighted.predict(X), some.predict(X), atol=1e-3)


def test_class_weights_shift_the_predictions():
    X, total = sequences(200)
    y = targets(LSTMClassifier, total)
    shares = [
        np.mean(quick(LSTMClassifier, class_weight=w).fit(X, y).predict(X) == "plus")
        for w in (None, {"plus": 100.0, "minus": 1.0}, {"plus": 1.0, "minus": 100.0})
    ]
    assert shares[1] > shares[0] > shares[2]
    quick(LSTMClassifier, class_weight="balanced").fit(X, y)


def test_the_layers_parameter_sets_the_layers_of_the_model():
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
def test_options_without_effect_beside_layers_give_a_warning(estimator, options, message):
    X, y = sequences()
    model = estimator(layers=(LSTM(4),), max_iter=1, random_state=0)
    model.fit(X, y > 0)  # no warning
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
def test_a_second_output_layer_is_an_error(estimator, layers):
    X, y = sequences()
    with pytest.raises(ValueError, match="layers must not contain the output layer, which LSTM"):
        estimator(layers=layers, max_iter=1).fit(X, y > 0)


def test_a_linear_hidden_layer_gives_a_warning():
    X, y = sequences()
    body = (LSTM(3), LastStep())
    with pytest.warns(UserWarning, match=r"last layer of layers, Dense\(units=5.*, is linear"):
        LSTMRegressor(layers=(*body, Dense(5)), max_iter=1).fit(X, y)
    LSTMRegressor(layers=(*body, Dense(5, "relu")), max_iter=1).fit(X, y)
    LSTMRegressor(layers=(Dense(5), LSTM(3)), max_iter=1).fit(X, y)


def test_options_determine_the_layers_of_the_model():
    X, y = sequences()
    model = quick(LSTMRegressor, num_layers=2, bidirectional=True, dropout=0.2).fit(X, y)
    lstm = LSTM(8, bidirectional=True)
    assert model.model_.layers == (lstm, Dropout(0.2), lstm, Dropout(0.2), LastStep(), Dense(1))


def test_dtype_sets_the_precision_of_the_model():
    X, y = sequences()
    model = quick(LSTMRegressor, dtype="float64").fit(X, y)
    assert model.model_.params.dtype == "float64"
    assert model.predict(X).dtype == "float64"
    single = quick(LSTMRegressor).fit(X, y)
    assert single.model_.params.dtype == "float32"
    assert single.predict(X).dtype == "float64"  # predictions are decoded in double precision
