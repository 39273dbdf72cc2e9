"""Optimizers against their equations in NumPy, step by step."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fusedlstm.optimizers import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    RMSprop,
    as_optimizer,
    clip_by_norm,
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


CASES = {
    "sgd": (SGD(), sgd, {}),
    "momentum": (SGD(momentum=0.9), sgd, {"momentum": 0.9}),
    "nesterov": (SGD(momentum=0.8, nesterov=True), sgd, {"momentum": 0.8, "nesterov": True}),
    "rmsprop": (RMSprop(rho=0.9, epsilon=1e-6), rmsprop, {"rho": 0.9, "epsilon": 1e-6}),
    "adam": (Adam(), adam, {}),
    "adam, own betas": (
        Adam(0.8, 0.95, 1e-5),
        adam,
        {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-5},
    ),
    "adamw": (AdamW(), adam, {"decoupled": True}),
}


def test_every_optimizer_has_a_case():
    assert set(OPTIMIZERS.values()) == {type(optimizer) for optimizer, _, _ in CASES.values()}


@pytest.mark.parametrize("count", [1, 7, 16, 100])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("optimizer", "step", "options"), CASES.values(), ids=CASES)
def test_twenty_steps(optimizer, step, options, weight_decay, count, dtype, rng):
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
def test_no_mask_no_decay(optimizer, step, options):
    params, grads = np.ones(5), np.zeros(5)
    optimizer.step(params, grads, optimizer.init(params), 0.1, weight_decay=0.5)
    np.testing.assert_array_equal(params, np.ones(5))


@pytest.mark.parametrize(("optimizer", "step", "options"), CASES.values(), ids=CASES)
def test_optimizers_are_values(optimizer, step, options):
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert as_optimizer(optimizer) is optimizer


def test_names():
    for name, make in OPTIMIZERS.items():
        assert as_optimizer(name) == make()


@pytest.mark.parametrize("count", [1, 5, 5000])
def test_clipping(count, dtype, rng):
    grads = rng.standard_normal(count).astype(dtype)
    kept = grads.copy()
    norm = float(np.linalg.norm(grads.astype(np.float64)))
    assert clip_by_norm(grads, norm * 2) == pytest.approx(norm, rel=1e-5)
    np.testing.assert_array_equal(grads, kept)
    clip_by_norm(grads, norm / 3)
    np.testing.assert_allclose(grads, kept / 3, rtol=1e-4)
