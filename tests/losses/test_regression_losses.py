"""The regressor with each loss."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from fusedlstm import LSTMRegressor
from fusedlstm.losses import (
    REGRESSION_LOSSES,
    Focal,
    Gaussian,
    Huber,
    Pinball,
    Poisson,
    RegressionLoss,
)

pytestmark = pytest.mark.usefixtures("one_thread")

rng = np.random.default_rng(0)
X = rng.standard_normal((400, 4, 2))
MEAN = 50 + 20 * X[:, -1, 0]
STD = 2 + 3 * (X[:, -1, 1] > 0)
Y = MEAN + STD * rng.standard_normal(400)


def quick(**options):
    return LSTMRegressor(**{"hidden_size": 8, "max_iter": 40, "random_state": 0, **options})


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_regressors_learn_with_each_loss(name):
    y = np.round(np.abs(Y))
    model = quick(loss=name).fit(X, y)
    predicted = model.predict(X)
    if name == "pinball":
        assert predicted.shape == (400, 3)
        predicted = predicted[:, 1]
    assert predicted.shape == (400,)
    assert np.corrcoef(predicted, MEAN)[0, 1] > 0.95
    assert model.score(X, y) > 0.6
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    curve = clone(model).set_params(max_iter=2).fit(X, y, X_val=X, y_val=y).validation_loss_curve_
    weights = clone(model).set_params(max_iter=2).fit(X, y, np.ones(400), X_val=X, y_val=y)
    assert curve == pytest.approx(weights.validation_loss_curve_, rel=1e-4)


def test_predicted_quantiles_have_their_coverage():
    levels = (0.05, 0.5, 0.95)
    model = quick(loss=Pinball(levels), schedule="cosine", learning_rate=0.01).fit(X, Y)
    predicted = model.predict(X)
    assert (np.diff(predicted, axis=1) >= 0).all()
    for level, column in zip(levels, predicted.T, strict=True):
        assert np.mean(column >= Y) == pytest.approx(level, abs=0.06)
    scores = [
        sklearn.metrics.d2_pinball_score(Y, predicted[:, i], alpha=level)
        for i, level in enumerate(levels)
    ]
    assert model.score(X, Y) == pytest.approx(np.mean(scores))
    assert cross_val_score(model, X, Y, cv=2).min() > 0.3


def test_quantile_predictions_have_one_column_per_level():
    both = np.stack([Y, -Y], axis=1)
    for loss, y, shape in (
        (Pinball(0.5), Y, (400,)),
        (Pinball((0.5,)), Y, (400, 1)),
        (Pinball((0.1, 0.9)), both, (400, 2, 2)),
        (Pinball(0.1), both, (400, 2)),
    ):
        model = quick(loss=loss, max_iter=5).fit(X, y)
        predicted = model.predict(X)
        assert predicted.shape == shape
        assert np.isfinite(model.score(X, y))
        stream = model.stream()
        for x_t in X[0]:
            last = stream.step(x_t)
        assert np.shape(last) == shape[1:]
        assert np.array_equal(last, predicted[0])


def test_gaussian_loss_predicts_mean_and_standard_deviation():
    model = quick(loss="gaussian", learning_rate=0.01, batch_size=32).fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X))
    assert np.mean(np.abs((Y - mean) / std) < 1) == pytest.approx(0.68, abs=0.06)
    assert std[STD > 3].mean() > 1.3 * std[STD < 3].mean()
    both = np.stack([Y, 10 * Y], axis=1)
    mean, std = quick(loss=Gaussian(), max_iter=5).fit(X, both).predict(X, return_std=True)
    assert mean.shape == std.shape == (400, 2)
    assert (std > 0).all()


def test_return_std_without_the_gaussian_loss_is_an_error():
    model = quick(max_iter=1).fit(X, Y)
    with pytest.raises(ValueError, match="return_std must be False unless the loss is 'gaussian'"):
        model.predict(X, return_std=True)


def test_poisson_loss_predicts_counts():
    counts = rng.poisson(np.exp(3 + X[:, -1, 0]))
    model = quick(loss="poisson").fit(X, counts)
    assert (model.predict(X) > 0).all()
    assert sklearn.metrics.d2_tweedie_score(counts, model.predict(X), power=1) > 0.8
    first = quick(loss=Poisson(), max_iter=1, learning_rate=1e-9).fit(X, counts)
    assert np.exp(np.log(first.predict(X)).mean()) == pytest.approx(counts.mean(), rel=0.5)
    assert quick(loss="poisson", max_iter=2).fit(X, np.zeros(400)).predict(X).max() < 5


def test_absolute_error_is_robust_to_outliers():
    y = Y.copy()
    y[:4] = 1e5
    errors = {
        name: np.abs(np.median(quick(loss=name).fit(X, y).predict(X) - MEAN))
        for name in ("squared_error", "absolute_error")
    }
    assert errors["absolute_error"] < errors["squared_error"]


@pytest.mark.parametrize(
    ("options", "y", "sentence"),
    [
        ({"loss": "poisson"}, Y - 100, "y must be at least 0 with loss='poisson'; got -"),
        (
            {"loss": "poisson", "normalize_y": True},
            np.abs(Y),
            "normalize_y must be 'auto' or False with loss='poisson'; got True",
        ),
        ({"loss": Focal()}, Y, "loss must be one of squared_error, absolute_error, huber, pinball"),
        ({"loss": Huber}, Y, "Did you mean Huber()?"),
        ({"loss": "log_loss"}, Y, "loss must be one of squared_error, absolute_error, huber, "),
    ],
)
def test_targets_and_options_that_do_not_fit_the_loss_are_an_error(options, y, sentence):
    model = quick(**options)
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError)) as caught:
        model.fit(X, y)
    assert sentence in str(caught.value)
    assert vars(model) == before


def test_partial_fit_with_another_loss_is_an_error():
    model = quick(max_iter=1).partial_fit(X, Y)
    predicted = model.predict(X)
    model.set_params(loss="gaussian")
    with pytest.raises(
        ValueError, match=r"loss must be SquaredError\(\), the loss of the first fit"
    ):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), predicted)


class Own(RegressionLoss):
    """A squared error."""

    def of_targets(self, z, y):
        return (z - y) ** 2, 2 * (z - y)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"of_targets": lambda self, z, y: (((z - y) ** 2).mean(), 2 * (z - y))}, "of_targets of"),
        ({"of_targets": lambda self, z, y: ((z - y)[:, 0], 2 * (z - y))}, "of_targets of"),
        ({"n_outputs": lambda self, n: 2 * n}, "predict of"),
    ],
)
def test_mistakes_in_custom_losses_are_an_error(members, message):
    loss = type("Wrong", (Own,), members)()
    with pytest.raises(ValueError, match=message):
        quick(loss=loss, max_iter=1).fit(X, np.stack([Y, Y], axis=1))
    assert quick(loss=Own(), max_iter=1).fit(X, Y).predict(X).shape == Y.shape
