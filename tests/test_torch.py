"""Parity with PyTorch, where it is installed."""

from __future__ import annotations

import dataclasses
import inspect
import itertools

import numpy as np
import pytest

import reference
from fusedlstm import Sequential, load_torch_state_dict, to_torch_state_dict
from fusedlstm.layers import GRU, LSTM, RNN, Dense, LastStep, Sequence
from fusedlstm.losses import (
    Gaussian,
    Huber,
    LogLoss,
    Poisson,
    absolute_error,
    log_loss,
    squared_error,
)
from fusedlstm.optimizers import SGD, Adagrad, Adam, AdamW, Nadam, RMSprop, clip_by_norm
from fusedlstm.schedules import (
    Cosine,
    CosineRestarts,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    ScheduleState,
    Step,
)

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # threads of two libraries that share processors take ten times as long
pytestmark = pytest.mark.usefixtures("one_thread")

FORWARD = {"float32": 2e-6, "float64": 1e-13}
GRADIENT = {"float32": 5e-6, "float64": 1e-12}

# Their module and its options, our layer and its options.
CELLS = {
    "lstm": ("LSTM", {}, LSTM, {}),
    "projected lstm": ("LSTM", {"proj_size": 20}, LSTM, {"projection_size": 20}),
    "gru": ("GRU", {}, GRU, {}),
    "tanh rnn": ("RNN", {}, RNN, {}),
    "relu rnn": ("RNN", {"nonlinearity": "relu"}, RNN, {"activation": "relu"}),
}


class Problem:
    """A module of theirs in double precision, a model of ours with its weights, and data."""

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
        """Results by name: y, final states, and the gradients of everything."""
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
        """Laid out like our parameters: of two biases that are summed, the gradient is the same."""
        gradients = {name: p.grad.clone() for name, p in self.module.named_parameters()}
        for name, gradient in gradients.items():
            if name.startswith("bias_hh"):
                summed = len(gradient)
                if isinstance(self.module, torch.nn.GRU):  # but for that of the candidate
                    summed = 2 * summed // 3
                gradient[:summed] = 0
        laid_out = Sequential(self.model.layers, self.model.input_size, "float64")
        load_torch_state_dict(laid_out, gradients)
        return laid_out.params

    def ours(self):
        """The same from the model's layers, one after the other, with their states."""
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


# A part of the grid of the benchmarks; all of it is `python bench/accuracy.py`.
SHAPES = [(1, 100, 8, 32), (24, 30, 32, 100)]
MORE_SHAPES = [(32, 50, 8, 32), (16, 40, 64, 128), (40, 28, 28, 128)]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
    ("cell", "shape"),
    [*itertools.product(CELLS, SHAPES), *itertools.product(["lstm"], MORE_SHAPES)],
)
def test_accuracy(cell, shape, bidirectional, ragged):
    problem = Problem(cell, shape, bidirectional, ragged)
    problem.without_states()
    model, lengths = problem.model, problem.lengths if ragged else None
    y, (state,) = model.run(problem.x, lengths=lengths)
    _, saved = model.forward(problem.x, lengths)
    grads = np.zeros_like(model.params)
    dx = model.backward(saved, problem.dy, grads)
    results = {"y": y, **dict(zip("hc", state, strict=False))}
    if cell != "relu rnn":  # of so many units some are so near zero that rounding decides
        results |= {"dx": dx, "grads": grads}
    problem.assert_parity(results, problem.theirs())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_states_and_their_gradients(cell, layers, bidirectional, ragged, dtype):
    problem = Problem(cell, (7, 12, 6, 33), bidirectional, ragged, dtype, layers)
    theirs = problem.theirs()
    problem.assert_parity(problem.ours(), theirs)
    y, states = problem.model.run(
        problem.x, tuple(zip(*problem.states, strict=True)), problem.lengths
    )
    final = dict(zip("hc", map(np.concatenate, zip(*states, strict=True)), strict=False))
    problem.assert_parity({"y": y, **final}, theirs)


