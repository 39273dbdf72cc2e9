"""The generator of epochs and the batches of sequences."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from fusedlstm import Sequential
from fusedlstm.layers import LSTM, Dense, Dropout, LastStep
from fusedlstm.losses import squared_error
from fusedlstm.optimizers import SGD, Adam, clip_by_norm
from fusedlstm.training import SequenceBatches, epochs, weight_mask


def small_model(dtype="float64", **kwargs):
    return Sequential([LSTM(6), LastStep(), Dense(1)], 2, dtype, random_state=0, **kwargs)


def data(n=10, dtype="float64"):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, 5, 2))
    return x.astype(dtype), x.sum(axis=(1, 2))[:, np.newaxis].astype(dtype)


def train(model, source, n_epochs, seed=0, optimizer=None, **kwargs):
    run = epochs(
        model,
        source,
        squared_error,
        optimizer or Adam(),
        learning_rate=kwargs.pop("learning_rate", 0.01),
        rng=np.random.default_rng(seed),
        **kwargs,
    )
    return [epoch.loss for epoch in islice(run, n_epochs)]


def test_one_epoch_agrees_with_explicit_updates():
    x, y = data()
    model, other = small_model(), small_model()
    source = SequenceBatches(x, y, batch_size=4, dtype="float64", shuffle=False)
    losses = train(model, source, 1, optimizer=SGD(), clip_norm=0.5, learning_rate=0.1)
    total = 0.0
    for start in (0, 4, 8):
        y_pred, saved = other.forward(x[start : start + 4])
        value, dy = squared_error(y_pred, y[start : start + 4])
        grads = np.zeros_like(other.params)
        other.backward(saved, dy, grads)
        clip_by_norm(grads, 0.5)
        other.params -= 0.1 * grads
        total += value * len(y_pred)
    np.testing.assert_allclose(model.params, other.params, rtol=1e-12)
    assert losses == [pytest.approx(total / 10)]


def test_epochs_reduce_the_loss():
    x, y = data(64)
    losses = train(small_model(), SequenceBatches(x, y, batch_size=16, dtype="float64"), 100)
    assert losses[-1] < 0.05 * losses[0]


def test_equal_generators_give_the_same_bits():
    x, y = data(20, "float32")
    layers = [LSTM(6), Dropout(0.3), LastStep(), Dense(1)]

    def params(seed):
        model = Sequential(layers, 2, random_state=0)
        train(model, SequenceBatches(x, y, batch_size=6), 3, seed)
        return model.params

    assert params(1).tobytes() == params(1).tobytes()
    assert params(1).tobytes() != params(2).tobytes()


def test_epochs_continue_from_an_optimizer_state():
    x, y = data()
    source = SequenceBatches(x, y, batch_size=5, dtype="float64", shuffle=False)
    whole, parts = small_model(), small_model()
    train(whole, source, 4)
    state = Adam().init(parts.params)
    for _ in range(2):
        train(parts, source, 2, state=state)
    assert whole.params.tobytes() == parts.params.tobytes()


def test_weight_decay_does_not_change_biases():
    model = small_model()
    mask = model.views(weight_mask(model))
    assert all(values.all() == (values.ndim == 2) for values in mask.values())
    x, y = np.zeros((4, 5, 2)), np.zeros((4, 1))
    model.params[:] = 0
    model.named_params()["0.weight_ih"][:] = 1.0
    source = SequenceBatches(x, y, batch_size=4, dtype="float64")
    train(model, source, 1, optimizer=SGD(), weight_decay=0.1, learning_rate=0.5)
    np.testing.assert_allclose(model.named_params()["0.weight_ih"], 0.95)
    assert not model.named_params()["0.bias"].any()


def test_batches_cover_every_sequence_once():
    x, y = data(11)
    source = SequenceBatches(x, y, batch_size=4, weights=np.arange(11.0))
    order = source.order(np.random.default_rng(0))
    batches = [source.batch(order, i) for i in range(len(source))]
    assert [len(batch.x) for batch in batches] == [4, 4, 3]
    weights = np.concatenate([batch.weights for batch in batches])
    assert sorted(weights) == list(range(11))
    np.testing.assert_array_equal(np.concatenate([batch.y for batch in batches]),
                                  y[weights.astype(int)])  # fmt: skip
    assert not np.array_equal(weights, np.arange(11.0))


def test_a_batch_is_cut_to_its_longest_sequence():
    x = [np.full((n, 1), n) for n in (2, 5, 3, 1)]
    source = SequenceBatches(x, np.zeros(4), batch_size=2, shuffle=False)
    order = source.order(np.random.default_rng(0))
    shapes = [source.batch(order, i).x.shape for i in range(2)]
    assert shapes == [(2, 5, 1), (2, 3, 1)]
    np.testing.assert_array_equal(source.batch(order, 0).lengths, [2, 5])
