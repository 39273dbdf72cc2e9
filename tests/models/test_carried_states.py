"""A sequence in pieces with carried states gives the bits of the whole."""

from __future__ import annotations

import dataclasses
from itertools import islice

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fusedlstm import LSTMRegressor, Sequential
from fusedlstm.layers import LSTM, Dense, LastStep
from fusedlstm.layers.activations import ACTIVATIONS
from fusedlstm.losses import each_step, squared_error
from fusedlstm.optimizers import LBFGS, SGD
from fusedlstm.training import SequenceBatches, SeriesBatches, epochs, full_batch_epochs
from recurrent_layers import RECURRENT

pytestmark = pytest.mark.usefixtures("one_thread")

RATES = st.sampled_from([0.0, 0.3])
OPTIONS = {
    "hidden_size": st.integers(1, 9),
    "activation": st.sampled_from([*ACTIVATIONS, ("leaky_relu", 0.2)]),
    "recurrent_activation": st.sampled_from(["sigmoid", "hard_sigmoid", "softsign"]),
    "output_activation": st.sampled_from([None, "tanh", "linear", "softplus"]),
    "cell_clip": st.sampled_from([None, 0.5]),
    "projection_size": st.sampled_from([None, 3]),
}
PLAIN = {"bidirectional", "merge", "reverse"}  # a second direction needs the end of a sequence


@st.composite
def drawn_layers(draw):
    """Draw a layer of any cell with any options; most options have their defaults."""
    kind = draw(st.sampled_from(list(RECURRENT.values())))
    chosen = {"hidden_size": draw(OPTIONS["hidden_size"])}
    for field in dataclasses.fields(kind):
        if field.name in chosen or field.name in PLAIN or draw(st.integers(0, 2)):
            continue
        default = OPTIONS.get(field.name)
        if default is None:
            default = st.booleans() if isinstance(field.default, bool) else RATES
        chosen[field.name] = draw(default)
    try:
        return kind(**chosen)
    except ValueError:  # options that exclude each other
        assume(False)


def pieces_of(x, cuts):
    return [x[:, a:b] for a, b in zip([0, *cuts], [*cuts, x.shape[1]], strict=True)]


def by_stream(model, x, cuts):
    stream = model.stream(len(x))
    return np.stack([stream.step(x[:, t]) for t in range(x.shape[1])], axis=1)


def by_predictor(model, x, cuts):
    return by_stream(model.predictor(), x, cuts)


def by_run(model, x, cuts):
    state, outputs = None, []
    for piece in pieces_of(x, cuts):
        y, state = model.run(piece, state)
        outputs.append(y)
    return np.concatenate(outputs, axis=1)


def by_forward(model, x, cuts):
    state, outputs = None, []
    for piece in pieces_of(x, cuts):
        y, saved = model.forward(piece, state=state)
        state = saved.state
        outputs.append(y)
    return np.concatenate(outputs, axis=1)


WAYS = {
    "stream": by_stream,
    "stream of a predictor": by_predictor,
    "run": by_run,
    "forward": by_forward,
}


def model_of(layers, dtype, seed):
    model = Sequential(layers, 2, dtype, seed)
    model.params[:] += 0.3 * np.random.default_rng(seed).standard_normal(model.params.shape)
    return model


