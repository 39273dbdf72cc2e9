"""Losses: values, gradients by finite differences, weights, and no overflow."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

import reference
from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    Focal,
    Gaussian,
    Huber,
    LogLoss,
    Pinball,
    Poisson,
    absolute_error,
    each_step,
    log_loss,
    log_softmax,
    sigmoid,
    squared_error,
)

REGRESSION = {
    **REGRESSION_LOSSES,
    "huber of small errors": Huber(0.2),
    "one quantile": Pinball(0.3),
    "a tuple of one": Pinball((0.3,)),
    "four quantiles": Pinball((0.01, 0.4, 0.6, 0.95)),
    "gaussian with a large floor": Gaussian(0.5),
}
CLASSIFICATION = {
    **CLASSIFICATION_LOSSES,
    "smooth": LogLoss(0.2),
    "focal, 0": Focal(0.0),
    "focal, 0.5": Focal(0.5),
}
TASKS = {"classes": (4, None, 4), "two classes": (1, None, 2), "labels": (3, 3, 2)}

CASES = {
    **{name: (loss, "numbers") for name, loss in REGRESSION.items()},
    **{
        f"{name} of {task}": (loss, task) for name, loss in CLASSIFICATION.items() for task in TASKS
    },
}


def case(name, rng, n=6):
    """Return a loss with outputs and targets."""
    loss, task = CASES[name]
    if task == "numbers":
        y = rng.standard_normal((n, 3))
        if loss.lowest_target == 0:
            y = rng.poisson(2.0, (n, 3)).astype(float)
        return loss, rng.standard_normal((n, loss.n_outputs(3))), y
    outputs, labels, high = TASKS[task]
    shape = n if labels is None else (n, labels)
    return loss, rng.standard_normal((n, outputs)), rng.integers(0, high, shape)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_agree_with_finite_differences(name, weighted, rng):
    loss, y_pred, y = case(name, rng)
    weights = rng.uniform(0, 2, 6) if weighted else None
    numeric = reference.numeric_gradient(lambda: loss(y_pred, y, weights)[0], y_pred)
    assert reference.relative_error(loss(y_pred, y, weights)[1], numeric) < 1e-8


@pytest.mark.parametrize("name", CASES)
def test_integer_weights_are_repetitions(name, rng):
    loss, y_pred, y = case(name, rng)
    times = np.array([1, 0, 3, 2, 0, 1])
    value, dy = loss(y_pred, y, times.astype(float))
    again, dy_again = loss(np.repeat(y_pred, times, axis=0), np.repeat(y, times, axis=0))
    assert value * 6 == pytest.approx(again * times.sum())
    summed = np.array([rows.sum(axis=0) for rows in np.split(dy_again, np.cumsum(times)[:-1])])
    np.testing.assert_allclose(dy * 6, summed * times.sum(), atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_has_the_dtype_and_shape_of_the_outputs(name, rng):
    loss, y_pred, y = case(name, rng)
    for dtype in ("float32", "float64"):
        target = y.astype(dtype) if y.dtype.kind == "f" else y
        value, dy = loss(y_pred.astype(dtype), target, np.ones(6))
        assert isinstance(value, float)
        assert (dy.dtype, dy.shape) == (dtype, y_pred.shape)


def test_losses_have_known_values():
    assert squared_error(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))[0] == 2.5
    probability = np.log(np.array([[0.1, 0.7, 0.2]]))
    assert log_loss(probability, np.array([1]))[0] == pytest.approx(-np.log(0.7))
    assert log_loss(np.array([[0.0]]), np.array([1]))[0] == pytest.approx(np.log(2))
    labels = np.array([[1, 0, 1]])
    assert log_loss(np.zeros((1, 3)), labels)[0] == pytest.approx(3 * np.log(2))


def test_log_loss_of_large_logits_is_finite():
    value, dy = log_loss(np.array([[1e4, -1e4, 0.0]], "float32"), np.array([1]))
    assert value == pytest.approx(2e4)
    np.testing.assert_allclose(dy, [[1, -1, 0]])
    for z, y, expected in ((1e4, 1, 0.0), (1e4, 0, 1e4), (-1e4, 1, 1e4), (-1e4, 0, 0.0)):
        value, dy = log_loss(np.array([[z]], "float32"), np.array([y]))
        assert value == pytest.approx(expected)
        assert np.isfinite(dy).all()


def test_sigmoid_and_softmax_have_known_values():
    z = np.array([-1000.0, -1.0, 0.0, 1.0, 1000.0])
    np.testing.assert_allclose(sigmoid(z), [0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1])
    p = np.exp(log_softmax(np.array([[1000.0, 0.0], [1.0, 1.0]])))
    np.testing.assert_allclose(p, [[1, 0], [0.5, 0.5]])


def test_losses_agree_with_the_metrics_of_scikit_learn(rng):
    z, y, weights = rng.standard_normal((9, 2)), rng.standard_normal((9, 2)), rng.uniform(0, 2, 9)
    counts, relative = rng.poisson(3.0, (9, 2)), weights / weights.mean()
    metrics = sklearn.metrics
    assert squared_error(z, y, relative)[0] == pytest.approx(
        metrics.mean_squared_error(y, z, sample_weight=weights)
    )
    assert absolute_error(z, y, relative)[0] == pytest.approx(
        metrics.mean_absolute_error(y, z, sample_weight=weights)
    )
    loss = Pinball((0.2, 0.7))
    outputs = rng.standard_normal((9, 4))
    expected = [
        metrics.mean_pinball_loss(y, loss.predict(outputs)[:, :, i], alpha=a, sample_weight=weights)
        for i, a in enumerate((0.2, 0.7))
    ]
    assert loss(outputs, y, relative)[0] == pytest.approx(np.mean(expected))
    # The deviance is twice the difference to the smallest possible loss.
    best = np.mean([c - c * np.log(c) if c else 0.0 for c in counts.ravel()])
    deviance = np.mean(
        [metrics.mean_poisson_deviance(counts[:, i], np.exp(z[:, i])) for i in (0, 1)]
    )
    assert 2 * (Poisson()(z, counts)[0] - best) == pytest.approx(deviance)


def test_losses_agree_with_scipy(rng):
    z, y = rng.standard_normal((9, 4)), rng.standard_normal((9, 2))
    loss = Gaussian()
    mean, std = loss.predict(z), loss.predict_std(z)
    likelihood = scipy.stats.norm.logpdf(y, mean, std)
    assert loss(z, y)[0] == pytest.approx(-likelihood.mean())
    z = z[:, :2]
    assert Huber(0.7)(z, y)[0] == pytest.approx(scipy.special.huber(0.7, z - y).mean())


def test_focal_loss_agrees_with_its_equation():
    z, y = np.array([[1.0, -0.5, 0.2]]), np.array([1])
    p = scipy.special.softmax(z[0])[1]
    assert Focal(2.0)(z, y)[0] == pytest.approx(-((1 - p) ** 2) * np.log(p))
    assert Focal(0.0)(z, y)[0] == pytest.approx(log_loss(z, y)[0])
    p = 1 / (1 + np.exp(1.0))
    assert Focal(3.0)(z[:, :1], np.array([0]))[0] == pytest.approx(-((1 - p) ** 3) * np.log(p))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_loss_of_certain_predictions_is_finite(gamma):
    z = np.array([[1e3, 0.0], [0.0, 1e3]], "float32")
    with np.errstate(all="raise", under="ignore"):
        value, dy = Focal(gamma)(z, np.array([0, 0]))
    assert value == pytest.approx(500)
    np.testing.assert_allclose(dy, [[0, 0], [-0.5, 0.5]], atol=1e-6)


def test_quantiles_never_cross(rng):
    loss = Pinball((0.1, 0.5, 0.9))
    for scale in (1.0, 100.0, 1e4):
        curves = loss.predict((scale * rng.standard_normal((200, 6))).astype("float32"))
        assert curves.shape == (200, 2, 3)
        assert (np.diff(curves, axis=2) >= 0).all()
    assert Pinball(0.5).predict(np.zeros((4, 2))).shape == (4, 2)
    assert Pinball([0.2, 0.8]) == Pinball((0.2, 0.8))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Huber(0), "delta must be a positive number; got 0"),
        (
            lambda: Pinball(()),
            "quantiles must be one or several increasing numbers in (0, 1); got ()",
        ),
        (
            lambda: Pinball((0.5, 0.2)),
            "quantiles must be one or several increasing numbers in (0, 1)",
        ),
        (
            lambda: Pinball((0.5, 0.5)),
            "quantiles must be one or several increasing numbers in (0, 1)",
        ),
        (
            lambda: Pinball(1.0),
            "quantiles must be one or several increasing numbers in (0, 1); got 1",
        ),
        (
            lambda: Pinball("median"),
            "quantiles must be one or several increasing numbers in (0, 1)",
        ),
        (lambda: Gaussian(0.0), "min_std must be a positive number; got 0.0"),
        (lambda: LogLoss(1.0), "label_smoothing must be a number in [0, 1); got 1.0"),
        (lambda: Focal(-1), "gamma must be a number of at least 0; got -1"),
    ],
)
def test_errors_of_the_options_of_losses(make, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_each_step_is_the_mean_over_the_real_steps(name, rng):
    loss, y_pred, y = case(name, rng)
    real = np.array([[1, 1, 1], [1, 0, 0]])
    steps = (y_pred.reshape(2, 3, -1), y.reshape(2, 3, *y.shape[1:]))
    value, dy = each_step(loss)(*steps, real)
    expected, of_real = loss(y_pred[:4], y[:4])
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(dy.reshape(y_pred.shape)[:4], of_real, rtol=1e-12)
    assert not dy[1, 1:].any()
    assert each_step(loss)(*steps)[0] == pytest.approx(loss(y_pred, y)[0])


@pytest.mark.parametrize("name", CASES)
def test_targets_of_another_shape_are_an_error(name, rng):
    loss, y_pred, y = case(name, rng)
    others = [y[:5], np.concatenate([y, y]), y[..., np.newaxis, np.newaxis]]
    if y.dtype.kind == "f":
        others += [y[:, 0], y[:, :2], np.hstack([y, y])]
    for other in others:
        with pytest.raises(ValueError, match="y must be .*; got a"):
            loss(y_pred, other)
    for weights in (np.ones(5), np.ones((6, 1)), 2.0):
        with pytest.raises(ValueError, match="weights must be 6 numbers, one per row; got"):
            loss(y_pred, y, weights)


def test_a_target_without_its_second_axis_is_an_error():
    sentence = r"y must be an array \(n, n_targets\) that matches y_pred \(3, 1\); got an array "
    with pytest.raises(ValueError, match=sentence + r"of shape \(3,\)"):
        squared_error(np.zeros((3, 1)), np.zeros(3))


@pytest.mark.parametrize(
    ("estimator", "alias", "name"),
    [
        (LSTMRegressor, "mse", "squared_error"),
        (LSTMRegressor, "mae", "absolute_error"),
        (LSTMClassifier, "cross_entropy", "log_loss"),
    ],
)
def test_aliases_name_the_same_losses(estimator, alias, name):
    X = np.random.default_rng(0).standard_normal((20, 4, 1))
    y = X[:, 0, 0] > 0
    options = {"hidden_size": 3, "max_iter": 2, "random_state": 0}
    model = estimator(loss=alias, **options).fit(X, y)
    assert model.loss == alias
    expected = estimator(loss=name, **options).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_an_alias_of_a_loss_of_another_estimator_is_an_error():
    X = np.ones((4, 3, 1))
    with pytest.raises(ValueError, match="loss must be one of squared_error, .*; got 'cross_ent"):
        LSTMRegressor(loss="cross_entropy").fit(X, np.arange(4.0))


@pytest.mark.parametrize("n_classes", [2, 8, 64, 65, 300])
def test_log_loss_agrees_with_scipy_for_few_and_many_classes(n_classes):
    rng = np.random.default_rng(0)
    z, y = 100 * rng.standard_normal((20, n_classes)), rng.integers(n_classes, size=20)
    value, dy = log_loss(z, y)
    log_p = scipy.special.log_softmax(z, axis=1)
    assert value == pytest.approx(-log_p[np.arange(20), y].mean(), rel=1e-12)
    np.testing.assert_allclose(
        dy, (np.exp(log_p) - np.eye(n_classes)[y]) / 20, rtol=1e-9, atol=1e-15
    )
    np.testing.assert_allclose(log_softmax(z), log_p, rtol=1e-12)
