"""Compare rules for the initial weights on several kinds of input, with equal numbers of updates.

A rule sets the standard deviation of the input weights, the hidden weights, the biases of the gates
and the weights of `Dense`. Each figure is an error on held-out data: nats per step, squared error
over the variance of the target, or the share of wrong classes. It is the mean over the second half
of ten checkpoints and over the seeds. Smaller is better.

    python bench/initialization.py [--cell gru] [--seeds 5] [--rules A B] [--tasks text adding]

ArrowHead and OSULeaf are part of aeon, Trace of tslearn; without these packages they are left out.
One rule with three seeds takes about one minute on one core, the four default rules four minutes.
"""

from __future__ import annotations

import argparse
import math
import pydoc_data.topics
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from itertools import count

import numpy as np

import fusedlstm
from fusedlstm import Sequential
from fusedlstm.layers import GRU, LSTM, RNN, Dense, LastStep, Layer
from fusedlstm.layers.initializers import orthogonal
from fusedlstm.losses import each_step, log_loss, squared_error
from fusedlstm.optimizers import Adam, clip_by_norm

CELLS: dict[str, Callable[[int], Layer]] = {
    "lstm": LSTM,
    "gru": GRU,
    "rnn": RNN,
    "relu": lambda hidden: RNN(hidden, activation="relu"),
}


# Rules. Standard deviations are functions of fan-in I and units H.

Deviation = Callable[[int, int], float]
Biases = Callable[[int], "tuple[np.ndarray | float, np.ndarray | float]"]


def spread(hidden: int) -> tuple[np.ndarray, np.ndarray]:
    bias = 5 * ((np.arange(hidden) + 0.5) / hidden) ** 2
    return bias, 1 - bias


def evenly(hidden: int) -> tuple[np.ndarray, np.ndarray]:
    bias = 5 * (np.arange(hidden) + 0.5) / hidden
    return bias, -bias


@dataclass(frozen=True)
class Rule:
    """One rule for all weights. The defaults are the rule of the package."""

    inputs: Deviation = lambda i, h: i**-0.5
    recurrent: float | None = None  # standard deviation times sqrt(H); None means orthogonal
    forget_and_input: Biases = spread  # the first is the update gate's for a GRU
    dense: Deviation = lambda i, h: math.sqrt(2 / (i + h))
    noise: float = 0.0  # limit of uniform biases, times sqrt(H)


def xavier(i: int, h: int) -> float:
    return math.sqrt(2 / (i + h))


def pytorch_dense(i: int, h: int) -> float:
    return 1 / math.sqrt(3 * i)


PYTORCH = Rule(
    inputs=lambda i, h: 1 / math.sqrt(3 * h),
    recurrent=1 / math.sqrt(3),
    forget_and_input=lambda h: (0, 0),
    dense=pytorch_dense,
    noise=math.sqrt(2),  # about the sum of PyTorch's two biases
)
RULES = {
    "fusedlstm": Rule(),
    "xavier, forget 1": Rule(inputs=xavier, forget_and_input=lambda h: (1, 0)),
    "pytorch": PYTORCH,
    "pytorch, forget 1": replace(PYTORCH, forget_and_input=lambda h: (1, 0)),
    "forget 0": Rule(forget_and_input=lambda h: (0, 0)),
    "forget 1": Rule(forget_and_input=lambda h: (1, 0)),
    "forget 2": Rule(forget_and_input=lambda h: (2, 0)),
    "forget spread alone": Rule(forget_and_input=lambda h: (spread(h)[0], 0)),
    "spread evenly": Rule(forget_and_input=evenly),
    "inputs xavier": Rule(inputs=xavier),
    "inputs 1/sqrt(H)": Rule(inputs=lambda i, h: h**-0.5),
    "inputs I^-0.4": Rule(inputs=lambda i, h: i**-0.4),
    "inputs I^-0.25": Rule(inputs=lambda i, h: i**-0.25),
    "inputs 1": Rule(inputs=lambda i, h: 1.0),
    "hidden uniform": Rule(recurrent=1.0),
    "hidden uniform / sqrt(3)": Rule(recurrent=1 / math.sqrt(3)),
    "dense pytorch": Rule(dense=pytorch_dense),
}


