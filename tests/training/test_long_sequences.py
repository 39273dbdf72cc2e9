"""Truncated backpropagation, series in parts, and data larger than memory."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice

import numpy as np
import pytest

from fusedlstm import LSTMClassifier, LSTMRegressor, Sequential
from fusedlstm.layers import GRU, LSTM, RNN, Dense, Dropout, LastStep
from fusedlstm.losses import each_step, log_loss, squared_error
from fusedlstm.optimizers import SGD, Adam
from fusedlstm.training import SequenceBatches, SeriesBatches, epochs

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((12, 9, 2))
TOTAL = X.sum(axis=(1, 2))
LENGTHS = [9, 1, 4, 5, 6, 9, 3, 2, 8, 9, 7, 4]
RAGGED = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]


def gradient(layers, x, tbptt_steps, seed=0, y=TOTAL[:, np.newaxis]):
    """Return loss, gradient and model after one plain step on a full batch."""
    model = Sequential(layers, 2, "float64", random_state=0)
    for name, values in model.named_params().items():
        if "initial" in name:
            values[:] = 0.3
    before = model.params.copy()
    source = SequenceBatches(x, y, batch_size=len(x), dtype="float64", shuffle=False)
    run = epochs(
        model,
        source,
        squared_error,
        SGD(),
        learning_rate=1.0,
        rng=np.random.default_rng(seed),
        tbptt_steps=tbptt_steps,
    )
    loss = next(run).loss
    return loss, before - model.params, model


STACKS = {
    "lstm": [LSTM(5), LastStep(), Dense(1)],
    "two layers": [GRU(5), RNN(4), LastStep(), Dense(1)],
    "trainable states": [LSTM(4, trainable_state=True), LastStep(), Dense(1)],
    "dropout": [LSTM(5, recurrent_dropout=0.4), Dropout(0.3), LSTM(3), LastStep(), Dense(1)],
    "dense below": [Dense(3, "tanh"), LSTM(5), LastStep(), Dense(2, "tanh"), Dense(1)],
}


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
@pytest.mark.parametrize("x", [X, RAGGED], ids=["3d", "ragged"])
def test_tbptt_steps_above_all_lengths_change_nothing(layers, x):
    expected = gradient(layers, x, None)
    for steps in (9, 50):
        loss, grads, _ = gradient(layers, x, steps)
        assert loss == expected[0]
        assert grads.tobytes() == expected[1].tobytes()


@pytest.mark.parametrize("name", [name for name in STACKS if name != "dropout"])
@pytest.mark.parametrize("x", [X, RAGGED], ids=["3d", "ragged"])
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_states_cross_the_truncation_and_gradients_do_not(name, x, steps):
    """The reference runs each sequence to the state and trains on its last steps."""
    loss, grads, _ = gradient(STACKS[name], x, steps)
    _, _, model = gradient(STACKS[name], x, steps)
    model.params += grads
    expected, total = np.zeros_like(model.params), 0.0
    for sequence, target in zip(x, TOTAL, strict=True):
        head, tail = sequence[:-steps], sequence[-steps:]
        state = model.run(head[np.newaxis])[1] if len(head) else None
        y_pred, saved = model.forward(tail[np.newaxis], state=state)
        error = y_pred[0, 0] - target
        total += error**2
        model.backward(saved, [[2 * error / len(x)]], expected)
    assert loss == pytest.approx(total / len(x), rel=1e-12)
    np.testing.assert_allclose(grads, expected, rtol=1e-9, atol=1e-12)
    if steps < 8:
        assert not np.allclose(grads, gradient(STACKS[name], x, None)[1], rtol=1e-3)


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
@pytest.mark.parametrize("x", [X, RAGGED, X[:, :, 0]], ids=["3d", "ragged", "2d"])
def test_estimators_train_with_tbptt_steps(estimator, x):
    y = TOTAL > 0 if estimator is LSTMClassifier else TOTAL
    options = {"hidden_size": 4, "max_iter": 3, "random_state": 0, "dropout": 0.2}
    whole = estimator(**options).fit(x, y)
    same = estimator(**options, tbptt_steps=9).fit(x, y)
    less = estimator(**options, tbptt_steps=2).fit(x, y)
    assert same.loss_curve_ == whole.loss_curve_
    assert less.loss_curve_[0] != whole.loss_curve_[0] or "dropout" not in options
    assert less.loss_curve_[1:] != whole.loss_curve_[1:]


def test_training_with_truncation_learns():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 60, 1))
    y = x[:, -3:, 0].sum(axis=1)
    model = LSTMRegressor(16, max_iter=40, tbptt_steps=10, random_state=0).fit(x[:150], y[:150])
    assert model.score(x[150:], y[150:]) > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"bidirectional": True},
            r"layers\[0\] must not read sequences backward with tbptt_steps; got LSTM",
        ),
        (
            {"layers": (LSTM(3), LSTM(3, reverse=True))},
            r"layers\[1\] must not read sequences backward",
        ),
    ],
)
def test_truncation_with_bidirectional_layers_is_an_error(options, message):
    model = LSTMRegressor(tbptt_steps=3, **options)
    with pytest.raises(ValueError, match=message):
        model.fit(X, TOTAL)
    assert not hasattr(model, "model_")


def peak_memory(script):
    """Return the largest growth in MB of a script's resident memory after its preparation."""
    start = """if True:
        import numpy as np, fusedlstm
        from fusedlstm import LSTMRegressor
        fusedlstm.set_num_threads(1)

        def peak():  # not ru_maxrss, which is inherited from the parent
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

        PREPARED = peak()
    """
    end = """
        print((peak() - PREPARED) / 2**10)
    """
    done = subprocess.run(
        [sys.executable, "-c", start + script + end], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_truncation_bounds_the_memory_of_training():
    script = """
        X = np.zeros((16, {length}, 1), "float32")
        LSTMRegressor(64, batch_size=16, max_iter=1, tbptt_steps={steps}).fit(X, np.arange(16.0))
    """
    whole = peak_memory(script.format(length=4000, steps=None))
    short = peak_memory(script.format(length=100, steps=None))
    truncated = peak_memory(script.format(length=4000, steps=100))
    assert whole > 16 * 4000 * 64 * 4 * 4 / 2**20  # at least four gates per unit and step
    assert truncated < short + 10
    assert truncated < whole / 4


# Series in parts.


def batches_of(source):
    order = source.order(np.random.default_rng(0))
    return [source.batch(order, i) for i in range(len(source))]


def test_series_batches_hold_parts_of_the_series_side_by_side():
    series = np.arange(23.0)
    source = SeriesBatches(series, series[:, np.newaxis] + 0.5, batch_size=2, steps=4)
    batches = batches_of(source)
    assert [batch.x.shape for batch in batches] == [(2, 4, 1), (2, 4, 1), (2, 3, 1)]
    assert [batch.goes_on for batch in batches] == [False, True, True]
    x = np.concatenate([batch.x for batch in batches], axis=1)
    np.testing.assert_array_equal(x[:, :, 0], np.arange(22).reshape(2, 11))
    y = np.concatenate([batch.y for batch in batches], axis=1)
    np.testing.assert_array_equal(y, x + 0.5)
    assert x.dtype == np.float32


def test_states_are_carried_from_batch_to_batch():
    rng = np.random.default_rng(0)
    series, targets = rng.standard_normal((30, 2)), rng.standard_normal((30, 3))
    source = SeriesBatches(series, targets, batch_size=3, steps=4, dtype="float64")
    layers = [LSTM(5), GRU(4), Dense(3)]
    model = Sequential(layers, 2, "float64", random_state=0)
    other = Sequential(layers, 2, "float64", random_state=0)
    run = epochs(model, source, each_step(squared_error), SGD(), learning_rate=0.1, rng=rng)
    loss = next(run).loss
    state, total = None, 0.0
    for batch in batches_of(source):
        y_pred, saved = other.forward(batch.x, state=state)
        state = saved.state
        error = y_pred - batch.y
        total += np.sum(error**2) / 3
        grads = np.zeros_like(other.params)
        other.backward(saved, 2 * error / error.size, grads)
        other.params -= 0.1 * grads
    np.testing.assert_allclose(model.params, other.params, rtol=1e-10, atol=1e-13)
    assert loss == pytest.approx(total / 30)
    first = next(run)  # the next epoch starts from zero states again
    assert first.number == 2


def test_training_on_a_series_of_classes_learns():
    series = np.random.default_rng(0).integers(0, 2, 4000)
    two_back = np.concatenate([[0, 0], series[:-2]])
    source = SeriesBatches(series.astype(float), two_back, batch_size=8, steps=20)
    model = Sequential([LSTM(12), Dense(2)], 1, random_state=0)
    rng = np.random.default_rng(0)
    run = epochs(model, source, each_step(log_loss), Adam(), learning_rate=0.02, rng=rng)
    losses = [epoch.loss for epoch in islice(run, 15)]
    assert losses[0] > 0.5
    assert losses[-1] < 0.05


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"series": np.zeros((2, 3, 4))}, ValueError, "series must be numbers of shape"),
        ({"series": [[1, 2], [3]]}, ValueError, "series must be numbers of shape"),
        (
            {"series": [1, np.nan] * 5},
            ValueError,
            "Input series contains NaN: series contains NaN at step 1, f",
        ),
        ({"targets": [1] * 10}, TypeError, "targets must be an array of length 10, as series"),
        ({"targets": np.zeros(9)}, ValueError, "targets must be an array of length 10, as series"),
        ({"batch_size": 11}, ValueError, "batch_size must be at most 10, the steps of the series"),
        ({"batch_size": 0}, ValueError, "batch_size must be a positive integer"),
        ({"steps": 0}, ValueError, "steps must be a positive integer"),
        ({"dtype": "int8"}, ValueError, "dtype must be 'float32' or 'float64'"),
    ],
)
def test_errors_of_series_batches(changes, error, message):
    given = {"series": np.arange(10.0), "targets": np.zeros(10), "batch_size": 2, "steps": 3}
    given |= changes
    with pytest.raises(error, match=message):
        SeriesBatches(given.pop("series"), given.pop("targets"), **given)


