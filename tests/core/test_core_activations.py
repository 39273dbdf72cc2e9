"""The activations of each variant are accurate to a few ulp."""

from __future__ import annotations

import numpy as np
import pytest

from reference_cells import ACTIVATIONS

MOST_ULP = 3
PARAMETERS = {
    "leaky_relu": (0.1, 0.0),
    "thresholded_relu": (0.7, 0.0),
    "scaled_tanh": (1.7, 0.6),
    "hard_sigmoid": (0.3, 0.4),
    "elu": (1.3, 0.0),
    "affine": (-0.6, 0.2),
}


def expected(name, x):
    """Return values in extended precision, which has at least eleven bits more than float64."""
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
def test_activations_are_accurate_to_a_few_ulp(core, dtype, name):
    x = arguments(dtype)
    exact = expected(name, x)
    spacing = np.spacing(np.abs(exact).astype(dtype)).astype(np.longdouble)
    error = np.abs(core.activate(name, x) - exact) / spacing
    worst = int(np.argmax(error))
    assert error[worst] <= MOST_ULP, (x[worst], float(error[worst]))


@pytest.mark.parametrize("name", ["linear", "relu"])
def test_linear_and_relu_are_exact(core, dtype, name):
    x = arguments(dtype)
    np.testing.assert_array_equal(core.activate(name, x), expected(name, x).astype(dtype))


@pytest.mark.parametrize("name", ["linear", "relu", "sigmoid", "tanh"])
def test_activations_of_nan_infinity_and_the_largest_values(core, dtype, name):
    x = np.array([np.nan, np.inf, -np.inf, np.finfo(dtype).max, np.finfo(dtype).min], dtype)
    limits = {
        "linear": x,
        "relu": [np.nan, np.inf, 0, np.finfo(dtype).max, 0],
        "sigmoid": [np.nan, 1, 0, 1, 0],
        "tanh": [np.nan, 1, -1, 1, -1],
    }[name]
    tiny = 1e-37 if dtype == "float32" else 1e-300
    np.testing.assert_allclose(core.activate(name, x), limits, rtol=0, atol=tiny)


def activation(name):
    return (name, *PARAMETERS.get(name, (0.0, 0.0)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_named_activations_are_accurate_to_a_few_ulp(core, dtype, name):
    """The unit is an ulp of the value or of its largest summand."""
    x = arguments(dtype)
    _, alpha, beta = activation(name)
    exact = ACTIVATIONS[name](x.astype(np.longdouble), *np.array([alpha, beta]).astype(dtype))
    size = (
        np.maximum(np.abs(exact), np.abs(beta))
        if name in ("hard_sigmoid", "affine")
        else np.abs(exact)
    )
    smallest = np.finfo(dtype).tiny
    error = np.abs(core.activate(activation(name), x) - exact)
    error /= np.maximum(np.spacing(np.abs(size).astype(dtype)).astype(np.longdouble), smallest)
    worst = int(np.argmax(error))
    assert error[worst] <= 4, (x[worst], float(error[worst]))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_from_the_output_agree_with_central_differences(core, name):
    """The derivatives are computed from the output; points near kinks are left out."""
    _, alpha, beta = activation(name)
    kinks = {"thresholded_relu": [alpha], "hard_sigmoid": [-beta / 0.3, (1 - beta) / 0.3]}
    x = np.linspace(-6, 6, 2003)
    for kink in kinks.get(name, [0.0]):
        x = x[np.abs(x - kink) > 1e-3]
    dy = np.random.default_rng(0).standard_normal(len(x))
    step = 1e-6
    above, below = (ACTIVATIONS[name](x + s, alpha, beta) for s in (step, -step))
    numeric = dy * (above - below) / (2 * step)
    dx = core.activation_gradient(activation(name), dy, core.activate(activation(name), x))
    np.testing.assert_allclose(dx, numeric, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_named_activations_of_nan_and_infinity(core, dtype, name):
    alpha = activation(name)[1]
    x = np.array([np.nan, np.inf, -np.inf], dtype)
    limits = {
        "linear": [np.inf, -np.inf],
        "sigmoid": [1, 0],
        "tanh": [1, -1],
        "relu": [np.inf, 0],
        "leaky_relu": [np.inf, -np.inf],
        "thresholded_relu": [np.inf, 0],
        "scaled_tanh": [alpha, -alpha],
        "hard_sigmoid": [1, 0],
        "elu": [np.inf, -alpha],
        "softsign": [1, -1],
        "softplus": [np.inf, 0],
        "affine": [-np.inf, np.inf],
    }[name]
    y = core.activate(activation(name), x)
    assert np.isnan(y[0])
    np.testing.assert_allclose(y[1:], limits, rtol=1e-6, atol=1e-37)


def test_alpha_and_beta_have_defaults(core):
    x = np.linspace(-3, 3, 31)
    for name, alpha, beta in [
        ("leaky_relu", 0.01, 0.0),
        ("hard_sigmoid", 0.2, 0.5),
        ("elu", 1.0, 0.0),
    ]:
        given = core.activate((name, alpha, beta), x)
        np.testing.assert_array_equal(core.activate(name, x), given)


@pytest.mark.parametrize("name", ["leaky_relu", "elu"])
def test_a_negative_alpha_is_an_error(core, name):
    with pytest.raises(ValueError, match="alpha must be at least 0"):
        core.activate((name, -0.1, 0.0), np.zeros(1))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 15, 16, 17, 33])
def test_activations_of_any_number_of_elements(core, dtype, count):
    x = np.linspace(-3, 3, count).astype(dtype)
    np.testing.assert_allclose(core.activate("tanh", x), np.tanh(x), rtol=1e-6)