def uniform(rng: np.random.Generator, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(-math.sqrt(3), math.sqrt(3), shape) * deviation


def initialize(model: Sequential, rule: Rule, rng: np.random.Generator) -> None:
    """Overwrite all parameters of recurrent and dense layers."""
    named = model.named_params()
    for number, layer in enumerate(model.layers):
        own = {
            name.split(".")[1]: values
            for name, values in named.items()
            if name.startswith(f"{number}.")
        }
        if isinstance(layer, Dense):
            units, fan_in = own["weight"].shape
            deviation = rule.dense(fan_in, units)
            own["weight"][...] = uniform(rng, deviation, (units, fan_in))
            own["bias"][...] = uniform(rng, deviation if rule.noise else 0, (units,))
        elif own:
            hidden, fan_in = own["weight_hh"].shape[1], own["weight_ih"].shape[1]
            deviation = rule.inputs(fan_in, hidden)
            own["weight_ih"][...] = uniform(rng, deviation, own["weight_ih"].shape)
            for block in np.split(own["weight_hh"], len(own["weight_hh"]) // hidden):
                block[...] = (
                    orthogonal(rng, hidden)
                    if rule.recurrent is None
                    else uniform(rng, rule.recurrent / math.sqrt(hidden), (hidden, hidden))
                )
            limit = rule.noise / math.sqrt(hidden)
            own["bias"][...] = rng.uniform(-limit, limit, own["bias"].shape)
            forget, into = rule.forget_and_input(hidden)
            if isinstance(layer, LSTM):
                own["bias"][:hidden] += into
            if isinstance(layer, (LSTM, GRU)):
                own["bias"][hidden : 2 * hidden] += forget


# Tasks.

Data = tuple[np.ndarray, np.ndarray]
TEST = 500
"""Held-out sequences of a synthetic task."""


@dataclass(frozen=True)
class Task:
    """Training batches, held-out data and the settings of the training."""

    batches: Callable[[np.random.Generator], Iterator[Data]]
    test: Callable[[], Data]
    outputs: int
    kind: str  # "classes", "labels" or "numbers"
    every_step: bool = False
    hidden: int = 32
    updates: int = 300
    learning_rate: float = 0.005


def drawn(draw: Callable[[np.random.Generator, int], Data], batch: int) -> dict:
    """Return an endless supply of new batches, and a test set from the same source."""
    return {
        "batches": lambda rng: (draw(rng, batch) for _ in count()),
        "test": cache(lambda: draw(np.random.default_rng(10_000), TEST)),
    }


def fixed(train: Callable[[], Data], test: Callable[[], Data], batch: int) -> dict:
    """Return batches of a small training set, in a new order in each epoch."""

    def batches(rng: np.random.Generator) -> Iterator[Data]:
        x, y = train()
        parts = math.ceil(len(x) / batch)
        while True:
            for rows in np.array_split(rng.permutation(len(x)), parts):
                yield x[rows], y[rows]

    return {"batches": batches, "test": test}


@cache
def text() -> np.ndarray:
    """Return the text of Python's help as the 64 most frequent symbols and one for the rest."""
    characters = "".join(text for _, text in sorted(pydoc_data.topics.topics.items()))
    frequent = {c: i for i, (c, _) in enumerate(Counter(characters).most_common(64))}
    return np.array([frequent.get(c, 64) for c in characters])


def text_batch(rng: np.random.Generator, batch: int) -> Data:
    symbols = text()
    end = len(symbols) * 9 // 10
    if batch == TEST:  # the last tenth of the text
        starts = rng.integers(end, len(symbols) - 101, 100)
    else:
        starts = rng.integers(end - 101, size=batch)
    rows = symbols[starts[:, np.newaxis] + np.arange(101)]
    return np.eye(65, dtype=np.float32)[rows[:, :-1]], rows[:, 1:]


def notes_batch(rng: np.random.Generator, batch: int) -> Data:
    """Four voices over 88 notes that stay or move along a scale; the targets are the next notes."""
    scale = np.array([12 * octave + s for octave in range(8) for s in (0, 2, 4, 5, 7, 9, 11)])
    scale = scale[scale < 77]
    degree = np.sort(rng.integers(5, len(scale) - 5, (batch, 4)), axis=1)
    direction = rng.choice([-1, 1], (batch, 4))
    key = rng.integers(0, 11, batch)
    roll = np.zeros((batch, 51, 88), np.float32)
    for step in range(51):
        roll[np.arange(batch)[:, np.newaxis], step, scale[degree] + key[:, np.newaxis]] = 1
        moves = (rng.random((batch, 4)) < 0.8) & (step % np.array([1, 2, 2, 4]) == 0)
        direction = np.where(rng.random((batch, 4)) < 0.2, -direction, direction)
        degree = np.clip(degree + moves * direction, 0, len(scale) - 1)
    return roll[:, :-1], roll[:, 1:].astype(int)


def adding_batch(rng: np.random.Generator, batch: int) -> Data:
    """The adding problem over 100 steps (Hochreiter and Schmidhuber, 1997), standardized."""
    x = np.zeros((batch, 100, 2), np.float32)
    value = rng.random((batch, 100))
    rows = np.arange(batch)
    first, second = rng.integers(50, size=batch), rng.integers(50, 100, size=batch)
    y = value[rows, first] + value[rows, second]
    x[:, :, 0] = (value - 0.5) * math.sqrt(12)
    x[rows, first, 1] = x[rows, second, 1] = 1
    x[:, :, 1] = (x[:, :, 1] - 0.02) / 0.14
    return x, ((y[:, np.newaxis] - 1) * math.sqrt(6)).astype(np.float32)


def latch_batch(rng: np.random.Generator, batch: int) -> Data:
    """The first ten of 150 steps show one of four classes; the other steps are noise."""
    classes = rng.integers(4, size=batch)
    x = rng.standard_normal((batch, 150, 2)).astype(np.float32)
    angle = classes * np.pi / 2
    x[:, :10] += 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)[:, np.newaxis]
    return x, classes


def sensors_batch(rng: np.random.Generator, batch: int) -> Data:
    """The Lorenz system with noise, standardized; the target is x five steps later."""
    state = rng.standard_normal((batch, 3)) * [8, 9, 8] + [0, 0, 23]
    steps = []
    for number in range(3 * 155):
        x, y, z = state.T
        state = state + 0.01 * np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], 1)
        if number % 3 == 0:
            steps.append(state)
    series = (np.stack(steps, axis=1)[:, 50:] - [0, 0, 23.5]) / [8, 9, 8.6]
    noisy = series + 0.1 * rng.standard_normal(series.shape)
    return noisy[:, :100].astype(np.float32), series[:, 5:, :1].astype(np.float32)


