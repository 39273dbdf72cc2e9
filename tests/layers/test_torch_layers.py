"""Layers and stacks agree with PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import reference
from fusedlstm import Sequential, load_torch_state_dict, to_torch_state_dict
from fusedlstm.layers import GRU, LSTM, RNN, Dense, LastStep, Sequence
from fusedlstm.losses import (
    squared_error,
)
from fusedlstm.optimizers import Adam, clip_by_norm

torch = pytest.importorskip("torch")


torch.set_num_threads(1)  # two thread pools on the same processors take ten times as long


pytestmark = pytest.mark.usefixtures("one_thread")

FORWARD = {"float32": 2e-6, "float64": 1e-13}
GRADIENT = {"float32": 5e-6, "float64": 1e-12}

# PyTorch's module and its options, the layer and its options.
CELLS = {
    "lstm": ("LSTM", {}, LSTM, {}),
    "projected lstm": ("LSTM", {"proj_size": 20}, LSTM, {"projection_size": 20}),
    "gru": ("GRU", {}, GRU, {}),
    "tanh rnn": ("RNN", {}, RNN, {}),
    "relu rnn": ("RNN", {"nonlinearity": "relu"}, RNN, {"activation": "relu"}),
}


class TorchProblem:
    """A PyTorch module in double precision, a model with its weights, and data."""

    def __init__(self, cell, shape, bidirectional, ragged, dtype="float32", layers=1):
        batch, steps, inputs, hidden = shape
        module, options, layer, own = CELLS[cell]
        torch.manual_seed(0)
        self.module = getattr(torch.nn, module)(
            inputs, hidden, layers, batch_first=True, bidirectional=bidirectional, **options
        )
        self.model = Sequential([layer(hidden, bidirectional, **own)] * layers, inputs, dtype)
        load_torch_state_dict(self.model, self.module.state_dict())
        self.module.double()

        rng = np.random.default_rng(1)
        self.x = rng.standard_normal((batch, steps, inputs)).astype(dtype)
        self.lengths = np.full(batch, steps)
        if ragged:
            self.lengths = rng.integers(1, steps + 1, batch)
        self.dy = rng.standard_normal((batch, steps, self.model.output_size)).astype(dtype)
        # (layers, directions, batch, size)
        shapes = [(layers, *each) for each in self.model.layers[0].state_shapes(batch)]
        self.states, self.dstates = (
            [rng.standard_normal(each).astype(dtype) for each in shapes] for _ in range(2)
        )

    def without_states(self):
        for states in (self.states, self.dstates):
            states[:] = [np.zeros_like(each) for each in states]

    def theirs(self):
        """Return PyTorch's results by name: y, final states, and all gradients."""
        x = torch.from_numpy(self.x).double().requires_grad_()
        states, dstates = (
            [torch.from_numpy(each).double().flatten(0, 1) for each in arrays]
            for arrays in (self.states, self.dstates)
        )
        for each in states:
            each.requires_grad_()
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.from_numpy(self.lengths), batch_first=True, enforce_sorted=False
        )
        out, final = self.module(packed, tuple(states) if len(states) == 2 else states[0])
        final = final if len(states) == 2 else (final,)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(
            out, batch_first=True, total_length=self.x.shape[1]
        )
        torch.autograd.backward([y, *final], [torch.from_numpy(self.dy).double(), *dstates])
        results = {"y": y, "dx": x.grad}
        for name, after, before in zip("hc", final, states, strict=False):
            results |= {name: after, f"d{name}": before.grad}
        results = {name: tensor.detach().numpy() for name, tensor in results.items()}
        return results | {"grads": self.their_gradients()}

    def their_gradients(self):
        """Return PyTorch's gradients as `params`, for the first of two summed biases."""
        gradients = {name: p.grad.clone() for name, p in self.module.named_parameters()}
        for name, gradient in gradients.items():
            if name.startswith("bias_hh"):
                summed = len(gradient)
                if isinstance(self.module, torch.nn.GRU):  # except the bias of the candidate
                    summed = 2 * summed // 3
                gradient[:summed] = 0
        laid_out = Sequential(self.model.layers, self.model.input_size, "float64")
        load_torch_state_dict(laid_out, gradients)
        return laid_out.params

    def ours(self):
        """Return the same results, computed layer by layer with the states."""
        model = self.model
        grads, saved = np.zeros_like(model.params), []
        final, dfirst = ([np.empty_like(each) for each in self.states] for _ in range(2))
        seq = Sequence(self.x, self.lengths)
        params_of, grads_of = self.by_layer(model.params), self.by_layer(grads)
        for number, layer in enumerate(model.layers):
            state = tuple(each[number] for each in self.states)
            (seq, after), kept = layer.forward(params_of[number], seq, state)
            saved.append(kept)
            for each, array in zip(final, after, strict=True):
                each[number] = array
        dseq = Sequence(self.dy, self.lengths)
        for number, layer in reversed([*enumerate(model.layers)]):
            dstate = tuple(each[number] for each in self.dstates)
            dseq, before = layer.backward(
                params_of[number], saved[number], dseq, dstate, grads_of[number]
            )
            for each, array in zip(dfirst, before, strict=True):
                each[number] = array
        results = {"y": seq.x, "dx": dseq.x, "grads": grads}
        for name, after, before in zip("hc", final, dfirst, strict=False):
            results |= {name: np.concatenate(after), f"d{name}": np.concatenate(before)}
        return results

    def by_layer(self, flat):
        parts = self.model.views(flat).items()
        sizes = [
            sum(part.size for name, part in parts if name.startswith(f"{number}."))
            for number in range(len(self.model.layers))
        ]
        return np.split(flat, np.cumsum(sizes)[:-1])

    def assert_parity(self, ours, theirs):
        for name, value in ours.items():
            tolerance = (FORWARD if name in "yhc" else GRADIENT)[self.model.dtype.name]
            error = reference.relative_error(value, theirs[name])
            assert error < tolerance, (name, error)