def test_a_given_state_gets_no_gradient():
    model = Sequential([LSTM(3, trainable_state=True), LastStep()], 2, "float64", random_state=0)
    state = model.run(X)[1]
    _, saved = model.forward(X, state=state)
    grads = np.zeros_like(model.params)
    model.backward(saved, np.ones((12, 3)), grads)
    views = model.views(grads)
    assert not views["0.initial_h"].any()
    assert views["0.weight_hh"].any()
    np.testing.assert_array_equal(saved.state[0][0], model.run(X, state)[1][0][0])
    with pytest.raises(ValueError, match=r"state\[0\] must be a tuple of arrays of shapes"):
        model.forward(X[:3], state=state)


# Data larger than memory: mapped files do not count as memory of the process.

LARGER = """if True:
    import resource, sys, numpy as np, fusedlstm
    from fusedlstm import LSTMClassifier, LSTMRegressor
    fusedlstm.set_num_threads(1)
    files = [np.lib.format.open_memmap(name, "r") for name in ("whole.npy", "padded.npy")]
    X = files[0]
    y = np.arange(len(X)) % 2
    LSTMRegressor(2, max_iter=1).fit(X[:40].copy(), y[:40])  # whatever is loaded late
    with open("/proc/self/status") as status:
        used = next(int(line.split()[1]) for line in status if line.startswith("VmData"))
    limit = used * 1024 + X.nbytes // 4
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        np.ones(X.nbytes // 8)
        sys.exit("no limit")
    except MemoryError:
        pass
    for X in files:
        {train}
"""