def wide_set(rng: np.random.Generator, number: int) -> Data:
    """128 standardized features that mix four oscillations with noise; the class is the speed."""
    mixing = np.random.default_rng(1).standard_normal((4, 128))
    classes = rng.integers(3, size=number)
    speed = 0.2 + 0.15 * classes[:, np.newaxis] + 0.02 * rng.standard_normal((number, 4))
    phase = rng.uniform(0, 2 * np.pi, (number, 4))
    latent = np.sin(speed[:, np.newaxis] * np.arange(50)[:, np.newaxis] + phase[:, np.newaxis])
    x = latent @ mixing + rng.standard_normal((number, 50, 128))
    return (x / x.std(axis=(0, 1))).astype(np.float32), classes


def cbf_set(rng: np.random.Generator, number: int) -> Data:
    """Cylinder, bell and funnel (Saito, 1994)."""
    classes = rng.integers(3, size=number)
    t = np.arange(128)
    a = rng.integers(16, 33, (number, 1))
    b = a + rng.integers(32, 97, (number, 1))
    shape = np.choose(classes[:, np.newaxis], [1 + 0 * t, (t - a) / (b - a), (b - t) / (b - a)])
    height = 6 + rng.standard_normal((number, 1))
    x = height * shape * ((t >= a) & (t <= b)) + rng.standard_normal((number, 128))
    return x[:, :, np.newaxis].astype(np.float32), classes


def small(draw: Callable[[np.random.Generator, int], Data], number: int, scale: float = 1) -> dict:
    @cache
    def part(seed: int, number: int) -> Data:
        x, y = draw(np.random.default_rng(seed), number)
        return np.float32(scale) * x, y

    return fixed(lambda: part(7, number), lambda: part(8, TEST), batch=16)


