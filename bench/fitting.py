"""Compare whole fits with a plain PyTorch loop, skorch and Keras, if they are installed.

All libraries train on the same data with the same layers, optimizer (Adam, 0.001), batch size and
number of epochs. The time of `fit` includes its work before and after training. Each round times
all libraries in turn, and ratios are computed within a round. "tags" and "numbers" are ragged
sequences with a target at each step. PyTorch's loop packs them ("torch") or only pads them
("padded"), which is faster in PyTorch and correct for one direction.

    python bench/fitting.py [--rounds N] [--threads N] [--peers torch,skorch,keras] [--only TEXT]

On a busy machine, ``--clock cpu`` excludes the time of other processes; it is meant for one thread.

The script fails if the medians miss a bound. With one target per sequence, fusedlstm must be 3
times as fast as PyTorch's loop at hidden size 32 and 1.5 times at 128. With a target at each step,
it must be 5 and 2 times as fast. With one target per sequence and batches of at least 1024 steps,
at most 15 % of the time may be outside the compiled core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor, LSTMStepRegressor, LSTMTagger
from fusedlstm._core import core
from fusedlstm.benchmark.peers import installed
from fusedlstm.benchmark.timing import Call
from fusedlstm.layers.recurrent_core import RecurrentCore

BATCH, LEARNING_RATE = 32, 0.001
RATIO = {32: 3.0, 128: 1.5}
STEP_RATIO = {32: 5.0, 128: 2.0}
OUTSIDE, STEPS = 0.15, 1024

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Problem:
    """Sequences with labels or, if ``classes`` is 0, with numbers.

    Lists hold ragged sequences with a target at each step.
    """

    name: str
    X: np.ndarray | list[np.ndarray]
    y: np.ndarray | list[np.ndarray]
    classes: int
    epochs: int

    @property
    def per_step(self) -> bool:
        """True if each step has a target."""
        return isinstance(self.X, list)

    @property
    def ratios(self) -> dict[int, float]:
        """Required ratio of the time of PyTorch's loop to that of fusedlstm, by hidden size."""
        return STEP_RATIO if self.per_step else RATIO


def problems() -> list[Problem]:
    images, labels = load_digits(return_X_y=True)
    rows = (images.reshape(-1, 8, 8) / 16).astype(np.float32)
    rng = np.random.default_rng(0)
    series = rng.standard_normal((500, 100, 1)).astype(np.float32)
    channels = rng.standard_normal((2000, 50, 32)).astype(np.float32)
    halves = (channels[:, :, 0].sum(axis=1) > 0).astype(np.int64)
    ragged = [
        rng.standard_normal((n, 16), dtype=np.float32) for n in rng.integers(10, 91, size=2000)
    ]
    tags = [x[:, :8].cumsum(axis=0).argmax(axis=1) for x in ragged]
    narrow = [x[:, :2].copy() for x in ragged]
    sums = [x.cumsum(axis=0)[:, :1] / 10 for x in narrow]
    return [
        Problem("digits 1797x8x8", rows, labels.astype(np.int64), 10, 10),
        Problem("500x100x1", series, series.mean(axis=1)[:, 0], 0, 10),
        Problem("2000x50x32", channels, halves, 2, 10),
        Problem("tags 2000x16", ragged, tags, 8, 10),
        Problem("numbers 2000x2", narrow, sums, 0, 10),
    ]


def ours(problem: Problem, hidden: int, threads: int) -> Call:
    kind = LSTMClassifier if problem.classes else LSTMRegressor
    options = {}
    if problem.per_step:
        kind = LSTMTagger if problem.classes else LSTMStepRegressor
        options["bidirectional"] = False
    estimator = kind(
        hidden_size=hidden,
        learning_rate=LEARNING_RATE,
        batch_size=BATCH,
        max_iter=problem.epochs,
        n_iter_no_change=problem.epochs,
        clip_norm=None,
        n_threads=threads,
        random_state=0,
        **options,
    )
    return lambda: estimator.fit(problem.X, problem.y)


def torch_module(problem: Problem, hidden: int):
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(problem.X.shape[2], hidden, batch_first=True)
            self.head = torch.nn.Linear(hidden, problem.classes or 1)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    return Network


