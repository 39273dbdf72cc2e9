"""The number of threads, forks, and calls from several Python threads."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest

import fusedlstm
from fusedlstm._core import threads as _threads
from fusedlstm.layers import LSTM


@pytest.fixture(autouse=True)
def default_threads():
    fusedlstm.set_num_threads(None)
    yield
    fusedlstm.set_num_threads(None)


def test_set_num_threads_can_be_undone():
    default = fusedlstm.get_num_threads()
    fusedlstm.set_num_threads(3)
    assert fusedlstm.get_num_threads() == 3
    fusedlstm.set_num_threads(None)
    assert fusedlstm.get_num_threads() == default


def test_a_thread_limit_holds_within_its_block_and_thread():
    fusedlstm.set_num_threads(4)
    with _threads.thread_limit(2), ThreadPoolExecutor(1) as pool:
        assert fusedlstm.get_num_threads() == 2
        assert pool.submit(fusedlstm.get_num_threads).result() == 4
    assert fusedlstm.get_num_threads() == 4


def run_python(script, **environment):
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return ran.stdout.strip()


SHOW = "import fusedlstm; print(fusedlstm.get_num_threads())"


def test_environment_variables_set_the_default_number_of_threads():
    assert run_python(SHOW, OMP_NUM_THREADS="1") == "1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_cpu_affinity_limits_the_default_number_of_threads():
    script = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n" + SHOW
    assert run_python(script) == "1"


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu.max": ""}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ({}, math.inf),
    ],
)
def test_the_cpu_quota_of_a_container_limits_the_default_number_of_threads(tmp_path, files, cpus):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert _threads._cgroup_quota(tmp_path) == cpus


def model_and_input():
    rng = np.random.default_rng(0)
    model = fusedlstm.Sequential([LSTM(64)], input_size=32, random_state=0)
    return model, rng.standard_normal((16, 50, 32)).astype("float32")


def test_calls_from_many_python_threads_give_the_same_bits():
    model, x = model_and_input()
    expected = model.predict(x)

    def train_and_predict(k):
        fusedlstm.set_num_threads(2)
        y, saved = model.forward(x)
        grads = np.zeros_like(model.params)
        model.backward(saved, np.ones_like(y), grads)
        return model.predict(x).tobytes() == expected.tobytes(), grads

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(train_and_predict, range(32)))
    assert all(same for same, _ in results)
    assert all(grads.tobytes() == results[0][1].tobytes() for _, grads in results)


def _predict_in_child(queue):
    model, x = model_and_input()
    queue.put(model.predict(x).tobytes())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_after_use_does_not_hang():
    fusedlstm.set_num_threads(2)
    model, x = model_and_input()
    expected = model.predict(x)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with warnings.catch_warnings():
        # Python warns about forks with threads; the test shows that they work.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = context.Process(target=_predict_in_child, args=(queue,))
        child.start()
    assert queue.get(timeout=60) == expected.tobytes()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert model.predict(x).tobytes() == expected.tobytes()


def _predict(model, x):
    return model.predict(x).tobytes()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # about forks
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_predictions_under_joblib_give_the_same_bits(backend):
    fusedlstm.set_num_threads(2)
    model, x = model_and_input()
    expected = model.predict(x).tobytes()
    with joblib.parallel_config(backend, n_jobs=2):
        results = joblib.Parallel(timeout=120)(joblib.delayed(_predict)(model, x) for _ in range(6))
    assert set(results) == {expected}


def _threads_of_a_call():
    return fusedlstm.get_num_threads()


def test_joblib_workers_share_the_processors():
    with joblib.parallel_config("loky", n_jobs=2):
        counts = joblib.Parallel()(joblib.delayed(_threads_of_a_call)() for _ in range(2))
    assert max(counts) <= max(1, joblib.cpu_count() // 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks_during_calls_of_other_threads_do_not_hang():
    model, x = model_and_input()
    small = x[:1, :2]
    expected = model.predict(small).tobytes()
    stop = threading.Event()

    def call():
        while not stop.is_set():
            model.predict(small)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            pool.submit(call)
        try:
            for _ in range(50):
                child = os.fork()
                if child == 0:
                    signal.alarm(60)  # ends a child that hangs
                    os._exit(model.predict(small).tobytes() != expected)
                assert os.waitpid(child, 0)[1] == 0
        finally:
            stop.set()


@pytest.mark.timing
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_two_threads_on_one_processor_take_less_than_twice_the_time():
    # With two threads on one processor, waiting for the other thread costs milliseconds.
    script = """
import os, time
import numpy as np, fusedlstm
from fusedlstm.layers import LSTM

model = fusedlstm.Sequential([LSTM(64)], 32, random_state=0)
x = np.ones((16, 40, 32), "f")
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])

def best(threads):
    fusedlstm.set_num_threads(threads)
    model.predict(x)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(20):
            model.predict(x)
        times.append(time.perf_counter() - start)
    return min(times)

print(best(2) / best(1))
"""
    assert float(run_python(script, OMP_WAIT_POLICY="active")) < 2


def test_threads_that_synchronize_at_each_step_finish_on_a_busy_machine():
    # Threads divide the units of one sequence and synchronize after each step.
    # A separate process turns a deadlock into a timeout.
    script = """
import numpy as np, fusedlstm
from fusedlstm.layers import LSTM

model = fusedlstm.Sequential([LSTM(128)], input_size=8, random_state=0)
x = np.random.default_rng(0).standard_normal((1, 400, 8))
fusedlstm.set_num_threads(1)
expected = model.predict(x).tobytes()
fusedlstm.set_num_threads(2)
print(all(model.predict(x).tobytes() == expected for _ in range(50)))
"""
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(2 * os.cpu_count())
    ]
    try:
        assert run_python(script) == "True"
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
