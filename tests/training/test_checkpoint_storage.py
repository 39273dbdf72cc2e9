"""Checkpoints: forms of the same data, several processes, full disks."""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import fusedlstm
from checkpoint_problems import TOTAL, X, quick
from fusedlstm.estimators.fitting.checkpoints import CheckpointFile
from fusedlstm.files import format, replacement

pytestmark = pytest.mark.usefixtures("one_thread")
RAGGED = [x[: 2 + i % 5] for i, x in enumerate(X)]


# Forms of the same data.


def padded(arrays):
    x = np.full((len(arrays), max(map(len, arrays)), 2), np.nan)
    for row, array in zip(x, arrays, strict=True):
        row[: len(array)] = array
    return x


FORMS = {
    "equal lengths": [X, list(X), tuple(X), X.tolist(), np.asfortranarray(X), X.astype(">f8")],
    "unequal lengths": [RAGGED, padded(RAGGED), np.array([*RAGGED, None], object)[:-1]],
    "one feature": [X[:, :, :1], [x[:, 0] for x in X]],
}


@pytest.mark.parametrize("forms", FORMS.values(), ids=FORMS)
def test_a_checkpoint_continues_with_the_same_sequences_in_another_form(forms, tmp_path):
    model = quick().fit(forms[0], TOTAL, checkpoint=tmp_path / "fit")
    for form in forms[1:]:
        assert quick().fit(form, TOTAL).model_.params.tobytes() == model.model_.params.tobytes()
        again = quick().fit(form, TOTAL, checkpoint=tmp_path / "fit")
        assert again.model_.params.tobytes() == model.model_.params.tobytes()


def test_a_checkpoint_with_other_sequence_boundaries_is_an_error(tmp_path):
    values = np.arange(24.0).reshape(12, 2)
    y = [1.0, 2.0, 3.0]
    quick().fit(np.split(values, [3, 7]), y, checkpoint=tmp_path / "fit")
    for others in (np.split(values, [4, 7]), np.split(values.reshape(24, 1), [6, 14])):
        with pytest.raises(ValueError, match="of a fit with another X. Remove it"):
            quick().fit(others, y, checkpoint=tmp_path / "fit")


# Several processes.


def wait_in_fsync(path, begun, go_on):
    """Write a checkpoint and wait before it is complete."""
    fsync = os.fsync

    def wait(descriptor):
        begun.set()
        assert go_on.wait(60)
        fsync(descriptor)

    os.fsync = wait
    quick(max_iter=1).fit(X, TOTAL, checkpoint=path)


def fit_often(path, n_times):
    fusedlstm.set_num_threads(1)
    for _ in range(n_times):
        quick(max_iter=20).fit(X, TOTAL, checkpoint=path)
        path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "fusedlstm.estimators"])
    return context


def test_a_temporary_file_of_a_running_process_is_kept(tmp_path, context):
    begun, go_on = context.Event(), context.Event()
    process = context.Process(target=wait_in_fsync, args=(tmp_path / "fit", begun, go_on))
    process.start()
    assert begun.wait(60)
    model = quick(max_iter=1).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert len(list(tmp_path.iterdir())) == 2  # one of each process
    go_on.set()
    process.join(60)
    assert process.exitcode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]
    again = quick(max_iter=1).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert again.model_.params.tobytes() == model.model_.params.tobytes()


def test_a_temporary_file_of_a_killed_process_is_removed(tmp_path, context):
    begun, go_on = context.Event(), context.Event()
    process = context.Process(target=wait_in_fsync, args=(tmp_path / "fit", begun, go_on))
    process.start()
    assert begun.wait(60)
    process.kill()
    process.join()
    assert len(list(tmp_path.iterdir())) == 1
    quick(max_iter=1).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]


