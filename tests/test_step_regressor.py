"""LSTMStepRegressor: numbers for every step."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_pinball_score, mean_squared_error, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

import fusedlstm
from fusedlstm import LSTMStepRegressor, SequenceScaler, Sequential
from fusedlstm.layers import LSTM, Dense, LastStep
from fusedlstm.losses import Gaussian, Huber, Pinball, RegressionLoss, squared_error
from fusedlstm.metrics import step_scorer
from fusedlstm.optimizers import SGD
from fusedlstm.training import Batch, epochs

LENGTHS = [3, 1, 4, 2, 5, 3, 1, 6, 2, 4, 5, 3]
MISSING = [(0, 1), (1, 0), (2, 0), (2, 3), (4, 2), (7, 5), (11, 0), (11, 1), (11, 2)]
FULL = {
    "optimizer": "sgd",
    "learning_rate": 0.2,
    "batch_size": 1000,
    "shuffle": False,
    "dtype": "float64",
    "weight_decay": 0.0,
}


def data(n_outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((n, 2)) for n in LENGTHS]
    Y = [5 + 3 * np.cumsum(x, axis=0) for x in X]
    return X, [y[:, 0] if n_outputs is None else y[:, :n_outputs] for y in Y]


def model(**options):
    return LSTMStepRegressor(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


def objects(parts):
    array = np.empty(len(parts), object)
    array[:] = parts
    return array


def padded(parts, fill=np.nan):
    array = np.full((len(parts), max(map(len, parts)), *np.shape(parts[0])[1:]), fill)
    for row, part in zip(array, parts, strict=True):
        row[: len(part)] = part
    return array


def equal(a, b):
    return len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def weights_of(fitted):
    return fitted.model_.params.copy()


def with_gaps(parts, places=MISSING):
    parts = [part.copy() for part in parts]
    for i, t in places:
        parts[i][t] = np.nan
    return parts


X, Y = data()
_, Y2 = data(2)
GAPS = with_gaps(Y)


# Forms of X and y.


FORMS = {
    "tuples": lambda y: (tuple(X), tuple(y)),
    "objects": lambda y: (objects(X), objects(y)),
    "lists of lists": lambda y: ([x.tolist() for x in X], [part.tolist() for part in y]),
    "padded": lambda y: (padded(X), padded(y)),
    "padded with numbers": lambda y: (padded(X), padded(y, 1e30)),
    "padded, list": lambda y: (padded(X), y),
    "list, padded": lambda y: (X, padded(y)),
    "frames": lambda y: ([pd.DataFrame(x) for x in X], [pd.DataFrame(part) for part in y]),
    "Fortran order": lambda y: (X, [np.asfortranarray(part) for part in y]),
    "big endian": lambda y: (X, [part.astype(">f8") for part in y]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("y", [Y, Y2, with_gaps(Y2)], ids=["one", "two", "missing"])
def test_forms_give_the_same_model(form, y):
    if form == "frames" and y is Y:
        y = [part[:, np.newaxis] for part in Y]
    expected = model().fit(X, y)
    given, targets = FORMS[form](y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        fitted = model().fit(given, targets)
        predicted = fitted.predict(given)
        assert (weights_of(fitted) == weights_of(expected)).all()
        assert fitted.score(given, targets) == pytest.approx(expected.score(X, y))
        for name in ("r2", "neg_mean_squared_error"):
            found = step_scorer(name)(fitted, given, targets)
            assert found == pytest.approx(step_scorer(name)(expected, X, y))
    flat = expected.predict(X)
    assert flat[0].shape == y[0].shape
    if form.startswith("padded"):
        assert predicted.shape == (12, 6, *y[0].shape[1:])
        for row, part in zip(predicted, flat, strict=True):
            assert np.array_equal(row[: len(part)], part)
            assert np.isnan(row[len(part) :]).all()
    else:
        assert isinstance(predicted, np.ndarray if form == "objects" else list)
        assert equal(predicted, flat)


def test_arrays_of_equal_lengths(tmp_path):
    cube = np.random.default_rng(0).standard_normal((8, 5, 2))
    y = cube.sum(axis=2)
    fitted = model().fit(cube, y)
    assert fitted.predict(cube).shape == (8, 5)
    np.save(tmp_path / "x.npy", cube)
    np.save(tmp_path / "y.npy", y)
    mapped, targets = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy")
    for given in (targets, list(targets), y.tolist(), pd.DataFrame(y)):
        assert (weights_of(model().fit(mapped, given)) == weights_of(fitted)).all()
    column = model().fit(cube, y[:, :, np.newaxis])
    assert column.predict(cube).shape == (8, 5, 1)
    assert (column.predict(cube)[:, :, 0] == fitted.predict(cube)).all()
    integers = model().fit(cube, (10 * y).astype(int))
    assert integers.predict(cube).dtype == np.float64
    table = pd.DataFrame(cube[:, :, 0], columns=list("abcde"))
    assert model().fit(table, y).predict(table).shape == (8, 5)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (Y[:-1], r"inconsistent numbers of samples: \[12, 11\]"),
        (Y[::-1], r"y\[1\] must be 1 target, one for each step of the sequence; got .*\(5,\)"),
        ([*Y[:3], Y2[3], *Y[4:]], r"y\[3\] must be 1-D, as y\[0\]"),
        (
            [*Y2[:3], Y2[3][:, :1], *Y2[4:]],
            r"y\[3\] must be of shape \(n_timesteps, 2\), as y\[0\]",
        ),
        ([*Y[:2], np.full(4, np.inf), *Y[3:]], r"y\[2\] must be finite .* got infinity at step 0"),
        ([np.full(n, np.nan) for n in LENGTHS], "y must be numbers; NaN only where there is none"),
        ([y * [1, np.nan] for y in Y2], "y must be numbers for every output, not only NaN; .* 1"),
        (
            [["a"] * n for n in LENGTHS],
            r"y\[0\] must be numbers; got 'a' at step 0. LSTMTagger predicts labels.",
        ),
        (
            [*Y[:2], np.array([1, 2.5, "a", 3], object), *Y[3:]],
            r"y\[2\] must be numbers; got 'a' at step 2. LSTMTagger predicts labels.",
        ),
        (
            [*Y2[:2], np.array([[1, 2], [3, "a"], [1, 1], [1, 1]], object), *Y2[3:]],
            r"y\[2\] must be numbers; got an array .* at step 1. LSTMTagger predicts labels.",
        ),
        ([np.full(n, 1j) for n in LENGTHS], "Complex data not supported: y must be real"),
        ([np.array([None] * n) for n in LENGTHS], "y must be an array of numbers; .* None"),
        ([np.ma.masked_all(n) for n in LENGTHS], "y must be without a mask"),
        ([np.full(n, 1e200) if n == 3 else np.zeros(n) for n in LENGTHS], "finite squares"),
        (
            np.zeros(12),
            r"y must be targets of all steps, of shape \(12, 6\) or \(12, 6, n_outputs\)",
        ),
        (np.zeros((12, 5)), r"y must be targets of all steps, of shape \(12, 6\)"),
        (np.zeros((11, 6)), r"inconsistent numbers of samples: \[12, 11\]"),
    ],
)
def test_wrong_targets_change_nothing(y, message):
    fitted = model().fit(X, Y)
    before, weights = dict(vars(fitted)), weights_of(fitted)
    with pytest.raises((TypeError, ValueError), match=message):
        fitted.fit(X, y)
    assert vars(fitted).keys() == before.keys()
    assert all(vars(fitted)[name] is value for name, value in before.items())
    assert (weights_of(fitted) == weights).all()
    fresh = model()
    with pytest.raises((TypeError, ValueError), match=message):
        fresh.fit(X, y)
    assert not any(name.endswith("_") for name in vars(fresh))


def test_other_numbers_of_outputs_are_refused():
    with pytest.raises(ValueError, match="y_val must have 1 outputs, as in fit; got 2"):
        model().fit(X, Y, X_val=X, y_val=Y2)
    with pytest.raises(ValueError, match="y must have 1 outputs, as in fit; got 2"):
        model().fit(X, Y).partial_fit(X, Y2)
    with pytest.raises(ValueError, match=r"y must have 1 outputs, as in fit; got 2"):
        model().fit(X, Y).score(X, Y2)
    with pytest.raises(ValueError, match="layers must keep the steps for LSTMStepRegressor"):
        model(layers=(LSTM(3), LastStep())).fit(X, Y)


# Targets that are missing.


class Present:
    """Batches of all data with targets, by a loss that gets those that are there."""

    def __init__(self, x, y, lengths):
        self.x, self.y, self.lengths = x, y, lengths

    def __len__(self):
        return 1

    def order(self, rng):
        return np.arange(1)

    def batch(self, order, i):
        return Batch(self.x, self.lengths, self.y)


@pytest.mark.parametrize("y", [GAPS, with_gaps(Y2)], ids=["one", "two"])
def test_missing_targets_are_as_if_they_were_left_out(y):
    """A reference that drops them trains to the same weights."""
    fitted = model(**FULL, bidirectional=True).fit(X, y)
    table = padded(y).reshape(12, 6, -1)
    mean, scale = np.nanmean(table, axis=(0, 1)), np.nanstd(table, axis=(0, 1))
    np.testing.assert_allclose(fitted._y_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(fitted._y_scale, scale, rtol=1e-12)

    def loss(y_pred, y, weights=None):
        present = ~np.isnan(y)
        dy = np.zeros_like(y_pred)
        value, slope = squared_error(y_pred[present][:, np.newaxis], y[present][:, np.newaxis])
        dy[present] = slope[:, 0]
        return value, dy

    start = model(**{**FULL, "max_iter": 1, "learning_rate": 1e-300}, bidirectional=True).fit(X, y)
    flat = np.concatenate(X)
    x = (np.nan_to_num(padded(X)) - flat.mean(axis=0)) / flat.std(axis=0)
    reference = Sequential(fitted.model_.layers, 2, "float64")
    reference.params = start.model_.params
    source = Present(x, (table - mean) / scale, np.array(LENGTHS))
    rng = np.random.default_rng(0)
    run = epochs(reference, source, loss, SGD(), learning_rate=0.2, rng=rng, clip_norm=1.0)
    losses = [next(run).loss for _ in range(3)]
    np.testing.assert_allclose(fitted.loss_curve_, losses, rtol=1e-9)
    np.testing.assert_allclose(weights_of(fitted), reference.params, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "loss",
    ["squared_error", "absolute_error", "huber", "pinball", Pinball(0.3), "poisson", "gaussian"],
    ids=str,
)
@pytest.mark.parametrize("n_outputs", [None, 2])
def test_values_of_missing_targets_change_nothing(loss, n_outputs):
    """Numbers at missing places, and a column that misses others, all give the same."""
    _, y = data(n_outputs)
    y = with_gaps([np.abs(part) for part in y])
    fitted = model(loss=loss).fit(X, y)
    again = model(loss=loss).fit(X, padded(y))
    assert (weights_of(again) == weights_of(fitted)).all()
    assert np.isfinite(fitted.loss_curve_).all()
    predicted = np.concatenate(fitted.predict(X))
    shape = (39,) if n_outputs is None else (39, 2)
    assert predicted.shape == (*shape, 3) if loss == "pinball" else shape
    assert np.isfinite(predicted).all()
    assert np.isfinite(fitted.score(X, y))
    stopped = model(loss=loss, early_stopping=True, max_iter=2).fit(X, y, X_val=X, y_val=y)
    read = stopped._read(X, y, None, reset=False)
    own = stopped._task().evaluate(stopped._current_snapshot(), read)
    best = stopped.validation_loss_curve_[stopped.best_iter_ - 1]
    assert own == pytest.approx(best, rel=1e-6)


def test_the_validation_loss_is_the_mean_over_targets(monkeypatch):
    monkeypatch.setattr("fusedlstm.estimators.snapshot.MAX_NUMBERS_PER_CHUNK", 40)
    y = with_gaps(Y2)
    fitted = model(normalize_y=False).fit(X, Y2, X_val=X, y_val=y)
    error = np.concatenate(fitted.predict(X)) - np.concatenate(y)
    assert fitted.validation_loss_curve_[-1] == pytest.approx(np.nanmean(error**2), rel=1e-5)


def test_some_outputs_are_missing():
    """Each output has its own steps with targets."""
    rng = np.random.default_rng(0)
    y = [part.copy() for part in Y2]
    for part in y:
        part[rng.random(part.shape) < 0.4] = np.nan
    y[3][:] = np.nan  # a sequence without any
    fitted = model().fit(X, y)
    flat, predicted = np.concatenate(y), np.concatenate(fitted.predict(X))
    scores = []
    for column in range(2):
        here = ~np.isnan(flat[:, column])
        scores.append(r2_score(flat[here, column], predicted[here, column]))
    assert fitted.score(X, y) == pytest.approx(np.mean(scores))
    only_first = [np.c_[part[:, 0], np.full(len(part), np.nan)] for part in y]
    assert fitted.score(X, only_first) == pytest.approx(scores[0])


def test_a_start_of_counts_is_that_of_each_column():
    y = [np.abs(part).round() for part in Y2]
    for part in y:
        part[::2, 0] = np.nan
        part[1::2, 1] = np.nan  # no step has both
    fitted = model(loss="poisson", learning_rate=1e-12, max_iter=1).fit(X, y)
    bias = fitted.model_.named_params()[f"{len(fitted.model_.layers) - 1}.bias"]
    np.testing.assert_allclose(bias, np.log(np.nanmean(np.concatenate(y), axis=0)), rtol=1e-5)


def test_batches_without_targets():
    y = with_gaps(Y, [(i, t) for i in range(8) for t in range(LENGTHS[i])])
    fitted = model(batch_size=4, shuffle=False).fit(X, y)
    assert np.isfinite(fitted.loss_curve_).all()
    alone = model(batch_size=4, bidirectional=False, tbptt_steps=2).fit(X, y)
    assert np.isfinite(alone.loss_curve_).all()
    with pytest.raises(ValueError, match="y must be numbers; NaN only where there is none"):
        fitted.partial_fit(X[:8], y[:8])


@pytest.mark.parametrize("part", ["validation", "training"])
def test_parts_without_targets_are_refused(part):
    rows = range(9, 12) if part == "validation" else range(9)
    y = with_gaps(Y, [(i, t) for i in rows for t in range(LENGTHS[i])])
    own = model(early_stopping=True, validation_split="last", validation_fraction=0.25)
    with pytest.raises(ValueError, match=f"the {part} part must have targets that are not NaN"):
        own.fit(X, y)
    with pytest.raises(ValueError, match="y_val must be numbers; NaN only where there is none"):
        model().fit(X, Y, X_val=X[9:], y_val=[np.full(n, np.nan) for n in LENGTHS[9:]])


@pytest.mark.filterwarnings("default:The training loss:sklearn.exceptions.ConvergenceWarning")
def test_the_warning_about_a_constant_counts_targets_that_are_there():
    rng = np.random.default_rng(0)
    noise = with_gaps([rng.standard_normal(n) for n in LENGTHS])
    with pytest.warns(ConvergenceWarning, match="best constant prediction"):
        model(max_iter=1, learning_rate=1e-9).fit(X, noise)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(max_iter=1).fit(X, with_gaps([np.ones(n) for n in LENGTHS]))


# Weights.


@pytest.mark.parametrize("y", [Y, GAPS, with_gaps(Y2)], ids=["all", "missing", "two"])
@pytest.mark.parametrize("loss", ["squared_error", "gaussian", Pinball((0.2, 0.7))], ids=str)
@pytest.mark.parametrize(
    "more", [{}, {"bidirectional": False, "tbptt_steps": 2}], ids=["", "tbptt"]
)
def test_a_weight_is_a_repetition(y, loss, more):
    weights = np.array([0, 1, 2, 3, 1, 0, 2, 1, 1, 3, 1, 2])
    rows = np.repeat(np.arange(12), weights)
    once = model(**FULL, **more, loss=loss).fit(X, y, sample_weight=weights)
    often = model(**FULL, **more, loss=loss).fit([X[i] for i in rows], [y[i] for i in rows])
    np.testing.assert_allclose(weights_of(once), weights_of(often), rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(once.loss_curve_, often.loss_curve_, rtol=1e-10)
    if isinstance(loss, Pinball) and parse_version(sklearn.__version__) < parse_version("1.7"):
        return  # its quantiles of weighted targets are others
    repeated = once.score([X[i] for i in rows], [y[i] for i in rows])
    assert once.score(X, y, weights) == pytest.approx(repeated)


def test_weights_of_validation_data():
    weights = np.arange(12.0)
    fitted = model(normalize_y=False).fit(X, Y, X_val=X, y_val=Y, sample_weight_val=weights)
    error = np.concatenate(fitted.predict(X)) - np.concatenate(Y)
    expected = np.average(error**2, weights=np.repeat(weights, LENGTHS))
    assert fitted.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="at least one non-zero number"):
        model().fit(X, Y, sample_weight=np.zeros(12))


def test_weight_decay_counts_steps():
    for y in (Y, GAPS):
        auto = model(optimizer="sgd", learning_rate=0.5).fit(X, y)
        same = model(optimizer="sgd", learning_rate=0.5, weight_decay=0.02).fit(X, y)
        assert (weights_of(auto) == weights_of(same)).all()  # 1 / 39 is above the bound
    cube = np.random.default_rng(0).standard_normal((10, 20, 1))
    y = cube[:, :, 0]
    auto = model(optimizer="sgd", learning_rate=0.5).fit(cube, y)
    same = model(optimizer="sgd", learning_rate=0.5, weight_decay=1 / 200).fit(cube, y)
    assert (weights_of(auto) == weights_of(same)).all()


# Losses and predictions.


def test_quantiles_and_scores():
    fitted = model(loss="pinball", max_iter=20).fit(X, Y)
    parts = fitted.predict(X)
    assert [part.shape for part in parts] == [(n, 3) for n in LENGTHS]
    flat = np.concatenate(parts)
    assert (np.diff(flat, axis=1) >= 0).all()
    scores = [
        d2_pinball_score(np.concatenate(Y), flat[:, i], alpha=alpha)
        for i, alpha in enumerate((0.1, 0.5, 0.9))
    ]
    assert fitted.score(X, Y) == pytest.approx(np.mean(scores))
    assert fitted.predict(padded(X)).shape == (12, 6, 3)
    two = model(loss="pinball").fit(X, Y2)
    assert two.predict(X)[0].shape == (3, 2, 3)
    assert np.isfinite(two.score(X, with_gaps(Y2)))
    single = model(loss=Pinball(0.3)).fit(X, Y2)
    assert single.predict(X)[0].shape == (3, 2)


def test_standard_deviations():
    fitted = model(loss="gaussian").fit(X, Y)
    mean, std = fitted.predict(X, return_std=True)
    assert equal(mean, fitted.predict(X))
    assert all((part > 0).all() for part in std)
    assert [part.shape for part in std] == [(n,) for n in LENGTHS]
    table, of_table = fitted.predict(padded(X), return_std=True)
    assert table.shape == of_table.shape == (12, 6)
    assert np.isnan(of_table[1, 1:]).all()
    two = model(loss=Gaussian(0.01)).fit(X, with_gaps(Y2))
    mean, std = two.predict(X, return_std=True)
    assert mean[0].shape == std[0].shape == (3, 2)
    with pytest.raises(ValueError, match="return_std must be False unless the loss is 'gaussian'"):
        model().fit(X, Y).predict(X, return_std=True)


class Cubic(RegressionLoss):
    """The cube of absolute errors."""

    def __eq__(self, other):
        return type(other) is Cubic

    def __hash__(self):
        return 0

    def of_targets(self, z, y):
        error = z - y
        return np.abs(error) ** 3, 3 * error * np.abs(error)


def test_a_loss_of_ones_own():
    fitted = model(loss=Cubic(), learning_rate=0.01, max_iter=30).fit(X, GAPS)
    assert repr(Cubic()) == "Cubic()"
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
    assert [part.shape for part in fitted.predict(X)] == [(n,) for n in LENGTHS]
    two = model(loss=Cubic()).fit(X, with_gaps(Y2))
    assert two.predict(X)[0].shape == (3, 2)


def test_losses_refuse_what_they_cannot_have():
    with pytest.raises(ValueError, match="y must be at least 0 with loss='poisson'; got"):
        model(loss="poisson").fit(X, [-np.abs(y) for y in Y])
    with pytest.raises(ValueError, match="normalize_y must be 'auto' or False"):
        model(loss="poisson", normalize_y=True).fit(X, Y)


def test_predictions_are_the_same_alone_in_any_order_and_on_any_threads(eager_teams):
    fitted = model(hidden_size=8).fit(X, Y2)
    predicted = fitted.predict(X)
    order = np.random.default_rng(1).permutation(12)
    for i, part in zip(order, fitted.predict([X[i] for i in order]), strict=True):
        assert np.array_equal(part, predicted[i])
    for i, x in enumerate(X):
        assert np.array_equal(fitted.predict([x])[0], predicted[i])
    assert equal(fitted.predict(X[:7]) + fitted.predict(X[7:]), predicted)
    for n_threads in (1, 2, 3):
        assert equal(fitted.set_params(n_threads=n_threads).predict(X), predicted)
        other = model(hidden_size=8, n_threads=n_threads).fit(X, Y2)
        assert (weights_of(other) == weights_of(fitted)).all()


@pytest.mark.parametrize(
    "loss", ["squared_error", "pinball", "gaussian", "poisson", Cubic()], ids=str
)
@pytest.mark.parametrize("n_outputs", [None, 2])
def test_streams_give_the_bits_of_predictions(loss, n_outputs):
    _, y = data(n_outputs)
    y = [np.abs(part) for part in y]
    fitted = model(loss=loss, bidirectional=False).fit(X, y)
    stream = fitted.stream()
    for x, part in zip(X, fitted.predict(X), strict=True):
        stream.reset()
        assert np.array_equal([stream.step(step) for step in x], part)
    with pytest.raises(ValueError, match="A stream needs layers that read forward"):
        model(bidirectional=True).fit(X, Y).stream()


# Training.


def test_validation_sets_and_scorers():
    options = {"early_stopping": True, "validation_fraction": 0.25, "max_iter": 4}
    options["normalize_y"] = False  # which counts all targets, those that are set aside too
    for scoring in (None, "r2", "neg_mean_squared_error", step_scorer("r2")):
        fitted = model(**options, scoring=scoring, validation_split="last").fit(X, GAPS)
        passed = model(**options, scoring=scoring)
        passed.fit(X[:9], GAPS[:9], X_val=X[9:], y_val=GAPS[9:])
        assert (weights_of(fitted) == weights_of(passed)).all()
        assert model(**options, scoring=scoring).fit(X, GAPS).n_iter_ >= 1
    true, predicted = np.concatenate(GAPS), np.concatenate(fitted.predict(X))
    here = ~np.isnan(true)
    error = mean_squared_error(true[here], predicted[here])
    for given in ((X, GAPS), (padded(X), padded(GAPS))):
        assert step_scorer("neg_mean_squared_error")(fitted, *given) == pytest.approx(-error)
        assert step_scorer("r2")(fitted, *given) == pytest.approx(fitted.score(X, GAPS))


def test_a_callable_scoring_gets_what_the_user_gave():
    got = []

    def scoring(estimator, X_given, y_given):
        got.append(y_given)
        return estimator.score(X_given, y_given)

    options = {"early_stopping": True, "validation_fraction": 0.25, "validation_split": "last"}
    integers = [part.round().astype("int16") for part in Y]
    model(**options, scoring=scoring, max_iter=1).fit(X, integers)
    assert isinstance(got[-1], list)
    assert got[-1][0] is integers[9]
    model(**options, scoring=scoring, max_iter=1).fit(padded(X), padded(Y2))
    assert got[-1].shape == (3, 6, 2)


def test_partial_fit_is_an_epoch_of_fit():
    options = {"dropout": 0.2, "weight_decay": 0.001}
    fitted = model(**options).fit(X, GAPS)
    parts = model(**options)
    for _ in range(3):
        parts.partial_fit(X, GAPS)
    assert (weights_of(parts) == weights_of(fitted)).all()
    parts.partial_fit(X[:3], Y[:3], sample_weight=[1, 2, 3])
    assert (weights_of(parts) != weights_of(fitted)).any()


def test_warm_start_goes_on():
    fitted = model(warm_start=True).fit(X, Y)
    fitted.fit(X, GAPS)
    assert fitted.n_iter_ == 6
    assert len(fitted.loss_curve_) == 6


class Killed(BaseException):
    """As if the process ended."""


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_killed_fit_goes_on_to_the_same_bits(optimizer, tmp_path, monkeypatch):
    from fusedlstm.estimators.fitting.checkpoints import CheckpointFile

    path, write = tmp_path / "checkpoint", CheckpointFile.write
    options = {"optimizer": optimizer, "max_iter": 5, "bidirectional": False, "tbptt_steps": 2}
    expected = model(**options).fit(X, GAPS)

    def and_die(self, checkpoint, now):
        write(self, checkpoint, True)
        if checkpoint.state.epochs == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "write", and_die)
        with pytest.raises(Killed):
            model(**options).fit(X, GAPS, checkpoint=path)
    for other in (Y, with_gaps(Y, MISSING[:-1]), [-part for part in GAPS]):
        with pytest.raises(ValueError, match="of a fit with another .*y"):
            model(**options).fit(X, other, checkpoint=path)
    with pytest.raises(ValueError, match="of a fit with another X"):
        model(**options).fit([x + 1 for x in X], GAPS, checkpoint=path)
    found = model(**options).fit(padded(X), padded(GAPS), checkpoint=path)
    assert (weights_of(found) == weights_of(expected)).all()
    assert found.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("tbptt_steps", [None, 3])
def test_optimizers_and_truncation_learn(optimizer, tbptt_steps):
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((n, 1)) for n in rng.integers(3, 12, 80)]
    y = [100 + 10 * np.cumsum(x) for x in given]
    own = model(hidden_size=8, bidirectional=False, optimizer=optimizer, tbptt_steps=tbptt_steps)
    own.set_params(max_iter=40, learning_rate=0.03)
    assert own.fit(given, y).score(given, y) > 0.8


# Tools.


def test_copies_and_files_predict_the_same(tmp_path):
    for loss in ("gaussian", "pinball", Huber(0.5)):
        fitted = model(loss=loss).fit(X, with_gaps(Y2))
        fitted.save(tmp_path / "model.safetensors")
        copies = [
            copy.deepcopy(fitted),
            pickle.loads(pickle.dumps(fitted)),
            fusedlstm.load(tmp_path / "model.safetensors"),
        ]
        for other in copies:
            assert equal(other.predict(X), fitted.predict(X))
            assert other.score(X, Y2) == fitted.score(X, Y2)
            assert other.get_params() == fitted.get_params()
            other.set_params(warm_start=True).fit(X, Y2)
        assert (weights_of(clone(fitted).fit(X, with_gaps(Y2))) == weights_of(fitted)).all()


@pytest.mark.parametrize("form", ["lists", "objects", "padded", "tuples"])
def test_cross_validation(form):
    given = (X, GAPS) if form == "lists" else FORMS[form](GAPS)
    folds = KFold(3, shuffle=True, random_state=0)
    expected = []
    for train, test in folds.split(X):
        fitted = model().fit([X[i] for i in train], [GAPS[i] for i in train])
        expected.append(fitted.score([X[i] for i in test], [GAPS[i] for i in test]))
    assert cross_val_score(model(), *given, cv=folds).tolist() == expected
    scoring = {"r2": step_scorer("r2"), "mse": step_scorer("neg_mean_squared_error")}
    found = cross_validate(model(), *given, cv=folds, scoring=scoring)
    assert found["test_r2"] == pytest.approx(expected)
    assert (found["test_mse"] < 0).all()


def test_cross_val_predict():
    predicted = cross_val_predict(model(), objects(X), objects(Y2), cv=3)
    assert [part.shape for part in predicted] == [(n, 2) for n in LENGTHS]


def test_searches_and_pipelines(tmp_path):
    grid = {"hidden_size": [2, 3], "loss": ["squared_error", "huber"]}
    search = GridSearchCV(model(max_iter=2), grid, cv=2).fit(X, GAPS)
    assert search.score(X, Y) == search.best_estimator_.score(X, Y)
    random = RandomizedSearchCV(
        model(max_iter=2), grid, n_iter=2, cv=2, random_state=0, scoring=step_scorer("r2")
    )
    assert np.isfinite(random.fit(X, GAPS).best_score_)
    pipeline = make_pipeline(SequenceScaler(), model(standardize=False)).fit(X, GAPS)
    assert step_scorer("r2")(pipeline, X, GAPS) == pytest.approx(pipeline.score(X, GAPS))
    fusedlstm.save(pipeline, tmp_path / "pipeline")
    assert equal(fusedlstm.load(tmp_path / "pipeline").predict(X), pipeline.predict(X))


def test_layers_without_recurrence():
    fitted = LSTMStepRegressor(layers=(Dense(8, "tanh"),), max_iter=50, random_state=0)
    y = [x.sum(axis=1) for x in X]
    assert fitted.fit(X, y).score(X, y) > 0.5
