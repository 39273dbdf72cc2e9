"""The nonlinearities of every variant, to the last few bits."""

from __future__ import annotations

import numpy as np
import pytest

MOST_ULP = 3


def expected(name, x):
    """In extended precision, which has at least eleven bits more than float64."""
    x = x.astype(np.longdouble)
    if name == "tanh":
        return np.tanh(x)
    if name == "sigmoid":
        return 1 / (1 + np.exp(-x))
    return np.maximum(x, 0) if name == "relu" else x


def arguments(dtype):
    rng = np.random.default_rng(0)
    limit = 80 if dtype == "float32" else 690
    small = 10.0 ** rng.uniform(-30, 0, 20_000)
    return np.concatenate(
        [
            rng.uniform(-limit, limit, 40_000),
            rng.uniform(-10, 10, 40_000),
            small,
            -small,
            [0.0, -0.0, 1.0, -1.0],
        ]
    ).astype(dtype)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_error_in_ulp(core, dtype, name):
    x = arguments(dtype)
    exact = expected(name, x)
    spacing = np.spacing(np.abs(exact).astype(dtype)).astype(np.longdouble)
    error = np.abs(core.activate(name, x) - exact) / spacing
    worst = int(np.argmax(error))
    assert error[worst] <= MOST_ULP, (x[worst], float(error[worst]))


@pytest.mark.parametrize("name", ["linear", "relu"])
def test_exact(core, dtype, name):
    x = arguments(dtype)
    np.testing.assert_array_equal(core.activate(name, x), expected(name, x).astype(dtype))


@pytest.mark.parametrize("name", ["linear", "relu", "sigmoid", "tanh"])
def test_extremes(core, dtype, name):
    x = np.array([np.nan, np.inf, -np.inf, np.finfo(dtype).max, np.finfo(dtype).min], dtype)
    limits = {
        "linear": x,
        "relu": [np.nan, np.inf, 0, np.finfo(dtype).max, 0],
        "sigmoid": [np.nan, 1, 0, 1, 0],
        "tanh": [np.nan, 1, -1, 1, -1],
    }[name]
    tiny = 1e-37 if dtype == "float32" else 1e-300
    np.testing.assert_allclose(core.activate(name, x), limits, rtol=0, atol=tiny)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 15, 16, 17, 33])
def test_any_number_of_elements(core, dtype, count):
    x = np.linspace(-3, 3, count).astype(dtype)
    np.testing.assert_allclose(core.activate("tanh", x), np.tanh(x), rtol=1e-6)
