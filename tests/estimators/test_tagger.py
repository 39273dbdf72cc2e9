"""LSTMTagger: forms of X and y, targets, predictions."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import accuracy_score

import fusedlstm
from fusedlstm import LSTMTagger
from fusedlstm.layers import GRU, LSTM, Chain, Dense, Dropout, LastStep, Parallel, Pool, Residual
from step_data import LENGTHS, equal, padded, weights_of
from tagger_data import FORMS, X, Y, labels_of


def model(**options):
    return LSTMTagger(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_data_give_the_same_model(form):
    expected = model().fit(X, Y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        given, targets = FORMS[form]()
        fitted = model().fit(given, targets)
        assert (weights_of(fitted) == weights_of(expected)).all()
        assert fitted.score(given, targets) == expected.score(X, Y)
        predicted = fitted.predict(given)
    flat = expected.predict(X)
    if isinstance(given, (list, tuple)):
        assert isinstance(predicted, list)
    else:
        assert type(predicted) is np.ndarray
    if form.startswith("padded") or form == "frame of targets":
        assert predicted.shape == (12, 6)
        for row, part in zip(predicted, flat, strict=True):
            assert (row[: len(part)] == part).all()
            padding = None if form == "frame of targets" else ""  # pandas returns objects
            assert all(value == padding for value in row[len(part) :])
        proba = fitted.predict_proba(given)
        assert proba.shape == (12, 6, 2)
        assert np.isnan(proba[1, 1:]).all()
        assert np.isfinite(proba[1, :1]).all()
    else:
        assert equal(predicted, flat)
        assert equal(fitted.predict_proba(given), expected.predict_proba(X))


def test_taggers_take_arrays_of_equal_lengths(tmp_path):
    rng = np.random.default_rng(0)
    cube = rng.standard_normal((8, 5, 2)).astype("float32")
    y = (cube[:, :, 0] > 0).astype(int)
    fitted = model().fit(cube, y)
    assert fitted.predict(cube).shape == (8, 5)
    assert fitted.predict_proba(cube).shape == (8, 5, 2)
    assert equal(fitted.predict(list(cube)), fitted.predict(cube))
    for name, array in {"x": cube, "y": y}.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped, targets = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy")
    for ys in (targets, list(targets), y.tolist()):
        assert (weights_of(model().fit(mapped, ys)) == weights_of(fitted)).all()
    np.save(tmp_path / "padded.npy", padded(X))
    mapped = np.load(tmp_path / "padded.npy", mmap_mode="r")
    assert (weights_of(model().fit(mapped, Y)) == weights_of(model().fit(X, Y))).all()
    table = pd.DataFrame(cube[:, :, 0])
    of_table = model().fit(table, y)
    assert of_table.n_features_in_ == 5
    assert of_table.predict(table).shape == (8, 5)
    other = model().fit(table.to_numpy().tolist(), y.tolist())
    assert (weights_of(other) == weights_of(of_table)).all()
    assert isinstance(other.predict(table.to_numpy().tolist()), list)
    with pytest.raises(ValueError, match="8, 4.* got an array"):
        model().fit(cube[:, :4], y)  # one step too many, which is not padding


LABELS = {
    "text": ["N", "V"],
    "text of other lengths": ["longer", "V"],
    "objects": np.array(["N", "V"], object),
    "int": [3, 7],
    "negative": [-1, 1],
    "bool": [False, True],
    "float": [1.0, 2.0],
    "uint8": np.array([0, 255], np.uint8),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_may_have_any_dtype(labels, tmp_path):
    labels = np.asarray(labels)
    y = labels_of(Y, labels)
    fitted = model(max_iter=2).fit(X, y)
    assert fitted.classes_.tolist() == sorted(labels.tolist())
    predicted = fitted.predict(X)
    assert predicted[0].dtype == labels.dtype
    assert set(np.concatenate(predicted).tolist()) <= set(labels.tolist())
    assert fitted.score(X, y) == accuracy_score(np.concatenate(y), np.concatenate(predicted))
    fitted.save(tmp_path / "model")
    loaded = fusedlstm.load(tmp_path / "model")
    assert equal(loaded.predict(X), predicted)
    last = fitted.predict(padded(X))[1, 1:]
    assert all(str(value) in ("", "False", "nan", "-1", "None", "255") for value in last)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (Y[:-1], r"inconsistent numbers of samples: \[12, 11\]"),
        (Y[::-1], r"y\[1\] must be 1 target, one for each step of the sequence; got .*\(5,\)"),
        ([*Y[:1], ["up", "down"], *Y[2:]], r"y\[1\] must be 1 target, one for each step"),
        ([*Y[:2], np.full((4, 2), "a"), *Y[3:]], r"y\[2\] must be 1-D, as y\[0\]"),
        ([y[:, np.newaxis] for y in Y], r"y\[0\] must be 1-D, one label for each step"),
        (["up"] * 12, r"y\[0\] must be 3 targets"),
        (np.array(["up"] * 12), r"y must be targets of all steps, of shape \(12, 6\)"),
        (labels_of(Y, [1.5, 2.0]), r"y\[2\] must be labels, not fractions; got 1.5 at step 0"),
        (labels_of(Y, [0.0, np.nan]), r"y\[0\] must be finite labels; got nan at step 0"),
        (labels_of(Y, [0.0, np.inf]), r"y\[0\] must be finite labels; got inf at step 0"),
        (labels_of(Y, [b"a", b"b"]), "y must be labels of text, integers or bools; got"),
        (labels_of(Y, [1j, 2j]), "y must be labels of text, integers or bools; got"),
        (
            labels_of(Y, np.array(["a", None], object)),
            r"y\[0\] must be strings .* got None at step",
        ),
        ([["up"] * n for n in LENGTHS], "needs at least 2 classes in y; got 1 class, 'up'"),
        ([np.ma.masked_all(n) for n in LENGTHS], "y must be an array without a mask"),
        ([*Y[:5], np.ones(3, int), *Y[6:]], "y must be all text or all numbers"),
        ([*Y[:5], np.ones(3, object), *Y[6:]], r"y\[5\] must be strings .* got 1.* at step 0"),
        (3, "y must be a list of arrays"),
        ((part for part in Y), "y must be a list of arrays"),
        (np.zeros((12, 6, 1, 1)), r"of shape \(12, 6\) or \(12, 6, n_outputs\)"),
    ],
)
def test_wrong_targets_are_an_error_and_change_nothing(y, message):
    fitted = model().fit(X, Y)
    before = dict(vars(fitted))
    weights = weights_of(fitted)
    with pytest.raises((TypeError, ValueError), match=message):
        fitted.fit(X, y)
    assert vars(fitted).keys() == before.keys()
    assert all(vars(fitted)[name] is value for name, value in before.items())
    assert (weights_of(fitted) == weights).all()
    assert fitted.classes_.tolist() == ["down", "up"]
    fresh = model()
    with pytest.raises((TypeError, ValueError), match=message):
        fresh.fit(X, y)
    assert not any(name.endswith("_") for name in vars(fresh))


def test_errors_of_validation_targets():
    for y_val, message in [
        (Y[::-1], r"y_val\[1\] must be 1 target, one"),
        (
            [*Y[:2], ["up", "new", "up", "up"], *Y[3:]],
            r"y_val\[2\] must be labels that .* 'new' at step 1",
        ),
        (None, "y_val must be given"),
    ]:
        with pytest.raises(ValueError, match=message):
            model().fit(X, Y, X_val=X, y_val=y_val)


@pytest.mark.parametrize(
    "layers",
    [
        (LSTM(3), LastStep()),
        (GRU(3), Pool("max")),
        (Chain(LSTM(3), LastStep()), Dense(2)),
        (Parallel(Chain(LSTM(3), LastStep()), Chain(GRU(2), LastStep())),),
    ],
)
def test_layers_that_reduce_the_steps_are_an_error(layers):
    with pytest.raises(
        ValueError, match="layers must not reduce sequences to vectors for LSTMTagger"
    ):
        model(layers=layers).fit(X, Y)


@pytest.mark.parametrize(
    "layers",
    [
        (LSTM(3, bidirectional=True), Residual(LSTM(3, bidirectional=True)), Dropout(0.2)),
        (Parallel(GRU(3), Dense(2, "tanh")),),
        (Dense(4, "tanh"),),
    ],
)
def test_taggers_take_composed_layers(layers):
    fitted = LSTMTagger(layers=layers, max_iter=2, random_state=0).fit(X, Y)
    assert equal(clone(fitted).fit(X, Y).predict_proba(X), fitted.predict_proba(X))


# Predictions.


def test_predictions_do_not_depend_on_order_batch_and_threads(force_threads):
    fitted = model(hidden_size=8).fit(X, Y)
    proba = fitted.predict_proba(X)
    assert np.allclose(np.concatenate(proba).sum(axis=1), 1, rtol=0, atol=1e-15)
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = fitted.predict_proba([X[i] for i in order])
    for i, part in zip(order, shuffled, strict=True):
        assert np.array_equal(part, proba[i])
    for i, x in enumerate(X):
        assert np.array_equal(fitted.predict_proba([x])[0], proba[i])
        assert np.array_equal(fitted.predict_proba(x[np.newaxis])[0], proba[i])
    halves = fitted.predict_proba(X[:5]) + fitted.predict_proba(X[5:])
    assert equal(halves, proba)
    for n_threads in (1, 2, 3):
        assert equal(fitted.set_params(n_threads=n_threads).predict_proba(X), proba)
    logits = np.concatenate(fitted.decision_function(X))
    assert np.allclose(np.concatenate(fitted.predict_log_proba(X)), np.log(np.concatenate(proba)))
    assert (fitted.classes_[logits.argmax(axis=1)] == np.concatenate(fitted.predict(X))).all()


def test_predictions_in_chunks_have_the_same_bits(monkeypatch):
    fitted = model().fit(X, Y)
    proba, snapshot = fitted.predict_proba(X), fitted._current_snapshot()
    read = fitted._read(X, Y, np.arange(12.0), reset=False)
    whole = fitted._task().evaluate(snapshot, read)
    monkeypatch.setattr("fusedlstm.estimators.snapshot.MAX_NUMBERS_PER_CHUNK", 60)
    assert len(snapshot.chunks(read.sequences)) > 3
    assert equal(fitted.predict_proba(X), proba)
    assert fitted._task().evaluate(snapshot, read) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_streams_give_the_bits_of_predictions(cell, dtype):
    fitted = model(bidirectional=False, cell=cell, dtype=dtype, num_layers=2).fit(X, Y)
    stream = fitted.stream()
    for x, proba in zip(X, fitted.predict_proba(X), strict=True):
        stream.reset()
        assert np.array_equal([stream.step(step) for step in x], proba)
    side_by_side = fitted.stream(3)
    cube = np.random.default_rng(1).standard_normal((3, 4, 2))
    found = np.stack([side_by_side.step(cube[:, t]) for t in range(4)], axis=1)
    assert np.array_equal(found, fitted.predict_proba(cube))


def test_streams_of_two_directions_are_an_error():
    with pytest.raises(ValueError, match="must not read sequences backward for a stream"):
        model().fit(X, Y).stream()


def test_methods_before_fit_raise_an_error():
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(Exception, match="not fitted"):
            getattr(model(), method)(X)
    with pytest.raises(Exception, match="not fitted"):
        model().score(X, Y)
    assert not is_classifier(model())
    assert not is_regressor(model())