def torch_tensors(problem: Problem):
    import torch

    y = torch.from_numpy(problem.y)
    loss = torch.nn.CrossEntropyLoss() if problem.classes else torch.nn.MSELoss()
    return torch.from_numpy(problem.X), (y if problem.classes else y[:, None]), loss


def torch_step_loop(problem: Problem, hidden: int, threads: int, packed: bool) -> Call:
    """Return a loop over ragged sequences with a target at each step, packed or padded."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

    torch.set_num_threads(threads)
    features, outputs = problem.X[0].shape[1], problem.classes or 1

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(features, hidden, batch_first=True)
            self.head = torch.nn.Linear(hidden, outputs)

        def forward(self, x):
            y = self.lstm(x)[0]
            return self.head(y.data if packed else y)

    def fit() -> None:
        torch.manual_seed(0)
        lengths = torch.tensor([len(x) for x in problem.X])
        x = pad_sequence([torch.from_numpy(x) for x in problem.X], batch_first=True)
        y = pad_sequence([torch.from_numpy(y) for y in problem.y], batch_first=True)
        real = torch.arange(x.shape[1]) < lengths[:, None]
        loss = torch.nn.CrossEntropyLoss() if problem.classes else torch.nn.MSELoss()
        model = Network()
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        for _ in range(problem.epochs):
            for rows in torch.randperm(len(x)).split(BATCH):
                n = lengths[rows]
                x_rows, y_rows = x[rows, : n.max()], y[rows, : n.max()]
                optimizer.zero_grad()
                if packed:
                    both = [
                        pack_padded_sequence(part, n, batch_first=True, enforce_sorted=False)
                        for part in (x_rows, y_rows)
                    ]
                    value = loss(model(both[0]), both[1].data)
                else:
                    mask = real[rows, : n.max()]
                    value = loss(model(x_rows)[mask], y_rows[mask])
                value.backward()
                optimizer.step()

    return fit


def torch_padded_loop(problem: Problem, hidden: int, threads: int) -> Call:
    return torch_step_loop(problem, hidden, threads, packed=False)


def torch_loop(problem: Problem, hidden: int, threads: int) -> Call:
    import torch

    if problem.per_step:
        return torch_step_loop(problem, hidden, threads, packed=True)
    torch.set_num_threads(threads)
    network = torch_module(problem, hidden)

    def fit() -> None:
        torch.manual_seed(0)
        x, y, loss = torch_tensors(problem)
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        for _ in range(problem.epochs):
            for rows in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                loss(model(x[rows]), y[rows]).backward()
                optimizer.step()

    return fit


def skorch(problem: Problem, hidden: int, threads: int) -> Call:
    import torch
    from skorch import NeuralNetClassifier, NeuralNetRegressor

    torch.set_num_threads(threads)
    network = torch_module(problem, hidden)
    kind, y = NeuralNetClassifier, problem.y
    criterion = torch.nn.CrossEntropyLoss
    if not problem.classes:
        kind, y, criterion = NeuralNetRegressor, problem.y[:, np.newaxis], torch.nn.MSELoss

    def fit() -> None:
        kind(
            network,
            criterion=criterion,
            optimizer=torch.optim.Adam,
            lr=LEARNING_RATE,
            max_epochs=problem.epochs,
            batch_size=BATCH,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
        ).fit(problem.X, y)

    return fit


def keras(problem: Problem, hidden: int, threads: int) -> Call:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    import torch

    torch.set_num_threads(threads)
    loss = "mean_squared_error"
    if problem.classes:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def fit() -> None:
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input(problem.X.shape[1:]),
                keras.layers.LSTM(hidden),
                keras.layers.Dense(problem.classes or 1),
            ]
        )
        model.compile(keras.optimizers.Adam(LEARNING_RATE), loss)
        model.fit(problem.X, problem.y, BATCH, problem.epochs, verbose=0)

    return fit


PEERS: dict[str, Callable[[Problem, int, int], Call]] = {
    "torch": torch_loop,
    "padded": torch_padded_loop,
    "skorch": skorch,
    "keras": keras,
}


def peers_of(problem: Problem, names: list[str]) -> list[str]:
    """Return the peers that can train on these targets."""
    left_out = ("skorch", "keras") if problem.per_step else ("padded",)
    return [name for name in names if name not in left_out]


class KernelClock:
    """Context manager that sums the time spent in the compiled core."""

    def __init__(self) -> None:
        self.seconds, self.kept = 0.0, {}

    def __enter__(self) -> KernelClock:
        """Wrap each function of the core with a clock."""
        for name, function in vars(core).items():
            if callable(function) and not isinstance(function, type) and name[0] != "_":
                self.kept[name] = function
        for name, function in self.kept.items():
            setattr(core, name, self._timed(function))
        # The class keeps a reference to the function.
        RecurrentCore.backward = staticmethod(core.recurrent_backward)
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the functions of the core."""
        for name, function in self.kept.items():
            setattr(core, name, function)
        RecurrentCore.backward = staticmethod(core.recurrent_backward)

    def _timed(self, function: Callable) -> Callable:
        def call(*arguments):
            start = time.perf_counter()  # reading a process clock takes longer than some calls
            result = function(*arguments)
            self.seconds += time.perf_counter() - start
            return result

        return call