TRAIN = {
    "fit": "LSTMRegressor(4, max_iter=1, batch_size=16).fit(X, y)",
    "early stopping": "LSTMClassifier(4, max_iter=1, batch_size=16, early_stopping=True).fit(X, y)",
    "a checkpoint": "LSTMRegressor(4, max_iter=1).fit(X, y, checkpoint=f'{X[0, -1, 0]}')",
    "predict": "LSTMRegressor(4, max_iter=1).fit(X[:16], y[:16]).predict(X)",
    "partial_fit": """
        model = LSTMClassifier(4, batch_size=16)
        for part in np.array_split(np.arange(len(X)), 10):
            model.partial_fit(X[part[0] : part[-1] + 1], y[part], classes=[0, 1])
    """,
}


@pytest.fixture(scope="module")
def large_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    shape = 600, 250, 256  # 154 MB
    np.lib.format.open_memmap(folder / "whole.npy", "w+", "float32", shape)
    padded = np.lib.format.open_memmap(folder / "padded.npy", "w+", "float32", shape)
    padded[:, 200:] = np.nan
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and RLIMIT_DATA")
@pytest.mark.parametrize("train", TRAIN)
def test_training_works_on_data_larger_than_memory(large_files, train):
    done = subprocess.run(
        [sys.executable, "-c", LARGER.format(train=TRAIN[train])],
        cwd=large_files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
