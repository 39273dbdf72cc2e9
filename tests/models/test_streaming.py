"""Streams give the bits of predictions on whole sequences, one step at a time."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.layers import (
    GRU,
    LSTM,
    Dense,
    LastStep,
)
from fusedlstm.losses import Pinball, SquaredError
from stream_models import MODELS, model_of


def last(y):
    return y if y.ndim == 2 else y[:, -1]


@pytest.mark.parametrize("name", MODELS)
def test_streams_of_several_sequences_give_the_bits_of_predict(name, dtype):
    model, x = model_of(MODELS[name], dtype.name)
    stream = model.stream(3)
    for t in range(9):
        y = stream.step(np.ascontiguousarray(x[:, t]))
        assert y.tobytes() == np.ascontiguousarray(last(model.predict(x[:, : t + 1]))).tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_a_stream_of_one_sequence_gives_the_bits_of_predict_also_after_reset(name, dtype):
    model, x = model_of(MODELS[name], dtype.name)
    stream, out = model.stream(), np.empty(model.output_size, dtype)
    for _ in range(2):
        for t in range(9):
            assert stream.step(x[0, t], out=out) is out
            expected = last(model.predict(x[:1, : t + 1]))[0]
            assert out.tobytes() == expected.tobytes()
        stream.reset()


def test_streams_ignore_later_changes_of_parameters():
    model, x = model_of(MODELS["stacked"])
    stream, before = model.stream(), copy.deepcopy(model)
    model.params[:] = 0
    np.testing.assert_array_equal(stream.step(x[0, 0]), before.predict(x[:1, :1])[0, 0])


def test_steps_may_be_lists_or_other_dtypes():
    model, x = model_of(MODELS["lstm"])
    expected = model.stream().step(x[0, 0])
    for given in (x[0, 0].tolist(), x[0, 0].astype(float), np.repeat(x[0, 0], 2)[::2]):
        np.testing.assert_array_equal(model.stream().step(given), expected)


@pytest.mark.parametrize("name", ["lstm", "layer norm", "all options"])
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


def unaligned(values):
    """Return a copy at an unaligned address."""
    array = np.frombuffer(bytearray(values.nbytes + 1), np.uint8)[1:].view(values.dtype)
    array[:] = values
    return array


@pytest.mark.parametrize("name", ["lstm", "layer norm", "all options"])
def test_steps_may_be_unaligned_or_byte_swapped(name):
    model, x = model_of(MODELS[name])
    expected = model.stream().step(x[0, 0])
    swapped = x[0, 0].astype(">f4")
    for given in (unaligned(x[0, 0]), swapped, x[0, 0].view(np.recarray)):
        np.testing.assert_array_equal(model.stream().step(given), expected)
    for out in (
        unaligned(expected),
        expected.astype(">f4"),
        np.zeros((len(expected), 2), "f")[:, 0],
    ):
        with pytest.raises(ValueError, match="out must be a writeable contiguous array"):
            model.stream().step(x[0, 0], out)


def test_step_takes_keyword_arguments():
    model, x = model_of(MODELS["lstm"])
    expected, out = model.stream().step(x[0, 0]), np.empty(32, "f")
    for arguments in ({"x": x[0, 0]}, {"x": x[0, 0], "out": out}, {"out": out, "x": x[0, 0]}):
        np.testing.assert_array_equal(model.stream().step(**arguments), expected)
    np.testing.assert_array_equal(model.stream().step(x[0, 0], None), expected)
    stream = model.stream()
    for wrong in ((), (x[0, 0], out, 1)):
        with pytest.raises(TypeError, match="argument"):
            stream.step(*wrong)
    for wrong in ({"y": out}, {"x": x[0, 0], "out": out}):
        with pytest.raises(TypeError, match="argument"):
            stream.step(x[0, 0], **wrong)
    np.testing.assert_array_equal(stream.step(x[0, 0]), expected)


@pytest.mark.parametrize("layers", [[LSTM(4)], [LSTM(4), Dense(4)], [LastStep()]])
def test_out_may_share_memory_with_x(layers):
    model, x = model_of(layers)
    stream, both = model.stream(), model.stream()
    for t in range(9):
        expected, buffer = stream.step(x[0, t]), x[0, t].copy()
        assert both.step(buffer, buffer) is buffer
        np.testing.assert_array_equal(buffer, expected)
    memory = np.concatenate([np.zeros(2, "f"), x[0, 0]])
    model.stream().step(memory[2:], memory[:4])
    np.testing.assert_array_equal(memory[:4], model.stream().step(x[0, 0]))


def test_streams_of_one_predictor_are_independent():
    model, x = model_of(MODELS["stacked"])
    predictor = model.predictor()
    streams = [predictor.stream() for _ in x]
    for t in range(9):
        y = [stream.step(x_t) for stream, x_t in zip(streams, x[:, t], strict=True)]
    np.testing.assert_array_equal(y, model.predict(x)[:, -1])


def test_streams_work_in_many_python_threads():
    model, _ = model_of([LSTM(256)])  # large enough that the call releases the GIL
    predictor, rng = model.predictor(), np.random.default_rng(0)
    x = rng.standard_normal((8, 40, 4)).astype("f")
    expected = model.predict(x)[:, -1]

    def last_of(sequence):
        stream = predictor.stream()
        return [stream.step(x_t) for x_t in sequence][-1]

    shared = predictor.stream()
    with ThreadPoolExecutor(8) as pool:
        np.testing.assert_array_equal(list(pool.map(last_of, x)), expected)
        # In any order of the threads, each step is complete.
        assert np.isfinite(list(pool.map(shared.step, x.reshape(-1, 4)))).all()
        list(pool.map(lambda _: shared.reset(), range(8)))
    np.testing.assert_array_equal([shared.step(x_t) for x_t in x[0]][-1], expected[0])


def test_streams_cannot_be_copied_or_pickled():
    model, x = model_of(MODELS["lstm"])
    fitted = LSTMRegressor(5, max_iter=1, random_state=0).fit(X, TOTAL)
    for stream in (model.stream(), fitted.stream()):
        for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="pickle"):
                duplicate(stream)
        with pytest.raises((TypeError, AttributeError)):
            type(stream).__new__(type(stream)).step(x[0, 0])


@pytest.mark.parametrize("layer", [LSTM(4, bidirectional=True), GRU(4, reverse=True)])
def test_streams_of_reversed_layers_are_an_error(layer):
    with pytest.raises(
        ValueError, match=r"layers\[1\] must not read sequences backward for a stream"
    ):
        model_of([LSTM(4), layer])[0].stream()


@pytest.mark.parametrize("n_sequences", [0, -1, 2.0, "2"])
def test_a_wrong_number_of_sequences_is_an_error(n_sequences):
    with pytest.raises((ValueError, TypeError), match="n_sequences must be a positive integer"):
        model_of(MODELS["lstm"])[0].stream(n_sequences)


X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))
LABELS = np.digitize(TOTAL, [-2, 2])


class Twice(SquaredError):  # noqa: N818
    """A custom loss, which the core does not decode."""

    def predict(self, z):
        return 2 * z


PAIR = np.stack([TOTAL, -TOTAL], axis=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (LSTMClassifier(), LABELS),
        (LSTMClassifier(), LABELS > 0),
        (LSTMClassifier(), np.stack([LABELS > 0, LABELS > 1], axis=1).astype(int)),
        (LSTMClassifier(cell="layer_norm_lstm"), LABELS),
        (LSTMRegressor(), TOTAL),
        (LSTMRegressor(layers=(GRU(3, trainable_state=True),)), PAIR),
        (LSTMRegressor(normalize_y=False, loss="huber"), TOTAL[:, np.newaxis]),
        (LSTMRegressor(loss="poisson"), np.abs(TOTAL)),
        (LSTMRegressor(loss="gaussian"), PAIR),
        (LSTMRegressor(loss=Pinball(0.9)), TOTAL),
        (LSTMRegressor(loss=Pinball((0.5,))), TOTAL),
        (LSTMRegressor(loss="pinball"), PAIR),
        (LSTMRegressor(loss=Twice()), PAIR),
    ],
    ids=repr,
)
def test_streams_of_estimators_give_the_bits_of_their_predictions(estimator, y, dtype):
    size = 5 if estimator.layers is None else estimator.hidden_size
    estimator.set_params(hidden_size=size, max_iter=2, random_state=0, dtype=dtype)
    fitted = estimator.fit(X, y)
    predict = fitted.predict_proba if hasattr(fitted, "classes_") else fitted.predict
    one, all_three = fitted.stream(), fitted.stream(3)
    for t in range(6):
        expected, given = predict(X[:3, : t + 1]), all_three.step(X[:3, t])
        assert given.dtype == expected.dtype == np.float64
        assert given.tobytes() == expected.tobytes()
        given = one.step(X[0, t])
        assert type(given) is type(expected[0])
        assert given.tobytes() == expected[0].tobytes()
    one.reset()
    np.testing.assert_array_equal(one.step(X[0, 0]), predict(X[:1, :1])[0])


@pytest.mark.parametrize("y", [TOTAL, PAIR, TOTAL[:, np.newaxis]], ids=["one", "two", "column"])
def test_streams_return_standard_deviations(y):
    fitted = LSTMRegressor(5, loss="gaussian", max_iter=2, random_state=0).fit(X, y)
    one, all_three = fitted.stream(return_std=True), fitted.stream(3, return_std=True)
    for t in range(6):
        expected = fitted.predict(X[:3, : t + 1], return_std=True)
        for of_one, of_all, part in zip(
            one.step(X[0, t]), all_three.step(X[:3, t]), expected, strict=True
        ):
            assert of_all.tobytes() == part.tobytes()
            assert of_one.tobytes() == part[0].tobytes()
    one.reset()
    assert one.step(X[0, 0])[1].tobytes() == fitted.predict(X[:1, :1], return_std=True)[1].tobytes()


def test_return_std_of_streams_needs_the_gaussian_loss():
    fitted = LSTMRegressor(5, max_iter=1).fit(X, TOTAL)
    with pytest.raises(ValueError, match="return_std must be False unless the loss is 'gaussian'"):
        fitted.stream(return_std=True)
    with pytest.raises(TypeError, match="return_std must be True or False; got 3"):
        fitted.stream(return_std=3)
    with pytest.raises(NotFittedError):
        LSTMRegressor(loss="gaussian").stream(return_std=True)


@pytest.mark.parametrize("loss", ["squared_error", Twice()])
def test_streams_of_estimators_take_steps_of_all_kinds(loss):
    fitted = LSTMRegressor(5, loss=loss, max_iter=1, random_state=0).fit(X, TOTAL)
    whole = np.array([3, -2])
    for x in (
        X[0, 0],
        X[0, 0].astype("f"),
        X[0, 0].astype(">f8"),
        X[0, 0].astype("f2"),
        X[0, 0].astype(np.longdouble),
        unaligned(X[0, 0]),
        np.repeat(X[0, 0], 2)[::2],
        whole,
        whole.astype(np.uint8),
        whole > 0,
        [0.1, -3.0],
        [np.float32(0.1), 2],
        (1, True),
        whole.astype(object),
    ):
        expected = fitted.predict(
            np.asarray(x, dtype=getattr(x, "dtype", None))[np.newaxis, np.newaxis]
        )
        assert fitted.stream().step(x) == expected[0]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([np.nan, 0], "x must be finite"),
        ([1e300, 0], "x must be finite and within float32's range"),
        (np.array([np.inf, 0]), "x must be finite"),
        (np.array([np.nan, 0], "f"), "x must be finite"),
        ([0], r"x must be an array of shape \(2,\)"),
        (np.zeros((1, 2)), r"x must be an array of shape \(2,\)"),
        (0.0, r"x must be an array of shape \(2,\)"),
        (["a", "b"], "x must be an array of numbers"),
        ([[0], [1, 2]], "x must be an array of numbers"),
        ([10**400, 0], "x must be"),
        (None, "x must be an array of numbers"),
    ],
)
@pytest.mark.parametrize("loss", ["squared_error", Twice()])
def test_errors_for_wrong_steps_of_estimators(loss, x, message):
    fitted = LSTMRegressor(5, loss=loss, max_iter=2, random_state=0).fit(X, TOTAL)
    stream = fitted.stream()
    with pytest.raises((ValueError, TypeError), match=message):
        stream.step(x)
    assert stream.step(X[0, 0]) == fitted.predict(X[:1, :1])[0]
