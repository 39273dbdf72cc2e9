"""Losses, gradients and training with targets at every step."""

from __future__ import annotations

import warnings
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

import fusedlstm
import reference
from fusedlstm import LSTMStepRegressor, LSTMTagger, Sequential
from fusedlstm.data.forms import read_sequences
from fusedlstm.layers import (
    CIFGLSTM,
    GRU,
    LSTM,
    RNN,
    Chain,
    Dense,
    Dropout,
    LastStep,
    LayerNormLSTM,
    Parallel,
    PeepholeLSTM,
    Pool,
    Residual,
    Sequence,
)
from fusedlstm.losses import (
    AbsoluteError,
    Focal,
    Gaussian,
    Huber,
    LogLoss,
    Pinball,
    Poisson,
    SequenceLoss,
    SquaredError,
    each_step,
    log_loss,
    squared_error,
)
from fusedlstm.losses.base import evaluate
from fusedlstm.losses.missing import WithMissing
from fusedlstm.optimizers import LBFGS, SGD
from fusedlstm.testing import sequence_checks
from fusedlstm.training import Batch, SequenceBatches, epochs, full_batch
from fusedlstm.training.step import whole_pass
from fusedlstm.training.truncated import truncated_pass

B, T = 4, 5
LENGTHS = np.array([5, 1, 3, 4])

NUMBER_LOSSES = [
    SquaredError(),
    AbsoluteError(),
    Huber(0.3),
    Pinball(0.3),
    Pinball((0.1, 0.5, 0.9)),
    Poisson(),
    Gaussian(),
]
CLASS_LOSSES = [LogLoss(), LogLoss(label_smoothing=0.2), Focal(1.5)]


def problem(loss, rng, n_targets=2, n_classes=3):
    """Return outputs (B, T, K) and targets of steps."""
    if isinstance(loss, (LogLoss, Focal)):
        return rng.standard_normal((B, T, n_classes)), rng.integers(0, n_classes, (B, T))
    y = np.abs(rng.standard_normal((B, T, n_targets)))
    return rng.standard_normal((B, T, loss.n_outputs(n_targets))), y


def by_steps(loss, x, y, lengths, weights=None):
    """Return mean and gradient of a loss of one step, step by step."""
    total, count, dout = 0.0, 0, np.zeros_like(x)
    for b, n in enumerate(lengths):
        for t in range(n):
            value, dy = loss(x[b, t : t + 1], y[b, t : t + 1], None)
            weight = 1.0 if weights is None else weights[b, t]
            total, count = total + weight * value, count + 1
            dout[b, t] = weight * dy[0]
    return total / count, dout / count, count


@pytest.mark.parametrize("loss", NUMBER_LOSSES + CLASS_LOSSES, ids=repr)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "unequal"])
@pytest.mark.parametrize("weighted", ["no weights", "of sequences", "of steps"])
def test_losses_are_means_over_real_steps(loss, lengths, weighted, rng):
    x, y = problem(loss, rng)
    weights, of_steps = None, None
    if weighted == "of sequences":
        weights = rng.uniform(0, 2, B)
        of_steps = np.tile(weights[:, np.newaxis], T)
    elif weighted == "of steps":
        weights = of_steps = rng.uniform(0, 2, (B, T))
    real = np.full(B, T) if lengths is None else lengths
    value, dout, count = by_steps(loss, x, y, real, of_steps)
    past = np.arange(T) >= real[:, np.newaxis]
    x[past] = 1e30 if isinstance(loss, (LogLoss, Focal)) else np.nan  # read by nobody
    y[past] = -99
    evaluated = evaluate(loss, Sequence(x, lengths), y, weights)
    assert evaluated.loss == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(evaluated.dout, dout, rtol=1e-12, atol=1e-15)
    assert (evaluated.dout[past] == 0).all()
    assert evaluated.size == count


