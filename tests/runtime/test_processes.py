"""Forks, signals, daemon threads at the end of a process, subinterpreters."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conftest import VARIANTS

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run_python(script, *args, timeout=300):
    """Run a script and return its output; fail if the script hangs or fails."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    return ran.stdout.strip()


@needs_fork
@pytest.mark.parametrize("user", ["a library that shares OpenMP", "another variant"])
def test_a_fork_works_after_other_libraries_used_openmp(user):
    script = """
import ctypes, os, signal, sys
import numpy as np
import fusedlstm
from fusedlstm import _core
from fusedlstm.layers import LSTM

fusedlstm.set_num_threads(2)
model = fusedlstm.Sequential([LSTM(64)], 32, random_state=0)
x = np.ones((64, 50, 32), "f")
variants = _core.load_variants()
if sys.argv[1] == "another variant":
    used, other = list(variants)[0], variants[list(variants)[-1]]
    args = (1, False, 64, model.params, x, None, None, True, False, None, 2)
    other.set_force_threads(True)
    other.recurrent_forward(other.Cell({"family": "lstm"}), *args)
else:
    paths = {line.split()[-1] for line in open("/proc/self/maps") if "libgomp" in line}
    if not paths:
        print("no libgomp")
        sys.exit()
    gomp = ctypes.CDLL(paths.pop())
    work = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
    gomp.GOMP_parallel(work, None, 2, 0)
child = os.fork()
if child == 0:
    signal.alarm(60)  # ends a child that hangs
    for core in variants.values():
        core.set_force_threads(True)
    model.predict(x)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""
    if user == "another variant" and len(VARIANTS) < 2:
        pytest.skip("only one variant")
    printed = run_python(script, user)
    if printed == "no libgomp":
        pytest.skip("another OpenMP than GCC's")
    assert printed == "0"


@needs_fork
def test_a_fork_works_after_a_second_import_of_the_core_failed():
    # The second import fails. A fork would hang in the parent if the import took the lock twice.
    script = """
import importlib.util, os, signal, sys
from fusedlstm._core import core

name = "another." + core.__name__.rpartition(".")[2]
spec = importlib.util.spec_from_file_location(name, core.__file__)
try:
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
except ImportError as error:
    assert "already registered" in str(error), error
signal.alarm(60)  # ends a process that hangs
child = os.fork()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    run_python(script)


@needs_fork
def test_a_fork_during_a_step_of_a_stream_in_another_thread():
    # The stream in the child cannot continue within a step; step raises an error until reset.
    script = """
import os, signal, threading
import numpy as np
import fusedlstm
from fusedlstm._core import core
from fusedlstm.layers import LSTM

fusedlstm.set_num_threads(1)
model = fusedlstm.Sequential([LSTM(256)], 64, random_state=0)
x = np.ones((200, 64), "f")
state, rows = core.Stream.state(model.stream(200)), np.arange(200)
expected = model.stream(200).step(x).tobytes()
stream = model.stream(200)
stop = threading.Event()

def loop():
    while not stop.is_set():
        stream.step(x)

thread = threading.Thread(target=loop)
thread.start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends a child that hangs
        for call, *arguments in [
            (stream.step, x),
            (core.Stream.state, stream),
            (core.Stream.select, stream, rows),
            (core.Stream.set_state, stream, state),
        ]:
            try:
                call(*arguments)
            except RuntimeError as error:
                assert "must be reset" in str(error), error
        stream.reset()
        os._exit(stream.step(x).tobytes() != expected)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
stream.reset()
assert stream.step(x).tobytes() == expected  # the parent's is as it was
"""
    run_python(script)


def test_the_process_ends_while_daemon_threads_are_in_the_core():
    script = """
import threading
import numpy as np
import fusedlstm
from fusedlstm.layers import LSTM, Dense

fusedlstm.set_num_threads(1)
x = np.random.default_rng(0).standard_normal((64, 50, 3)).astype("f")
lengths = np.arange(64) % 50 + 1
model = fusedlstm.Sequential([LSTM(64), Dense(3)], 3, random_state=0)
layer_norm = fusedlstm.Sequential([LSTM(8, layer_norm=True, bidirectional=True)], 3, random_state=0)
predictor, stream = model.predictor(), model.stream(64)
classifier = fusedlstm.LSTMClassifier(8, max_iter=1, tol=1e9).fit(x[:8], [0, 1] * 4)
numbers = fusedlstm.LSTMRegressor(8, max_iter=1, tol=1e9).fit(x[:8], range(8)).stream()

def train():
    y, saved = model.forward(x)
    model.backward(saved, y, np.zeros_like(model.params))

calls = [
    train,
    lambda: model.predict(x),
    lambda: model.predict(x, lengths),
    lambda: model.predict(x[:1, :2]),
    lambda: predictor.predict(x),
    lambda: layer_norm.predict(x),
    lambda: stream.step(x[:, 0]),
    lambda: classifier.predict_proba(x),
    lambda: numbers.step(x[0, 0]),
]
started = threading.Barrier(len(calls) + 1)

def loop(call):
    call()
    started.wait()
    while True:
        call()

for call in calls:
    threading.Thread(target=loop, args=(call,), daemon=True).start()
started.wait()
"""
    for _ in range(2):
        run_python(script)


def test_a_signal_interrupts_a_long_prediction():
    # The whole call would take minutes. Signals are handled between parts of the rows.
    script = """
import signal
import numpy as np
import fusedlstm
from fusedlstm.layers import LSTM, LastStep

fusedlstm.set_num_threads(1)
model = fusedlstm.Sequential([LSTM(128), LastStep()], 1, random_state=0)
x = np.broadcast_to(np.float32(0), (200_000, 4000, 1))

class Interrupted(Exception):
    pass

def interrupt(*_):
    raise Interrupted

signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    model.predict(x)
except Interrupted:
    print("interrupted")
"""
    assert run_python(script) == "interrupted"


SUBINTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = '''
try:
    import fusedlstm
except ImportError as error:
    print(error, flush=True)
'''
options = ["legacy"] if sys.version_info >= (3, 13) else []  # that may import NumPy
interpreter = interpreters.create(*options)
interpreters.run_string(interpreter, code)
"""


def test_import_in_a_subinterpreter_is_an_error():
    printed = run_python(SUBINTERPRETER, timeout=60)
    assert printed == "fusedlstm must be imported by the main interpreter of a process"
