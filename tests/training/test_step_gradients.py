"""Gradients with a target at each step, of whole sequences and of truncated ones."""

from __future__ import annotations

import numpy as np
import pytest

import fusedlstm
import reference
from fusedlstm import LSTMStepRegressor, Sequential
from fusedlstm.layers import (
    GRU,
    LSTM,
    RNN,
    Chain,
    Dense,
    Dropout,
    LastStep,
    Parallel,
    Pool,
    Residual,
)
from fusedlstm.losses import (
    log_loss,
    squared_error,
)
from fusedlstm.losses.missing import WithMissing
from fusedlstm.optimizers import SGD
from fusedlstm.training import Batch, SequenceBatches, epochs
from fusedlstm.training.step import whole_pass
from fusedlstm.training.truncated import truncated_pass
from recurrent_layers import RECURRENT
from step_problems import LENGTHS, B, T, chunk_by_chunk

STACKS = {
    **{name: [cell(3), Dense(2)] for name, cell in RECURRENT.items()},
    **{f"Bi{name}": [cell(2, bidirectional=True), Dense(2)] for name, cell in RECURRENT.items()},
    "two BiLSTM": [LSTM(2, bidirectional=True), LSTM(2, bidirectional=True), Dense(2)],
    "residual": [LSTM(2), Residual(LSTM(2), Dense(2, "tanh")), Dense(2)],
    "parallel": [Parallel(LSTM(2), Chain(GRU(2), Dense(3, "tanh"))), Dense(2)],
    "parallel of directions": [Parallel(LSTM(2, bidirectional=True), RNN(2)), Dense(2)],
    "dropout": [GRU(3), Dropout(0.3), Dense(2)],
    "recurrent dropout": [LSTM(3, recurrent_dropout=0.3), Dense(2)],
    "only pointwise layers": [Dense(3, "tanh"), Dense(2)],
}
FORWARD = {
    name: layers
    for name, layers in STACKS.items()
    if "Bi" not in name and "directions" not in name and "opout" not in name
}


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_gradients_of_whole_models_by_finite_differences(layers, rng):
    model = Sequential(layers, 2, "float64", random_state=1)
    x, y = rng.standard_normal((B, T, 2)), rng.integers(0, 2, (B, T))
    batch = Batch(x, LENGTHS, y, rng.uniform(0.5, 1.5, B))

    def passed(grads):
        return whole_pass(model, batch, log_loss, np.random.default_rng(3), grads, None)

    grads, ignored = np.zeros((2, model.params.size))
    passed(grads)
    numeric = reference.numeric_gradient(lambda: passed(ignored).loss, model.params)
    assert reference.relative_error(grads, numeric) < 1e-7
    x[np.arange(T) >= LENGTHS[:, np.newaxis]] = 1e6  # padding, which must not be read
    again = np.zeros_like(grads)
    passed(again)
    assert (again == grads).all()


@pytest.mark.parametrize("reduce", [Pool("mean"), Pool("max"), LastStep()], ids=repr)
@pytest.mark.parametrize("cell", [LSTM, GRU])
def test_gradients_of_pooled_models_by_finite_differences(reduce, cell, rng):
    layers = [cell(2, bidirectional=True), reduce, Dense(2)]
    model = Sequential(layers, 2, "float64", random_state=1)
    batch = Batch(rng.standard_normal((B, T, 2)), LENGTHS, rng.integers(0, 2, B))
    grads, ignored = np.zeros((2, model.params.size))
    whole_pass(model, batch, log_loss, None, grads, None)
    numeric = reference.numeric_gradient(
        lambda: whole_pass(model, batch, log_loss, None, ignored, None).loss, model.params
    )
    assert reference.relative_error(grads, numeric) < 1e-7


def ragged_batch(rng, weighted=None):
    lengths = np.array([7, 2, 5, 3])
    x, y = rng.standard_normal((4, 7, 2)), rng.integers(0, 2, (4, 7))
    weights = None
    if weighted:
        weights = rng.uniform(0, 2, 4 if weighted == "of sequences" else (4, 7))
    return Batch(x, lengths, y, weights)


