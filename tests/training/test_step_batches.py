"""Batches with a target at each step."""

from __future__ import annotations

import warnings
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from fusedlstm import LSTMStepRegressor, LSTMTagger, Sequential
from fusedlstm.data.forms import read_sequences
from fusedlstm.layers import (
    GRU,
    LSTM,
    Dense,
    Residual,
)
from fusedlstm.losses import (
    log_loss,
)
from fusedlstm.optimizers import SGD
from fusedlstm.testing import sequence_checks
from fusedlstm.training import Batch, SequenceBatches, epochs
from fusedlstm.training.step import whole_pass
from fusedlstm.training.truncated import truncated_pass
from step_problems import chunk_by_chunk


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    steps=st.integers(1, 10),
    more=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_padding_and_truncation_do_not_change_losses_for_any_lengths(lengths, steps, more, seed):
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
    """Return the same sequences and targets in each form that SequenceBatches takes."""
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


def test_all_forms_of_data_give_the_same_batches(rng):
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
def test_errors_for_wrong_targets_of_steps(y, message):
    X = [np.zeros((n, 1)) for n in (3, 1, 2)]
    with pytest.raises(ValueError, match=message):
        SequenceBatches(X, y, batch_size=2)


class OfLastSteps(BaseEstimator):
    """Trains on the target of a sequence at each step; predicts at the last step."""

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
            pass  # the estimator must raise the error
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
def test_an_estimator_trained_on_each_step_passes_the_public_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        check(estimator)


def test_sequences_and_targets_may_be_memory_maps(tmp_path):
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
