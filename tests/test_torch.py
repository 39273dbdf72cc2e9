"""Parity with PyTorch, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from fusedlstm import Sequential
from fusedlstm.layers import LSTM, Dense, LastStep
from fusedlstm.losses import log_loss, squared_error
from fusedlstm.optimizers import SGD, Adam, AdamW, RMSprop, clip_by_norm

torch = pytest.importorskip("torch")

FORWARD, GRADIENT = 2e-6, 5e-6


def torch_lstm(model, index=0):
    """A double-precision torch LSTM with the parameters of a layer of ours."""
    layer = model.layers[index]
    named = {k: v for k, v in model.named_params().items() if k.startswith(f"{index}.")}
    inputs = named[f"{index}.weight_ih"].shape[1]
    peer = torch.nn.LSTM(
        inputs,
        layer.hidden_size,
        batch_first=True,
        bidirectional=layer.bidirectional,
        dtype=torch.float64,
    )
    with torch.no_grad():
        for direction in layer.directions:
            for ours, theirs in (
                ("weight_ih", "weight_ih_l0"),
                ("weight_hh", "weight_hh_l0"),
                ("bias", "bias_ih_l0"),
            ):
                values = torch.from_numpy(named[f"{index}.{ours}{direction}"].astype(np.float64))
                getattr(peer, theirs + direction).copy_(values)
            getattr(peer, "bias_hh_l0" + direction).zero_()
    return peer


def torch_gradients(peer, layer):
    return np.concatenate(
        [
            getattr(peer, name + direction).grad.numpy().ravel()
            for direction in layer.directions
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
        ]
    )


# A part of the grid of the benchmarks; all of it is `python bench/accuracy.py`.
@pytest.mark.parametrize(
    ("batch", "steps", "inputs", "hidden"),
    [(1, 100, 8, 32), (32, 50, 8, 32), (16, 40, 64, 128), (24, 30, 32, 100), (40, 28, 28, 128)],
)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_accuracy(batch, steps, inputs, hidden, bidirectional, ragged):
    rng = np.random.default_rng(0)
    model = Sequential([LSTM(hidden, bidirectional)], inputs, random_state=0)
    x = rng.standard_normal((batch, steps, inputs)).astype("float32")
    lengths = rng.integers(1, steps + 1, batch) if ragged else np.full(batch, steps)
    dy = rng.standard_normal((batch, steps, model.output_size)).astype("float32")

    peer = torch_lstm(model)
    x_peer = torch.from_numpy(x.astype(np.float64)).requires_grad_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x_peer, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
    )
    out, (h, c) = peer(packed)
    y_peer, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=steps)
    y_peer.backward(torch.from_numpy(dy.astype(np.float64)))

    y, ((h_ours, c_ours),) = model.run(x, lengths=lengths if ragged else None)
    for ours, theirs in ((y, y_peer), (h_ours, h), (c_ours, c)):
        assert reference.relative_error(ours, theirs.detach().numpy()) < FORWARD
    _, saved = model.forward(x, lengths if ragged else None)
    grads = np.zeros_like(model.params)
    dx = model.backward(saved, dy, grads)
    assert reference.relative_error(dx, x_peer.grad.numpy()) < GRADIENT
    assert reference.relative_error(grads, torch_gradients(peer, model.layers[0])) < GRADIENT


def test_last_step_is_h_n():
    model = Sequential([LSTM(7, bidirectional=True), LastStep()], 3, "float64", random_state=0)
    x = np.random.default_rng(0).standard_normal((4, 6, 3))
    _, (h, _) = torch_lstm(model)(torch.from_numpy(x))
    np.testing.assert_allclose(model.predict(x), np.concatenate(h.detach().numpy(), axis=1))


def test_a_stack_trained_for_some_steps():
    """Two layers, loss, clipping and optimizer together, in double precision."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 10, 3)), rng.standard_normal((8, 2))
    model = Sequential([LSTM(6), LSTM(5), LastStep(), Dense(2)], 3, "float64", random_state=1)
    first, second, head = torch_lstm(model), torch_lstm(model, 1), torch.nn.Linear(5, 2).double()
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(model.named_params()["3.weight"]))
        head.bias.copy_(torch.from_numpy(model.named_params()["3.bias"]))
    for peer in (first, second):
        peer.bias_hh_l0.requires_grad_(False)
    trained = [p for m in (first, second, head) for p in m.parameters() if p.requires_grad]
    theirs = torch.optim.Adam(trained, lr=0.02)
    ours = Adam()
    state, grads = ours.init(model.params), np.zeros_like(model.params)
    for _ in range(20):
        theirs.zero_grad()
        hidden, _ = second(first(torch.from_numpy(x))[0])
        loss = torch.nn.functional.mse_loss(head(hidden[:, -1]), torch.from_numpy(y))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 0.1)
        theirs.step()
        y_pred, saved = model.forward(x)
        value, dy = squared_error(y_pred, y)
        grads[:] = 0
        model.add_gradients(saved, dy, grads)
        clip_by_norm(grads, 0.1)
        ours.step(model.params, grads, state, 0.02)
        assert value == pytest.approx(loss.item(), rel=1e-9)
    np.testing.assert_allclose(
        model.named_params()["1.weight_hh"], second.weight_hh_l0.detach().numpy(), rtol=1e-8
    )


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (SGD(), "SGD", {}),
        (SGD(momentum=0.9), "SGD", {"momentum": 0.9}),
        (SGD(momentum=0.9, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
        (RMSprop(), "RMSprop", {}),
        (Adam(), "Adam", {}),
        (Adam(0.8, 0.99, 1e-6), "Adam", {"betas": (0.8, 0.99), "eps": 1e-6}),
        (AdamW(), "AdamW", {}),
    ],
)
def test_optimizers(ours, theirs, options, weight_decay):
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


def test_losses():
    rng = np.random.default_rng(0)
    z, labels = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    binary = labels % 2
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
    ):
        tensor = torch.from_numpy(outputs.copy()).requires_grad_()
        loss = peer_loss(tensor)
        loss.backward()
        value, dy = ours()
        assert value == pytest.approx(loss.item(), rel=1e-12)
        np.testing.assert_allclose(dy, tensor.grad.numpy(), atol=1e-12)
