"""LSTMStepRegressor: losses, validation, training in parts, tools of scikit-learn."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import d2_pinball_score, mean_squared_error
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
from fusedlstm import LSTMStepRegressor, SequenceScaler
from fusedlstm.layers import Dense
from fusedlstm.losses import Gaussian, Huber, Pinball
from fusedlstm.metrics import step_scorer
from step_data import LENGTHS, equal, objects, padded, weights_of
from step_regressor_data import FORMS, GAPS, MISSING, Y2, Cubic, X, Y, with_gaps


def model(**options):
    return LSTMStepRegressor(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


# Losses and predictions.


def test_quantiles_and_their_scores():
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


def test_return_std_gives_a_standard_deviation_per_step():
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


def test_custom_losses_train():
    fitted = model(loss=Cubic(), learning_rate=0.01, max_iter=30).fit(X, GAPS)
    assert repr(Cubic()) == "Cubic()"
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
    assert [part.shape for part in fitted.predict(X)] == [(n,) for n in LENGTHS]
    two = model(loss=Cubic()).fit(X, with_gaps(Y2))
    assert two.predict(X)[0].shape == (3, 2)


def test_targets_and_options_that_do_not_fit_the_loss_are_an_error():
    with pytest.raises(ValueError, match="y must be at least 0 with loss='poisson'; got"):
        model(loss="poisson").fit(X, [-np.abs(y) for y in Y])
    with pytest.raises(ValueError, match="normalize_y must be 'auto' or False"):
        model(loss="poisson", normalize_y=True).fit(X, Y)


# Training.


def test_validation_sets_and_scorers():
    options = {"early_stopping": True, "validation_fraction": 0.25, "max_iter": 4}
    options["normalize_y"] = False  # the scale would include the targets of the validation set
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


def test_a_callable_scoring_gets_y_as_given():
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


def test_partial_fit_gives_the_bits_of_one_epoch_of_fit():
    options = {"dropout": 0.2, "weight_decay": 0.001}
    fitted = model(**options).fit(X, GAPS)
    parts = model(**options)
    for _ in range(3):
        parts.partial_fit(X, GAPS)
    assert (weights_of(parts) == weights_of(fitted)).all()
    parts.partial_fit(X[:3], Y[:3], sample_weight=[1, 2, 3])
    assert (weights_of(parts) != weights_of(fitted)).any()


def test_warm_start_continues_training():
    fitted = model(warm_start=True).fit(X, Y)
    fitted.fit(X, GAPS)
    assert fitted.n_iter_ == 6
    assert len(fitted.loss_curve_) == 6


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_killed_fit_continues_to_the_same_bits(optimizer, tmp_path, monkeypatch):
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
def test_each_optimizer_learns_with_and_without_truncation(optimizer, tbptt_steps):
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((n, 1)) for n in rng.integers(3, 12, 80)]
    y = [100 + 10 * np.cumsum(x) for x in given]
    own = model(hidden_size=8, bidirectional=False, optimizer=optimizer, tbptt_steps=tbptt_steps)
    own.set_params(max_iter=40, learning_rate=0.03)
    assert own.fit(given, y).score(given, y) > 0.8


# Tools of scikit-learn.


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
def test_cross_validation_gives_the_scores_of_single_fits(form):
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


def test_cross_val_predict_predicts_each_step():
    predicted = cross_val_predict(model(), objects(X), objects(Y2), cv=3)
    assert [part.shape for part in predicted] == [(n, 2) for n in LENGTHS]


def test_grid_searches_and_pipelines(tmp_path):
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


def test_layers_may_have_no_recurrence():
    fitted = LSTMStepRegressor(layers=(Dense(8, "tanh"),), max_iter=50, random_state=0)
    y = [x.sum(axis=1) for x in X]
    assert fitted.fit(X, y).score(X, y) > 0.5