@pytest.mark.parametrize("loss", NUMBER_LOSSES, ids=repr)
@pytest.mark.parametrize("n_targets", [1, 3])
def test_missing_targets_are_left_out(loss, n_targets, rng):
    x, y = problem(loss, rng, n_targets)
    y[rng.random(y.shape) < 0.4] = np.nan
    y[2] = np.nan  # a whole sequence
    weights = rng.uniform(0, 2, (B, T))
    columns = loss.target_of_outputs(n_targets)
    total, count, dout = 0.0, 0, np.zeros_like(x)
    for b, n in enumerate(LENGTHS):
        for t in range(n):
            for k in range(n_targets):
                if not np.isnan(y[b, t, k]):
                    own = np.flatnonzero(columns == k)
                    value, dy = loss(x[b, t, own][np.newaxis], y[b, t, k].reshape(1, 1), None)
                    total, count = total + weights[b, t] * value, count + 1
                    dout[b, t, own] = weights[b, t] * dy[0]
    evaluated = evaluate(WithMissing(loss), Sequence(x, LENGTHS), y, weights)
    assert evaluated.loss == pytest.approx(total / count, rel=1e-12)
    np.testing.assert_allclose(evaluated.dout, dout / count, rtol=1e-12, atol=1e-15)
    assert evaluated.size * n_targets == pytest.approx(count)


def test_a_batch_without_targets_has_no_loss(rng):
    x = rng.standard_normal((2, 3, 1))
    evaluated = evaluate(WithMissing(squared_error), Sequence(x), np.full((2, 3, 1), np.nan), None)
    assert evaluated.loss == 0
    assert evaluated.size == 0
    assert not evaluated.dout.any()


class Change(SequenceLoss):
    """The mean squared change from each step to the next, over all real steps."""

    def __call__(self, out, y, weights=None):
        x, mask = out.steps(), out.mask()
        mask = np.ones(x.shape[:2], bool) if mask is None else mask
        both = mask[:, 1:, np.newaxis]
        change = np.where(both, np.diff(x, axis=1) - np.diff(y, axis=1), 0)
        if weights is not None:
            change = change * weights[:, np.newaxis, np.newaxis]
        dx = np.zeros_like(x)
        dx[:, 1:] += 2 * change
        dx[:, :-1] -= 2 * change
        n = mask.sum()
        return float((change**2).sum()) / n, out._replace(x=dx / n)


def test_a_loss_of_sequences_gets_lengths_and_weights_as_they_are(rng):
    model = Sequential([GRU(3), Dense(1)], 2, "float64", random_state=0)
    x, y = rng.standard_normal((B, T, 2)), rng.standard_normal((B, T, 1))
    batch = Batch(x, LENGTHS, y)
    grads = np.zeros_like(model.params)
    passed = whole_pass(model, batch, Change(), None, grads, None)
    assert passed.size == LENGTHS.sum()

    def value():
        return evaluate(Change(), Sequence(model.predict(x, LENGTHS), LENGTHS), y, None).loss

    assert passed.loss == value()
    numeric = reference.numeric_gradient(value, model.params)
    assert reference.relative_error(grads, numeric) < 1e-7
    with pytest.raises(ValueError, match="loss must be a loss of single steps with tbptt_steps"):
        truncated_pass(model, batch, Change(), None, grads, 2)


@pytest.mark.parametrize("loss", [log_loss, Focal(), squared_error, Gaussian(), Pinball()])
def test_losses_of_vectors_refuse_outputs_of_steps(loss, rng):
    x, y = problem(loss, rng)
    for targets in (y, y[:, 0]):
        with pytest.raises(ValueError, match=r"y_pred must be .*\(B, n_outputs\); got .*each_step"):
            loss(x, targets)
    value, dy = each_step(loss)(x, y)
    assert value == pytest.approx(evaluate(loss, Sequence(x), y, None).loss)
    assert dy.shape == x.shape


def test_weights_of_each_step_are_relative(rng):
    x, y = rng.standard_normal((B, T, 1)), rng.standard_normal((B, T, 1))
    mask = (np.arange(T) < LENGTHS[:, np.newaxis]).astype(float)
    evaluated = evaluate(each_step(squared_error), Sequence(x), y, mask)
    value, dout, _ = by_steps(squared_error, x, y, LENGTHS)
    assert evaluated.loss == pytest.approx(value)
    assert evaluated.size == mask.sum()
    np.testing.assert_allclose(evaluated.dout, dout)
    model = Sequential([RNN(2), Dense(1)], 1, "float64", random_state=0)
    batch = Batch(x, None, y, mask)
    whole, chunks = np.zeros((2, model.params.size))
    value = whole_pass(model, batch, each_step(squared_error), None, whole, None).loss
    for steps in (2, 5):
        chunks[:] = 0
        passed = truncated_pass(model, batch, each_step(squared_error), None, chunks, steps)
        assert passed.loss == pytest.approx(value)
    np.testing.assert_allclose(chunks, whole)


