"""Tables that compare calls of this package with each other: lengths, threads and small calls."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fusedlstm._core import core
from fusedlstm._core.threads import set_num_threads
from fusedlstm.benchmark.cells import layers
from fusedlstm.benchmark.problems import Problem
from fusedlstm.benchmark.shapes import Shape
from fusedlstm.benchmark.timing import OURS, PEAK_SECONDS, Call, DType, Rounds, Spread, seconds_of
from fusedlstm.estimators.classifier import LSTMClassifier
from fusedlstm.estimators.regressor import LSTMRegressor
from fusedlstm.estimators.step_regressor import LSTMStepRegressor
from fusedlstm.estimators.tagger import LSTMTagger
from fusedlstm.models.sequential import Sequential

PASSES = ("inference", "training")
CALLS = 100
"""Number of calls of each function per round in the table of small calls."""


def _spread(value: Spread) -> str:
    return "{:.2f} [{:.2f} to {:.2f}]".format(*value)


def lengths(shapes: Sequence[Shape], dtype: DType, threads: int, rounds: int) -> dict[str, Any]:
    """Compare sequences of unequal lengths with sequences that all have the largest length.

    The lengths are spread evenly between 10 % and 100 % of the steps.
    """
    print(
        "\ntime of sequences of unequal lengths, divided by the time of full lengths times the "
        f"share of real steps\n\n{'':<16}{'steps':>7}" + "".join(f"{p:>24}" for p in PASSES)
    )
    results = {}
    for shape in (shape for shape in shapes if shape.batch > 1):
        full = Problem(shape, dtype, threads)
        ragged = Problem(shape, dtype, threads, ragged=True)
        share = ragged.real_steps / full.real_steps
        figures = {}
        for name in PASSES:
            calls = {OURS: getattr(ragged, name)()[OURS], "full": getattr(full, name)()[OURS]}
            timed = Rounds(calls, ragged.work(name), dtype, threads).run(rounds)
            figures[name] = Spread(*(value / share for value in timed.ratio(OURS, "full")))
        print(
            f"{shape!s:<16}{share:>7.0%}" + "".join(f"{_spread(figures[p]):>24}" for p in PASSES),
            flush=True,
        )
        results[str(shape)] = {name: figures[name]._asdict() for name in PASSES}
    return results


def threads(shapes: Sequence[Shape], dtype: DType, threads: int, rounds: int) -> dict[str, Any]:
    """Compare the speedup by threads with the speedup of the multiply-add loop.

    Each figure is computed from the least times of all rounds: other processes take away a core for
    some of the time. Therefore calls use all threads here, also while the back-off is active.
    """
    print(
        f"\nspeedup by {threads} threads, from least times; in brackets, divided by the speedup of "
        f"the multiply-add loop\n\n{'':<16}{'loop':>6}" + "".join(f"{p:>16}" for p in PASSES)
    )
    results: dict[str, Any] = {}
    for shape in (shape for shape in shapes if shape.batch >= 16):
        problem = Problem(shape, dtype, threads)
        least: dict[tuple[str, int], float] = {}
        peaks = {1: 0.0, threads: 0.0}
        calls = {name: getattr(problem, name)()[OURS] for name in PASSES}
        forced = core.set_force_threads(True)
        for _ in range(rounds):
            for count in peaks:
                set_num_threads(count)
                peak = core.multiply_add_peak(dtype, PEAK_SECONDS, count)
                peaks[count] = max(peaks[count], peak)
                for name, call in calls.items():
                    call()
                    seconds = min(seconds_of(call) for _ in range(3))
                    least[name, count] = min(seconds, least.get((name, count), seconds))
        core.set_force_threads(forced)
        loop = peaks[threads] / peaks[1]
        speedups = {name: least[name, 1] / least[name, threads] for name in PASSES}
        print(
            f"{shape!s:<16}{loop:>6.2f}"
            + "".join(f"{f'{speedups[p]:.2f} ({speedups[p] / loop:.2f})':>16}" for p in PASSES),
            flush=True,
        )
        results[str(shape)] = {"loop": loop, **speedups}
    return results


def small_calls(dtype: DType, rounds: int) -> dict[str, Any]:
    """Time the predictions of estimators for one short sequence, and one step of a stream."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 20, 4)).astype(dtype)
    y, y_steps = np.arange(8) % 2, np.arange(160).reshape(8, 20) % 2
    options: dict[str, Any] = {"hidden_size": 32, "max_iter": 1, "random_state": 0, "verbose": 0}
    one = x[:1].copy()
    predictions: dict[str, Call] = {}
    for make, target in (
        (LSTMClassifier, y),
        (LSTMRegressor, y),
        (LSTMTagger, y_steps),
        (LSTMStepRegressor, y_steps),
    ):
        estimator: Any = make(**options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one epoch teaches nothing
            predict: Callable[[Any], object] = estimator.fit(x, target).predict
        predictions[make.__name__] = lambda predict=predict: predict(one)  # type: ignore[misc]
    step = rng.standard_normal(16).astype(dtype)
    streams: dict[str, Call] = {}
    for name, layer in layers(32).items():
        if not layer.has_complete_state:
            continue  # streams refuse such layers
        model = Sequential([layer], 16, dtype, random_state=0)
        stream, out = model.predictor().stream(), np.empty(model.output_size, dtype)
        streams[name] = lambda stream=stream, out=out: stream.step(step, out)  # type: ignore[misc]
    results = {}
    for title, calls in (
        ("predict of an estimator: one sequence of 20 steps, 4 features, 32 hidden", predictions),
        ("step of a stream: 16 features, 32 hidden units", streams),
    ):
        results[title] = _microseconds(calls, rounds)
        print(f"\n{title}; microseconds")
        for name, spread in results[title].items():
            print(f"{name:<22}{_spread(spread):>24}")
    return {
        title: {name: spread._asdict() for name, spread in spreads.items()}
        for title, spreads in results.items()
    }


def _microseconds(calls: Mapping[str, Call], rounds: int) -> dict[str, Spread]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            times[name].append(1e6 * seconds_of(call, CALLS))
    return {name: Spread.of(values) for name, values in times.items()}
