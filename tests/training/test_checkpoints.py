"""Checkpoints: a killed fit continues to the same bits; other files are an error."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import time

import numpy as np
import pytest
from sklearn.metrics import get_scorer

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.estimators.fitting.checkpoints import CheckpointFile
from fusedlstm.files import format as _files
from fusedlstm.files.encoding import decode
from fusedlstm.layers import GRU, LSTM, Dropout
from fusedlstm.losses import Pinball
from fusedlstm.optimizers import SGD, AdamW
from fusedlstm.schedules import ReduceOnPlateau

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))
SIGNS = np.where(TOTAL > 0, "plus", "minus")
RAGGED = [x[: 2 + i % 5] for i, x in enumerate(X)]


class Killed(BaseException):
    """Stands for the end of the process."""


def quick(estimator=LSTMRegressor, **options):
    return estimator(**{"hidden_size": 4, "max_iter": 12, "random_state": 0, **options})


def targets(model):
    return SIGNS if isinstance(model, LSTMClassifier) else TOTAL


def kill_after(monkeypatch, n_epochs):
    """Let training end after ``n_epochs``; each epoch is written."""
    written = CheckpointFile.write

    def write(self, checkpoint, now):
        written(self, checkpoint, now=True)
        if checkpoint.state.epochs == n_epochs:
            raise Killed

    monkeypatch.setattr(CheckpointFile, "write", write)


def state_of(model):
    attributes = {k: v for k, v in vars(model).items() if k.endswith("_") and k != "model_"}
    return model.model_.params.tobytes(), repr(attributes)


KINDS = {
    "regressor": lambda: quick(),
    "classifier": lambda: quick(LSTMClassifier),
    "dropout": lambda: quick(
        hidden_size=64, layers=(LSTM(4, recurrent_dropout=0.2), Dropout(0.3), GRU(3))
    ),
    "early stopping": lambda: quick(early_stopping=True, learning_rate=0.1, n_iter_no_change=3),
    "a score": lambda: quick(LSTMClassifier, early_stopping=True, scoring="accuracy"),
    "a function": lambda: quick(early_stopping=True, scoring=get_scorer("r2")),
    "momentum": lambda: quick(optimizer=SGD(momentum=0.9), shuffle=False),
    "weight decay": lambda: quick(optimizer=AdamW(), weight_decay=0.1, dtype="float64"),
    "a patience that ends": lambda: quick(tol=10.0, n_iter_no_change=6),
    "truncated": lambda: quick(tbptt_steps=2),
    "a schedule": lambda: quick(schedule="cosine"),
    "reduce on plateau": lambda: quick(
        schedule=ReduceOnPlateau(patience=1), early_stopping=True, scoring="r2", tol=10.0
    ),
    "L-BFGS": lambda: quick(optimizer="lbfgs"),
    "quantiles": lambda: quick(loss=Pinball((0.1, 0.5, 0.9))),
    "a RandomState": lambda: quick(random_state=np.random.RandomState(3)),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("n_epochs", [0, 1, 5])
def test_a_killed_fit_continues_to_the_same_bits(make, n_epochs, tmp_path, monkeypatch):
    model = make()
    y = targets(model)
    expected = state_of(make().fit(X, y))
    with monkeypatch.context() as patch:
        kill_after(patch, n_epochs)
        with pytest.raises(Killed):
            model.fit(X, y, checkpoint=tmp_path / "fit")
    again = make().fit(X, y, checkpoint=tmp_path / "fit")
    assert state_of(again) == expected
    kill_after(monkeypatch, None)  # any training now writes
    before = (tmp_path / "fit").read_bytes()
    assert state_of(make().fit(X, y, checkpoint=tmp_path / "fit")) == expected
    assert (tmp_path / "fit").read_bytes() == before


@pytest.mark.parametrize("data", [X, RAGGED, X[:, :, 0]], ids=["3d", "ragged", "2d"])
def test_a_killed_fit_with_validation_data_and_weights_continues_to_the_same_bits(
    data, tmp_path, monkeypatch
):
    weights = np.arange(1.0, 41)
    given = {"X_val": data, "y_val": TOTAL, "sample_weight_val": weights}
    expected = state_of(quick().fit(data, TOTAL, weights, **given))
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(Killed):
            quick().fit(data, TOTAL, weights, **given, checkpoint=tmp_path / "fit")
    again = quick().fit(data, TOTAL, weights, **given, checkpoint=tmp_path / "fit")
    assert state_of(again) == expected
    given["sample_weight_val"] = weights[::-1]
    with pytest.raises(ValueError, match="another sample_weight, sample_weight_val, y, y_val"):
        quick().fit(data, TOTAL, weights[::-1], **given, checkpoint=tmp_path / "fit")


def test_a_killed_fit_without_a_seed_continues_to_the_same_bits(tmp_path, monkeypatch):
    model = quick(random_state=None, early_stopping=True)
    with monkeypatch.context() as patch:
        kill_after(patch, 4)
        with pytest.raises(Killed):
            model.fit(X, TOTAL, checkpoint=tmp_path / "fit")
    copy = (tmp_path / "fit").read_bytes()
    first = state_of(model.fit(X, TOTAL, checkpoint=tmp_path / "fit"))
    (tmp_path / "fit").write_bytes(copy)
    assert state_of(model.fit(X, TOTAL, checkpoint=tmp_path / "fit")) == first


def test_a_checkpoint_continues_with_a_larger_max_iter(tmp_path):
    quick(max_iter=4).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    more = quick(max_iter=9).fit(X, TOTAL, checkpoint=str(tmp_path / "fit"))
    assert state_of(more) == state_of(quick(max_iter=9).fit(X, TOTAL))
    with pytest.raises(ValueError, match=r"max_iter must be at least 9, the epochs .*; got 8"):
        quick(max_iter=8).fit(X, TOTAL, checkpoint=tmp_path / "fit")


def test_a_killed_warm_start_continues_to_the_same_bits(tmp_path, monkeypatch):
    def begun():
        return quick(warm_start=True, max_iter=3).fit(X, TOTAL).set_params(max_iter=8)

    expected = state_of(begun().fit(X, TOTAL))
    with monkeypatch.context() as patch:
        kill_after(patch, 4)
        with pytest.raises(Killed):
            begun().fit(X, TOTAL, checkpoint=tmp_path / "fit")
    model = begun().fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert state_of(model) == expected
    with pytest.raises(ValueError, match="of a fit with another initial weights"):
        model.fit(X, TOTAL, checkpoint=tmp_path / "fit")


@pytest.mark.parametrize(
    ("options", "data", "y", "other"),
    [
        ({"hidden_size": 5}, X, TOTAL, "hidden_size"),
        ({"learning_rate": 0.02, "optimizer": "sgd"}, X, TOTAL, "learning_rate, optimizer"),
        ({"random_state": 1}, X, TOTAL, "random_state"),
        ({"random_state": np.random.RandomState(0)}, X, TOTAL,
         "random_state, state of random_state"),
        ({"early_stopping": True, "scoring": max}, X, TOTAL, "early_stopping, scoring"),
        ({}, X + 1e-9, TOTAL, "X"),
        ({}, X[:-1], TOTAL[:-1], "X, y"),
        ({}, RAGGED, TOTAL, "X"),
        ({}, X.astype("float32"), TOTAL, "X"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_problem_is_an_error(options, data, y, other, tmp_path):
    quick(max_iter=1).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    before = (tmp_path / "fit").read_bytes()
    model = quick(**options)
    with pytest.raises(
        ValueError, match=f"got '.*fit', which is of a fit with another {other}. Remove it"
    ):
        model.fit(data, y, checkpoint=tmp_path / "fit")
    assert not hasattr(model, "model_")
    assert (tmp_path / "fit").read_bytes() == before


def test_a_fit_continues_after_a_change_of_max_iter_threads_and_verbose(tmp_path):
    first = quick(max_iter=2).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    same = quick(n_threads=1, verbose=0).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert same.n_iter_ > 2
    assert same.loss_curve_[:2] == first.loss_curve_


def test_errors_for_unusable_checkpoint_paths(tmp_path):
    model = quick(max_iter=1)
    with pytest.raises(TypeError, match="checkpoint must be a string or a path; got 3"):
        model.fit(X, TOTAL, checkpoint=3)
    with pytest.raises(FileNotFoundError, match="missing"):
        model.fit(X, TOTAL, checkpoint=tmp_path / "missing" / "fit")
    (tmp_path / "text").write_text("my thesis")
    with pytest.raises(
        ValueError, match="checkpoint must be the name of a new file or .*another kind"
    ):
        model.fit(X, TOTAL, checkpoint=tmp_path / "text")
    assert (tmp_path / "text").read_text() == "my thesis"
    assert not hasattr(model, "model_")
    model.fit(X, TOTAL).save(tmp_path / "model")
    with pytest.raises(ValueError, match="which is not a checkpoint"):
        model.fit(X, TOTAL, checkpoint=tmp_path / "model")
    model.fit(X, TOTAL, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match="path must name a file that save wrote"):
        fusedlstm.load(tmp_path / "fit")


def test_temporary_files_of_a_killed_write_are_removed(tmp_path):
    left = tmp_path / ".fit.0123abcd.fusedlstm-tmp"
    left.write_bytes(b"half")
    names = [".fit.mine", ".fit.20261121", ".fit.x.0123abcd.fusedlstm-tmp", ".fit.0123abcd"]
    for name in names:
        (tmp_path / name).write_bytes(b"whole")
    quick(max_iter=1).fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "fit"])


def test_a_checkpoint_of_a_fit_that_diverged_gives_the_warning_again(tmp_path):
    options = {"optimizer": "sgd", "learning_rate": 1e30, "clip_norm": None, "batch_size": 1}
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="no longer finite in epoch 1"):
            quick(**options).fit(X, TOTAL, checkpoint=tmp_path / "fit")


# Processes that are killed at arbitrary times.

LONG = {"hidden_size": 8, "max_iter": 2000, "dropout": 0.2, "early_stopping": True,
        "n_iter_no_change": 2000, "batch_size": 32, "random_state": 0, "n_threads": 1}  # fmt: skip


def train_long(folder, begins):
    """Train and save as a user's script does; set an event when training begins."""
    begins.set()
    start = time.monotonic()
    model = LSTMRegressor(**LONG).fit(X, TOTAL, checkpoint=folder / "fit")
    (folder / "seconds").write_text(str(time.monotonic() - start))
    model.save(folder / "model")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_killed_twenty_times_ends_with_the_same_bits(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "fusedlstm.estimators"])

    def ends(folder, seconds=None):
        """Train in a process that is killed after ``seconds``; return True if it finished."""
        folder.mkdir(exist_ok=True)
        begins = context.Event()
        process = context.Process(target=train_long, args=(folder, begins))
        process.start()
        assert begins.wait(60)
        process.join(seconds)
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode == 0

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert ends(whole)
    seconds = float((whole / "seconds").read_text())
    rng = np.random.default_rng()
    reached = []
    while len(reached) < 20:
        if ends(cut, rng.uniform(0, seconds / 15)):  # faster than the first run
            shutil.rmtree(cut)
        else:
            reached.append(epochs_in(cut / "fit"))
    assert len(set(reached)) > 5
    assert ends(cut)
    assert sorted(path.name for path in cut.iterdir()) == ["fit", "model", "seconds"]
    assert (cut / "model").read_bytes() == (whole / "model").read_bytes()


def epochs_in(checkpoint):
    if not checkpoint.exists():
        return 0
    header, arrays = _files.read(checkpoint)
    return decode(header["content"]["state"], arrays).epochs