def seconds_of(call: Call, clock: Clock) -> float:
    start = clock()
    call()
    return clock() - start


def share_outside(fit: Call) -> float:
    with KernelClock() as kernels:
        seconds = seconds_of(fit, time.perf_counter)
    return 1 - kernels.seconds / seconds


def missed(problem: Problem, hidden: int, ratios: list[float], shares: list[float]) -> list[str]:
    """Return the bounds that the medians miss; ratios need PyTorch."""
    found = []
    if ratios and statistics.median(ratios) < problem.ratios[hidden]:
        found.append(f"{statistics.median(ratios):.2f} x torch, {problem.ratios[hidden]} needed")
    many = not problem.per_step and BATCH * problem.X.shape[1] >= STEPS
    if many and statistics.median(shares) > OUTSIDE:
        found.append(f"{statistics.median(shares):.1%} outside, {OUTSIDE:.0%} allowed")
    return [f"{problem.name}, H {hidden}: {what}" for what in found]


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} [{min(values):{form}}-{max(values):{form}}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers", default=",".join(PEERS), help="of these, those installed")
    parser.add_argument("--only", default="", help="problems with this text in their name")
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: of this process alone"
    )
    options = parser.parse_args()
    clock = CLOCKS[options.clock]
    fusedlstm.set_num_threads(options.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are intended
    modules = {name: "torch" if name == "padded" else name for name in PEERS}
    peers = [
        name for name in options.peers.split(",") if name in PEERS and installed(modules[name])
    ]

    print(f"variant {core.variant}, {options.threads} thread(s), {options.rounds} rounds, ", end="")
    print(f"{options.clock} clock, batches of {BATCH}, load average {os.getloadavg()[0]:.1f}")
    print("x name: how many times as long the other takes; outside: share of our time that is not")
    print("spent in the compiled core. Medians [least-most].")
    header = f"{'':<18}{'H':>4}{'epochs':>8}{'fit, s':>20}{'outside':>18}"
    print(header + "".join(f"{'x ' + name:>20}" for name in peers))
    dear: list[str] = []
    for problem in problems():
        beside = peers_of(problem, peers)
        for hidden in problem.ratios if options.only in problem.name else ():
            fit = ours(problem, hidden, options.threads)
            theirs = {name: PEERS[name](problem, hidden, options.threads) for name in beside}
            for call in (fit, *theirs.values()):  # first calls include imports
                call()
            times, shares = [], []
            ratios: dict[str, list[float]] = {name: [] for name in beside}
            for _ in range(options.rounds):
                times.append(seconds_of(fit, clock))
                shares.append(share_outside(fit))
                for name, call in theirs.items():
                    ratios[name].append(seconds_of(call, clock) / times[-1])
            line = f"{problem.name:<18}{hidden:>4}{problem.epochs:>8}"
            line += f"{spread(times, '.3f'):>20}{spread(shares, '.0%'):>18}"
            columns = (spread(ratios[name], ".1f") if name in ratios else "" for name in peers)
            print(line + "".join(f"{column:>20}" for column in columns), flush=True)
            dear += missed(problem, hidden, ratios.get("torch", []), shares)
    if dear:
        raise SystemExit("missed: " + "; ".join(dear))


if __name__ == "__main__":
    main()
