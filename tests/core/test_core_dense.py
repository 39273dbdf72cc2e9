"""The dense kernel of each variant agrees with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from conftest import VARIANTS
from reference import unaligned

ACTIVATIONS = ("linear", "tanh", "relu", "sigmoid", "softsign")


def random_problem(seed, rows, features, units, dtype):
    rng = np.random.default_rng(seed)
    return (
        (rng.standard_normal(units * (features + 1)) / np.sqrt(features)).astype(dtype),
        rng.standard_normal((rows, features)).astype(dtype),
        rng.standard_normal((rows, units)).astype(dtype),
    )


def expected(params, x, dy, activation):
    """Return y, the flat gradient and dx."""
    params, x, dy = (a.astype(np.float64) for a in (params, x, dy))
    units, features = dy.shape[1], x.shape[1]
    weight, bias = params[:-units].reshape(units, features), params[-units:]
    z = x @ weight.T + bias
    y, slope = {
        "linear": lambda: (z, np.ones_like(z)),
        "tanh": lambda: (np.tanh(z), 1 - np.tanh(z) ** 2),
        "relu": lambda: (np.maximum(z, 0), z > 0),
        "sigmoid": lambda: (
            reference.sigmoid(z),
            reference.sigmoid(z) * reference.sigmoid(-z),
        ),
        "softsign": lambda: (z / (1 + np.abs(z)), 1 / (1 + np.abs(z)) ** 2),
    }[activation]()
    dz = dy * slope
    return y, np.concatenate([(dz.T @ x).ravel(), dz.sum(axis=0)]), dz @ weight


def run(core, params, x, dy, activation, threads=1):
    y = core.dense_forward(params, x, dy.shape[1], activation, threads)
    grads = np.zeros_like(params)
    dx = core.dense_backward(params, x, y, dy, activation, True, grads, threads)
    return y, grads, dx


@given(
    rows=st.integers(1, 300),
    features=st.integers(1, 150),
    units=st.integers(1, 150),
    activation=st.sampled_from(ACTIVATIONS),
    dtype=st.sampled_from(["float32", "float64"]),
    variant=st.sampled_from(list(VARIANTS)),
    seed=st.integers(0, 2**32 - 1),
)
def test_dense_agrees_with_numpy_for_any_shape(
    rows, features, units, activation, dtype, variant, seed
):
    problem = random_problem(seed, rows, features, units, dtype)
    tolerance = 5e-6 if dtype == "float32" else 1e-13
    results = run(VARIANTS[variant], *problem, activation)
    for value, wanted in zip(results, expected(*problem, activation), strict=True):
        assert reference.relative_error(value, wanted) < tolerance


@pytest.mark.usefixtures("force_threads")
def test_same_bits_for_any_number_of_threads(core, dtype):
    problem = random_problem(0, 2000, 70, 130, dtype)
    one = run(core, *problem, "tanh", threads=1)
    for threads in (2, 3, 4):
        for value, wanted in zip(run(core, *problem, "tanh", threads), one, strict=True):
            assert value.tobytes() == wanted.tobytes()


def test_same_bits_for_any_batch(core, dtype):
    params, x, _ = random_problem(1, 50, 33, 17, dtype)
    whole = core.dense_forward(params, x, 17, "sigmoid", 1)
    for rows in ([3], [7, 1], list(range(0, 50, 3))):
        part = core.dense_forward(params, np.ascontiguousarray(x[rows]), 17, "sigmoid", 1)
        assert part.tobytes() == np.ascontiguousarray(whole[rows]).tobytes()


def test_gradients_are_added_to(core, dtype):
    params, x, dy = random_problem(2, 9, 5, 4, dtype)
    y, fresh, _ = run(core, params, x, dy, "tanh")
    grads = np.ones_like(params)
    assert core.dense_backward(params, x, y, dy, "tanh", False, grads, 1) is None
    np.testing.assert_array_equal(grads, fresh + 1)


def test_an_unknown_activation_is_an_error(core):
    with pytest.raises(ValueError, match="unknown activation"):
        core.dense_forward(np.zeros(2), np.zeros((1, 1)), 1, "swish", 1)


def test_empty_or_missing_arrays_are_an_error(core, dtype):
    params, x, dy = random_problem(3, 9, 5, 4, dtype)
    none = np.zeros((0, 5), dtype)
    with pytest.raises(ValueError, match="sizes must be positive"):
        core.dense_forward(params, none, 4, "tanh", 1)
    with pytest.raises(ValueError, match="sizes must be positive"):
        core.dense_backward(params, none, dy[:0], dy[:0], "tanh", True, params.copy(), 1)
    with pytest.raises(ValueError, match="must not be None"):
        core.dense_forward(None, x, 4, "tanh", 1)


def test_unaligned_arrays_are_an_error(core, dtype):
    params, x, dy = random_problem(4, 9, 5, 4, dtype)
    y = core.dense_forward(params, x, 4, "tanh", 1)
    with pytest.raises(ValueError, match="aligned"):
        core.dense_backward(params, x, y, unaligned(dy), "tanh", True, params.copy(), 1)
    with pytest.raises(ValueError, match="aligned"):
        core.dense_backward(params, x, y, dy, "tanh", True, unaligned(params), 1)
