"""Sequential: parameters, inputs of all kinds, state, and bad input one by one."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import reference
from fusedlstm import Sequential
from fusedlstm.layers import LSTM, Dense, LastStep

X = np.random.default_rng(0).standard_normal((4, 6, 3)).astype("float32")


@pytest.fixture
def model():
    return Sequential([LSTM(5), LastStep(), Dense(2)], input_size=3, random_state=0)


def test_against_the_reference(model):
    named = model.named_params()
    weights = reference.Weights(*(named[f"0.{n}"].astype(float) for n in
                                  ("weight_ih", "weight_hh", "bias")))  # fmt: skip
    for x, y in zip(X, model.predict(X), strict=True):
        _, h, _, _ = reference.lstm_sequence(weights, x.astype(float), np.zeros(5), np.zeros(5))
        np.testing.assert_allclose(y, named["2.weight"] @ h + named["2.bias"], atol=1e-6)


def test_named_parameters_are_views(model):
    before = model.predict(X)
    named = model.named_params()
    assert list(named) == ["0.weight_ih", "0.weight_hh", "0.bias", "2.weight", "2.bias"]
    assert sum(values.size for values in named.values()) == model.params.size
    named["2.bias"][:] += 1
    np.testing.assert_allclose(model.predict(X), before + 1, rtol=1e-6)
    model.params[:] = 0
    assert not model.predict(X).any()


def test_assigning_parameters(model):
    other = Sequential(model.layers, input_size=3, random_state=1)
    other.params = model.params
    assert other.params is not model.params
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    with pytest.raises(ValueError, match=f"params must be {model.params.size} numbers; got"):
        model.params = np.zeros(3)


def test_random_state():
    def params(random_state):
        return Sequential([LSTM(5)], input_size=3, random_state=random_state).params

    np.testing.assert_array_equal(params(3), params(3))
    np.testing.assert_array_equal(params(3), params(np.random.default_rng(3)))
    assert not np.array_equal(params(3), params(4))
    assert not np.array_equal(params(None), params(None))


@pytest.mark.parametrize(
    "x",
    [
        X.astype("float64"),
        X.tolist(),
        np.asfortranarray(X),
        X.astype(">f4"),
        np.repeat(X, 2, axis=2)[:, :, ::2],
        np.frombuffer(b"\0" + X.tobytes(), dtype="u1")[1:].view("f4").reshape(X.shape),
    ],
    ids=["float64", "lists", "Fortran order", "big endian", "strided", "unaligned"],
)
def test_input_of_any_kind(model, x):
    np.testing.assert_array_equal(model.predict(x), model.predict(X))


def test_read_only_and_memory_mapped_input(model, tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    y, saved = model.forward(mapped)
    model.backward(saved, np.ones_like(y), np.zeros_like(model.params))
    np.testing.assert_array_equal(y, model.predict(X))


def test_integers_become_numbers(model):
    ones = np.ones((2, 3, 3), int)
    np.testing.assert_array_equal(model.predict(ones), model.predict(ones.astype("float32")))


def test_lengths(model):
    y = model.predict(X, lengths=[6, 2, 1, 4])
    for row, length in enumerate([6, 2, 1, 4]):
        alone = model.predict(X[row : row + 1, :length])
        assert alone.tobytes() == y[row : row + 1].tobytes()


def test_state_in_and_out():
    model = Sequential([LSTM(5), LSTM(4), Dense(2)], input_size=3, random_state=0)
    whole = model.predict(X)
    first, state = model.run(X[:, :2])
    second, state = model.run(X[:, 2:], state)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    assert [None if s is None else s[0].shape for s in state] == [(1, 4, 5), (1, 4, 4), None]


def test_add_gradients_is_backward_without_dx(model):
    y, saved = model.forward(X)
    grads, without = np.zeros_like(model.params), np.zeros_like(model.params)
    model.backward(saved, np.ones_like(y), grads)
    _, saved = model.forward(X)
    model.add_gradients(saved, np.ones_like(y), without)
    np.testing.assert_array_equal(grads, without)
    assert grads.any()


def test_copies_and_pickles(model):
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        other.params[:] = 0
        assert model.params.any()


def test_repr(model):
    assert repr(model) == (
        "Sequential([LSTM(hidden_size=5, bidirectional=False), LastStep(), "
        "Dense(units=2, activation='linear')], input_size=3, dtype='float32')"
    )


def test_saved_can_be_used_once(model):
    y, saved = model.forward(X)
    model.backward(saved, np.ones_like(y), np.zeros_like(model.params))
    with pytest.raises(ValueError, match="saved must be fresh from forward; got one that"):
        model.backward(saved, np.ones_like(y), np.zeros_like(model.params))


def call(method, *args, **kwargs):
    return lambda model: getattr(model, method)(*args, **kwargs)


def back(dy=None, grads=None):
    def run(model):
        y, saved = model.forward(X)
        model.backward(
            saved,
            np.ones_like(y) if dy is None else dy,
            np.zeros_like(model.params) if grads is None else grads(model),
        )

    return run


BAD_CALLS = {
    "one sequence": (
        call("predict", X[0]),
        r"x must be an array of shape \(n_sequences, n_timesteps, 3\); got an array of shape "
        r"\(6, 3\) and dtype float32. For one sequence pass x\[np.newaxis\].",
    ),
    "wrong features": (call("predict", X[:, :, :2]), r"n_timesteps, 3\); got .* \(4, 6, 2\)"),
    "no sequences": (call("predict", X[:0]), "x must be at least one sequence of at least one"),
    "no steps": (call("predict", X[:, :0]), "x must be at least one sequence of at least one"),
    "complex": (call("predict", X + 0j), "Complex data not supported: x must be real"),
    "text": (call("predict", [[["a"] * 3]]), "x must be an array of numbers; got"),
    "None": (call("predict", None), "x must be an array of numbers; got None"),
    "unequal lists": (call("predict", [[[1, 2, 3]], [[1, 2]]]), "x must be an array of numbers"),
    "too few lengths": (call("predict", X, [1, 2]), "lengths must be 4 integers, one a sequence"),
    "a length of 0": (call("predict", X, [0, 1, 1, 1]), "between 1 and 6, the number of steps; g"),
    "a length too large": (call("predict", X, [7, 1, 1, 1]), "number of steps; got 7"),
    "real lengths": (call("predict", X, [1.0, 1, 1, 1]), "lengths must be 4 integers"),
    "a state of too few": (call("run", X, (None,)), "state must be 3 entries, one a layer"),
    "a state of no kind": (call("run", X, 5), "state must be 3 entries, one a layer; got 5"),
    "a state of another batch": (
        call("run", X, ((np.zeros((1, 3, 5)), np.zeros((1, 3, 5))), None, None)),
        r"state\[0\] must be a pair \(h, c\) of arrays of shape \(1, 4, 5\)",
    ),
    "a state of h alone": (
        call("run", X, ((np.zeros((1, 4, 5)),), None, None)),
        r"state\[0\] must be a pair \(h, c\)",
    ),
    "dy of another shape": (back(dy=np.ones((4, 3))), r"dy must be an array of shape \(4, 2\); g"),
    "grads too short": (back(grads=lambda m: m.params[:-1].copy()), "grads must be a writeable"),
    "grads of another dtype": (back(grads=lambda m: m.params.astype(float)), "float32 numbers"),
    "grads as a list": (back(grads=lambda m: m.params.tolist()), "grads must be a writeable array"),
}


@pytest.mark.parametrize(("run", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls_change_nothing(model, run, message):
    params, y = model.params.copy(), model.predict(X)
    with pytest.raises((ValueError, TypeError), match=message):
        run(model)
    np.testing.assert_array_equal(model.params, params)
    np.testing.assert_array_equal(model.predict(X), y)


BAD_MODELS = {
    "no layers": (([], 3), "layers must be a sequence of layers from fusedlstm.layers; got"),
    "no sequence": ((LSTM(3), 3), "layers must be a sequence of layers"),
    "a class": (([LSTM], 3), r"layers\[0\] must be a layer; got .* Did you mean LSTM\(...\)\?"),
    "a string": ((["lstm"], 3), r"layers\[0\] must be a layer; got 'lstm'"),
    "no steps left": (([LastStep(), LSTM(3)], 3), r"layers\[1\] must be a layer for vectors"),
    "two last steps": (([LSTM(3), LastStep(), LastStep()], 3), r"layers\[2\] must be a layer for"),
    "no input": (([LSTM(3)], 0), "input_size must be a positive integer; got 0"),
    "half precision": (([LSTM(3)], 3, "float16"), "dtype must be 'float32' or 'float64'; got"),
    "unknown dtype": (([LSTM(3)], 3, "real"), "dtype must be 'float32' or 'float64'; got 'real'"),
}


@pytest.mark.parametrize(("args", "message"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_bad_models(args, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Sequential(*args)
