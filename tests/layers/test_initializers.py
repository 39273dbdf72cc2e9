"""Initial weights: their distributions, and the work of drawing them."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from fusedlstm import Sequential
from fusedlstm.layers import CIFGLSTM, GRU, LSTM, RNN, Dense, LastStep, initializers
from fusedlstm.layers.initializers import (
    lecun_uniform,
    orthogonal,
    spread_gate_bias,
    uniform,
    xavier_uniform,
)

SIZES = [*range(1, 40), 63, 64, 65, 127, 128, 257]


def initial(layer, input_size=30, **options):
    model = Sequential([layer], input_size, random_state=0, **options)
    return {name[2:]: values for name, values in model.named_params().items()}


def check_uniform(values, deviation):
    limit = math.sqrt(3) * deviation
    assert 0.98 * limit < np.abs(values).max() <= limit * (1 + 1e-6)
    assert values.std() == pytest.approx(deviation, rel=0.04)
    assert abs(values.mean()) < 4 * deviation / math.sqrt(values.size)


def check_orthogonal(weights, size):
    for block in np.split(weights, len(weights) // size):
        np.testing.assert_allclose(block @ block.T, np.eye(size), atol=2e-6)


def test_uniform_has_the_given_deviation():
    # Several pieces, the last one short.
    values = uniform(np.random.default_rng(0), (3, initializers.CHUNK // 2 + 5), 0.25)
    assert values.dtype == np.float32
    check_uniform(values, 0.25)
    check_uniform(values[2, -1000:], 0.25)


def test_deviations_of_lecun_and_xavier_follow_the_fans():
    rng = np.random.default_rng(0)
    check_uniform(lecun_uniform(rng, 200, 25), 0.2)
    check_uniform(xavier_uniform(rng, 150, 50), 0.1)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: lecun_uniform(rng, 3, 4),
        lambda rng: xavier_uniform(rng, 3, 4),
        lambda rng: orthogonal(rng, 5),
    ],
)
def test_initial_weights_depend_only_on_the_generator(draw):
    a, b = draw(np.random.default_rng(5)), draw(np.random.default_rng(5))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, draw(np.random.default_rng(6)))


@pytest.mark.parametrize("size", SIZES)
def test_orthogonal_is_orthogonal(size):
    matrix = orthogonal(np.random.default_rng(0), size)
    assert matrix.shape == (size, size)
    check_orthogonal(matrix, size)


@pytest.mark.parametrize("shape", [(1, 7), (5, 3), (3, 5), (60, 30), (200, 300)])
def test_orthogonal_of_any_shape(shape):
    matrix = orthogonal(np.random.default_rng(0), *shape)
    assert matrix.shape == shape
    product = matrix.T @ matrix if shape[0] > shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=2e-6)


@pytest.mark.parametrize("size", [30, 64, 100, 127])
def test_orthogonal_mixes_all_coordinates(size):
    matrices = np.stack([orthogonal(np.random.default_rng(seed), size) for seed in range(300)])
    assert (matrices[0] == 0).mean() < 0.06
    assert np.abs(matrices[0]).max() < 0.9
    assert np.abs(matrices.mean(axis=0)).max() < 6 / math.sqrt(300 * size)
    average = (matrices.astype(float) ** 2).mean(axis=0) * size  # 1 if no element is favored
    np.testing.assert_allclose(average.mean(axis=0), 1, atol=0.02)
    assert np.median(average) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("size", [1, 2, 50, 1000, 1021, 4095, 4096, 5000])
def test_work_of_orthogonal_is_proportional_to_its_elements(monkeypatch, size):
    work = []

    def count(rng, number, block):
        work.append(number * block**3)
        return np.zeros((number, block, block), np.float32)

    monkeypatch.setattr(initializers, "_orthogonal_blocks", count)
    monkeypatch.setattr(np, "multiply", lambda left, right, out: work.append(out.size))
    orthogonal(np.random.default_rng(0), size)
    assert sum(work) <= 5 * size**2  # one multiplication per element, and the blocks


def test_gate_biases_spread_over_scales_of_time():
    biases = spread_gate_bias(100)
    assert 0 < biases[0] < 0.01
    assert 4.9 < biases[-1] < 5
    assert (np.diff(biases) > 0).all()
    np.testing.assert_allclose(biases[49:51].mean(), 1.25, rtol=1e-3)
    np.testing.assert_allclose(spread_gate_bias(1), [1.25])


@pytest.mark.parametrize("direction", ["", "_reverse"])
def test_initial_weights_of_lstm(direction):
    named = initial(LSTM(60, bidirectional=True))
    check_uniform(named["weight_ih" + direction], 1 / math.sqrt(30))
    check_orthogonal(named["weight_hh" + direction], 60)
    i, f, g, o = np.split(named["bias" + direction], 4)
    np.testing.assert_array_equal(f, spread_gate_bias(60))
    np.testing.assert_array_equal(i, 1 - f)
    assert not g.any()
    assert not o.any()


def test_gates_and_directions_differ():
    named = initial(LSTM(16, bidirectional=True))
    blocks = [block for end in ("", "_reverse") for block in np.split(named["weight_hh" + end], 4)]
    assert len({block.tobytes() for block in blocks}) == 8
    assert not np.array_equal(named["weight_ih"], named["weight_ih_reverse"])


@pytest.mark.parametrize(
    ("layer", "gates"),
    [
        (CIFGLSTM(8), {"f": "spread"}),
        (LSTM(8, peepholes=True), {"f": "spread", "i": "against"}),
        (LSTM(8, output_gate=False), {"f": "spread", "i": "against"}),
        (LSTM(8, layer_norm=True), {"f": "spread", "i": "against"}),
        (LSTM(8, input_gate=False), {"f": 1.0}),
        (LSTM(8, forget_gate=False), {}),
        (LSTM(8, recurrent_activation="hard_sigmoid"), {"f": 1.0}),
    ],
)
def test_initial_biases_of_lstm_variants(layer, gates):
    expected = {"spread": spread_gate_bias(8), "against": 1 - spread_gate_bias(8)}
    named = initial(layer)
    for block, bias in zip(layer.blocks, np.split(named["bias"], len(layer.blocks)), strict=True):
        value = gates.get(block, 0.0)
        np.testing.assert_array_equal(bias, expected.get(value, value))


def test_initial_weights_of_lstm_with_a_projection():
    named = initial(LSTM(40, projection_size=10))
    for block in np.split(named["weight_hh"], 4):
        np.testing.assert_allclose(block.T @ block, np.eye(10), atol=2e-6)


@pytest.mark.parametrize("reset_after", [True, False])
def test_initial_weights_of_gru(reset_after):
    named = initial(GRU(60, reset_after=reset_after))
    check_uniform(named["weight_ih"], 1 / math.sqrt(30))
    check_orthogonal(named["weight_hh"], 60)
    r, z, n = np.split(named["bias"], 3)
    np.testing.assert_array_equal(z, spread_gate_bias(60))
    assert not r.any()
    assert not n.any()
    named = initial(GRU(4, reset_after=reset_after, recurrent_activation="hard_sigmoid"))
    assert not named["bias"].any()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_initial_weights_of_rnn(activation):
    named = initial(RNN(60, activation=activation))
    check_uniform(named["weight_ih"], 1 / math.sqrt(30))
    check_orthogonal(named["weight_hh"], 60)
    assert not named["bias"].any()


def test_initial_weights_of_dense():
    named = initial(Dense(90))
    check_uniform(named["weight"], math.sqrt(2 / 120))
    assert not named["bias"].any()


def test_both_dtypes_start_from_the_same_values():
    stack = [LSTM(9), LSTM(5, trainable_state=True), LastStep(), Dense(2)]
    single = Sequential(stack, 3, random_state=1).params
    double = Sequential(stack, 3, random_state=1, dtype="float64").params
    assert double.dtype == np.float64
    np.testing.assert_array_equal(single, double)


@pytest.mark.timing
def test_a_large_layer_is_initialized_in_seconds():
    start = time.process_time()
    initial(LSTM(4096), input_size=64)
    assert time.process_time() - start < 10
