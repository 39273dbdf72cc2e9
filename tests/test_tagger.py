"""LSTMTagger: a label for every step."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor, LSTMTagger, SequenceScaler
from fusedlstm.layers import GRU, LSTM, Chain, Dense, Dropout, LastStep, Parallel, Pool, Residual
from fusedlstm.metrics import step_scorer

LENGTHS = [3, 1, 4, 2, 5, 3, 1, 6, 2, 4, 5, 3]


def data(n_features=2, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((n, n_features)) for n in LENGTHS]
    return X, [np.where(np.cumsum(x[:, 0]) > 0, "up", "down") for x in X]


def model(**options):
    return LSTMTagger(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


def objects(parts):
    array = np.empty(len(parts), object)
    array[:] = parts
    return array


def padded(parts, fill=np.nan):
    shape = (len(parts), max(map(len, parts)), *np.shape(parts[0])[1:])
    array = np.full(shape, fill, object if isinstance(fill, str) else None)
    for row, part in zip(array, parts, strict=True):
        row[: len(part)] = part
    return array.astype(str) if isinstance(fill, str) else array


def equal(a, b):
    return len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def weights_of(fitted):
    return fitted.model_.params.copy()


def labels_of(parts, labels):
    """Return integers from 0 as other labels."""
    return [np.asarray(labels)[(part == "up").astype(int)] for part in parts]


X, Y = data()


# Forms of X and y.


FORMS = {
    "tuples": lambda: (tuple(X), tuple(Y)),
    "objects": lambda: (objects(X), objects(Y)),
    "lists of lists": lambda: ([x.tolist() for x in X], [y.tolist() for y in Y]),
    "padded": lambda: (padded(X), padded(Y, "nobody reads this")),
    "padded, list": lambda: (padded(X), Y),
    "list, padded": lambda: (X, padded(Y, "")),
    "frames": lambda: ([pd.DataFrame(x) for x in X], [pd.Series(y) for y in Y]),
    "series": lambda: (pd.Series(X), pd.Series(Y)),
    "some are objects": lambda: (X, [Y[0].astype(object), *Y[1:]]),
    "frame of targets": lambda: (padded(X), pd.DataFrame(padded(Y, ""))),
    "Fortran order": lambda: ([np.asfortranarray(x) for x in X], Y),
    "not contiguous": lambda: ([np.repeat(x, 2, axis=0)[::2] for x in X], Y),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_give_the_same_model(form):
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
            padding = None if form == "frame of targets" else ""  # pandas holds objects
            assert all(value == padding for value in row[len(part) :])
        proba = fitted.predict_proba(given)
        assert proba.shape == (12, 6, 2)
        assert np.isnan(proba[1, 1:]).all()
        assert np.isfinite(proba[1, :1]).all()
    else:
        assert equal(predicted, flat)
        assert equal(fitted.predict_proba(given), expected.predict_proba(X))


def test_arrays_of_equal_lengths(tmp_path):
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
        model().fit(cube[:, :4], y)  # a step too many, which is no padding


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
def test_labels_of_all_kinds(labels, tmp_path):
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
        (labels_of(Y, np.array(["a", None], object)), r"y\[0\] must be text, .* got None at step"),
        ([["up"] * n for n in LENGTHS], "needs at least 2 classes in y; got 1 class, 'up'"),
        ([np.ma.masked_all(n) for n in LENGTHS], "y must be without a mask"),
        ([*Y[:5], np.ones(3, int), *Y[6:]], "y must be all text or all numbers"),
        ([*Y[:5], np.ones(3, object), *Y[6:]], r"y\[5\] must be text, .* got 1.* at step 0"),
        (3, "y must be a list of arrays"),
        ((part for part in Y), "y must be a list of arrays"),
        (np.zeros((12, 6, 1, 1)), r"of shape \(12, 6\) or \(12, 6, n_outputs\)"),
    ],
)
def test_wrong_targets_change_nothing(y, message):
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


def test_wrong_validation_targets_are_named():
    for y_val, message in [
        (Y[::-1], r"y_val\[1\] must be 1 target, one"),
        (
            [*Y[:2], ["up", "new", "up", "up"], *Y[3:]],
            r"y_val\[2\] must be labels of .* 'new' at step 1",
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
def test_layers_that_reduce_are_refused(layers):
    with pytest.raises(ValueError, match="layers must keep the steps for LSTMTagger"):
        model(layers=layers).fit(X, Y)


@pytest.mark.parametrize(
    "layers",
    [
        (LSTM(3, bidirectional=True), Residual(LSTM(3, bidirectional=True)), Dropout(0.2)),
        (Parallel(GRU(3), Dense(2, "tanh")),),
        (Dense(4, "tanh"),),
    ],
)
def test_layers_of_layers(layers):
    fitted = LSTMTagger(layers=layers, max_iter=2, random_state=0).fit(X, Y)
    assert equal(clone(fitted).fit(X, Y).predict_proba(X), fitted.predict_proba(X))


# Predictions.


def test_predictions_are_the_same_alone_in_any_order_and_on_any_threads(eager_teams):
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


def test_chunks_of_predictions_are_the_same(monkeypatch):
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


def test_streams_of_two_directions_are_refused():
    with pytest.raises(ValueError, match="A stream needs layers that read forward"):
        model().fit(X, Y).stream()


def test_before_fit():
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(Exception, match="not fitted"):
            getattr(model(), method)(X)
    with pytest.raises(Exception, match="not fitted"):
        model().score(X, Y)
    assert not is_classifier(model())
    assert not is_regressor(model())


# Training.


def test_validation_sets_and_early_stopping():
    options = {"early_stopping": True, "validation_fraction": 0.25, "max_iter": 4}
    for split in ("random", "last"):
        fitted = model(**options, validation_split=split).fit(X, Y)
        assert len(fitted.validation_loss_curve_) == fitted.n_iter_
    passed = model(**options).fit(X[:9], Y[:9], X_val=X[9:], y_val=Y[9:])
    assert fitted.validation_loss_curve_ == passed.validation_loss_curve_
    assert (weights_of(fitted) == weights_of(passed)).all()
    proba = np.concatenate(passed.predict_proba(X[9:]))
    expected = log_loss(np.concatenate(Y[9:]), proba)
    best = passed.validation_loss_curve_[passed.best_iter_ - 1]
    assert best == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "neg_log_loss", "roc_auc"])
@pytest.mark.parametrize("form", ["lists", "padded"])
def test_scorers_with_a_name(name, form):
    fitted = model().fit(X, Y)
    true = np.concatenate(Y)
    proba = np.concatenate(fitted.predict_proba(X))
    predicted = np.concatenate(fitted.predict(X))
    expected = {
        "accuracy": lambda: accuracy_score(true, predicted),
        "f1_macro": lambda: f1_score(true, predicted, average="macro"),
        "neg_log_loss": lambda: -log_loss(true, proba),
        "roc_auc": lambda: roc_auc_score(true == "up", proba[:, 1]),
    }[name]()
    given = (X, Y) if form == "lists" else (padded(X), padded(Y, "no label"))
    assert step_scorer(name)(fitted, *given) == pytest.approx(expected)
    assert step_scorer(name)(fitted, given[0], Y) == pytest.approx(expected)
    stopped = model(early_stopping=True, scoring=name, max_iter=2)
    stopped.fit(*given, X_val=given[0], y_val=given[1])
    score = step_scorer(name)(stopped, *given)
    assert np.isfinite(score)


def test_scorers_refuse_targets_of_other_lengths():
    fitted, score = model().fit(X, Y), step_scorer("accuracy")
    for given in (X, padded(X)):
        for targets in (Y[:-1], padded(Y[:-1], "")):
            with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[12, 11\]"):
                score(fitted, given, targets)
        with pytest.raises(ValueError, match="y must have one target for each step .* sequence 1"):
            score(fitted, given, Y[::-1])
        with pytest.raises(ValueError, match="y must be of 6 steps, as X"):
            score(fitted, given, padded([part[:3] for part in Y], ""))


def test_scorers_refuse_predictions_of_whole_sequences():
    few = {"hidden_size": 2, "max_iter": 1}
    for given in (X, np.zeros((12, 6, 2))):
        steps = [np.zeros(len(x)) for x in given]
        for targets in (np.zeros(12), np.zeros((12, 2))):
            fitted = LSTMRegressor(**few).fit(given, targets)
            with pytest.raises(ValueError, match="estimator must predict at every step .* got one"):
                step_scorer("r2")(fitted, given, steps)
        with pytest.raises(ValueError, match="one target for each step .* use scoring='r2'"):
            step_scorer("r2")(fitted, given, np.zeros(12))
        labels = np.array(["up", "down"] * 6)
        fitted = LSTMClassifier(**few).fit(given, labels)
        for name in ("accuracy", "neg_log_loss"):
            with pytest.raises(ValueError, match="estimator must predict at every step .* got one"):
                step_scorer(name)(fitted, given, [np.full(len(x), "up") for x in given])
            with pytest.raises(ValueError, match="target for each step .* got one per sequence"):
                step_scorer(name)(fitted, given, labels)


def test_scorers_take_weights_of_sequences():
    fitted = model().fit(X, Y)
    weights = np.arange(12.0)
    repeated = [i for i in range(12) for _ in range(i)]
    expected = fitted.score([X[i] for i in repeated], [Y[i] for i in repeated])
    assert fitted.score(X, Y, weights) == pytest.approx(expected)
    for given in ((X, Y), (padded(X), padded(Y, ""))):
        found = step_scorer("accuracy")(fitted, *given, sample_weight=weights)
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("form", ["lists", "tuples", "padded", "objects", "frames"])
def test_a_callable_scoring_gets_what_the_user_gave(form):
    got = []

    def scoring(estimator, X_given, y_given):
        got.append((X_given, y_given))
        return estimator.score(X_given, y_given)

    given = (X, Y) if form == "lists" else FORMS[form]()
    own = model(early_stopping=True, scoring=scoring, validation_split="last", max_iter=2)
    own.set_params(validation_fraction=0.25).fit(*given)
    X_given, y_given = got[-1]
    for part, whole in ((X_given, given[0]), (y_given, given[1])):
        assert type(part) is type(whole)
        assert len(part) == 3
    if form == "padded":
        assert y_given.shape == (3, 6)
        assert (y_given == given[1][9:]).all()
    else:
        assert equal(y_given, Y[9:])
    model(early_stopping=True, scoring=scoring, max_iter=1).fit(
        *given, X_val=given[0], y_val=given[1]
    )
    assert got[-1][0] is given[0]
    assert got[-1][1] is given[1]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_partial_fit_is_an_epoch_of_fit(bidirectional):
    options = {"bidirectional": bidirectional, "dropout": 0.2}
    fitted = model(**options, max_iter=3).fit(X, Y)
    parts = model(**options)
    for _ in range(3):
        parts.partial_fit(X, Y, classes=["down", "up"])
    assert (weights_of(parts) == weights_of(fitted)).all()
    with pytest.raises(ValueError, match=r"y\[2\] must be labels of the classes of fit; got 'new'"):
        parts.partial_fit(X, [*Y[:2], ["new"] * 4, *Y[3:]])
    assert (weights_of(parts) == weights_of(fitted)).all()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model().partial_fit(X, Y)
    later = model().partial_fit(X[:2], Y[:2], classes=["up", "down", "other"])
    assert later.classes_.tolist() == ["down", "other", "up"]


def test_warm_start_goes_on():
    fitted = model(warm_start=True).fit(X, Y)
    before = weights_of(fitted)
    fitted.fit(X, Y)
    assert fitted.n_iter_ == 6
    assert (weights_of(fitted) != before).any()
    with pytest.raises(ValueError, match="must be labels of the classes of fit; got 'b' at step 0"):
        fitted.fit(X, labels_of(Y, ["a", "b"]))
    assert fitted.n_iter_ == 6


class Killed(BaseException):
    """As if the process ended."""


def killed_after(monkeypatch, fit, epochs):
    from fusedlstm.estimators.fitting.checkpoints import CheckpointFile

    write, calls = CheckpointFile.write, []

    def and_die(self, checkpoint, now):
        write(self, checkpoint, True)
        calls.append(checkpoint.state.epochs)
        if checkpoint.state.epochs == epochs:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "write", and_die)
        with pytest.raises(Killed):
            fit()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_killed_fit_goes_on_to_the_same_bits(optimizer, tmp_path, monkeypatch):
    options = {"optimizer": optimizer, "max_iter": 5, "early_stopping": True}
    options["dropout"] = 0.0 if optimizer == "lbfgs" else 0.3
    options["class_weight"] = "balanced"
    options["validation_fraction"] = 0.25
    expected = model(**options).fit(X, Y, sample_weight=np.arange(1, 13.0))
    path = tmp_path / "checkpoint"

    def fit(given=X, y=Y, weights=tuple(range(1, 13)), **more):
        return model(**{**options, **more}).fit(given, y, sample_weight=weights, checkpoint=path)

    killed_after(monkeypatch, fit, 2)
    swapped = [np.where(Y[0] == "up", "down", "up"), *Y[1:]]
    with pytest.raises(ValueError, match="of a fit with another .*y"):
        fit(y=swapped)
    with pytest.raises(ValueError, match="of a fit with another sample_weight"):
        fit(weights=np.arange(2, 14.0))
    with pytest.raises(ValueError, match="of a fit with another class_weight"):
        fit(class_weight={"up": 2.0})
    found = fit(given=padded(X), y=padded(Y, ""))  # the same data in another form
    assert (weights_of(found) == weights_of(expected)).all()
    assert found.loss_curve_ == expected.loss_curve_
    assert found.validation_loss_curve_ == expected.validation_loss_curve_


FULL = {
    "optimizer": "sgd",
    "learning_rate": 0.5,
    "batch_size": 1000,
    "shuffle": False,
    "dtype": "float64",
    "weight_decay": 0.0,
}


@pytest.mark.parametrize(
    "more", [{}, {"bidirectional": False, "tbptt_steps": 2}], ids=["", "tbptt"]
)
def test_a_weight_is_a_repetition(more):
    weights = np.array([0, 1, 2, 3, 1, 0, 2, 1, 1, 3, 1, 2])
    rows = np.repeat(np.arange(12), weights)
    once = model(**FULL, **more).fit(X, Y, sample_weight=weights)
    often = model(**FULL, **more).fit([X[i] for i in rows], [Y[i] for i in rows])
    np.testing.assert_allclose(weights_of(once), weights_of(often), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(once.loss_curve_, often.loss_curve_, rtol=1e-12)
    scaled = model(**FULL, **more).fit(X, Y, sample_weight=5.0 * weights)
    np.testing.assert_allclose(weights_of(scaled), weights_of(once), rtol=1e-12)


def test_class_weights_are_weights_of_steps():
    plain, ones = (
        model(**FULL).fit(X, Y),
        model(**FULL, class_weight={"up": 3, "down": 3}).fit(X, Y),
    )
    np.testing.assert_allclose(weights_of(ones), weights_of(plain), rtol=1e-12)
    counts = {label: np.sum(np.concatenate(Y) == label) for label in ("up", "down")}
    factors = {label: 1 / count for label, count in counts.items()}
    balanced = model(**FULL, class_weight="balanced").fit(X, Y)
    by_dict = model(**FULL, class_weight=factors).fit(X, Y)
    np.testing.assert_allclose(weights_of(by_dict), weights_of(balanced), rtol=1e-9, atol=1e-12)
    assert abs(weights_of(balanced) - weights_of(plain)).max() > 1e-6
    # A sequence of one label: the weight of the label is that of the sequence.
    y = [np.full(n, label) for n, label in zip(LENGTHS, ["a", "b"] * 6, strict=True)]
    of_class = model(**FULL, class_weight={"a": 3.0}).fit(X, y)
    of_sequence = model(**FULL, standardize=True).fit(X, y, sample_weight=[3.0, 1.0] * 6)
    plain = model(**FULL, standardize=False, class_weight={"a": 3.0}).fit(X, y)
    same = model(**FULL, standardize=False).fit(X, y, sample_weight=[3.0, 1.0] * 6)
    np.testing.assert_allclose(weights_of(plain), weights_of(same), rtol=1e-12)
    assert of_class.X_mean_[0] != of_sequence.X_mean_[0]  # class weights do not move the mean of X


def test_class_weights_help_a_rare_label():
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((20, 1)) for _ in range(60)]
    y = [(x[:, 0] + 0.7 * rng.standard_normal(20) > 1.9).astype(int) for x in given]
    options = {"max_iter": 15, "bidirectional": False}
    found = []
    for class_weight in (None, "balanced"):
        predicted = model(**options, class_weight=class_weight).fit(given, y).predict(given)
        true = np.concatenate(y) == 1
        found.append(np.concatenate(predicted)[true].mean())
    assert found[1] > 0.7 > found[0] + 0.2


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ([1, 2], "class_weight must be a dict, 'balanced' or None"),
        ("balance", "class_weight must be a dict, .balanced. or None"),
        ({"up": -1}, r"class_weight\['up'\] must be a number of at least 0"),
        ({"upp": 1}, "class_weight must be of labels of y; got 'upp'"),
        ({"up": 0, "down": 0}, "at least one non-zero number"),
    ],
)
def test_wrong_class_weights(class_weight, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model(class_weight=class_weight).fit(X, Y)


def test_class_weight_of_batches():
    with pytest.raises(ValueError, match="class_weight must be a dict or None for partial_fit"):
        model(class_weight="balanced").partial_fit(X, Y, classes=["up", "down"])
    model(class_weight={"up": 2.0}).partial_fit(X[:2], Y[:2], classes=["up", "down"])


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "sgd"])
@pytest.mark.parametrize("tbptt_steps", [None, 2])
def test_optimizers_and_truncation_learn(optimizer, tbptt_steps):
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((n, 1)) for n in rng.integers(3, 12, 60)]
    y = [(x[:, 0] > 0).astype(int) for x in given]
    rate = {"sgd": 0.5, "adam": 0.03, "lbfgs": 0.1}[optimizer]
    own = model(bidirectional=False, optimizer=optimizer, tbptt_steps=tbptt_steps, max_iter=20)
    assert own.set_params(learning_rate=rate).fit(given, y).score(given, y) > 0.95


def test_losses_of_steps():
    from fusedlstm.losses import Focal, LogLoss

    for loss in ("focal", LogLoss(label_smoothing=0.1), Focal(1.0)):
        fitted = model(loss=loss).fit(X, Y)
        assert np.isfinite(fitted.loss_)


# Tools.


def test_copies_and_files_predict_the_same(tmp_path):
    fitted = model(class_weight={"up": 2.0}, dropout=0.1).fit(X, Y)
    fitted.save(tmp_path / "model.safetensors")
    copies = [
        copy.deepcopy(fitted),
        pickle.loads(pickle.dumps(fitted)),
        fusedlstm.load(tmp_path / "model.safetensors"),
    ]
    for other in copies:
        assert equal(other.predict_proba(X), fitted.predict_proba(X))
        assert other.get_params() == fitted.get_params()
        assert other.loss_curve_ == fitted.loss_curve_
        other.set_params(warm_start=True).fit(X, Y)
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "model_")
    assert (weights_of(clone(fitted).fit(X, Y)) == weights_of(fitted)).all()


@pytest.mark.parametrize("form", ["lists", "objects", "padded", "tuples"])
def test_cross_validation(form):
    given = (X, Y) if form == "lists" else FORMS[form]()
    folds = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(model(), *given, cv=folds)
    expected = []
    for train, test in folds.split(X):
        fitted = model().fit([X[i] for i in train], [Y[i] for i in train])
        expected.append(fitted.score([X[i] for i in test], [Y[i] for i in test]))
    assert scores.tolist() == expected
    scoring = {"accuracy": step_scorer("accuracy"), "f1": step_scorer("f1_macro")}
    found = cross_validate(model(), *given, cv=folds, scoring=scoring)
    assert found["test_accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize("form", ["objects", "padded"])
def test_cross_val_predict(form):
    given = FORMS[form]()
    predicted = cross_val_predict(model(), *given, cv=3)
    for train, test in KFold(3).split(X):
        fitted = model().fit([X[i] for i in train], [Y[i] for i in train])
        for i, part in zip(test, fitted.predict([X[i] for i in test]), strict=True):
            assert (predicted[i][: len(part)] == part).all()


def test_searches_and_pipelines(tmp_path):
    grid = {"hidden_size": [2, 3], "class_weight": [None, "balanced"]}
    search = GridSearchCV(model(max_iter=2), grid, cv=2).fit(X, Y)
    assert len(search.predict(X)) == 12
    assert search.score(X, Y) == search.best_estimator_.score(X, Y)
    random = RandomizedSearchCV(
        model(max_iter=2), grid, n_iter=2, cv=2, random_state=0, scoring=step_scorer("f1_macro")
    )
    assert np.isfinite(random.fit(X, Y).best_score_)
    pipeline = make_pipeline(SequenceScaler(), model(standardize=False)).fit(X, Y)
    assert len(pipeline.predict_proba(X)) == 12
    assert step_scorer("accuracy")(pipeline, X, Y) == pytest.approx(pipeline.score(X, Y))
    fusedlstm.save(pipeline, tmp_path / "pipeline")
    assert equal(fusedlstm.load(tmp_path / "pipeline").predict(X), pipeline.predict(X))
    nested = GridSearchCV(pipeline, {"lstmtagger__hidden_size": [2, 3]}, cv=2).fit(X, Y)
    assert np.isfinite(nested.best_score_)
    roc = step_scorer("roc_auc")(search, X, Y)
    assert roc == pytest.approx(step_scorer("roc_auc")(search.best_estimator_, X, Y))
