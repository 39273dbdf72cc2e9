"""Layers: shapes, gradients by finite differences, dropout, copies."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import reference
from fusedlstm import Sequential
from fusedlstm.layers import LSTM, Dense, Dropout, LastStep, Sequence, rows_of

STACKS = {
    "lstm": [LSTM(5)],
    "lstm, last step": [LSTM(5), LastStep()],
    "bidirectional lstm": [LSTM(4, bidirectional=True)],
    "bidirectional lstm, last step": [LSTM(4, bidirectional=True), LastStep()],
    "stacked": [LSTM(4), LSTM(3, bidirectional=True), LSTM(5), LastStep(), Dense(2)],
    "dense at every step": [LSTM(4), Dense(3, activation="tanh")],
    "dense first": [Dense(6, activation="relu"), LSTM(4), LastStep()],
    "last step of a dense": [LSTM(4), Dense(3, activation="sigmoid"), LastStep(), Dense(1)],
    "only the last step": [LastStep(), Dense(2)],
    "linear dense": [LSTM(3), LastStep(), Dense(4, activation="linear")],
    "dropout": [LSTM(6), Dropout(0.4), LSTM(5), Dropout(0.3), LastStep(), Dense(2)],
    "dropout first": [Dropout(0.5), LSTM(4), LastStep()],
}


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
@pytest.mark.parametrize("lengths", [None, [4, 1, 3]], ids=["equal", "unequal"])
def test_gradients_agree_with_finite_differences(layers, lengths):
    rng = np.random.default_rng(0)
    model = Sequential(layers, input_size=3, dtype="float64", random_state=1)
    x = rng.standard_normal((3, 4, 3))

    def forward():
        # Equal generators drop the same features in each call.
        return model.forward(x, lengths, np.random.default_rng(7))

    y, saved = forward()
    dy = rng.standard_normal(y.shape)
    grads = np.zeros_like(model.params)
    dx = model.backward(saved, dy, grads)

    def loss():
        return float((forward()[0] * dy).sum())

    assert reference.relative_error(grads, reference.numeric_gradient(loss, model.params)) < 1e-8
    assert reference.relative_error(dx, reference.numeric_gradient(loss, x)) < 1e-8


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_predict_gives_the_bits_of_forward_without_a_generator(layers):
    model = Sequential(layers, input_size=3, random_state=1)
    x = np.random.default_rng(0).standard_normal((5, 6, 3)).astype("float32")
    for lengths in (None, [6, 1, 2, 6, 3]):
        expected = model.forward(x, lengths)[0]
        assert model.predict(x, lengths).tobytes() == expected.tobytes()
        assert model.run(x, lengths=lengths)[0].tobytes() == expected.tobytes()


DRAWING = [
    Dropout(0.5),
    LSTM(5, recurrent_dropout=0.5),
    LSTM(5, candidate_dropout=0.5),
    LSTM(5, zoneout=0.5),
    LSTM(5, zoneout_cell=0.5),
    LSTM(5, weight_dropout=0.5),
]


@pytest.mark.parametrize("layer", [*DRAWING, Dropout(0.0), LSTM(5), LastStep(), Dense(2)], ids=repr)
def test_layers_that_draw_random_numbers_declare_it(layer):
    model = Sequential([layer], input_size=3, random_state=1)
    x = np.random.default_rng(0).standard_normal((5, 6, 3)).astype("float32")
    drawn = model.forward(x, rng=np.random.default_rng(0))[0]
    assert layer.random == (drawn.tobytes() != model.predict(x).tobytes()) == (layer in DRAWING)


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_layers_can_be_compared_hashed_and_pickled(layers):
    for layer in layers:
        assert pickle.loads(pickle.dumps(layer)) == layer
        assert hash(layer) == hash(pickle.loads(pickle.dumps(layer)))
        with pytest.raises(AttributeError):
            layer.hidden_size = 3


def test_parameters_have_pytorchs_shapes():
    shapes = LSTM(7, bidirectional=True).param_shapes(3)
    assert shapes == {
        "weight_ih": (28, 3),
        "weight_hh": (28, 7),
        "bias": (28,),
        "weight_ih_reverse": (28, 3),
        "weight_hh_reverse": (28, 7),
        "bias_reverse": (28,),
    }


def test_last_step_takes_the_final_state_of_each_direction():
    model = Sequential([LSTM(4, bidirectional=True)], input_size=3, random_state=0)
    x = np.random.default_rng(0).standard_normal((5, 6, 3)).astype("float32")
    lengths = np.array([6, 1, 2, 6, 3])
    y = model.predict(x, lengths)
    last = Sequential([LSTM(4, bidirectional=True), LastStep()], input_size=3)
    last.params = model.params
    out = last.predict(x, lengths)
    np.testing.assert_array_equal(out[:, :4], y[np.arange(5), lengths - 1, :4])
    np.testing.assert_array_equal(out[:, 4:], y[:, 0, 4:])


def test_steps_past_the_end_are_zero():
    model = Sequential([LSTM(4), Dense(3)], input_size=2, random_state=0)
    model.params[-3:] = 1  # padding must not show the bias either
    y = model.predict(np.ones((2, 5, 2)), [2, 5])
    assert not y[0, 2:].any()
    assert y[0, :2].all()


def test_dropout_zeroes_and_scales_features():
    model = Sequential([Dropout(0.25)], input_size=50, dtype="float64")
    x = np.ones((40, 50, 50))
    y, _ = model.forward(x, rng=np.random.default_rng(0))
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert np.mean(y == 0) == pytest.approx(0.25, abs=0.01)
    np.testing.assert_array_equal(model.forward(x)[0], x)
    np.testing.assert_array_equal(model.predict(x), x)


def test_dropout_depends_only_on_the_generator():
    model = Sequential([LSTM(8), Dropout(0.5), LastStep()], input_size=3, random_state=0)
    x = np.ones((4, 5, 3), "float32")
    same = [model.forward(x, rng=np.random.default_rng(3))[0] for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], model.forward(x, rng=np.random.default_rng(4))[0])


def test_real_steps_become_rows_and_back():
    steps = np.arange(2.0 * 4 * 3).reshape(2, 3, 4).transpose(0, 2, 1)  # not contiguous
    seq = Sequence(steps, np.array([3, 1]))
    rows = seq.rows()
    assert rows.tolist() == [*steps[0, :3].tolist(), steps[1, 0].tolist()]
    back = seq.with_rows(rows[:, :2]).steps()
    assert back.shape == (2, 4, 2)
    assert back[0, :3].tolist() == steps[0, :3, :2].tolist()
    assert back[1, 0].tolist() == steps[1, 0, :2].tolist()
    assert not back[0, 3].any()
    assert not back[1, 1:].any()
    assert rows_of(steps[:, :, 0], seq.mask(), 2).tolist() == rows[:, 0].tolist()


def test_rows_with_a_mask_of_another_shape_are_an_error():
    with pytest.raises(IndexError):
        rows_of(np.zeros((2, 5, 3)), np.ones((2, 4), bool))
