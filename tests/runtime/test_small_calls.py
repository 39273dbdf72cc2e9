"""Overhead of calls: one sequence, one step, many short sequences in a list."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.data.forms import read_sequences

pytestmark = pytest.mark.timing


def best(call, calls, repeats):
    """Return the seconds of one call in the best of many rounds, which excludes interruptions."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - start) / calls)
    return min(times)


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_predict_of_one_sequence_takes_microseconds(estimator, rng):
    X = rng.standard_normal((40, 10, 4)).astype("float32")
    model = estimator(32, max_iter=1).fit(X, np.arange(40) % 2)
    # A call takes about 4 us at 3 GHz.
    assert best(lambda: model.predict(X[:1]), calls=50, repeats=60) < 15e-6


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_one_step_of_a_stream_takes_microseconds(estimator, rng):
    X = rng.standard_normal((40, 10, 16))
    fitted = estimator(32, max_iter=1).fit(X, np.arange(40) % 2)
    stream, x = fitted.stream(), X[0, 0]
    assert best(lambda: stream.step(x), calls=200, repeats=60) < 2e-6  # about 0.5
    stream, x, y = fitted.model_.stream(), x.astype("f"), np.empty(1, "f")
    assert best(lambda: stream.step(x, out=y), calls=200, repeats=60) < 1.5e-6  # about 0.3


def test_reading_many_sequences_takes_less_time_than_the_network(rng):
    X = [rng.standard_normal((n, 4)).astype("float32") for n in rng.integers(5, 40, 10_000)]
    model = LSTMRegressor(32, max_iter=1).fit(X[:50], np.arange(50))
    sequences, snapshot = read_sequences(X), model._current_snapshot()
    assert best(lambda: read_sequences(X), 1, 5) < best(lambda: snapshot.outputs(sequences), 1, 5)
