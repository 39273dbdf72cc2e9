"""Compute time depends on the amount of work, not on the values."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fusedlstm import Sequential
from fusedlstm.layers import GRU, LSTM, LayerNormLSTM

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.timing]

SIZE = (32, 40, 16)
HIDDEN = 64


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def takes_at_most(times, call, base, rounds=(100, 4000)):
    """Return True if a call takes at most ``times`` as long as another, in the best of rounds.

    The rounds are interleaved. Other processes only make a round slower, so the best round counts;
    a busy machine needs more rounds.
    """
    best, best_base = np.inf, np.inf
    for done in range(rounds[1]):
        best, best_base = min(best, seconds(call)), min(best_base, seconds(base))
        if done >= rounds[0] and best <= times * best_base:
            return True
    return False


def inference_and_training(layer, change=None, x=None, lengths=None):
    model = Sequential([layer], SIZE[2], random_state=0)
    if x is None:
        x = np.random.default_rng(0).standard_normal(SIZE)
    x = x.astype("float32")
    if change is not None:
        change(model)
    dy = np.full((*SIZE[:2], HIDDEN), 1e-40 if np.abs(x).max() < 1e-30 else 0.1, "float32")
    grads = np.zeros_like(model.params)

    def train():
        _, saved = model.forward(x, lengths)
        model.backward(saved, dy, grads)

    return lambda: model.predict(x, lengths), train


def no_bias(model):
    for name, values in model.named_params().items():
        if "bias" in name:
            values[:] = 0


def large_bias(model):
    for name, values in model.named_params().items():
        if "bias" in name:
            values[:] = 200


DATA = {
    "subnormal": (np.full(SIZE, 1e-40), no_bias),
    "zeros": (np.zeros(SIZE), no_bias),
    "saturated": (np.full(SIZE, 1e4), large_bias),
}


@pytest.mark.parametrize("which", [0, 1], ids=["inference", "training"])
@pytest.mark.parametrize("layer", [LSTM(HIDDEN), GRU(HIDDEN), LayerNormLSTM(HIDDEN)], ids=repr)
@pytest.mark.parametrize("data", DATA)
def test_compute_time_does_not_depend_on_the_values(data, layer, which):
    x, change = DATA[data]
    ordinary = inference_and_training(layer)[which]
    assert takes_at_most(1.05, inference_and_training(layer, change, x)[which], ordinary)


@pytest.mark.parametrize("which", [0, 1], ids=["inference", "training"])
def test_compute_time_of_unequal_lengths_is_that_of_their_real_steps(which):
    lengths = np.random.default_rng(1).integers(4, 40, SIZE[0], endpoint=True)
    full = inference_and_training(LSTM(HIDDEN))[which]
    ragged = inference_and_training(LSTM(HIDDEN), lengths=lengths)[which]
    real = lengths.mean() / SIZE[1]
    assert real < 0.7
    assert takes_at_most(1.1 * real, ragged, full)
