"""The recurrent kernels of each variant agree with PyTorch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import reference_cells as cells
from recurrent_problems import (
    RecurrentProblem,
)
from reference import relative_error


def torch_problem(module, spec, directions):
    """Return a problem with the weights of a PyTorch module, which becomes float64."""
    module = module.double()
    parts = []
    for suffix in ("", "_reverse")[:directions]:
        named = {n: p.detach().numpy() for n, p in module.named_parameters()}
        ih, hh = named[f"weight_ih_l0{suffix}"], named[f"weight_hh_l0{suffix}"]
        bias_ih, bias_hh = named[f"bias_ih_l0{suffix}"].copy(), named[f"bias_hh_l0{suffix}"].copy()
        hidden = len(hh) // len(cells.gates_of(spec))
        extra = []
        if spec["family"] == "gru":
            extra = [bias_hh[2 * hidden :].copy()]
            bias_hh[2 * hidden :] = 0
        if spec.get("projection"):
            extra = [named[f"weight_hr_l0{suffix}"]]
        parts += [ih, hh, bias_ih + bias_hh, *extra]
    params = np.concatenate([part.ravel() for part in parts])
    problem = RecurrentProblem.random(spec, 0, 4, 9, 3, hidden, directions=directions)
    assert problem.params.size == params.size
    return replace(problem, params=params)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("name", ["lstm", "projection", "gru", "rnn", "relu rnn"])
def test_kernels_agree_with_torch(core, name, directions):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    options = {"batch_first": True, "bidirectional": directions == 2}
    spec, module = {
        "lstm": lambda: (cells.lstm_spec(), torch.nn.LSTM(3, 20, **options)),
        "projection": lambda: (
            cells.lstm_spec(projection=7),
            torch.nn.LSTM(3, 20, proj_size=7, **options),
        ),
        "gru": lambda: (cells.gru_spec(), torch.nn.GRU(3, 20, **options)),
        "rnn": lambda: (cells.rnn_spec(), torch.nn.RNN(3, 20, **options)),
        "relu rnn": lambda: (
            cells.rnn_spec("relu"),
            torch.nn.RNN(3, 20, nonlinearity="relu", **options),
        ),
    }[name]()
    problem = torch_problem(module, spec, directions)
    x, h, c = (
        None if a is None else torch.tensor(a, requires_grad=True)
        for a in (problem.x, problem.h, problem.c)
    )
    state = h if c is None else (h, c)
    y, last = module(x, state)
    last_h, last_c = (last, None) if c is None else last
    loss = (y * torch.tensor(problem.dy)).sum() + (last_h * torch.tensor(problem.dh)).sum()
    if c is not None:
        loss = loss + (last_c * torch.tensor(problem.dc)).sum()
    loss.backward()
    results = problem.run(core)
    expected = {"y": y, "h": last_h, "c": last_c, "dx": x.grad, "dh": h.grad}
    if c is not None:
        expected["dc"] = c.grad
    for key, value in expected.items():
        if value is not None:
            assert relative_error(results[key], value.detach().numpy()) < 1e-12, key
    weight_ih = next(iter(module.parameters()))
    grads = results["grads"][: weight_ih.numel()].reshape(weight_ih.shape)
    assert relative_error(grads, weight_ih.grad.numpy()) < 1e-12