def test_several_processes_may_share_one_checkpoint(tmp_path, context):
    path = tmp_path / "fit"
    processes = [context.Process(target=fit_often, args=(path, 8)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_write_survives_a_sweep_between_creation_and_lock(tmp_path, monkeypatch):
    flock, calls = replacement.fcntl.flock, []

    def sweep_first(file, operation):
        if operation == replacement.fcntl.LOCK_EX and not calls:
            calls.append(1)
            replacement.remove_unfinished(tmp_path / "file")
        flock(file, operation)

    monkeypatch.setattr(replacement.fcntl, "flock", sweep_first)
    format.write(tmp_path / "file", {}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_checkpoints_work_on_file_systems_without_locks(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError("no locks")

    monkeypatch.setattr(replacement.fcntl, "flock", flock)
    (tmp_path / ".file.0123abcd.fusedlstm-tmp").touch()
    format.write(tmp_path / "file", {}, {})
    replacement.remove_unfinished(
        tmp_path / "file"
    )  # without locks, the file may belong to a running process
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".file.0123abcd.fusedlstm-tmp",
        "file",
    ]


# Full disks.

FULL_DISK = """if True:
    import resource, sys, warnings
    import numpy as np
    import fusedlstm
    from fusedlstm import LSTMRegressor
    from fusedlstm.estimators.fitting.checkpoints import CheckpointFile

    fusedlstm.set_num_threads(1)
    X = np.random.default_rng(0).standard_normal((40, 6, 2))
    y = X.sum(axis=(1, 2))
    when = int(sys.argv[1])
    written = CheckpointFile.write

    def write(self, checkpoint, now):
        full = checkpoint.state.epochs in range(when, int(sys.argv[2]))
        size = 1000 if full else resource.RLIM_INFINITY  # of a file, as on a disk that is full
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        if sys.argv[3] == "always":
            self._next_time = 0.0
        written(self, checkpoint, now)

    CheckpointFile.write = write
    model = lambda: LSTMRegressor(4, max_iter=6, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = model().fit(X, y, checkpoint="fit")
    for warning in caught:
        if warning.category is RuntimeWarning:
            print(warning.message)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    CheckpointFile.write = written
    expected = model().fit(X, y).model_.params.tobytes()
    assert fitted.model_.params.tobytes() == expected
    assert model().fit(X, y, checkpoint="fit").model_.params.tobytes() == expected
"""


def on_a_full_disk(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FULL_DISK, *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("begin", "end", "often", "epochs"),
    [(2, 5, "always", [2]), (6, 7, "seldom", [6]), (1, 99, "always", [1, 6])],
)
def test_a_fit_continues_on_a_full_disk_with_a_warning(begin, end, often, epochs, tmp_path):
    ran = on_a_full_disk(tmp_path, begin, end, often)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == len(epochs)
    for line, epoch in zip(lines, epochs, strict=True):
        start = f"The checkpoint '{tmp_path}/fit' was not written after epoch {epoch}: "
        assert line.startswith(start)
        assert "File too large" in line
        assert line.endswith("The file contains the state after an earlier epoch.")
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes of POSIX")
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_fit_continues_when_the_checkpoint_path_becomes_unusable(make, tmp_path, monkeypatch):
    path, written = tmp_path / "fit", CheckpointFile.write

    def write(self, checkpoint, now):
        if checkpoint.state.epochs == 2:
            path.unlink()
            make(path)
        self._next_time = 0.0
        written(self, checkpoint, now)

    monkeypatch.setattr(CheckpointFile, "write", write)
    with pytest.warns(RuntimeWarning, match="'.*fit' was not written after epoch") as caught:
        model = quick(max_iter=4).fit(X, TOTAL, checkpoint=path)
    texts = [str(w.message) for w in caught if w.category is RuntimeWarning]
    assert [re.findall(r"epoch (\d)", text)[0] for text in texts] == ["2", "4"]
    expected = quick(max_iter=4).fit(X, TOTAL)
    assert model.model_.params.tobytes() == expected.model_.params.tobytes()
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_before_training_is_an_error(tmp_path):
    ran = on_a_full_disk(tmp_path, 0, 1, "seldom")
    assert f"OSError: [Errno 27] File too large: '{tmp_path}/fit'" in ran.stderr
    assert not list(tmp_path.iterdir())


READ_ONLY = """if True:
    import os, sys
    import numpy as np
    from fusedlstm import LSTMRegressor
    from fusedlstm.estimators import base
    X = np.random.default_rng(0).standard_normal((40, 6, 2))
    y = X.sum(axis=(1, 2))
    LSTMRegressor(4, max_iter=1, random_state=0).fit(X, y, checkpoint="fit")
    os.chmod(".", 0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    scored = []
    model = LSTMRegressor(4, max_iter=1, random_state=0)
    model.fit(X, y, checkpoint="fit")  # which trains no further, and writes nothing
    model.max_iter = 3
    base.fit_epochs = lambda *args: sys.exit("trained")
    try:
        model.fit(X, y, checkpoint="fit")
    except PermissionError as error:
        print(error)
"""


def test_a_read_only_folder_is_an_error_before_training():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # other users can enter it
        os.chmod(folder, 0o755)
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", READ_ONLY],
            cwd=folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        os.chmod(folder, 0o755)
        assert ran.stdout.strip() == f"[Errno 13] Permission denied: '{folder}/fit'", ran.stderr