@pytest.mark.parametrize("cell", CELLS)
def test_last_step_is_h_n(cell):
    problem = Problem(cell, (4, 6, 3, 21), bidirectional=True, ragged=True, dtype="float64")
    problem.without_states()
    layers = [*problem.model.layers, LastStep()]
    model = Sequential.from_named_params(layers, 3, problem.model.named_params(), "float64")
    h_n = np.concatenate(problem.theirs()["h"], axis=1)
    np.testing.assert_allclose(model.predict(problem.x, problem.lengths), h_n, atol=1e-14)


def test_a_stack_trained_for_some_steps():
    """Two layers, loss, clipping and optimizer together, in double precision."""
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


@pytest.fixture
def in_double_precision():
    """NAdam's product of momentums has PyTorch's default dtype, whatever the parameters have."""
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
def test_optimizers(ours, theirs, options, weight_decay, in_double_precision):
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


def factors(schedule, n_epochs, n=1):
    return [schedule.multiplier(ScheduleState(e), i, n) for e in range(n_epochs) for i in range(n)]


def their_factors(make, count):
    """The learning rates that a scheduler gives an optimizer whose own is 1."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def lr(name, **options):
    return lambda optimizer: getattr(torch.optim.lr_scheduler, name)(optimizer, **options)


def warmed_up(optimizer):
    schedulers = torch.optim.lr_scheduler
    first = schedulers.LinearLR(optimizer, start_factor=0.1, total_iters=5)
    then = schedulers.CosineAnnealingLR(optimizer, T_max=15)
    return schedulers.SequentialLR(optimizer, [first, then], milestones=[5])


@pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning")  # of PyTorch's own calls
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Step(4, 0.5), lr("StepLR", step_size=4, gamma=0.5)),
        (Exponential(0.9), lr("ExponentialLR", gamma=0.9)),
        (Cosine(20), lr("CosineAnnealingLR", T_max=20)),
        (Cosine(20, end=0.1), lr("CosineAnnealingLR", T_max=20, eta_min=0.1)),
        (Cosine(20, warm_up=5, start=0.1), warmed_up),
        (CosineRestarts(6), lr("CosineAnnealingWarmRestarts", T_0=6)),
        (
            CosineRestarts(3, 2, end=0.1),
            lr("CosineAnnealingWarmRestarts", T_0=3, T_mult=2, eta_min=0.1),
        ),
        (OneCycle(20), lr("OneCycleLR", max_lr=1.0, total_steps=20)),
        (
            OneCycle(20, 0.5, 10, 100),
            lr(
                "OneCycleLR",
                max_lr=1.0,
                total_steps=20,
                pct_start=0.5,
                div_factor=10,
                final_div_factor=100,
            ),
        ),
    ],
    # Not the address of a function, which differs between processes.
    ids=lambda value: "torch" if inspect.isfunction(value) else repr(value),
)
def test_schedules(ours, theirs):
    expected = their_factors(theirs, 20)
    np.testing.assert_allclose(factors(ours, 20), expected, rtol=0, atol=1e-12)
    if isinstance(ours, (Cosine, OneCycle)):  # update by update
        quarter = dataclasses.replace(
            ours, epochs=5, **({"warm_up": ours.warm_up / 4} if isinstance(ours, Cosine) else {})
        )
        np.testing.assert_allclose(factors(quarter, 5, 4), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [
    {"patience": 0}, {"patience": 2}, {"patience": 1, "cooldown": 2},
    {"patience": 0, "factor": 0.5, "threshold": 0.3},
])  # fmt: skip
def test_plateaus(options):
    watched = np.random.default_rng(0).standard_normal(60).cumsum() / 3 + np.linspace(3, 0, 60)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, threshold_mode="abs", eps=0, min_lr=1e-3, **options
    )
    ours, state = ReduceOnPlateau(min_factor=1e-3, **options), ScheduleState()
    reduced = []
    for value in watched:
        theirs.step(value)
        state.watched = value
        ours.update(state)
        reduced.append(ours.multiplier(state))
        assert reduced[-1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert len(set(reduced)) > 2


def test_losses():
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
