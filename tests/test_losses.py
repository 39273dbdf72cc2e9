"""Losses: values, gradients by finite differences, weights, and no overflow."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from fusedlstm.losses import (
    LOSSES,
    binary_log_loss,
    each_step,
    log_loss,
    log_softmax,
    sigmoid,
    squared_error,
)


def case(name, rng):
    """Outputs and targets for a loss."""
    return {
        "squared_error": lambda: (rng.standard_normal((6, 3)), rng.standard_normal((6, 3))),
        "log_loss": lambda: (rng.standard_normal((6, 4)), rng.integers(0, 4, 6)),
        "log_loss of two": lambda: (rng.standard_normal((6, 1)), rng.integers(0, 2, 6)),
        "binary_log_loss": lambda: (rng.standard_normal((6, 3)), rng.integers(0, 2, (6, 3))),
    }[name]()


CASES = {**LOSSES, "log_loss of two": log_loss}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_finite_differences(name, weighted, rng):
    y_pred, y = case(name, rng)
    weights = rng.uniform(0, 2, 6) if weighted else None
    loss = CASES[name]
    numeric = reference.numeric_gradient(lambda: loss(y_pred, y, weights)[0], y_pred)
    assert reference.relative_error(loss(y_pred, y, weights)[1], numeric) < 1e-9


@pytest.mark.parametrize("name", CASES)
def test_weights_are_repetitions(name, rng):
    y_pred, y = case(name, rng)
    times = np.array([1, 0, 3, 2, 0, 1])
    value, dy = CASES[name](y_pred, y, times.astype(float))
    again, dy_again = CASES[name](np.repeat(y_pred, times, axis=0), np.repeat(y, times, axis=0))
    assert value * 6 == pytest.approx(again * times.sum())
    summed = np.array([rows.sum(axis=0) for rows in np.split(dy_again, np.cumsum(times)[:-1])])
    np.testing.assert_allclose(dy * 6, summed * times.sum(), atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_dtype_and_shape_of_the_gradient(name, rng):
    y_pred, y = case(name, rng)
    for dtype in ("float32", "float64"):
        target = y.astype(dtype) if y.dtype.kind == "f" else y
        value, dy = CASES[name](y_pred.astype(dtype), target, np.ones(6))
        assert isinstance(value, float)
        assert (dy.dtype, dy.shape) == (dtype, y_pred.shape)


def test_known_values():
    assert squared_error(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))[0] == 2.5
    probability = np.log(np.array([[0.1, 0.7, 0.2]]))
    assert log_loss(probability, np.array([1]))[0] == pytest.approx(-np.log(0.7))
    assert log_loss(np.array([[0.0]]), np.array([1]))[0] == pytest.approx(np.log(2))
    labels = np.array([[1, 0, 1]])
    assert binary_log_loss(np.zeros((1, 3)), labels)[0] == pytest.approx(3 * np.log(2))


def test_large_logits():
    value, dy = log_loss(np.array([[1e4, -1e4, 0.0]], "float32"), np.array([1]))
    assert value == pytest.approx(2e4)
    np.testing.assert_allclose(dy, [[1, -1, 0]])
    for z, y, expected in ((1e4, 1, 0.0), (1e4, 0, 1e4), (-1e4, 1, 1e4), (-1e4, 0, 0.0)):
        value, dy = log_loss(np.array([[z]], "float32"), np.array([y]))
        assert value == pytest.approx(expected)
        assert np.isfinite(dy).all()


def test_probabilities():
    z = np.array([-1000.0, -1.0, 0.0, 1.0, 1000.0])
    np.testing.assert_allclose(sigmoid(z), [0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1])
    p = np.exp(log_softmax(np.array([[1000.0, 0.0], [1.0, 1.0]])))
    np.testing.assert_allclose(p, [[1, 0], [0.5, 0.5]])


@pytest.mark.parametrize("name", CASES)
def test_each_step_is_the_mean_of_the_real_steps(name, rng):
    y_pred, y = case(name, rng)
    real = np.array([[1, 1, 1], [1, 0, 0]])
    steps = (y_pred.reshape(2, 3, -1), y.reshape(2, 3, *y.shape[1:]))
    value, dy = each_step(CASES[name])(*steps, real)
    expected, of_real = CASES[name](y_pred[:4], y[:4])
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(dy.reshape(y_pred.shape)[:4], of_real, rtol=1e-12)
    assert not dy[1, 1:].any()
    assert each_step(CASES[name])(*steps)[0] == pytest.approx(CASES[name](y_pred, y)[0])