@pytest.mark.parametrize("layers", FORWARD.values(), ids=FORWARD)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20])
def test_truncated_gradients_are_the_sum_over_the_chunks(layers, steps, rng):
    model = Sequential(layers, 2, "float64", random_state=1)
    for weighted in (None, "of sequences", "of steps"):
        batch = ragged_batch(rng, weighted)
        grads, plain = np.zeros((2, model.params.size))
        passed = truncated_pass(model, batch, log_loss, None, grads, steps)
        value, expected = chunk_by_chunk(model, batch, log_loss, steps)
        assert passed.loss == pytest.approx(value, rel=1e-12)
        assert passed.size == batch.lengths.sum()
        np.testing.assert_allclose(grads, expected, rtol=1e-9, atol=1e-13)
        whole = whole_pass(model, batch, log_loss, None, plain, None)
        assert passed.loss == pytest.approx(whole.loss, rel=1e-12)
        if steps >= 7:
            np.testing.assert_allclose(grads, plain, rtol=1e-9, atol=1e-14)


def test_truncated_gradients_with_equal_lengths_and_missing_targets_are_those_of_the_chunks(rng):
    model = Sequential([LSTM(3), Dense(1)], 2, "float64", random_state=1)
    x, y = rng.standard_normal((3, 6, 2)), rng.standard_normal((3, 6, 1))
    y[:, 2:4] = np.nan  # a chunk without targets
    y[0, 0] = np.nan
    loss = WithMissing(squared_error)
    grads = np.zeros_like(model.params)
    passed = truncated_pass(model, Batch(x, None, y), loss, None, grads, 2)
    assert passed.size == 11
    error = model.predict(x) - y
    assert passed.loss == pytest.approx(np.nanmean(error**2))
    expected = np.zeros_like(grads)
    state = None
    for start in (0, 2, 4):
        _, saved = model.forward(x[:, start : start + 2], state=state)
        dy = np.nan_to_num(2 * error[:, start : start + 2] / 11)
        model.add_gradients(saved, dy, expected)
        state = saved.state
    np.testing.assert_allclose(grads, expected, rtol=1e-9, atol=1e-14)


def test_truncation_draws_its_masks_from_the_generator(rng):
    layers = [LSTM(4, recurrent_dropout=0.3), Dropout(0.3), Dense(2)]
    model = Sequential(layers, 2, "float64", random_state=1)
    batch = ragged_batch(rng)

    def gradient(seed):
        grads = np.zeros_like(model.params)
        truncated_pass(model, batch, log_loss, np.random.default_rng(seed), grads, 3)
        return grads

    assert (gradient(0) == gradient(0)).all()
    assert (gradient(0) != gradient(1)).any()
    for lengths in (batch.lengths, None):
        one_chunk, whole = np.zeros((2, model.params.size))
        own = batch._replace(lengths=lengths)
        truncated_pass(model, own, log_loss, np.random.default_rng(2), one_chunk, 7)
        whole_pass(model, own, log_loss, np.random.default_rng(2), whole, None)
        np.testing.assert_allclose(one_chunk, whole, rtol=1e-9, atol=1e-14)


def test_truncated_gradients_do_not_depend_on_threads(rng, force_threads):
    model = Sequential([LSTM(8), Dense(2)], 2, random_state=1)
    batch = ragged_batch(rng)._replace(x=rng.standard_normal((4, 7, 2)).astype("float32"))
    found = []
    try:
        for n_threads in (1, 2, 3):
            fusedlstm.set_num_threads(n_threads)
            grads = np.zeros_like(model.params)
            truncated_pass(model, batch, log_loss, None, grads, 2)
            found.append(grads)
    finally:
        fusedlstm.set_num_threads(None)
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()


def test_targets_without_an_axis_for_outputs_are_an_error(rng):
    X, y = [rng.standard_normal((n, 1)) for n in (3, 5)], [np.zeros(3), np.zeros(5)]
    model = Sequential([LSTM(2), Dense(1)], 1, random_state=0)
    run = epochs(
        model, SequenceBatches(X, y, batch_size=2), squared_error, SGD(), learning_rate=0.1, rng=rng
    )
    with pytest.raises(ValueError, match=r"For one target pass y\[..., numpy.newaxis\]"):
        next(run)


def test_truncated_gradients_of_a_batch_with_few_targets_are_those_of_the_chunks():
    given = [np.array([[0.0], [1.0]]), np.array([[2.0], [0.5]])]
    y = [
        np.array([[3.0, np.nan], [np.nan, np.nan]]),
        np.array([[np.nan, 1.0], [np.nan, np.nan]]),
    ]
    options = {"batch_size": 1, "learning_rate": 1e-12, "normalize_y": False, "dtype": "float64"}
    losses = [
        LSTMStepRegressor(4, max_iter=1, tbptt_steps=steps, random_state=0, **options)
        .fit(given, y)
        .loss_
        for steps in (None, 2)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
