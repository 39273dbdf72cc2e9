"""Memory use of saving and loading, and errors when there is too little memory.

Limits are set in separate processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from fusedlstm import LSTMClassifier, PadSequences, Sequential, load
from fusedlstm.files import format as _files
from fusedlstm.files.format import read, write
from fusedlstm.layers import LSTM, Dense

X = np.random.default_rng(0).standard_normal((6, 5, 2))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and RLIMIT_AS")

LIMITED = """
import os, resource, signal, sys
import numpy as np
import fusedlstm
import fusedlstm.estimators.fitting.checkpoints, fusedlstm.estimators  # imports take memory too
from fusedlstm.files.classes import ESTIMATORS
from fusedlstm.layers import LSTM, Dense

for name in ESTIMATORS:
    getattr(fusedlstm, name)
fusedlstm.set_num_threads(1)


def limit(extra):
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + extra, now + extra))


def outcome(call, extra):
    "The name of the exception in a process with so many bytes more, 'ok', or how it was killed."
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(60)
        limit(extra)
        name = b"ok"
        try:
            call()
        except BaseException as error:
            name = type(error).__name__.encode()
        os.write(writing, name)
        os._exit(0)
    os.close(writing)
    status = os.waitpid(child, 0)[1]
    with open(reading) as file:
        return file.read() or f"status {status}"
"""


def run_limited(script, folder):
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED + textwrap.dedent(script)],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


# Small files.


def pad_file(path, parameter, arrays=None):
    PadSequences().fit(X).save(path)
    header, _ = read(path)
    header["parameters"] = {"value": parameter}
    write(path, header, arrays or {})


def labels(texts, dtype):
    return {"labels": texts, "dtype": dtype}


def model_file(path, change):
    Sequential([LSTM(3), Dense(1)], 2, random_state=0).save(path)
    header, arrays = read(path)
    change(header["parameters"])
    write(path, header, arrays)


def many_models(path):
    Sequential([Dense(2**10)], 2**10, random_state=0).save(path)
    header, arrays = read(path)
    model = {"Sequential": header["parameters"]}
    PadSequences().fit(X).save(path)
    header, _ = read(path)
    header["parameters"] = {"value": [model] * 1000}
    write(path, header, arrays)


def huge(**sizes):
    return lambda p: p["layers"]["tuple"][0]["LSTM"].update(sizes)


BOMBS = {
    "wide labels": lambda p: pad_file(p, labels(["a"], "<U500000000")),
    "many wide labels": lambda p: pad_file(p, labels(["a"] * 1000, "<U500000")),
    "one long label of many": lambda p: pad_file(
        p, labels(["a" * 10**5] + [""] * 10**5, "<U100000")
    ),
    "many arrays of labels": lambda p: pad_file(
        p, [labels(["a" * 1000] + [""] * 2000, "<U1000")] * 300
    ),
    "a dtype of many numbers": lambda p: pad_file(p, labels([1], "(100000,100000)f8")),
    "many models of the same arrays": many_models,
    "a large layer": lambda p: model_file(p, huge(hidden_size=2**31 - 1)),
    "a large bidirectional layer": lambda p: model_file(
        p, huge(hidden_size=2**30, bidirectional=True, trainable_state=True)
    ),
    "a large projection": lambda p: model_file(p, huge(projection_size=2**31 - 1)),
    "all gates": lambda p: model_file(p, huge(hidden_size=10**5, full_gate_recurrence=True)),
    "a large input": lambda p: model_file(p, lambda m: m.update(input_size=2**31 - 1)),
    "a large output": lambda p: model_file(
        p, lambda m: m["layers"]["tuple"][1]["Dense"].update(units=2**31 - 1)
    ),
}


@pytest.fixture(scope="module")
def outcomes_of_bombs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    for number, make in enumerate(BOMBS.values()):
        make(folder / str(number))
        assert (folder / str(number)).stat().st_size < 5 * 2**20
    script = f"""
        for number in range({len(BOMBS)}):
            print(outcome(lambda: fusedlstm.load(str(number)), 200 * 2**20))
    """
    return dict(zip(BOMBS, run_limited(script, folder), strict=True))


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_cannot_allocate_much_memory(name, outcomes_of_bombs):
    assert outcomes_of_bombs[name] == "ValueError"


def test_labels_of_a_wide_dtype_survive_a_round_trip(tmp_path):
    y = np.array(["a", "b"] * 3, "<U1000")
    model = LSTMClassifier(2, max_iter=1).fit(X, y)
    model.save(tmp_path / "file")
    assert load(tmp_path / "file").classes_.dtype == "<U1000"
    model.classes_ = np.array(["a", "b"], "<U9000000")  # a narrower dtype can hold the labels
    model.save(tmp_path / "file")
    assert load(tmp_path / "file").classes_.tolist() == ["a", "b"]
    model.classes_ = np.array(["a" * 10**5] + ["b"] * 10**3)
    with pytest.raises(TypeError, match="classes_ must be of similar lengths to be saved"):
        model.save(tmp_path / "file")


# Little memory.


def test_too_little_memory_raises_memory_error(tmp_path):
    Sequential([LSTM(256), Dense(1)], 64, random_state=0).save(tmp_path / "good")
    script = """
        model = fusedlstm.load("good")
        model.save("other")
        for extra in [*range(0, 2**20, 2**16), *range(2**20, 2**23, 2**19)]:
            print("load", outcome(lambda: fusedlstm.load("good"), extra))
            print("save", outcome(lambda: model.save("new"), extra))
    """
    said = run_limited(script, tmp_path)
    for call in ("load", "save"):
        of_call = {
            outcome for name, outcome in zip(said[::2], said[1::2], strict=True) if name == call
        }
        assert of_call <= {"ok", "MemoryError"}
        assert "ok" in of_call
    assert "MemoryError" in said
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_saving_makes_no_copy(tmp_path):
    script = """
        model = fusedlstm.Sequential([Dense(2048)], 4096, random_state=0)  # 32 MB
        turned = np.asfortranarray(model.params.reshape(2048, -1))
        from fusedlstm.files.format import write
        model.save("warm")
        print(outcome(lambda: model.save("file"), 4 * 2**20))
        print(outcome(lambda: write("file", {}, {"turned": turned}), 4 * 2**20))
    """
    assert run_limited(script, tmp_path) == ["ok", "ok"]


# Files that change while they are read.


@pytest.mark.parametrize("length", [0, 5, 1000])
def test_a_file_truncated_during_loading_is_an_error(length, tmp_path, monkeypatch):
    path = tmp_path / "file"
    Sequential([Dense(64)], 64, random_state=0).save(path)
    description_of = _files._description_of

    def cut(entry):  # called after the header has been read
        os.truncate(path, length)
        return description_of(entry)

    monkeypatch.setattr(_files, "_description_of", cut)
    with pytest.raises(ValueError, match="cut off or damaged"):
        load(path)
