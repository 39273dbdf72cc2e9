"""Losses agree with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from fusedlstm.losses import (
    Gaussian,
    Huber,
    LogLoss,
    Poisson,
    absolute_error,
    log_loss,
    squared_error,
)

torch = pytest.importorskip("torch")


torch.set_num_threads(1)  # two thread pools on the same processors take ten times as long


pytestmark = pytest.mark.usefixtures("one_thread")


def test_losses_agree_with_pytorch():
    rng = np.random.default_rng(0)
    z, labels = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    binary = labels % 2
    several, counts = rng.integers(0, 2, (6, 4)), rng.poisson(2.0, (6, 4)).astype(float)
    functional, tensor_of = torch.nn.functional, torch.from_numpy
    gaussian = Gaussian()

    def gaussian_nll(t):
        std = functional.softplus(t[:, 2:]) + gaussian.min_std
        return functional.gaussian_nll_loss(
            t[:, :2], tensor_of(counts[:, :2].copy()), std**2, full=True, eps=1e-12
        )

    for ours, peer_loss, outputs in (
        (
            lambda: log_loss(z, labels),
            lambda t: torch.nn.functional.cross_entropy(t, torch.from_numpy(labels)),
            z,
        ),
        (
            lambda: log_loss(z[:, :1], binary),
            lambda t: torch.nn.functional.binary_cross_entropy_with_logits(
                t[:, 0], torch.from_numpy(binary.astype(float))
            ),
            z[:, :1],
        ),
        (
            lambda: squared_error(z, z[::-1]),
            lambda t: torch.nn.functional.mse_loss(t, torch.from_numpy(z[::-1].copy())),
            z,
        ),
        (
            lambda: LogLoss(0.2)(z, labels),
            lambda t: functional.cross_entropy(t, tensor_of(labels), label_smoothing=0.2),
            z,
        ),
        (
            lambda: log_loss(z, several),
            lambda t: (
                4 * functional.binary_cross_entropy_with_logits(t, tensor_of(several.astype(float)))
            ),
            z,
        ),
        (
            lambda: absolute_error(z, counts),
            lambda t: functional.l1_loss(t, tensor_of(counts)),
            z,
        ),
        (
            lambda: Huber(0.7)(z, counts),
            lambda t: functional.huber_loss(t, tensor_of(counts), delta=0.7),
            z,
        ),
        (
            lambda: Poisson()(z, counts),
            lambda t: functional.poisson_nll_loss(t, tensor_of(counts)),
            z,
        ),
        (lambda: gaussian(z, counts[:, :2]), gaussian_nll, z),
    ):
        tensor = torch.from_numpy(outputs.copy()).requires_grad_()
        loss = peer_loss(tensor)
        loss.backward()
        value, dy = ours()
        assert value == pytest.approx(loss.item(), rel=1e-12)
        np.testing.assert_allclose(dy, tensor.grad.numpy(), atol=1e-12)
