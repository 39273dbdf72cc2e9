"""LSTMStepRegressor: forms of X and y, targets, predictions."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from fusedlstm import LSTMStepRegressor
from fusedlstm.layers import LSTM, LastStep
from fusedlstm.metrics import step_scorer
from step_data import LENGTHS, equal, weights_of
from step_regressor_data import FORMS, Y2, Cubic, X, Y, data, with_gaps


def model(**options):
    return LSTMStepRegressor(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("y", [Y, Y2, with_gaps(Y2)], ids=["one", "two", "missing"])
def test_all_forms_of_data_give_the_same_model(form, y):
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


def test_step_regressors_take_arrays_of_equal_lengths(tmp_path):
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
        ([*Y[:2], np.full(4, np.inf), *Y[3:]], r"y\[2\] must be finite, .* got infinity at step 0"),
        (
            [np.full(n, np.nan) for n in LENGTHS],
            "y must be numbers, with NaN only for missing targets",
        ),
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
        ([np.ma.masked_all(n) for n in LENGTHS], "y must be an array without a mask"),
        ([np.full(n, 1e200) if n == 3 else np.zeros(n) for n in LENGTHS], "finite squares"),
        (
            np.zeros(12),
            r"y must be targets of all steps, of shape \(12, 6\) or \(12, 6, n_outputs\)",
        ),
        (np.zeros((12, 5)), r"y must be targets of all steps, of shape \(12, 6\)"),
        (np.zeros((11, 6)), r"inconsistent numbers of samples: \[12, 11\]"),
    ],
)
def test_wrong_targets_are_an_error_and_change_nothing(y, message):
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


def test_another_number_of_outputs_is_an_error():
    with pytest.raises(ValueError, match="y_val must have 1 outputs, as in fit; got 2"):
        model().fit(X, Y, X_val=X, y_val=Y2)
    with pytest.raises(ValueError, match="y must have 1 outputs, as in fit; got 2"):
        model().fit(X, Y).partial_fit(X, Y2)
    with pytest.raises(ValueError, match=r"y must have 1 outputs, as in fit; got 2"):
        model().fit(X, Y).score(X, Y2)
    with pytest.raises(ValueError, match="layers must not reduce sequences to vectors for LSTMSt"):
        model(layers=(LSTM(3), LastStep())).fit(X, Y)


def test_predictions_do_not_depend_on_order_batch_and_threads(force_threads):
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
    with pytest.raises(ValueError, match="must not read sequences backward for a stream"):
        model(bidirectional=True).fit(X, Y).stream()