def test_targets_of_sequences_are_refused_for_outputs_at_every_step(rng):
    model = Sequential([LSTM(3), Dense(2)], 1, random_state=0)
    before = model.params.copy()
    x = rng.standard_normal((6, T, 1))
    wrong = "y must be targets of all steps, of shape .* LastStep\\(\\) or Pool\\(\\)"
    for y, loss in ((rng.integers(0, 2, 6), log_loss), (rng.standard_normal(6), squared_error)):
        for more in ({}, {"tbptt_steps": 2}):
            source = SequenceBatches(x, y, batch_size=6)
            run = epochs(model, source, loss, SGD(), learning_rate=0.1, rng=rng, **more)
            with pytest.raises(ValueError, match=wrong):
                next(run)
            with pytest.raises(ValueError, match=wrong):
                next(full_batch.epochs(model, source, loss, LBFGS(), **more))
    assert (model.params == before).all()
    out = Sequence(np.zeros((2, 3, 2)))
    with pytest.raises(ValueError, match="y must be of all steps, of shape"):
        evaluate(log_loss, out, np.zeros((2, 4), int), None)
    with pytest.raises(ValueError, match="weights must be of all steps, of shape"):
        evaluate(log_loss, out, np.zeros((2, 3), int), np.ones((2, 2)))


@pytest.mark.parametrize("last", [LastStep(), Pool("mean")])
def test_targets_of_steps_are_refused_for_one_output_per_sequence(last, rng):
    x = [rng.standard_normal((3, 1)) for _ in range(4)]
    y = [rng.integers(0, 2, 3) for _ in x]  # which would pass for three labels a sequence
    model = Sequential([LSTM(3), last, Dense(3)], 1, random_state=0)
    source = SequenceBatches(x, y, batch_size=4)
    wrong = "y must have one target per sequence"
    with pytest.raises(ValueError, match=wrong):
        next(epochs(model, source, log_loss, SGD(), learning_rate=0.1, rng=rng))
    with pytest.raises(ValueError, match=wrong):
        next(full_batch.epochs(model, source, log_loss, LBFGS()))


CELLS = {
    "LSTM": LSTM,
    "PeepholeLSTM": PeepholeLSTM,
    "CIFGLSTM": CIFGLSTM,
    "LayerNormLSTM": LayerNormLSTM,
    "GRU": GRU,
    "RNN": RNN,
}

STACKS = {
    **{name: [cell(3), Dense(2)] for name, cell in CELLS.items()},
    **{f"Bi{name}": [cell(2, bidirectional=True), Dense(2)] for name, cell in CELLS.items()},
    "two BiLSTM": [LSTM(2, bidirectional=True), LSTM(2, bidirectional=True), Dense(2)],
    "residual": [LSTM(2), Residual(LSTM(2), Dense(2, "tanh")), Dense(2)],
    "parallel": [Parallel(LSTM(2), Chain(GRU(2), Dense(3, "tanh"))), Dense(2)],
    "parallel of directions": [Parallel(LSTM(2, bidirectional=True), RNN(2)), Dense(2)],
    "dropout": [GRU(3), Dropout(0.3), Dense(2)],
    "recurrent dropout": [LSTM(3, recurrent_dropout=0.3), Dense(2)],
    "pointwise alone": [Dense(3, "tanh"), Dense(2)],
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
    x[np.arange(T) >= LENGTHS[:, np.newaxis]] = 1e6  # read by nobody
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


def chunk_by_chunk(model, batch, loss, steps):
    """Return loss and gradient, each sequence and chunk alone, from the state before it."""
    n = int(batch.lengths.sum())
    value, grads = 0.0, np.zeros_like(model.params)
    for b, length in enumerate(batch.lengths):
        for start in range(0, length, steps):
            stop = min(start + steps, length)
            state = None
            if start:
                _, state = model.run(batch.x[b : b + 1, :start])
            out, saved = model.forward(batch.x[b : b + 1, start:stop], state=state)
            weights = batch.weights
            if weights is not None:
                row = weights[b] if weights.ndim == 2 else np.full(batch.x.shape[1], weights[b])
                weights = row[np.newaxis, start:stop]
            part = evaluate(loss, Sequence(out), batch.y[b : b + 1, start:stop], weights)
            value += part.loss * (stop - start) / n
            model.add_gradients(saved, part.dout * (stop - start) / n, grads)
    return value, grads


@pytest.mark.parametrize("layers", FORWARD.values(), ids=FORWARD)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20])
def test_truncated_gradients_are_those_of_the_chunks(layers, steps, rng):
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


