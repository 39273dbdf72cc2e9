"""Optimizers agree with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from fusedlstm.optimizers import SGD, Adagrad, Adam, AdamW, Nadam, RMSprop

torch = pytest.importorskip("torch")


torch.set_num_threads(1)  # two thread pools on the same processors take ten times as long


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def in_double_precision():
    """Set the default dtype of PyTorch, which NAdam uses for its product of momentums."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (SGD(), "SGD", {}),
        (SGD(momentum=0.9), "SGD", {"momentum": 0.9}),
        (SGD(momentum=0.9, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
        (RMSprop(), "RMSprop", {}),
        (Adam(), "Adam", {}),
        (Adam(beta1=0.8, beta2=0.99, epsilon=1e-6), "Adam", {"betas": (0.8, 0.99), "eps": 1e-6}),
        (AdamW(), "AdamW", {}),
        (AdamW(amsgrad=True), "AdamW", {"amsgrad": True}),
        (Adam(beta2=0.5, amsgrad=True), "Adam", {"betas": (0.9, 0.5), "amsgrad": True}),
        (Adam(amsgrad=True), "Adam", {"amsgrad": True}),
        (Adagrad(), "Adagrad", {}),
        (Nadam(), "NAdam", {}),
        (
            Nadam(beta1=0.8, beta2=0.9, epsilon=1e-6, momentum_decay=0.1),
            "NAdam",
            {"betas": (0.8, 0.9), "eps": 1e-6, "momentum_decay": 0.1},
        ),
    ],
)
def test_optimizers_agree_with_pytorch(ours, theirs, options, weight_decay, in_double_precision):
    rng = np.random.default_rng(0)
    params = rng.standard_normal(50)
    peer = torch.from_numpy(params.copy()).requires_grad_()
    optimizer = getattr(torch.optim, theirs)([peer], lr=0.03, weight_decay=weight_decay, **options)
    state = ours.init(params)
    for _ in range(20):
        grads = rng.standard_normal(50)
        peer.grad = torch.from_numpy(grads)
        optimizer.step()
        ours.step(params, grads, state, 0.03, weight_decay, np.ones(50))
    np.testing.assert_allclose(params, peer.detach().numpy(), rtol=0, atol=1e-10)
