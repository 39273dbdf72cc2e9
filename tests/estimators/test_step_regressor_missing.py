"""LSTMStepRegressor: missing targets and weights."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.utils.fixes import parse_version

from fusedlstm import LSTMStepRegressor, Sequential
from fusedlstm.losses import Pinball, squared_error
from fusedlstm.optimizers import SGD
from fusedlstm.training import Batch, epochs
from step_data import LENGTHS, padded, weights_of
from step_regressor_data import GAPS, Y2, X, Y, data, with_gaps

FULL = {
    "optimizer": "sgd",
    "learning_rate": 0.2,
    "batch_size": 1000,
    "shuffle": False,
    "dtype": "float64",
    "weight_decay": 0.0,
}


def model(**options):
    return LSTMStepRegressor(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


# Missing targets.


class Present:
    """Evaluates a loss on the targets that are present, for one batch of all data."""

    def __init__(self, x, y, lengths):
        self.x, self.y, self.lengths = x, y, lengths

    def __len__(self):
        return 1

    def order(self, rng):
        return np.arange(1)

    def batch(self, order, i):
        return Batch(self.x, self.lengths, self.y)


@pytest.mark.parametrize("y", [GAPS, with_gaps(Y2)], ids=["one", "two"])
def test_missing_targets_train_as_if_removed(y):
    """A reference that removes the missing targets trains to the same weights."""
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
    """Values at masked steps and a second column with other gaps do not change the results."""
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


def test_outputs_may_be_missing_at_different_steps():
    """Each output has targets at other steps."""
    rng = np.random.default_rng(0)
    y = [part.copy() for part in Y2]
    for part in y:
        part[rng.random(part.shape) < 0.4] = np.nan
    y[3][:] = np.nan  # a sequence without targets
    fitted = model().fit(X, y)
    flat, predicted = np.concatenate(y), np.concatenate(fitted.predict(X))
    scores = []
    for column in range(2):
        here = ~np.isnan(flat[:, column])
        scores.append(r2_score(flat[here, column], predicted[here, column]))
    assert fitted.score(X, y) == pytest.approx(np.mean(scores))
    only_first = [np.c_[part[:, 0], np.full(len(part), np.nan)] for part in y]
    assert fitted.score(X, only_first) == pytest.approx(scores[0])


def test_the_initial_bias_of_counts_is_taken_per_column():
    y = [np.abs(part).round() for part in Y2]
    for part in y:
        part[::2, 0] = np.nan
        part[1::2, 1] = np.nan  # no step has both targets
    fitted = model(loss="poisson", learning_rate=1e-12, max_iter=1).fit(X, y)
    bias = fitted.model_.named_params()[f"{len(fitted.model_.layers) - 1}.bias"]
    np.testing.assert_allclose(bias, np.log(np.nanmean(np.concatenate(y), axis=0)), rtol=1e-5)


def test_batches_without_targets_keep_the_losses_finite():
    y = with_gaps(Y, [(i, t) for i in range(8) for t in range(LENGTHS[i])])
    fitted = model(batch_size=4, shuffle=False).fit(X, y)
    assert np.isfinite(fitted.loss_curve_).all()
    alone = model(batch_size=4, bidirectional=False, tbptt_steps=2).fit(X, y)
    assert np.isfinite(alone.loss_curve_).all()
    with pytest.raises(ValueError, match="y must be numbers, with NaN only for missing targets"):
        fitted.partial_fit(X[:8], y[:8])


@pytest.mark.parametrize("part", ["validation", "training"])
def test_training_or_validation_data_without_targets_are_an_error(part):
    rows = range(9, 12) if part == "validation" else range(9)
    y = with_gaps(Y, [(i, t) for i in rows for t in range(LENGTHS[i])])
    own = model(early_stopping=True, validation_split="last", validation_fraction=0.25)
    with pytest.raises(ValueError, match=f"the {part} part must have targets that are not NaN"):
        own.fit(X, y)
    with pytest.raises(
        ValueError, match="y_val must be numbers, with NaN only for missing targets"
    ):
        model().fit(X, Y, X_val=X[9:], y_val=[np.full(n, np.nan) for n in LENGTHS[9:]])


@pytest.mark.filterwarnings("default:The training loss:sklearn.exceptions.ConvergenceWarning")
def test_the_warning_about_a_constant_prediction_ignores_missing_targets():
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
def test_integer_weights_are_repetitions(y, loss, more):
    weights = np.array([0, 1, 2, 3, 1, 0, 2, 1, 1, 3, 1, 2])
    rows = np.repeat(np.arange(12), weights)
    once = model(**FULL, **more, loss=loss).fit(X, y, sample_weight=weights)
    often = model(**FULL, **more, loss=loss).fit([X[i] for i in rows], [y[i] for i in rows])
    np.testing.assert_allclose(weights_of(once), weights_of(often), rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(once.loss_curve_, often.loss_curve_, rtol=1e-10)
    if isinstance(loss, Pinball) and parse_version(sklearn.__version__) < parse_version("1.7"):
        return  # earlier versions compute other quantiles of weighted targets
    repeated = once.score([X[i] for i in rows], [y[i] for i in rows])
    assert once.score(X, y, weights) == pytest.approx(repeated)


def test_validation_losses_use_the_weights_of_sequences():
    weights = np.arange(12.0)
    fitted = model(normalize_y=False).fit(X, Y, X_val=X, y_val=Y, sample_weight_val=weights)
    error = np.concatenate(fitted.predict(X)) - np.concatenate(Y)
    expected = np.average(error**2, weights=np.repeat(weights, LENGTHS))
    assert fitted.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="at least one non-zero number"):
        model().fit(X, Y, sample_weight=np.zeros(12))


def test_auto_weight_decay_depends_on_the_number_of_steps():
    for y in (Y, GAPS):
        auto = model(optimizer="sgd", learning_rate=0.5).fit(X, y)
        same = model(optimizer="sgd", learning_rate=0.5, weight_decay=0.02).fit(X, y)
        assert (weights_of(auto) == weights_of(same)).all()  # 1 / 39 exceeds the maximum
    cube = np.random.default_rng(0).standard_normal((10, 20, 1))
    y = cube[:, :, 0]
    auto = model(optimizer="sgd", learning_rate=0.5).fit(cube, y)
    same = model(optimizer="sgd", learning_rate=0.5, weight_decay=1 / 200).fit(cube, y)
    assert (weights_of(auto) == weights_of(same)).all()