def public(name: str) -> dict:
    """A data set of aeon or tslearn, which only this task needs."""

    @cache
    def parts() -> tuple[Data, Data]:
        if name == "Trace":
            from tslearn.datasets import CachedDatasets

            x, y, x_test, y_test = CachedDatasets().load_dataset(name)
        else:
            from aeon.datasets import load_classification

            x, y = load_classification(name, split="train")
            x_test, y_test = load_classification(name, split="test")
            x, x_test = x.transpose(0, 2, 1), x_test.transpose(0, 2, 1)
        mean, deviation, classes = x.mean(), x.std(), np.unique(y)
        return tuple(
            (((x - mean) / deviation).astype(np.float32), np.searchsorted(classes, y))
            for x, y in ((x, y), (x_test, y_test))
        )

    return fixed(lambda: parts()[0], lambda: parts()[1], batch=16)


TASKS = {
    "text": Task(
        **drawn(text_batch, 32), outputs=65, kind="classes", every_step=True, hidden=128,
        updates=150,
    ),
    "notes": Task(
        **drawn(notes_batch, 16), outputs=88, kind="labels", every_step=True, hidden=64,
        updates=250,
    ),
    "adding": Task(**drawn(adding_batch, 32), outputs=1, kind="numbers", updates=800),
    "latch": Task(**drawn(latch_batch, 32), outputs=4, kind="classes", updates=300),
    "sensors": Task(
        **drawn(sensors_batch, 16), outputs=1, kind="numbers", every_step=True, updates=200
    ),
    "wide": Task(**small(wide_set, 150), outputs=3, kind="classes"),
    "wide 1000": Task(**small(wide_set, 1000), outputs=3, kind="classes"),
    "cbf": Task(**small(cbf_set, 60), outputs=3, kind="classes"),
    "cbf / 100": Task(**small(cbf_set, 60, 0.01), outputs=3, kind="classes"),
    "ArrowHead": Task(**public("ArrowHead"), outputs=3, kind="classes"),
    "Trace": Task(**public("Trace"), outputs=4, kind="classes"),
    "OSULeaf": Task(**public("OSULeaf"), outputs=6, kind="classes"),
}  # fmt: skip

PACKAGES = {"ArrowHead": "aeon", "OSULeaf": "aeon", "Trace": "tslearn"}
CHECKPOINTS = 10


def error(model: Sequential, task: Task, data: Data) -> float:
    x, y = data
    predicted = model.predict(x)
    if task.kind == "numbers":
        return float(np.mean((predicted - y) ** 2) / np.var(y))
    if task.kind == "classes" and not task.every_step:
        return float(np.mean(predicted.argmax(axis=1) != y))
    return each_step(log_loss)(predicted, y)[0]


def run(task: Task, rule: Rule, cell: str, seed: int) -> float:
    test = task.test()
    layers = [CELLS[cell](task.hidden), *([] if task.every_step else [LastStep()])]
    model = Sequential([*layers, Dense(task.outputs)], input_size=test[0].shape[2])
    initialize(model, rule, np.random.default_rng([1, seed]))
    loss = squared_error if task.kind == "numbers" else log_loss
    loss = each_step(loss) if task.every_step else loss
    optimizer = Adam()
    state, grads = optimizer.init(model.params), np.zeros_like(model.params)
    errors = []
    batches = task.batches(np.random.default_rng([2, seed]))
    for update, (x, y) in zip(range(1, task.updates + 1), batches, strict=False):
        predicted, saved = model.forward(x)
        _, gradient = loss(predicted, y)
        grads[:] = 0
        model.backward(saved, gradient, grads)
        clip_by_norm(grads, 1.0)
        optimizer.step(model.params, grads, state, task.learning_rate)
        done = update * CHECKPOINTS / task.updates
        if done > CHECKPOINTS / 2 and update * CHECKPOINTS % task.updates == 0:
            errors.append(error(model, task, test))
    return float(np.mean(errors))


def main() -> None:
    missing = [name for name, package in PACKAGES.items() if not find_spec(package)]
    available = [name for name in TASKS if name not in missing]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", choices=CELLS, default="lstm")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rules", nargs="*", choices=RULES, default=list(RULES)[:4])
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=available)
    options = parser.parse_args()
    fusedlstm.set_num_threads(1)
    print("| rule | " + " | ".join(options.tasks) + " |")
    print("|---|" + "--:|" * len(options.tasks))
    for name in options.rules:
        print(f"| {name} ", end="", flush=True)
        for task in options.tasks:
            figures = [
                run(TASKS[task], RULES[name], options.cell, seed) for seed in range(options.seeds)
            ]
            print(f"| {np.mean(figures):.3f} ± {np.std(figures):.3f} ", end="", flush=True)
        print("|", flush=True)


if __name__ == "__main__":
    main()
