"""Memory use of calls, and its release."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs /proc/self/status"
)

PREPARE = """
import numpy as np
import fusedlstm
from fusedlstm import LSTMRegressor, Sequential
from fusedlstm.layers import *

fusedlstm.set_num_threads(1)

def memory(what):  # VmRSS: now; VmHWM: at most so far
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(what))
"""


def measured(script):
    """Run a script in a new process and return the number that it prints."""
    code = PREPARE + script
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    return float(ran.stdout)


@pytest.mark.parametrize(
    ("layer", "numbers"),
    [
        ("LSTM(64)", 6),
        ("PeepholeLSTM(64)", 6),
        ("CIFGLSTM(64)", 5),
        ("GRU(64)", 5),
        ("RNN(64)", 1),
        ("LSTM(64, zoneout=0.1, zoneout_cell=0.1)", 7),
        # Some arrays have rows of an odd number of cache lines.
        ("LSTM(64, projection_size=64)", 7.25),
        ("LayerNormLSTM(64)", 14.6),
        *(
            pytest.param(*more, marks=pytest.mark.slow)
            for more in [
                ("LSTM(64, zoneout_cell=0.1)", 6),
                ("PeepholeLSTM(64, zoneout=0.1, zoneout_cell=0.1)", 8),
                ("PeepholeLSTM(64, output_gate=False)", 5),
                ("LSTM(64, activation='relu')", 6),
                ("LSTM(64, cell_clip=3.0, zoneout_cell=0.1)", 7),
                ("LSTM(64, full_gate_recurrence=True)", 9),
                ("LSTM(64, projection_size=64, zoneout=0.1)", 7.25),
                ("GRU(64, reset_after=False)", 5),
                ("RNN(64, activation='elu')", 1),
            ]
        ),
    ],
)
def test_training_saves_few_numbers_per_unit_and_step(layer, numbers):
    kept = measured(f"""
model = Sequential([{layer}], 8, random_state=0)
x = np.random.default_rng(0).standard_normal((64, 400, 8)).astype("f")
model.forward(x[:2, :2])
before = memory("VmRSS")
y, saved = model.forward(x)
print((memory("VmRSS") - before - y.nbytes) / (y.size * 4))
""")
    assert numbers - 0.1 < kept < numbers + 0.3


def test_memory_of_inference_does_not_grow_with_the_steps():
    grown = measured("""
model = Sequential([LSTM(64), LastStep(), Dense(1)], 8)
x = np.ones((4, 100_000, 8), "f")
model.predict(x[:, :10])
before = memory("VmHWM")
model.predict(x)
print(memory("VmHWM") - before)
""")
    assert grown < 2**20


def test_memory_of_predict_is_that_of_one_chunk():
    grown = measured("""
X = np.ones((20_000, 100, 8), "f")  # 64 MB
model = LSTMRegressor(32, max_iter=1).fit(X[:10], np.arange(10))
model.predict(X[:10])
before = memory("VmHWM")
model.predict(X)
print(memory("VmHWM") - before)
""")
    assert grown < 8 * 2**20


def test_memory_stays_bounded_over_calls_of_changing_shapes():
    grown = measured("""
rng = np.random.default_rng(0)
models = [Sequential([layer], 3) for layer in (LSTM(5), GRU(17), LayerNormLSTM(8))]
grads = [np.zeros_like(model.params) for model in models]
for call in range(10_000):
    if call == 3000:
        before = memory("VmRSS")
    k, (batch, steps) = call % 3, rng.integers(1, 12, 2)
    x = np.ones((batch, steps, 3), "f")
    y, saved = models[k].forward(x)
    if call % 7:  # not every call of forward is followed by backward
        models[k].backward(saved, y, grads[k])
    models[k].predict(x)
print(memory("VmRSS") - before)
""")
    assert grown < 2**20


def test_streams_share_weights():
    added = measured("""
X = np.random.default_rng(0).standard_normal((20, 3, 4))
model = LSTMRegressor(256, max_iter=1).fit(X, X[:, 0, 0])
streams = [model.stream()]
before = memory("VmRSS")
streams += [model.stream() for _ in range(200)]
for stream in streams:
    stream.step(X[0, 0])
print((memory("VmRSS") - before) / (200 * model.model_.params.nbytes))
""")
    assert added < 0.1
