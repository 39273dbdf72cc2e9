"""Optimizers agree with their equations in NumPy, step by step."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import numpy as np
import pytest

from fusedlstm.optimizers import (
    LBFGS,
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    Nadam,
    RMSprop,
    as_optimizer,
    clip_by_norm,
    clip_by_value,
)


def sgd(p, g, s, lr, wd, mask, *, momentum=0.0, nesterov=False):
    g = g + wd * mask * p
    v = s["v"] = momentum * s.get("v", 0) + g
    return p - lr * (g + momentum * v if nesterov else v)


def rmsprop(p, g, s, lr, wd, mask, *, rho=0.99, epsilon=1e-8):
    g = g + wd * mask * p
    v = s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    return p - lr * g / (np.sqrt(v) + epsilon)


def adam(p, g, s, lr, wd, mask, *, beta1=0.9, beta2=0.999, epsilon=1e-8, decoupled=False):
    if decoupled:
        p = p - lr * wd * mask * p
    else:
        g = g + wd * mask * p
    s["t"] = s.get("t", 0) + 1
    m = s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    v = s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1 ** s["t"]), v / (1 - beta2 ** s["t"])
    return p - lr * m_hat / (np.sqrt(v_hat) + epsilon)


def adagrad(p, g, s, lr, wd, mask, *, epsilon=1e-10):
    g = g + wd * mask * p
    v = s["v"] = s.get("v", 0) + g**2
    return p - lr * g / (np.sqrt(v) + epsilon)


def amsgrad(p, g, s, lr, wd, mask, *, beta1=0.9, beta2=0.999, epsilon=1e-8, decoupled=False):
    if decoupled:
        p = p - lr * wd * mask * p
    else:
        g = g + wd * mask * p
    s["t"] = s.get("t", 0) + 1
    m = s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    v = s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
    v = s["highest"] = np.maximum(s.get("highest", 0), v)
    m_hat, v_hat = m / (1 - beta1 ** s["t"]), v / (1 - beta2 ** s["t"])
    return p - lr * m_hat / (np.sqrt(v_hat) + epsilon)


def nadam(p, g, s, lr, wd, mask, *, beta1=0.9, beta2=0.999, epsilon=1e-8, psi=4e-3):
    g = g + wd * mask * p
    t = s["t"] = s.get("t", 0) + 1
    mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (i * psi)) for i in (t, t + 1))
    product = s["product"] = s.get("product", 1) * mu
    m = s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    v = s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
    m_hat = ahead * m / (1 - product * ahead) + (1 - mu) * g / (1 - product)
    return p - lr * m_hat / (np.sqrt(v / (1 - beta2**t)) + epsilon)


def lion(p, g, s, lr, wd, mask, *, beta1=0.9, beta2=0.99):
    m = s.get("m", 0)
    p = p - lr * wd * mask * p - lr * np.sign(beta1 * m + (1 - beta1) * g)
    s["m"] = beta2 * m + (1 - beta2) * g
    return p


CASES = {
    "sgd": (SGD(), sgd, {}),
    "momentum": (SGD(momentum=0.9), sgd, {"momentum": 0.9}),
    "nesterov": (SGD(momentum=0.8, nesterov=True), sgd, {"momentum": 0.8, "nesterov": True}),
    "rmsprop": (RMSprop(rho=0.9, epsilon=1e-6), rmsprop, {"rho": 0.9, "epsilon": 1e-6}),
    "adam": (Adam(), adam, {}),
    "adam, own betas": (
        Adam(beta1=0.8, beta2=0.95, epsilon=1e-5),
        adam,
        {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-5},
    ),
    "adamw": (AdamW(), adam, {"decoupled": True}),
    "adagrad": (Adagrad(), adagrad, {}),
    "adagrad, own epsilon": (Adagrad(epsilon=1e-3), adagrad, {"epsilon": 1e-3}),
    "amsgrad": (Adam(amsgrad=True), amsgrad, {}),
    "amsgrad, short memory": (Adam(beta2=0.5, amsgrad=True), amsgrad, {"beta2": 0.5}),
    "amsgrad, decoupled": (
        AdamW(beta2=0.5, amsgrad=True),
        amsgrad,
        {"beta2": 0.5, "decoupled": True},
    ),
    "nadam": (Nadam(), nadam, {}),
    "nadam, own decay": (
        Nadam(beta1=0.8, beta2=0.9, epsilon=1e-6, momentum_decay=0.1),
        nadam,
        {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-6, "psi": 0.1},
    ),
    "lion": (Lion(), lion, {}),
    "lion, own betas": (Lion(beta1=0.8, beta2=0.95), lion, {"beta1": 0.8, "beta2": 0.95}),
}


def test_the_tests_cover_every_optimizer():
    kinds = {type(optimizer) for optimizer, _, _ in CASES.values()}
    assert {type(optimizer) for optimizer in OPTIMIZERS.values()} == {LBFGS, *kinds}


@pytest.mark.parametrize("count", [1, 7, 16, 100])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("optimizer", "step", "options"), CASES.values(), ids=CASES)
def test_twenty_updates_agree_with_the_equations(
    optimizer, step, options, weight_decay, count, dtype, rng
):
    params = rng.standard_normal(count).astype(dtype)
    expected = params.astype(np.float64)
    mask = rng.integers(0, 2, count).astype(dtype)
    state, averages = optimizer.init(params), {}
    for _ in range(20):
        grads = rng.standard_normal(count).astype(dtype)
        expected = step(
            expected, grads.astype(np.float64), averages, 0.03, weight_decay, mask, **options
        )
        optimizer.step(params, grads, state, 0.03, weight_decay, mask)
    tolerance = 1e-12 if dtype == "float64" else 3e-5
    np.testing.assert_allclose(params, expected, rtol=tolerance, atol=tolerance)
    assert state.t == 20


@pytest.mark.parametrize(("optimizer", "step", "options"), CASES.values(), ids=CASES)
def test_weight_decay_without_a_mask_changes_nothing(optimizer, step, options):
    params, grads = np.ones(5), np.zeros(5)
    optimizer.step(params, grads, optimizer.init(params), 0.1, weight_decay=0.5)
    np.testing.assert_array_equal(params, np.ones(5))


@pytest.mark.parametrize(("optimizer", "step", "options"), CASES.values(), ids=CASES)
def test_optimizers_can_be_compared_and_pickled(optimizer, step, options):
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert as_optimizer(optimizer) is optimizer


def test_names_stand_for_the_default_optimizers():
    for name, optimizer in OPTIMIZERS.items():
        assert as_optimizer(name) == optimizer
    assert as_optimizer("amsgrad") == Adam(amsgrad=True)


@pytest.mark.parametrize(("optimizer", "step", "options"), CASES.values(), ids=CASES)
def test_l1_and_clip_value_agree_with_the_equations(optimizer, step, options, dtype, rng):
    optimizer = dataclasses.replace(optimizer, l1=0.3, clip_value=0.5)
    params = rng.standard_normal(21).astype(dtype)
    expected = params.astype(np.float64)
    mask = rng.integers(0, 2, 21).astype(dtype)
    state, averages = optimizer.init(params), {}
    for _ in range(5):
        grads = rng.standard_normal(21).astype(dtype)
        kept = grads.copy()
        clipped = np.clip(grads.astype(np.float64), -0.5, 0.5) + 0.3 * mask * np.sign(expected)
        expected = step(expected, clipped, averages, 0.03, 0.0, mask, **options)
        optimizer.step(params, grads, state, 0.03, 0.0, mask)
        np.testing.assert_array_equal(grads, kept)
    tolerance = 1e-12 if dtype == "float64" else 3e-5
    np.testing.assert_allclose(params, expected, rtol=tolerance, atol=tolerance)


def test_lion_steps_by_the_sign_of_any_gradient(dtype):
    grads = np.array([1e-30, -1e-30, 0.0, -0.0, 1e30, -1e30, np.inf, -np.inf], dtype)
    params = np.zeros_like(grads)
    Lion(beta1=0.0).step(params, grads, Lion(beta1=0.0).init(params), 1.0)
    np.testing.assert_array_equal(params, -np.sign(grads))


def test_a_nan_gradient_gives_a_nan_parameter(dtype):
    for optimizer in (Lion(), Adam(amsgrad=True), Nadam(), Adagrad()):
        params, grads = np.zeros(3, dtype), np.array([0, np.nan, 0], dtype)
        optimizer.step(params, grads, optimizer.init(params), 1.0)
        assert np.isnan(params).tolist() == [False, True, False]


def test_clip_by_value_limits_each_element(dtype):
    grads = np.array([0.5, -3, 2, 0], dtype)
    clip_by_value(grads, 1.0)
    np.testing.assert_array_equal(grads, [0.5, -1, 1, 0])


@pytest.mark.parametrize("count", [1, 5, 5000])
def test_clip_by_norm_scales_only_larger_gradients(count, dtype, rng):
    grads = rng.standard_normal(count).astype(dtype)
    kept = grads.copy()
    norm = float(np.linalg.norm(grads.astype(np.float64)))
    assert clip_by_norm(grads, norm * 2) == pytest.approx(norm, rel=1e-5)
    np.testing.assert_array_equal(grads, kept)
    clip_by_norm(grads, norm / 3)
    np.testing.assert_allclose(grads, kept / 3, rtol=1e-4)


# In float32, 1 - 0.99999999 would be 0, and 1 - 0.999999 would be 1.3 % too large.
NEAR_ONE = [
    Adam(beta2=0.99999999),
    Adam(beta2=0.999999),
    Adam(beta1=0.999999),
    Adam(beta2=0.999999, amsgrad=True),
    AdamW(beta2=0.999999),
    Nadam(beta2=0.999999),
    RMSprop(rho=0.999999),
    Lion(beta1=0.5, beta2=0.999999),
]


@pytest.mark.parametrize("optimizer", NEAR_ONE, ids=repr)
def test_decay_rates_near_one_are_exact_in_float32(optimizer, rng):
    gradients = rng.standard_normal((20, 50))

    def run(dtype):
        params = np.ones(50, dtype)
        state = optimizer.init(params)
        for g in gradients:
            optimizer.step(params, g.astype(dtype), state, 1e-2)
        return params - 1, state

    (moved, state), (expected, state64) = run("float32"), run("float64")
    np.testing.assert_allclose(moved, expected, rtol=2e-4, atol=2e-6)
    for name, average in state.averages.items():
        scale = np.abs(state64.averages[name]).max()
        np.testing.assert_allclose(average, state64.averages[name], rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("epsilon", [1e-40, 1e-50])
@pytest.mark.parametrize("make", [Adam, AdamW, Nadam, RMSprop, Adagrad])
def test_an_epsilon_below_the_range_of_float32_works(make, epsilon):
    optimizer = make(epsilon=epsilon)
    params, grads = np.ones(3, "float32"), np.array([0, 1, -1], "float32")
    state = optimizer.init(params)
    for _ in range(3):
        optimizer.step(params, grads, state, 1e-2)
    assert params[0] == 1
    assert params[1] < 1 < params[2]


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e19), ("float32", 3e38), ("float64", 1e200)]
)
def test_clip_by_norm_works_when_squares_overflow(dtype, size):
    grads = np.full(5000, size, dtype)
    grads[1::2] = 0
    norm = size * np.sqrt(2500)
    assert clip_by_norm(grads, 1.0) == pytest.approx(norm, rel=1e-5)
    np.testing.assert_allclose(grads[::2], 1 / np.sqrt(2500), rtol=1e-5)
    assert not grads[1::2].any()


@pytest.mark.parametrize("max_norm", [1.0, 1e-10, 1e300])
@pytest.mark.parametrize("size", [1e305, 1.7e308])
def test_clip_by_norm_works_for_the_largest_gradients(size, max_norm):
    grads = np.full(5000, size)
    grads[1::2] = 0
    norm = clip_by_norm(grads, max_norm)
    assert norm == (np.inf if size == 1.7e308 else pytest.approx(50 * size))
    np.testing.assert_allclose(grads[::2], max_norm / 50, rtol=1e-10)
    assert not grads[1::2].any()


def test_clip_by_norm_returns_nan_or_infinity():
    assert np.isnan(clip_by_norm(np.array([1.0, np.nan]), 1.0))
    assert clip_by_norm(np.array([1.0, -np.inf]), 1.0) == np.inf


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adagrad, Adam, AdamW, Nadam, Lion, LBFGS])
def test_a_positional_learning_rate_is_an_error(kind):
    message = (
        rf"^{kind.__name__} takes keyword arguments only; got 0\.01\. .* learning_rate= of the"
    )
    with pytest.raises(TypeError, match=message):
        kind(0.01)
    fields = inspect.signature(kind).parameters.values()
    assert {field.kind for field in fields} == {inspect.Parameter.KEYWORD_ONLY}
    assert pickle.loads(pickle.dumps(kind())) == copy.deepcopy(kind()) == kind()
