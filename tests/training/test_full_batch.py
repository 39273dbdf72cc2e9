"""L-BFGS: problems with known solutions, comparison with SciPy, use in the estimators."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import scipy.optimize
from sklearn.linear_model import Ridge

from fusedlstm import LSTMClassifier, LSTMRegressor, Sequential
from fusedlstm.layers import LSTM, Dense, Dropout, LastStep
from fusedlstm.losses import squared_error
from fusedlstm.optimizers import LBFGS
from fusedlstm.training import SequenceBatches, full_batch, full_batch_epochs

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))


def problem(layers, dtype="float64", batch_size=40):
    model = Sequential(layers, 2, dtype, random_state=0)
    y = TOTAL[:, np.newaxis].astype(dtype)
    return model, SequenceBatches(X, y, batch_size=batch_size, dtype=dtype)


def losses(model, source, n, **options):
    run = full_batch_epochs(model, source, squared_error, LBFGS(), **options)
    return [epoch.loss for epoch in islice(run, n)]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_lbfgs_finds_the_solution_of_ridge_regression(weight_decay):
    model, source = problem([LastStep(), Dense(1)])
    losses(model, source, 20, weight_decay=weight_decay)
    # The loss is the mean squared error plus decay / 2; Ridge minimizes the sum plus alpha.
    best = Ridge(alpha=weight_decay * 40 / 2, tol=1e-12).fit(X[:, -1], TOTAL)
    np.testing.assert_allclose(model.named_params()["1.weight"][0], best.coef_, atol=1e-6)
    np.testing.assert_allclose(model.named_params()["1.bias"], best.intercept_, atol=1e-6)


def test_lbfgs_reaches_a_loss_as_low_as_that_of_scipy():
    layers = [LSTM(6), LastStep(), Dense(1)]
    model, source = problem(layers)
    curve = losses(model, source, 60)
    other, source = problem(layers)
    objective = full_batch.Objective(other, source, squared_error, 0.0)
    theirs = scipy.optimize.minimize(
        objective.value, other.params.copy(), jac=objective.gradient, method="L-BFGS-B",
        options={"maxiter": 60},
    )  # fmt: skip
    assert curve[-1] < 1.5 * theirs.fun + 1e-6
    assert curve[-1] < 0.01 * curve[0]
    assert (np.diff(curve) <= 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_does_not_depend_on_the_batch_size(dtype):
    curves = []
    for batch_size in (40, 7):
        model, source = problem([LSTM(4), LastStep(), Dense(1)], dtype, batch_size)
        curves.append(losses(model, source, 5))
    np.testing.assert_allclose(*curves, rtol=1e-3 if dtype == "float32" else 1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_continues_from_a_state(dtype):
    whole, source = problem([LSTM(4), LastStep(), Dense(1)], dtype)
    losses(whole, source, 8)
    parts, source = problem([LSTM(4), LastStep(), Dense(1)], dtype)
    state = LBFGS().init(parts.params)
    for _ in range(2):
        losses(parts, source, 4, state=state)
    assert whole.params.tobytes() == parts.params.tobytes()


def test_lbfgs_at_the_minimum_changes_nothing():
    model, source = problem([LastStep(), Dense(1)])
    curve = losses(model, source, 40)
    assert curve[-1] == curve[-2]
    before = model.params.copy()
    losses(model, source, 1)
    np.testing.assert_allclose(model.params, before, atol=1e-9)


def test_estimators_train_with_lbfgs():
    model = LSTMRegressor(8, optimizer="lbfgs", max_iter=200, random_state=0).fit(X, TOTAL)
    assert model.score(X, TOTAL) > 0.999
    same = LSTMRegressor(8, optimizer=LBFGS(), max_iter=200, random_state=0).fit(X, TOTAL)
    assert same.model_.params.tobytes() == model.model_.params.tobytes()
    labels = TOTAL > 0
    model = LSTMClassifier(8, optimizer="lbfgs", batch_size=40, early_stopping=False, max_iter=30)
    assert model.fit(X, labels).score(X, labels) == 1.0


def test_a_checkpoint_of_lbfgs_continues_to_the_same_bits(tmp_path):
    options = {"hidden_size": 4, "optimizer": "lbfgs", "random_state": 0}
    LSTMRegressor(**options, max_iter=3).fit(X, TOTAL, checkpoint=tmp_path / "file")
    model = LSTMRegressor(**options, max_iter=6).fit(X, TOTAL, checkpoint=tmp_path / "file")
    whole = LSTMRegressor(**options, max_iter=6).fit(X, TOTAL)
    assert model.model_.params.tobytes() == whole.model_.params.tobytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dropout": 0.2}, "layers must be layers without dropout, zoneout and DropConnect"),
        ({"recurrent_dropout": 0.2}, "layers must be layers without dropout, zoneout and DropConn"),
        ({"layers": (LSTM(3, zoneout=0.1), Dropout(0.0))}, "layers must be layers without dropout"),
        ({"batch_size": 39}, "batch_size must be 'auto' or at least 40, all sequences, for L-BFGS"),
        ({"schedule": "step"}, "schedule must be None for L-BFGS; got 'step'"),
    ],
)
def test_options_that_lbfgs_does_not_support_are_an_error(options, sentence):
    model = LSTMRegressor(64 if "layers" in options else 4, optimizer="lbfgs", **options)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="must be") as caught:
        model.fit(X, TOTAL)
    assert sentence in str(caught.value)
    assert vars(model) == before


def test_partial_fit_with_lbfgs_is_an_error():
    for optimizer in ("lbfgs", LBFGS()):
        model = LSTMRegressor(4, optimizer=optimizer)
        assert not hasattr(model, "partial_fit")
        with pytest.raises(AttributeError) as caught:
            model.partial_fit(X, TOTAL)
        assert "optimizer must be an optimizer that trains on batches for partial_fit" in str(
            caught.value.__cause__
        )


@pytest.mark.parametrize("name", ["history", "max_line_search"])
def test_errors_of_the_options_of_lbfgs(name):
    with pytest.raises(ValueError, match=f"{name} must be a positive integer; got 0"):
        LBFGS(**{name: 0})