def test_truncated_gradients_with_equal_lengths_and_missing_targets(rng):
    model = Sequential([LSTM(3), Dense(1)], 2, "float64", random_state=1)
    x, y = rng.standard_normal((3, 6, 2)), rng.standard_normal((3, 6, 1))
    y[:, 2:4] = np.nan  # a chunk without any target
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


def test_truncation_draws_what_the_generator_gives(rng):
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


def test_truncated_gradients_do_not_depend_on_threads(rng, eager_teams):
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


def test_targets_without_an_axis_for_numbers_are_refused(rng):
    X, y = [rng.standard_normal((n, 1)) for n in (3, 5)], [np.zeros(3), np.zeros(5)]
    model = Sequential([LSTM(2), Dense(1)], 1, random_state=0)
    run = epochs(
        model, SequenceBatches(X, y, batch_size=2), squared_error, SGD(), learning_rate=0.1, rng=rng
    )
    with pytest.raises(ValueError, match=r"For one target pass y\[..., numpy.newaxis\]"):
        next(run)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    steps=st.integers(1, 10),
    more=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_padding_and_chunks_of_any_lengths(lengths, steps, more, seed):
    rng = np.random.default_rng(seed)
    n = max(lengths) + more
    x, y = rng.standard_normal((len(lengths), n, 2)), rng.integers(0, 2, (len(lengths), n))
    batch = Batch(x, np.array(lengths), y, rng.uniform(0, 2, y.shape))
    model = Sequential([LSTM(2), Residual(GRU(2)), Dense(2)], 2, "float64", random_state=seed)
    grads, whole, cut = np.zeros((3, model.params.size))
    passed = truncated_pass(model, batch, log_loss, None, grads, steps)
    value, expected = chunk_by_chunk(model, batch, log_loss, steps)
    assert passed.loss == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(grads, expected, rtol=1e-8, atol=1e-12)
    longest = max(lengths)
    first = whole_pass(model, batch, log_loss, None, whole, None)
    short = Batch(x[:, :longest], batch.lengths, y[:, :longest], batch.weights[:, :longest])
    second = whole_pass(model, short, log_loss, None, cut, None)
    assert first.loss == second.loss
    assert (whole == cut).all()


def in_forms(rng):
    """Return the same sequences and targets in the forms that SequenceBatches takes."""
    lengths = [3, 1, 4, 2]
    X = [rng.standard_normal((n, 2)) for n in lengths]
    y = [rng.integers(0, 3, n) for n in lengths]
    padded, table = np.full((4, 4, 2), np.nan), np.zeros((4, 4), int)
    for i, n in enumerate(lengths):
        padded[i, :n], table[i, :n] = X[i], y[i]
    objects = np.empty(4, object)
    objects[:] = y
    return {
        "lists": (X, y),
        "tuples": (tuple(X), tuple(y)),
        "lists of lists": (X, [part.tolist() for part in y]),
        "objects": (X, objects),
        "array of targets": (padded, table),
        "list for an array": (padded, y),
    }


def test_batches_of_all_forms_are_the_same(rng):
    found = {}
    for name, (X, y) in in_forms(rng).items():
        model = Sequential([LSTM(3), Dense(3)], 2, "float64", random_state=0)
        source = SequenceBatches(X, y, batch_size=3, dtype="float64")
        own = np.random.default_rng(0)
        run = epochs(model, source, log_loss, SGD(), learning_rate=0.1, rng=own)
        losses = [epoch.loss for epoch in islice(run, 3)]
        found[name] = (losses, model.params.copy())
    first = found.pop("lists")
    for name, (losses, params) in found.items():
        assert losses == first[0], name
        assert (params == first[1]).all(), name


