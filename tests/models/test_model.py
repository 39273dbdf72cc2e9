"""Sequential: parameters, forms of input, states and masks."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import reference
import reference_cells
from fusedlstm import Sequential
from fusedlstm.layers import GRU, LSTM, Dense, LastStep
from reference import unaligned

X = np.random.default_rng(0).standard_normal((4, 6, 3)).astype("float32")


@pytest.fixture
def model():
    return Sequential([LSTM(5), LastStep(), Dense(2)], input_size=3, random_state=0)


def test_predictions_agree_with_the_equations(model):
    named = model.named_params()
    flat = np.concatenate([named[f"0.{n}"].ravel() for n in ("weight_ih", "weight_hh", "bias")])
    lstm = reference_cells.Lstm(reference_cells.lstm_spec(), flat, 3, 5)
    for x, y in zip(X, model.predict(X), strict=True):
        h = lstm.sequence(x, {"h": np.zeros(5), "c": np.zeros(5)})[1]["h"]
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


def test_assigned_parameters_are_copied(model):
    other = Sequential(model.layers, input_size=3, random_state=1)
    other.params = model.params
    assert other.params is not model.params
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    with pytest.raises(ValueError, match=f"params must be {model.params.size} numbers; got"):
        model.params = np.zeros(3)


def test_random_state_determines_the_parameters():
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
def test_input_of_any_memory_layout_gives_the_same_outputs(model, x):
    np.testing.assert_array_equal(model.predict(x), model.predict(X))


def test_read_only_and_memory_mapped_input(model, tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    y, saved = model.forward(mapped)
    model.backward(saved, np.ones_like(y), np.zeros_like(model.params))
    np.testing.assert_array_equal(y, model.predict(X))


def test_integer_input_is_converted(model):
    ones = np.ones((2, 3, 3), int)
    np.testing.assert_array_equal(model.predict(ones), model.predict(ones.astype("float32")))


def test_padding_does_not_change_the_bits_of_a_sequence(model):
    y = model.predict(X, lengths=[6, 2, 1, 4])
    for row, length in enumerate([6, 2, 1, 4]):
        alone = model.predict(X[row : row + 1, :length])
        assert alone.tobytes() == y[row : row + 1].tobytes()


def test_run_continues_from_a_state():
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


def test_copies_and_pickles_do_not_share_parameters(model):
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        other.params[:] = 0
        assert model.params.any()


def test_repr_of_a_model(model):
    assert repr(model) == (
        "Sequential(\n    [\n        LSTM(hidden_size=5),\n        LastStep(),\n"
        "        Dense(units=2, activation='linear'),\n    ],\n"
        "    input_size=3,\n    dtype='float32',\n)"
    )


# Masks.


def masked_problem(layers, seed=0):
    rng = np.random.default_rng(seed)
    model = Sequential(layers, 3, "float64", seed)
    mask = rng.random((5, 9)) < 0.6
    mask[np.arange(5), rng.integers(0, 9, 5)] = True
    return model, rng.standard_normal((5, 9, 3)), mask


EVERY_STEP = [LSTM(4), GRU(4, bidirectional=True), Dense(2)]


def test_masked_steps_are_skipped():
    model, x, mask = masked_problem(EVERY_STEP)
    y = model.predict(x, mask=mask)
    for row in range(5):
        real = np.flatnonzero(mask[row])
        alone = model.predict(x[row : row + 1, real])[0]
        np.testing.assert_array_equal(y[row, real], alone)
        for t in np.flatnonzero(~mask[row]):
            before = real[real < t]
            inside = len(before) > 0 and t < real[-1]
            np.testing.assert_array_equal(y[row, t], y[row, before[-1]] if inside else 0)


def test_a_mask_of_a_suffix_is_the_same_as_lengths():
    model, x, _ = masked_problem(EVERY_STEP)
    lengths = np.array([9, 1, 4, 7, 2])
    mask = np.arange(9) < lengths[:, np.newaxis]
    np.testing.assert_array_equal(model.predict(x, mask=mask), model.predict(x, lengths))


def test_final_states_skip_masked_steps():
    model, x, mask = masked_problem([GRU(4), LastStep()])
    y, ((h,), _) = model.run(x, mask=mask)
    np.testing.assert_array_equal(h[0], y)


@pytest.mark.parametrize("layers", [EVERY_STEP, [LSTM(4), LastStep(), Dense(2)]])
def test_gradients_with_masked_steps_agree_with_finite_differences(layers):
    model, x, mask = masked_problem(layers)
    y, saved = model.forward(x, mask=mask)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    grads = np.zeros_like(model.params)
    dx = model.backward(saved, dy, grads)

    def loss():
        return float((model.predict(x, mask=mask) * dy).sum())

    assert reference.relative_error(dx, reference.numeric_gradient(loss, x)) < 1e-8
    assert reference.relative_error(grads, reference.numeric_gradient(loss, model.params)) < 1e-8
    assert not dx[~mask].any()


@pytest.mark.parametrize(
    ("mask", "lengths", "message"),
    [
        (np.ones((5, 9)), None, "mask must be an array of booleans of shape"),
        (np.ones((5, 8), bool), None, "mask must be an array of booleans of shape"),
        (np.arange(5)[:, np.newaxis] * np.ones(9) > 0, None, "got none in row 0"),
        (np.ones((5, 9), bool), np.ones(5, int), "lengths must be None if mask is given"),
    ],
)
def test_errors_of_masks(mask, lengths, message):
    model, x, _ = masked_problem(EVERY_STEP)
    with pytest.raises(ValueError, match=message):
        model.predict(x, lengths, mask=mask)


@pytest.mark.parametrize("steps", [2**40, 2**55, 2**61])
def test_more_steps_than_memory_can_hold_are_an_error(steps):
    model = Sequential([LSTM(64)], 1, random_state=0)
    with pytest.raises((MemoryError, ValueError)):
        model.forward(np.broadcast_to(np.float32(0), (1, steps, 1)))


def test_unaligned_arrays_give_the_same_results(rng):
    model = Sequential([LSTM(5), Dense(3)], 4, "float64", random_state=0)
    x, lengths = rng.standard_normal((6, 7, 4)), np.array([7, 1, 2, 3, 4, 5])
    y, saved = model.forward(x, lengths)
    dy, grads = rng.standard_normal(y.shape), np.zeros_like(model.params)
    dx = model.backward(saved, dy, grads)
    state = model.run(x)[1]

    given = (unaligned(x), unaligned(lengths))
    y_again, saved = model.forward(*given)
    assert y_again.tobytes() == model.predict(*given).tobytes() == y.tobytes()
    again = np.zeros_like(model.params)
    assert model.backward(saved, unaligned(dy), again).tobytes() == dx.tobytes()
    assert again.tobytes() == grads.tobytes()
    from_state = model.run(x, (tuple(map(unaligned, state[0])), None))[0]
    assert from_state.tobytes() == model.run(x, state)[0].tobytes()
    with pytest.raises(ValueError, match="grads must be a flat, contiguous, aligned"):
        model.backward(model.forward(x)[1], dy, unaligned(grads))


def test_unaligned_parameters_in_a_pickle_are_loaded():
    model = Sequential([LSTM(5), Dense(3)], 4, random_state=0)
    x = np.ones((2, 3, 4), "f")
    expected = model.predict(x).tobytes()
    model._params = unaligned(model._params)
    buffers = []
    data = pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    loaded = pickle.loads(data, buffers=buffers)
    assert loaded.predict(x).tobytes() == expected


@pytest.mark.parametrize("layers", [[LSTM(200), LastStep()], [LSTM(200)]], ids=["last", "all"])
def test_a_prediction_computed_in_parts_has_the_bits_of_the_whole(one_thread, layers, rng):
    # Enough work that the rows are computed in parts.
    x = rng.standard_normal((401, 700, 3)).astype("f")
    lengths = rng.integers(1, 701, 401)
    model = Sequential(layers, 3, random_state=0)
    y = model.predict(x, lengths)
    for rows in (slice(0, 3), slice(198, 203), slice(398, 401)):
        assert y[rows].tobytes() == model.predict(x[rows], lengths[rows]).tobytes()