# A part of the benchmark grid; `python bench/accuracy.py` tests the whole grid.
SHAPES = [(1, 100, 8, 32), (24, 30, 32, 100)]
MORE_SHAPES = [(32, 50, 8, 32), (16, 40, 64, 128), (40, 28, 28, 128)]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
    ("cell", "shape"),
    [*itertools.product(CELLS, SHAPES), *itertools.product(["lstm"], MORE_SHAPES)],
)
def test_outputs_and_gradients_agree_with_pytorch(cell, shape, bidirectional, ragged):
    problem = TorchProblem(cell, shape, bidirectional, ragged)
    problem.without_states()
    model, lengths = problem.model, problem.lengths if ragged else None
    y, (state,) = model.run(problem.x, lengths=lengths)
    _, saved = model.forward(problem.x, lengths)
    grads = np.zeros_like(model.params)
    dx = model.backward(saved, problem.dy, grads)
    results = {"y": y, **dict(zip("hc", state, strict=False))}
    if cell != "relu rnn":  # some of the many units are so close to zero that rounding decides
        results |= {"dx": dx, "grads": grads}
    problem.assert_parity(results, problem.theirs())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_states_and_their_gradients_agree_with_pytorch(cell, layers, bidirectional, ragged, dtype):
    problem = TorchProblem(cell, (7, 12, 6, 33), bidirectional, ragged, dtype, layers)
    theirs = problem.theirs()
    problem.assert_parity(problem.ours(), theirs)
    y, states = problem.model.run(
        problem.x, tuple(zip(*problem.states, strict=True)), problem.lengths
    )
    final = dict(zip("hc", map(np.concatenate, zip(*states, strict=True)), strict=False))
    problem.assert_parity({"y": y, **final}, theirs)


@pytest.mark.parametrize("cell", CELLS)
def test_last_step_is_h_n_of_pytorch(cell):
    problem = TorchProblem(cell, (4, 6, 3, 21), bidirectional=True, ragged=True, dtype="float64")
    problem.without_states()
    layers = [*problem.model.layers, LastStep()]
    model = Sequential.from_named_params(layers, 3, problem.model.named_params(), "float64")
    h_n = np.concatenate(problem.theirs()["h"], axis=1)
    np.testing.assert_allclose(model.predict(problem.x, problem.lengths), h_n, atol=1e-14)


def test_a_stack_trains_as_in_pytorch():
    """Two layers, a loss, clipping and an optimizer, in double precision."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 10, 3)), rng.standard_normal((8, 2))
    model = Sequential([LSTM(6), LSTM(5), LastStep(), Dense(2)], 3, "float64", random_state=1)
    modules = [torch.nn.LSTM(3, 6, batch_first=True), torch.nn.LSTM(6, 5, batch_first=True)]
    modules = torch.nn.ModuleList([*modules, torch.nn.Identity(), torch.nn.Linear(5, 2)]).double()
    modules.load_state_dict(to_torch_state_dict(model))
    first, second, _, head = modules
    for peer in (first, second):
        peer.bias_hh_l0.requires_grad_(False)
    trained = [p for p in modules.parameters() if p.requires_grad]
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
