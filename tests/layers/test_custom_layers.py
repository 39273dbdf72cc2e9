"""Layers that a user defines."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pytest

import fusedlstm
import reference
from custom_layers import MeanStep, X
from fusedlstm import LSTMClassifier, LSTMRegressor, Model, Sequential
from fusedlstm.layers import (
    GRU,
    LSTM,
    RNN,
    Chain,
    Dense,
    Dropout,
    LastStep,
    Layer,
    Parallel,
    Residual,
    Sequence,
    Tied,
)
from fusedlstm.losses import squared_error
from fusedlstm.optimizers import SGD
from fusedlstm.training import SeriesBatches, epochs, full_batch

BI = LSTM(3, bidirectional=True)


@dataclass(frozen=True)
class Smooth(Layer):
    """A convolution of three steps with fixed weights."""

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        return (Sequence(self._smooth(seq.zeroed().x, seq), seq.lengths), None), seq

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        return Sequence(self._smooth(dseq.x, saved), saved.lengths), None

    @staticmethod
    def _smooth(x, seq):
        padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
        out = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
        return Sequence(out.astype(x.dtype), seq.lengths).zeroed().x


@dataclass(frozen=True)
class Noise(Layer):
    """Noise on each step, in training."""

    pointwise = True

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        x = seq.x
        if rng is not None:
            x = x + rng.standard_normal(x.shape).astype(x.dtype)
        return (Sequence(x, seq.lengths), None), None

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        return dseq, None


def test_a_custom_convolution_is_exact_and_cannot_stream():
    model = Sequential([LSTM(3), Smooth(), LastStep(), Dense(1)], 2, random_state=0)
    whole = model.predict(X)
    np.testing.assert_array_equal(whole[:3], model.predict(X[:3]))
    with pytest.raises(ValueError, match=r"layers\[1\] must be causal for a stream; got Smo"):
        model.stream()
    with pytest.raises(ValueError, match=r"layers\[1\] must be maskable if mask is given; got"):
        model.predict(X, mask=np.ones(X.shape[:2], bool))
    estimator = LSTMRegressor(layers=(LSTM(3), Smooth()), max_iter=2, tbptt_steps=3)
    with pytest.raises(ValueError, match=r"layers\[1\] must be causal with tbptt_steps"):
        estimator.fit(X, X.sum(axis=(1, 2)))
    model = Sequential([Chain(LSTM(3), Smooth())], 2, random_state=0)
    with pytest.raises(ValueError, match=r"layers\[0\].layers\[1\] must be causal for a stream"):
        model.stream()


def test_a_custom_layer_may_reduce_the_steps():
    layers = (LSTM(3), MeanStep())
    model = LSTMClassifier(layers=layers, max_iter=3, random_state=0).fit(X, X.sum(axis=(1, 2)) > 0)
    assert "MeanStep" in model.summary()
    assert [type(layer).__name__ for layer in model.model_.layers] == ["LSTM", "MeanStep", "Dense"]
    with pytest.raises(ValueError, match="must be causal for a stream"):
        model.stream()
    masked = model.model_.predict(X, mask=np.arange(6) < np.full((30, 1), 4))
    np.testing.assert_array_equal(masked, model.model_.predict(X[:, :4]))


def test_a_custom_layer_may_draw_random_numbers():
    with pytest.raises(ValueError, match=r"got Noise\(\) for layers\[1\], whose .*random"):
        LSTMRegressor(layers=(LSTM(3), Noise()), optimizer="lbfgs").fit(X, X.sum(axis=(1, 2)))
    model = Sequential([LSTM(3), Noise(), Dense(1)], 2, random_state=0)
    stream = model.stream(30)
    for t in range(6):
        y = stream.step(X[:, t].astype("float32"))
    np.testing.assert_array_equal(y, model.predict(X.astype("float32"))[:, -1])


class Repeated(Layer):
    """Returns the final outputs of the previous layer as its own."""

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        return (seq._replace(x=2 * seq.x), None), seq

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        return dseq._replace(x=2 * dseq.x), None


def test_last_step_ignores_final_outputs_of_an_earlier_layer():
    model = Sequential([LSTM(3), Repeated(), LastStep()], 2, random_state=0)
    steps = Sequential([LSTM(3), Repeated()], 2, random_state=0)
    np.testing.assert_array_equal(model.predict(X), steps.predict(X)[:, -1])


def test_a_subclass_with_its_own_forward_is_not_compiled():
    class Doubled(Dense):
        def forward(self, params, seq, state=None, rng=None, all_steps=True):
            (out, after), saved = super().forward(params, seq, state, rng, all_steps)
            return (out._replace(x=2 * out.x), after), saved

    plain = Sequential([RNN(3), LastStep(), Dense(2)], 2, random_state=0)
    doubled = Sequential([RNN(3), LastStep(), Doubled(2)], 2, random_state=0)
    np.testing.assert_array_equal(doubled.predict(X), 2 * plain.predict(X))


def test_a_subclass_of_chain_can_be_copied():
    class Block(Chain):
        def __init__(self, size):
            super().__init__(LSTM(size), Dense(size))

    layers = (Block(4),)
    model = LSTMClassifier(layers=layers, max_iter=1).fit(X, X.sum(axis=(1, 2)) > 0)
    again = copy.deepcopy(model)
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


def test_states_may_be_partly_none():
    model = Sequential([LSTM(3, trainable_state=True), Chain(GRU(2), Dense(1))], 2, random_state=0)
    model.named_params()["0.initial_h"][:] = 0.5
    _, state = model.run(X[:, :3])
    stream = model.stream(30)
    for given in (None, (None, state[1]), (state[0], None), (state[0], (None, None))):
        stream.state = given
        expected = model.run(X[:, 3:], given)[0]
        for t in range(3, 6):
            y = stream.step(X[:, t].astype("float32"))
        assert y.tobytes() == expected[:, -1].tobytes()


@pytest.mark.parametrize("tbptt_steps", [None, 5])
def test_batches_that_continue_a_series_pass_the_state_on(tbptt_steps):
    series = np.random.default_rng(0).standard_normal(121)
    sources = [
        SeriesBatches(series[:-1], series[1:, np.newaxis], batch_size=2, steps=steps)
        for steps in (10, 60)
    ]
    losses = []
    for source in sources:
        model = Sequential([GRU(4), Dense(1)], 1, random_state=0)
        options = {"learning_rate": 1e-30, "rng": np.random.default_rng(0)}
        run = epochs(model, source, squared_error, SGD(), tbptt_steps=tbptt_steps, **options)
        losses.append(next(run).loss)
        objective = full_batch.Objective(model, source, squared_error, tbptt_steps=tbptt_steps)
        losses.append(objective.value(model.params.astype(float)))
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-6)


def test_carrying_states_through_unsuitable_layers_is_an_error():
    series = np.random.default_rng(0).standard_normal(60)
    source = SeriesBatches(series, series[:, np.newaxis], batch_size=2, steps=10)
    options = {"learning_rate": 0.1, "rng": np.random.default_rng(0)}
    for layers, message in (
        ([BI, Dense(1)], "must not read sequences backward if states are carried"),
        ([Smooth(), LSTM(3), Dense(1)], r"layers\[0\] must be causal if states are carried"),
    ):
        run = epochs(Sequential(layers, 1), source, squared_error, SGD(), **options)
        with pytest.raises(ValueError, match=message):
            next(run)
    model = Sequential([LSTM(3), Smooth()], 2)
    _, state = model.run(X)
    with pytest.raises(ValueError, match=r"layers\[1\] must be causal to start from a state"):
        model.run(X, state)


def test_models_of_a_single_layer_survive_a_round_trip(tmp_path):
    model = Model(Parallel(LSTM(3), GRU(2)), 2, random_state=0)
    model.save(tmp_path / "file")
    same = fusedlstm.load(tmp_path / "file")
    assert type(same) is Model
    assert repr(same) == repr(model)
    assert same.predict(X).tobytes() == model.predict(X).tobytes()
    with pytest.raises(ValueError, match="layer must be a layer with its own parameters"):
        Model(Tied(3, Dense(2)), 4)
    with pytest.raises(ValueError, match="layer must be a layer that contains no layers"):
        Tied(0, Chain(Dense(2)))


@pytest.mark.parametrize("body", [Dropout(0.0), Residual(Dropout(0.0)), Parallel(Dropout(0.0))])
def test_the_gradient_of_padding_is_zero(body):
    model = Sequential([body], 2, "float64")
    y, saved = model.forward(np.ones((1, 3, 2)), [1])
    dx = model.backward(saved, np.ones_like(y), np.zeros_like(model.params))
    assert dx[0, 0].all()
    assert not dx[0, 1:].any()


@dataclass(frozen=True)
class Attend(Layer):
    """The sum of the steps, weighted by a softmax of their first feature."""

    reduces = True
    random = False

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        x, mask = seq.x, seq.mask()
        scores = x[:, :, 0] if mask is None else np.where(mask, x[:, :, 0], -np.inf)
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        p = (e / e.sum(axis=1, keepdims=True))[:, :, np.newaxis].astype(x.dtype)
        y = (p * seq.zeroed().x).sum(axis=1)
        return (Sequence(y), None), (seq, p, y)

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        seq, p, y = saved
        dy = dseq.x[:, np.newaxis]
        dx = p * dy
        dx[:, :, 0] += p[:, :, 0] * ((seq.zeroed().x - y[:, np.newaxis]) * dy).sum(axis=2)
        return Sequence(dx, seq.lengths).zeroed(), None


def test_a_custom_attention_is_exact_and_cannot_stream():
    layers = [LSTM(3), Attend(), Dense(1)]
    model = Sequential(layers, 2, "float64", random_state=0)
    x, lengths = X[:3].copy(), [6, 2, 4]
    y, saved = model.forward(x, lengths)
    grads = np.zeros_like(model.params)
    dx = model.backward(saved, np.ones_like(y), grads)
    for array, gradient in ((model.params, grads), (x, dx)):
        expected = reference.numeric_gradient(lambda: float(model.predict(x, lengths).sum()), array)
        assert reference.relative_error(gradient, expected) < 1e-7
    mask = np.arange(6) < np.array(lengths)[:, np.newaxis]
    np.testing.assert_array_equal(model.predict(x, mask=mask), model.predict(x, lengths))
    with pytest.raises(ValueError, match=r"layers\[1\] must be causal for a stream; got Attend"):
        model.stream()
    estimator = LSTMRegressor(layers=tuple(layers[:2]), max_iter=2, tbptt_steps=3)
    with pytest.raises(ValueError, match=r"layers\[1\] must be causal with tbptt_steps"):
        estimator.fit(X, X.sum(axis=(1, 2)))
    assert estimator.set_params(tbptt_steps=None).fit(X, X.sum(axis=(1, 2))).n_iter_ == 2