@pytest.mark.parametrize("way", WAYS)
@given(
    layers=st.lists(drawn_layers(), min_size=1, max_size=2),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 99),
    cuts=st.sets(st.integers(1, 6), min_size=1, max_size=3).map(sorted),
)
def test_a_sequence_in_pieces_gives_the_bits_of_the_whole(way, layers, dtype, seed, cuts):
    model = model_of([*layers, Dense(2)], dtype, seed)
    x = np.random.default_rng(seed).standard_normal((3, 7, 2)).astype(dtype)
    whole = model.predict(x)
    assert WAYS[way](model, x, cuts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trainable_state", [False, True])
def test_full_gate_recurrence_continues_from_the_gates(way, trainable_state, dtype):
    layer = LSTM(5, full_gate_recurrence=True, peepholes=True, trainable_state=trainable_state)
    model = model_of([layer, Dense(2)], dtype, 0)
    x = np.random.default_rng(1).standard_normal((3, 7, 2)).astype(dtype)
    assert WAYS[way](model, x, [2, 3]).tobytes() == model.predict(x).tobytes()
    _, (state, _) = model.run(x[:, :3])
    assert [array.shape for array in state] == [(1, 3, 5), (1, 3, 5), (1, 3, 15)]
    without_gates = (*state[:2], np.zeros_like(state[2]))
    y, other = (model.run(x[:, 3:], (given, None))[0] for given in (state, without_gates))
    assert (y != other).any()


def first_loss(model, source, loss, **options):
    rng = np.random.default_rng(0)
    run = epochs(model, source, loss, SGD(), learning_rate=0.0, rng=rng, **options)
    return next(run).loss


@given(layer=drawn_layers(), seed=st.integers(0, 99), steps=st.integers(1, 6))
def test_truncated_passes_give_the_loss_of_the_whole(layer, seed, steps):
    assume(not layer.random)
    model = model_of([layer, LastStep(), Dense(1)], "float64", seed)
    x = np.random.default_rng(seed).standard_normal((3, 7, 2))
    source = SequenceBatches(x, x.sum(axis=1)[:, :1], batch_size=3, dtype="float64", shuffle=False)
    whole = first_loss(model, source, squared_error)
    assert first_loss(model, source, squared_error, tbptt_steps=steps) == whole


@given(layer=drawn_layers(), seed=st.integers(0, 99))
def test_batches_of_a_series_give_the_loss_of_the_whole(layer, seed):
    assume(not layer.random)
    model = model_of([layer, Dense(1)], "float64", seed)
    series = np.random.default_rng(seed).standard_normal((24, 2))
    of_steps = {
        steps: SeriesBatches(series, series[:, :1], batch_size=2, steps=steps, dtype="float64")
        for steps in (4, 12)
    }
    loss = each_step(squared_error)
    whole = first_loss(model, of_steps[12], loss)
    assert first_loss(model, of_steps[4], loss) == pytest.approx(whole, rel=1e-12, nan_ok=True)


class Incomplete(LSTM):
    """A layer of a user whose state lacks information."""

    has_complete_state = False


PARTIAL = Incomplete(4)
REFUSED = "must have a complete state .*; got Incomplete.*, whose property `has_complete_state`"


@pytest.mark.parametrize("way", WAYS)
def test_models_with_an_incomplete_state_carry_no_state(way, dtype):
    model = model_of([PARTIAL, Dense(2)], dtype, 0)
    x = np.zeros((3, 7, 2), dtype)
    with pytest.raises(ValueError, match=REFUSED):
        WAYS[way](model, x, [3])
    assert model.run(x)[0].tobytes() == model.predict(x).tobytes()


def test_training_that_carries_an_incomplete_state_is_an_error():
    model = model_of([PARTIAL, Dense(1)], "float64", 0)
    before, loss = model.params.copy(), each_step(squared_error)
    series = np.random.default_rng(0).standard_normal((24, 2))
    batches = SeriesBatches(series, series[:, :1], batch_size=2, steps=4, dtype="float64")
    with pytest.raises(ValueError, match=REFUSED):
        first_loss(model, batches, loss)
    whole = SequenceBatches(series[None], series[None, :, :1], batch_size=1, dtype="float64")
    with pytest.raises(ValueError, match=REFUSED):
        first_loss(model, whole, loss, tbptt_steps=3)
    assert (model.params == before).all()


def test_estimators_with_a_layer_without_a_complete_state_cannot_stream():
    X = np.random.default_rng(0).standard_normal((20, 6, 2))
    model = LSTMRegressor(layers=(PARTIAL,), pooling="mean", max_iter=1, random_state=0).fit(
        X, X.sum(axis=(1, 2))
    )
    with pytest.raises(ValueError, match=r"layers\[0\] must have a complete state for a stream"):
        model.stream()
    truncated = LSTMRegressor(layers=(PARTIAL,), tbptt_steps=3)
    with pytest.raises(ValueError, match=r"layers\[0\] must have a complete state with tbptt_ste"):
        truncated.fit(X, X.sum(axis=(1, 2)))
    assert not hasattr(truncated, "model_")


def test_truncated_lbfgs_without_a_complete_state_is_an_error():
    x = np.zeros((3, 7, 2))
    model = Sequential([PARTIAL, LastStep(), Dense(1)], 2, "float64", 0)
    source = SequenceBatches(x, np.zeros((3, 1)), batch_size=3, dtype="float64")
    with pytest.raises(ValueError, match="must have a complete state with tbptt_steps"):
        next(full_batch_epochs(model, source, squared_error, LBFGS(), tbptt_steps=2))


def test_custom_batches_that_carry_states_need_a_complete_state():
    class Own:
        """The batches of a series, without the attributes that describe carried states."""

        def __init__(self):
            self.of = SeriesBatches(np.ones(20), np.ones((20, 1)), batch_size=2, steps=5)

        def __len__(self):
            return len(self.of)

        def order(self, rng):
            return self.of.order(rng)

        def batch(self, order, i):
            return self.of.batch(order, i)

    model = Sequential([PARTIAL, Dense(1)], 1, random_state=0)
    rng = np.random.default_rng(0)
    loss = each_step(squared_error)
    with pytest.raises(ValueError, match=REFUSED):
        list(islice(epochs(model, Own(), loss, SGD(), learning_rate=0.1, rng=rng), 1))
