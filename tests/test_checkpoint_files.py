"""Checkpoints: other callables, other forms of the same data, several processes, full disks."""

from __future__ import annotations

import functools
import json
import multiprocessing
import operator
import os
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import get_scorer, make_scorer, precision_score, recall_score

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.estimators.fitting.checkpoints import CheckpointFile
from fusedlstm.files import format as _files
from fusedlstm.files import replacement
from fusedlstm.files.digests import UndescribableError, describe
from fusedlstm.losses import RegressionLoss
from fusedlstm.optimizers import Adam
from fusedlstm.schedules import Schedule

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))
RAGGED = [x[: 2 + i % 5] for i, x in enumerate(X)]


def quick(estimator=LSTMRegressor, **options):
    return estimator(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


# Descriptions of functions and objects

FACTOR = 2.0


def scaled(factor):
    def scorer(estimator, X, y):
        return factor * estimator.score(X, y)

    return scorer


def from_source(source, name="scorer", **variables):
    """Run source as a module of the user would be."""
    variables["__name__"] = "a_script"
    exec(source, variables)
    return variables[name]


def script(source, **variables):
    return lambda: from_source(source, **variables)


class Counting:
    """A scorer with a state."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, estimator, X, y):
        return self.weight

    def method(self, estimator, X, y):
        return self.weight

    @staticmethod
    def fixed(estimator, X, y):
        return 0.0


@dataclass(frozen=True, repr=False)
class OwnLoss(RegressionLoss):
    """Squares, weighted."""

    weight: float = 1.0

    def of_targets(self, z, y):
        return self.weight * (z - y) ** 2, 2 * self.weight * (z - y)


@dataclass(frozen=True, repr=False)
class OwnSchedule(Schedule):
    """A constant."""

    factor: float = 1.0

    def multiplier(self, state, i=0, n=1):
        return self.factor


SCORER = "def scorer(e, X, y): return {}\n"
DIFFERENT = {
    "the sign of make_scorer": [
        lambda: make_scorer(recall_score),
        lambda: make_scorer(recall_score, greater_is_better=False),
        lambda: make_scorer(precision_score),
        lambda: make_scorer(recall_score, pos_label=0),
        lambda: make_scorer(recall_score, response_method="predict_proba"),
    ],
    "functions of scikit-learn": [lambda: recall_score, lambda: precision_score],
    "names of scorers": [lambda: get_scorer("r2"), lambda: get_scorer("neg_max_error")],
    "builtin functions": [lambda: max, lambda: min, lambda: operator.add],
    "ufuncs": [lambda: np.add, lambda: np.subtract],
    "lambdas": [
        lambda: lambda e, X, y: 1,
        lambda: lambda e, X, y: 2,
        lambda: lambda e, X, y: 1.0,
        lambda: lambda e, X, y: y[0],
        lambda: lambda e, X, y: y[1],
    ],
    "names of attributes": [lambda: lambda e, X, y: y.min(), lambda: lambda e, X, y: y.max()],
    "defaults": [lambda: lambda e, X, y, a=1: a, lambda: lambda e, X, y, a=2: a],
    "keyword defaults": [lambda: lambda e, X, *, a=1: a, lambda: lambda e, X, *, a=2: a],
    "closures": [lambda: scaled(1.0), lambda: scaled(2.0), lambda: scaled(np.ones(3))],
    "arrays in closures": [
        lambda: scaled(np.array([1.0, 2.0])),
        lambda: scaled(np.array([1.0, 3.0])),
        lambda: scaled(np.array([[1.0, 2.0]])),
    ],
    "functions in closures": [lambda: scaled(max), lambda: scaled(scaled(3)), lambda: scaled(min)],
    "partials": [
        lambda: functools.partial(scaled(1.0), 1),
        lambda: functools.partial(scaled(1.0), 2),
        lambda: functools.partial(scaled(1.0), y=2),
        lambda: functools.partial(scaled(2.0), 1),
    ],
    "instances": [lambda: Counting(1), lambda: Counting(2), lambda: Counting("1")],
    "methods": [
        lambda: Counting(1).method,
        lambda: Counting(2).method,
        lambda: Counting(1).fixed,
        lambda: Counting(1).__call__,
    ],
    "own losses": [lambda: OwnLoss(1.0), lambda: OwnLoss(2.0)],
    "own schedules": [lambda: OwnSchedule(1.0), lambda: OwnSchedule(2.0)],
    "constants in code": [
        script(SCORER.format("y in {'a', 'b'}")),
        script(SCORER.format("y in {'a'}")),
    ],
    "globals": [
        script("A = 1\n" + SCORER.format("A")),
        script("A = 2\n" + SCORER.format("A")),
        script("A = (1, 2)\n" + SCORER.format("A")),
    ],
    "global functions": [
        script("def f(): return 1\n" + SCORER.format("f()")),
        script("def f(): return 2\n" + SCORER.format("f()")),
    ],
    "functions of functions": [
        script("def f(): return 1\ndef g(): return f()\n" + SCORER.format("[g() for _ in y]")),
        script("def f(): return 2\ndef g(): return f()\n" + SCORER.format("[g() for _ in y]")),
    ],
    "methods of a class": [
        script("class A:\n def f(self): return 1\nscorer = A()"),
        script("class A:\n def f(self): return 2\nscorer = A()"),
        script("class A:\n f = 3\nscorer = A()"),
    ],
    "cached functions": [
        script(f"import functools\n@functools.lru_cache\n{SCORER.format(1)}"),
        script(f"import functools\n@functools.lru_cache\n{SCORER.format(2)}"),
    ],
}


@pytest.mark.parametrize("makes", DIFFERENT.values(), ids=DIFFERENT)
def test_different_callables_have_different_descriptions(makes):
    described = [describe(make()) for make in makes]
    assert len(set(described)) == len(makes)
    assert described == [describe(make()) for make in makes]  # and equal ones the same


def test_descriptions_are_the_same_in_another_process():
    code = """if True:
        import test_checkpoint_files as t
        for makes in t.DIFFERENT.values():
            for make in makes:
                print(t.describe(make()))
    """
    ours = [describe(make()) for makes in DIFFERENT.values() for make in makes]
    for seed in ("1", "2"):  # of the hashes of text
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=os.path.dirname(__file__), capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert ran.stdout.split() == ours


def test_where_a_function_stands_does_not_matter():
    source = SCORER.format(1)
    assert describe(from_source(source)) == describe(from_source("\n" * 9 + source))


def test_a_function_may_collect_results():
    results = []
    source = "def scorer(e, X, y): results.append(1)"
    before = describe(from_source(source, results=results))
    results.append(1)
    assert describe(from_source(source, results=results)) == before


def test_objects_that_refer_to_themselves():
    first, second = Counting(1), Counting(1)
    first.weight, second.weight = first, [second]
    assert describe(first) == describe(first)
    assert describe(first) != describe(second)


WITHOUT_STATE = [threading.Lock, lambda: (x for x in ()), lambda: sys.stdout]


@pytest.mark.parametrize("make", WITHOUT_STATE)
def test_objects_without_a_state_are_refused(make, tmp_path):
    value = make()
    with pytest.raises(UndescribableError):
        describe(scaled(value))
    model = quick(early_stopping=True, scoring=scaled(value))
    with pytest.raises(TypeError, match="scoring must be an object that a checkpoint can compare"):
        model.fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("scoring", [{"scoring": scaled(1.0)}, {"scoring": scaled(2.0)}]),
        ("loss", [{"loss": OwnLoss(1.0)}, {"loss": OwnLoss(2.0)}]),
        ("schedule", [{"schedule": OwnSchedule(1.0)}, {"schedule": OwnSchedule(0.5)}]),
    ],
)
def test_another_callable_is_refused(name, options, tmp_path):
    first, second = ({"early_stopping": True, **each} for each in options)
    model = quick(**first).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    again = quick(**first).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert again.model_.params.tobytes() == model.model_.params.tobytes()
    with pytest.raises(ValueError, match=f"of a fit with another {name}. Remove it to start"):
        quick(**second).fit(X, TOTAL, checkpoint=tmp_path / "fit")


def test_a_scorer_with_the_other_sign_is_refused(tmp_path):
    def model(better):
        scorer = make_scorer(recall_score, greater_is_better=better)
        return quick(LSTMClassifier, early_stopping=True, scoring=scorer)

    model(True).fit(X, TOTAL > 0, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match="of a fit with another scoring"):
        model(False).fit(X, TOTAL > 0, checkpoint=tmp_path / "fit")


# Forms of the same data


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
def test_the_same_sequences_in_another_form(forms, tmp_path):
    model = quick().fit(forms[0], TOTAL, checkpoint=tmp_path / "fit")
    for form in forms[1:]:
        assert quick().fit(form, TOTAL).model_.params.tobytes() == model.model_.params.tobytes()
        again = quick().fit(form, TOTAL, checkpoint=tmp_path / "fit")
        assert again.model_.params.tobytes() == model.model_.params.tobytes()


def test_sequences_cut_elsewhere_are_others(tmp_path):
    values = np.arange(24.0).reshape(12, 2)
    y = [1.0, 2.0, 3.0]
    quick().fit(np.split(values, [3, 7]), y, checkpoint=tmp_path / "fit")
    for others in (np.split(values, [4, 7]), np.split(values.reshape(24, 1), [6, 14])):
        with pytest.raises(ValueError, match="of a fit with another X. Remove it"):
            quick().fit(others, y, checkpoint=tmp_path / "fit")


# Several processes


def wait_in_fsync(path, begun, go_on):
    """Write a checkpoint, and wait before it is complete."""
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


def test_a_file_that_another_process_is_writing_stays(tmp_path, context):
    begun, go_on = context.Event(), context.Event()
    process = context.Process(target=wait_in_fsync, args=(tmp_path / "fit", begun, go_on))
    process.start()
    assert begun.wait(60)
    model = quick(max_iter=1).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert len(list(tmp_path.iterdir())) == 2  # ours, and theirs that is unfinished
    go_on.set()
    process.join(60)
    assert process.exitcode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]
    again = quick(max_iter=1).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert again.model_.params.tobytes() == model.model_.params.tobytes()


def test_a_file_of_a_process_that_was_killed_goes(tmp_path, context):
    begun, go_on = context.Event(), context.Event()
    process = context.Process(target=wait_in_fsync, args=(tmp_path / "fit", begun, go_on))
    process.start()
    assert begun.wait(60)
    process.kill()
    process.join()
    assert len(list(tmp_path.iterdir())) == 1
    quick(max_iter=1).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]


def test_many_processes_with_one_checkpoint(tmp_path, context):
    path = tmp_path / "fit"
    processes = [context.Process(target=fit_often, args=(path, 8)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_between_creation_and_lock(tmp_path, monkeypatch):
    flock, calls = replacement.fcntl.flock, []

    def sweep_first(file, operation):
        if operation == replacement.fcntl.LOCK_EX and not calls:
            calls.append(1)
            replacement.sweep(tmp_path / "file")
        flock(file, operation)

    monkeypatch.setattr(replacement.fcntl, "flock", sweep_first)
    _files.write(tmp_path / "file", {}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError("no locks")

    monkeypatch.setattr(replacement.fcntl, "flock", flock)
    (tmp_path / ".file.0123abcd.fusedlstm-tmp").touch()
    _files.write(tmp_path / "file", {}, {})
    replacement.sweep(tmp_path / "file")  # cannot know whether somebody writes it
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".file.0123abcd.fusedlstm-tmp",
        "file",
    ]


# Full disks

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
def test_a_full_disk_does_not_end_a_fit(begin, end, often, epochs, tmp_path):
    ran = on_a_full_disk(tmp_path, begin, end, often)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == len(epochs)
    for line, epoch in zip(lines, epochs, strict=True):
        start = f"The checkpoint '{tmp_path}/fit' was not written after epoch {epoch}: "
        assert line.startswith(start)
        assert "File too large" in line
        assert line.endswith("Training continues. The file contains an earlier epoch.")
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes of POSIX")
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_place_that_becomes_something_else(make, tmp_path, monkeypatch):
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


def test_a_disk_that_is_full_before_training_is_an_error(tmp_path):
    ran = on_a_full_disk(tmp_path, 0, 1, "seldom")
    assert f"OSError: [Errno 27] File too large: '{tmp_path}/fit'" in ran.stderr
    assert not list(tmp_path.iterdir())


READ_ONLY = """if True:
    import os, sys
    import numpy as np
    from fusedlstm import LSTMRegressor
    from fusedlstm.estimators import base
    from fusedlstm.estimators.fitting import checkpoints as _checkpoints
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


def test_a_read_only_folder_is_noticed_before_training():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # which others can enter
        os.chmod(folder, 0o755)
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", READ_ONLY],
            cwd=folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        os.chmod(folder, 0o755)
        assert ran.stdout.strip() == f"[Errno 13] Permission denied: '{folder}/fit'", ran.stderr


# Files of strangers


def changed(change, path, **options):
    quick(**options).fit(X, TOTAL, checkpoint=path)
    header, arrays = _files.read(path)
    arrays["five"] = np.zeros(5, "float32")
    arrays["doubles"] = arrays["params"].astype(np.float64)
    change(header)
    used = json.dumps(header)
    arrays = {name: array for name, array in arrays.items() if f'"{name}"' in used}
    _files.write(path, header, arrays)


STRANGE = {
    "no content": lambda h: h.pop("content"),
    "no problem": lambda h: h.pop("problem"),
    "content that is no object": lambda h: h.update(content=[1]),
    "no params": lambda h: h["content"].pop("params"),
    "params that are no array": lambda h: h["content"].update(params=[1.0]),
    "a missing array": lambda h: h["content"].update(params={"array": "missing"}),
    "a state that is none": lambda h: h["content"].update(state=3),
    "a curve of text": lambda h: h["content"].update(loss_curve=["a"]),
    "epochs of text": lambda h: h["content"]["state"]["FitState"].update(epochs="1"),
    "epochs beyond 64 bits": lambda h: h["content"]["state"]["FitState"].update(epochs=10**400),
    "no watch": lambda h: h["content"]["state"]["FitState"].pop("watch"),
    "another field": lambda h: h["content"]["state"]["FitState"].update(more=1),
    "best weights of another size": lambda h: h["content"]["state"]["FitState"]["watch"][
        "Watch"
    ].update(best_params={"array": "other"}),
    "averages of nothing": lambda h: h["content"]["state"]["FitState"]["progress"]["Progress"][
        "state"
    ]["OptimizerState"].update(averages={"dict": []}),
    "averages that are none": lambda h: h["content"]["state"]["FitState"]["progress"]["Progress"][
        "state"
    ]["OptimizerState"].update(averages=None),
}


def in_state(*names):
    """Return a function that finds an object in the state of a fit, by the path of its fields."""

    def find(header):
        found = header["content"]["state"]["FitState"]
        for name in names:
            ((_, found),) = found[name].items()
        return found

    return find


def five_averages(header):
    """Let parameters, best weights and averages have a wrong size, the same."""
    header["content"].update(params={"array": "five"})
    state = in_state("progress", "state")(header)
    state["averages"] = {"dict": [[name, {"array": "five"}] for name in Adam().averages()]}


STRANGE |= {
    "parameters of another size": lambda h: h["content"].update(params={"array": "five"}),
    "parameters of another dtype": lambda h: h["content"].update(params={"array": "doubles"}),
    "everything of another size": five_averages,
    "a negative seed": lambda h: in_state()(h).update(seed=-1),
    "a large seed": lambda h: in_state()(h).update(seed=2**40),
    "negative epochs": lambda h: in_state()(h).update(epochs=-1),
    "more epochs than losses": lambda h: in_state()(h).update(epochs=4),
    "a best epoch that is none": lambda h: in_state("watch")(h).update(best_iter=4),
    "a longer validation curve": lambda h: h["content"].update(validation_loss_curve=[1.0] * 4),
    "negative steps": lambda h: in_state("progress", "state")(h).update(t=-1),
    "a negative epoch": lambda h: in_state("progress", "schedule")(h).update(epoch=-1),
    "another optimizer": lambda h: in_state("progress")(h).update(optimizer={"LBFGS": {}}),
    "other numbers of an optimizer": lambda h: in_state("progress", "optimizer")(h).update(
        beta1=0.5
    ),
}


OF_LBFGS = {
    "no steps": {"dict": [["changes", {"array": "none"}]]},
    "no averages": {"dict": []},
    "steps of another size": {
        "dict": [["steps", {"array": "five"}], ["changes", {"array": "five"}]]
    },
    "flat steps": {"dict": [["steps", {"array": "doubles"}], ["changes", {"array": "doubles"}]]},
}


@pytest.mark.parametrize("averages", OF_LBFGS.values(), ids=OF_LBFGS)
def test_states_of_strangers_for_lbfgs(averages, tmp_path):
    def change(header):
        in_state("progress", "state")(header).update(averages=averages)

    changed(change, tmp_path / "fit", optimizer="lbfgs")
    with pytest.raises(ValueError, match=r"^checkpoint must name .*does not know \(.* must "):
        quick(optimizer="lbfgs", max_iter=5).fit(X, TOTAL, checkpoint=tmp_path / "fit")


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE)
def test_checkpoints_of_strangers(change, tmp_path):
    changed(change, tmp_path / "fit")
    model = quick(max_iter=5)
    with pytest.raises(ValueError, match=r"^checkpoint must name .*does not know \(.* must "):
        model.fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert not hasattr(model, "model_")


def test_load_knows_a_checkpoint(tmp_path):
    quick().fit(X, TOTAL, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match="which is a checkpoint: pass it to fit as checkpoint"):
        fusedlstm.load(tmp_path / "fit")