def test_batches_cut_targets_and_weights_to_the_longest_sequence(rng):
    forms = in_forms(rng)
    X, y = forms["lists"]
    weights = [rng.uniform(0.5, 1.5, len(part)) for part in y]
    source = SequenceBatches(X, y, weights=weights, batch_size=2, shuffle=False)
    order = source.order(rng)
    batch = source.batch(order, 0)
    assert batch.y.shape == batch.weights.shape == batch.x.shape[:2] == (2, 3)
    assert (batch.y[0] == y[0]).all()
    assert batch.weights[1, 0] == weights[1][0]
    with pytest.raises(ValueError, match=r"weights\[0\] must be 3 targets"):
        SequenceBatches(X, y, weights=weights[::-1], batch_size=2)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([np.zeros(3), np.zeros(1)], "inconsistent numbers of samples: \\[3, 2\\]"),
        ([np.zeros(3), np.zeros(1), np.zeros(3)], r"y\[2\] must be 2 targets, one for each step"),
        ([np.zeros(3), np.zeros((1, 2)), np.zeros(2)], r"y\[1\] must be 1-D, as y\[0\]"),
        ([np.zeros((3, 2)), np.zeros((1, 1)), np.zeros((2, 2))], r"y\[1\] must be of shape .* 2"),
        ([np.zeros(3), 1.0, np.zeros(2)], r"y\[1\] must be 1 targets?, one for each step"),
        ([[0, [1, 2], 3], [0], [0, 0]], r"y\[0\] must be 3 targets, one for each step"),
        ([["a", "b", "a"], [1], ["a", "b"]], "y must be all text or all numbers"),
        ([np.zeros((3, 1, 1)), np.zeros(1), np.zeros(2)], r"y\[0\] must be 3 targets"),
        ([[], [], []], r"y\[0\] must be 3 targets"),
    ],
)
def test_bad_targets_are_named(y, message):
    X = [np.zeros((n, 1)) for n in (3, 1, 2)]
    with pytest.raises(ValueError, match=message):
        SequenceBatches(X, y, batch_size=2)


class OfLastSteps(BaseEstimator):
    """Train on a sequence's target at each of its steps; predict that of the last step."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X, y, sample_weight=None):
        self.of_steps_ = self.kind(4, max_iter=1, random_state=self.random_state)
        try:
            lengths = read_sequences(X).lengths()
            y = [
                np.repeat(np.asarray(own)[np.newaxis], n, 0)
                for own, n in zip(y, lengths, strict=True)
            ]
        except (TypeError, ValueError):
            pass  # for the estimator to refuse
        self.of_steps_.fit(X, y, sample_weight)
        self.n_features_in_ = self.of_steps_.n_features_in_
        if hasattr(self.of_steps_, "classes_"):
            self.classes_ = self.of_steps_.classes_
        return self

    def predict(self, X):
        check_is_fitted(self)
        return self._last(X, self.of_steps_.predict(X))

    def _last(self, X, predicted):
        lengths = read_sequences(X).lengths()
        return np.array([part[n - 1] for part, n in zip(predicted, lengths, strict=True)])


class Labels(ClassifierMixin, OfLastSteps):
    kind = LSTMTagger

    def predict_proba(self, X):
        check_is_fitted(self)
        return self._last(X, self.of_steps_.predict_proba(X))


class Numbers(RegressorMixin, OfLastSteps):
    kind = LSTMStepRegressor


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        (estimator, check)
        for estimator in (Labels(), Numbers())
        for check in sequence_checks(estimator)
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_forms_of_sequences_by_the_public_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        check(estimator)


def test_a_batch_with_less_than_a_row_of_targets_is_truncated_alike():
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


def test_memory_maps_of_sequences_and_targets(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"X": rng.standard_normal((20, 6, 2)), "y": rng.standard_normal((20, 6))}
    arrays["X"][3, 4:] = np.nan  # padding
    maps = {}
    for name, array in arrays.items():
        maps[name] = np.memmap(tmp_path / name, array.dtype, "w+", shape=array.shape)
        maps[name][:] = array
    options = {"max_iter": 2, "random_state": 0, "early_stopping": True, "batch_size": 4}
    models = [
        LSTMStepRegressor(3, **options).fit(each["X"], each["y"], checkpoint=tmp_path / f"file{i}")
        for i, each in enumerate((arrays, maps))
    ]
    assert models[0].model_.params.tobytes() == models[1].model_.params.tobytes()
    predictions = [model.predict(arrays["X"]) for model in models]
    np.testing.assert_array_equal(*predictions)
    assert np.isnan(predictions[0][3, 4:]).all()
