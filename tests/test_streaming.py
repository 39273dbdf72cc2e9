"""One step at a time gives the bits of the whole sequence."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from fusedlstm import LSTMClassifier, LSTMRegressor, Sequential
from fusedlstm.layers import (
    CIFGLSTM,
    GRU,
    LSTM,
    RNN,
    Dense,
    Dropout,
    LastStep,
    LayerNormLSTM,
    PeepholeLSTM,
)

MODELS = {
    "lstm": [LSTM(32)],
    "a narrow last group": [LSTM(33), LastStep(), Dense(3)],
    "stacked": [GRU(16), Dropout(0.1), RNN(7), Dense(2, ("elu", 0.5))],
    "zoneout and an initial state": [PeepholeLSTM(20, trainable_state=True, zoneout=0.2)],
    "gru with an initial state": [GRU(5, trainable_state=True)],
    "staged": [LayerNormLSTM(5), CIFGLSTM(6), LastStep()],
    "projection": [LSTM(8, projection_size=3, trainable_state=True)],
}


def model_of(layers, dtype="float32"):
    model = Sequential(layers, 4, dtype, 0)
    rng = np.random.default_rng(1)
    model.params += 0.1 * rng.standard_normal(model.params.shape).astype(dtype)
    return model, rng.standard_normal((3, 9, 4)).astype(dtype)


def last(y):
    return y if y.ndim == 2 else y[:, -1]


@pytest.mark.parametrize("name", MODELS)
def test_several_sequences_side_by_side(name, dtype):
    model, x = model_of(MODELS[name], dtype.name)
    stream = model.stream(3)
    for t in range(9):
        y = stream.step(np.ascontiguousarray(x[:, t]))
        assert y.tobytes() == np.ascontiguousarray(last(model.predict(x[:, : t + 1]))).tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_one_sequence_and_beginning_anew(name, dtype):
    model, x = model_of(MODELS[name], dtype.name)
    stream, out = model.stream(), np.empty(model.output_size, dtype)
    for _ in range(2):
        for t in range(9):
            assert stream.step(x[0, t], out=out) is out
            expected = last(model.predict(x[:1, : t + 1]))[0]
            assert out.tobytes() == expected.tobytes()
        stream.reset()


def test_it_keeps_the_parameters_that_it_began_with():
    model, x = model_of(MODELS["stacked"])
    stream, before = model.stream(), copy.deepcopy(model)
    model.params[:] = 0
    np.testing.assert_array_equal(stream.step(x[0, 0]), before.predict(x[:1, :1])[0, 0])


def test_input_of_other_kinds():
    model, x = model_of(MODELS["lstm"])
    expected = model.stream().step(x[0, 0])
    for given in (x[0, 0].tolist(), x[0, 0].astype(float), np.repeat(x[0, 0], 2)[::2]):
        np.testing.assert_array_equal(model.stream().step(given), expected)


@pytest.mark.parametrize("name", ["lstm", "staged"])
@pytest.mark.parametrize(
    ("x", "out", "message"),
    [
        (np.zeros(3), None, r"x must be an array of shape \(4,\)"),
        (np.zeros((1, 4)), None, r"x must be an array of shape \(4,\)"),
        (["a"] * 4, None, "x must be an array of numbers"),
        (np.zeros(4), np.zeros(7, "f"), "out must be a writeable contiguous array of float32"),
        (np.zeros(4), "float64", "out must be a writeable contiguous array of float32"),
        (np.zeros(4), "read-only", "out must be a writeable contiguous array of float32"),
        (np.zeros(4), [0.0], "out must be a writeable contiguous array of float32"),
    ],
)
def test_bad_steps_change_nothing(name, x, out, message):
    model, good = model_of(MODELS[name])
    if isinstance(out, str):
        read_only = out == "read-only"
        out = np.zeros(model.output_size, "f" if read_only else float)
        out.flags.writeable = not read_only
    stream = model.stream()
    with pytest.raises((ValueError, TypeError), match=message):
        stream.step(x, out)
    np.testing.assert_array_equal(stream.step(good[0, 0]), model.stream().step(good[0, 0]))


@pytest.mark.parametrize("layer", [LSTM(4, bidirectional=True), GRU(4, reverse=True)])
def test_layers_that_read_backwards(layer):
    with pytest.raises(ValueError, match=r"layers\[1\] reads each sequence from its last step"):
        model_of([LSTM(4), layer])[0].stream()


@pytest.mark.parametrize("n_sequences", [0, -1, 2.0, "2"])
def test_numbers_of_sequences(n_sequences):
    with pytest.raises((ValueError, TypeError), match="n_sequences must be a positive integer"):
        model_of(MODELS["lstm"])[0].stream(n_sequences)


X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))
LABELS = np.digitize(TOTAL, [-2, 2])


@pytest.mark.parametrize(
    ("estimator", "y", "method"),
    [
        (LSTMClassifier, LABELS, "predict_proba"),
        (LSTMClassifier, LABELS > 0, "predict_proba"),
        (LSTMClassifier, np.stack([LABELS > 0, LABELS > 1], axis=1).astype(int), "predict_proba"),
        (LSTMRegressor, TOTAL, "predict"),
        (LSTMRegressor, np.stack([TOTAL, -TOTAL], axis=1), "predict"),
    ],
)
def test_estimators(estimator, y, method):
    fitted = estimator(5, max_iter=2, random_state=0).fit(X, y)
    one, all_three = fitted.stream(), fitted.stream(3)
    for t in range(6):
        expected = getattr(fitted, method)(X[:3, : t + 1])
        np.testing.assert_array_equal(all_three.step(X[:3, t]), expected)
        np.testing.assert_array_equal(one.step(X[0, t]), expected[0])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([np.nan, 0], "x must be finite"),
        ([1e300, 0], "x must be finite, within float32's range"),
        ([0], r"x must be an array of shape \(2,\)"),
        (["a", "b"], "x must be an array of numbers"),
    ],
)
def test_bad_steps_of_estimators(x, message):
    fitted = LSTMRegressor(5, max_iter=2, random_state=0).fit(X, TOTAL)
    stream = fitted.stream()
    with pytest.raises((ValueError, TypeError), match=message):
        stream.step(x)
    assert stream.step(X[0, 0]) == fitted.predict(X[:1, :1])[0]
