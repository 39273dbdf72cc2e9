"""Training that continues: ``partial_fit`` and ``warm_start``."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from sklearn.base import clone

from fusedlstm import LSTMClassifier, LSTMRegressor
from fusedlstm.layers import LSTM
from fusedlstm.optimizers import SGD, Adam

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))
SIGNS = np.where(TOTAL > 0, "plus", "minus")
BOTH = [LSTMClassifier, LSTMRegressor]
CLASSES = ["plus", "minus"]


def targets(estimator):
    return SIGNS if estimator is LSTMClassifier else TOTAL


def quick(estimator, **options):
    defaults = {"hidden_size": 8, "max_iter": 5, "random_state": 0}
    return estimator(**{**defaults, **options})


def in_parts(model, calls, X=X, y=None):
    """Call partial_fit several times."""
    y = targets(type(model)) if y is None else y
    for _ in range(calls):
        if isinstance(model, LSTMClassifier):
            model.partial_fit(X, y, classes=CLASSES)
        else:
            model.partial_fit(X, y)
    return model


@pytest.mark.parametrize("estimator", BOTH)
@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}, {"optimizer": SGD(momentum=0.9)}])
def test_partial_fit_once_per_epoch_gives_the_bits_of_fit(estimator, options):
    whole = quick(estimator, **options).fit(X, targets(estimator))
    parts = in_parts(quick(estimator, **options), 5)
    assert parts.model_.params.tobytes() == whole.model_.params.tobytes()
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.n_iter_ == 5
    copied = copy.deepcopy(in_parts(quick(estimator, **options), 2))
    assert in_parts(copied, 3).loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize("estimator", BOTH)
def test_partial_fit_keeps_the_state_of_the_optimizer(estimator):
    parts = in_parts(quick(estimator, batch_size=32), 3)
    parts.set_params(learning_rate=1e-12)
    before = parts.model_.params.copy()
    in_parts(parts, 1)
    assert parts._progress.state.t == 4 * 2  # two batches per call
    np.testing.assert_allclose(parts.model_.params, before, atol=1e-9)
    in_parts(parts.set_params(optimizer=Adam(beta2=0.99)), 1)
    assert parts._progress.state.t == 2
    assert parts.n_iter_ == 5


def test_partial_fit_learns_from_a_stream_of_batches():
    rng = np.random.default_rng(1)
    model = quick(LSTMClassifier)
    for _ in range(60):
        x = [rng.standard_normal((n, 2)) for n in rng.integers(3, 9, 32)]
        y = np.where([a.sum() > 0 for a in x], "plus", "minus")
        model.partial_fit(x, y, classes=CLASSES)
    assert model.score(X, SIGNS) > 0.85


def test_a_call_of_partial_fit_need_not_have_all_classes():
    model = quick(LSTMClassifier).partial_fit(X[:3], ["b", "b", "b"], classes=["c", "a", "b"])
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.partial_fit(X[:2], ["a", "c"]).predict_proba(X).shape == (40, 3)


def test_partial_fit_keeps_the_scale_of_the_targets():
    model = in_parts(quick(LSTMRegressor), 1)
    before = model._y_mean.copy(), model._y_scale.copy()
    model.partial_fit(X, TOTAL * 1000 + 5)
    assert (model._y_mean, model._y_scale) == before


@pytest.mark.parametrize("estimator", BOTH)
def test_fit_after_partial_fit_starts_from_new_weights(estimator):
    y = targets(estimator)
    model = in_parts(quick(estimator), 2)
    assert model.fit(X, y).loss_curve_ == quick(estimator).fit(X, y).loss_curve_
    assert in_parts(model, 1).n_iter_ == 6


def test_partial_fit_continues_after_a_loss_that_is_not_finite():
    model = in_parts(quick(LSTMRegressor, clip_norm=None), 2)
    model.set_params(learning_rate=1e30, optimizer="sgd")
    before = model.model_.params.copy()
    with pytest.warns(RuntimeWarning, match="no longer finite in epoch 3"):
        in_parts(model, 1)
    np.testing.assert_array_equal(model.model_.params, before)
    in_parts(model.set_params(learning_rate=0.01), 1)
    assert model.n_iter_ == 3
    assert np.isfinite(model.loss_)


@pytest.mark.parametrize("estimator", BOTH)
def test_warm_start_continues_training(estimator):
    y = targets(estimator)
    model = quick(estimator, warm_start=True, random_state=np.random.RandomState(0)).fit(X, y)
    first = list(model.loss_curve_)
    model.fit(X, y)
    assert model.n_iter_ == 10
    assert model.loss_curve_[:5] == first
    assert model.loss_curve_[5] < first[0]
    assert 6 <= model.best_iter_ <= 10
    cold = clone(model).set_params(warm_start=False, random_state=0)
    assert cold.fit(X, y).n_iter_ == cold.fit(X, y).n_iter_ == 5


def test_early_stopping_works_with_warm_start():
    model = quick(LSTMRegressor, warm_start=True, early_stopping=True, max_iter=3)
    model.fit(X, TOTAL).fit(X, TOTAL)
    assert len(model.validation_loss_curve_) == 6
    assert model.best_iter_ == 4 + int(np.argmin(model.validation_loss_curve_[3:]))


CHANGES = {
    "hidden_size": 9,
    "num_layers": 2,
    "bidirectional": True,
    "layers": (LSTM(8), LSTM(8)),
    "dtype": "float64",
}


@pytest.mark.parametrize("estimator", BOTH)
@pytest.mark.parametrize("name", CHANGES)
def test_training_a_fitted_model_with_other_sizes_is_an_error(estimator, name):
    model = quick(estimator, warm_start=True).fit(X, targets(estimator))
    kept = model.predict(X)
    model.set_params(**{name: CHANGES[name]})
    with pytest.raises(ValueError, match="layers and dtype must be equal to .* to continue"):
        model.fit(X, targets(estimator))
    with pytest.raises(ValueError, match="layers and dtype must be equal to .* to continue"):
        in_parts(model, 1)
    np.testing.assert_array_equal(model.predict(X), kept)


@pytest.mark.parametrize("going_on", ["partial_fit", "fit"])
def test_training_a_fitted_model_on_other_kinds_of_data_is_an_error(going_on):
    classifier = quick(LSTMClassifier, warm_start=True).fit(X, SIGNS)
    regressor = quick(LSTMRegressor, warm_start=True).fit(X, TOTAL)
    for model, args, message in (
        (classifier, (X[:, :, :1], SIGNS), "X has 1 features, but LSTMClassifier is expecting 2"),
        (classifier, (X, SIGNS == "none"), "y must be labels that occur in classes_; got False"),
        (classifier, (X, np.eye(40, 3, dtype=int)), r"y must be labels \(n_samples,\), as in fit"),
        (regressor, (X, np.stack([TOTAL] * 2, 1)), "y must have 1 outputs, as in fit; got 2"),
        (regressor, (X[:0], TOTAL[:0]), "Found array with 0 sample"),
    ):
        before = dict(vars(model))
        with pytest.raises(ValueError, match=message):
            getattr(model, going_on)(*args)
        assert vars(model) == before


@pytest.mark.parametrize(
    ("options", "kwargs", "message"),
    [
        ({}, {}, "classes must be passed on the first call to partial_fit"),
        ({}, {"classes": ["plus"]}, "needs at least 2 classes"),
        ({}, {"classes": ["plus", "zero"]}, "y must be labels that occur in classes_; got 'minus'"),
        ({"early_stopping": True}, {"classes": CLASSES}, "early_stopping must be False"),
        ({"class_weight": "balanced"}, {"classes": CLASSES}, "class_weight must be a dict or None"),
        ({"max_iter": 0}, {"classes": CLASSES}, "max_iter must be a positive integer"),
        ({}, {"classes": CLASSES, "sample_weight": np.zeros(40)}, "at least one non-zero"),
    ],
)
def test_errors_of_the_first_call_of_partial_fit(options, kwargs, message):
    model = quick(LSTMClassifier, **options)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, SIGNS, **kwargs)
    assert vars(model) == before


def test_partial_fit_with_other_classes_is_an_error():
    model = in_parts(quick(LSTMClassifier), 1)
    model.partial_fit(X, SIGNS, classes=CLASSES[::-1])
    with pytest.raises(ValueError, match="classes must be the classes of the first call, .*; got"):
        model.partial_fit(X, SIGNS, classes=["plus", "minus", "zero"])
