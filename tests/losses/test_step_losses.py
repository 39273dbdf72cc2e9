"""Losses with a target at each step."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from fusedlstm import Sequential
from fusedlstm.layers import (
    GRU,
    LSTM,
    RNN,
    Dense,
    LastStep,
    Pool,
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
from fusedlstm.training import Batch, SequenceBatches, epochs, full_batch_epochs
from fusedlstm.training.step import whole_pass
from fusedlstm.training.truncated import truncated_pass
from step_problems import LENGTHS, B, T

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
    """Return the mean and the gradient of a loss, computed step by step."""
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
    x[past] = 1e30 if isinstance(loss, (LogLoss, Focal)) else np.nan  # padding
    y[past] = -99
    evaluated = evaluate(loss, Sequence(x, lengths), y, weights)
    assert evaluated.loss == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(evaluated.dout, dout, rtol=1e-12, atol=1e-15)
    assert (evaluated.dout[past] == 0).all()
    assert evaluated.size == count


@pytest.mark.parametrize("loss", NUMBER_LOSSES, ids=repr)
@pytest.mark.parametrize("n_targets", [1, 3])
def test_missing_targets_do_not_count(loss, n_targets, rng):
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


def test_a_batch_without_targets_has_loss_zero(rng):
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


def test_a_loss_of_sequences_gets_lengths_and_weights_unchanged(rng):
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
    with pytest.raises(ValueError, match="loss must not be a SequenceLoss with tbptt_steps"):
        truncated_pass(model, batch, Change(), None, grads, 2)


@pytest.mark.parametrize("loss", [log_loss, Focal(), squared_error, Gaussian(), Pinball()])
def test_losses_of_vectors_with_outputs_of_steps_are_an_error(loss, rng):
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


def test_targets_of_sequences_with_outputs_at_each_step_are_an_error(rng):
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
                next(full_batch_epochs(model, source, loss, LBFGS(), **more))
    assert (model.params == before).all()
    out = Sequence(np.zeros((2, 3, 2)))
    with pytest.raises(ValueError, match="y must be of all steps, of shape"):
        evaluate(log_loss, out, np.zeros((2, 4), int), None)
    with pytest.raises(ValueError, match="weights must be of all steps, of shape"):
        evaluate(log_loss, out, np.zeros((2, 3), int), np.ones((2, 2)))


@pytest.mark.parametrize("last", [LastStep(), Pool("mean")])
def test_targets_of_steps_with_one_output_per_sequence_are_an_error(last, rng):
    x = [rng.standard_normal((3, 1)) for _ in range(4)]
    y = [rng.integers(0, 2, 3) for _ in x]  # could be read as three labels per sequence
    model = Sequential([LSTM(3), last, Dense(3)], 1, random_state=0)
    source = SequenceBatches(x, y, batch_size=4)
    wrong = "y must have one target per sequence"
    with pytest.raises(ValueError, match=wrong):
        next(epochs(model, source, log_loss, SGD(), learning_rate=0.1, rng=rng))
    with pytest.raises(ValueError, match=wrong):
        next(full_batch_epochs(model, source, log_loss, LBFGS()))
