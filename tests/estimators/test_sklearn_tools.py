"""scikit-learn's tools on the estimators, with 3-D arrays and lists of unequal lengths.

`REFUSED` holds the combinations that scikit-learn rejects itself, with its error. A test fails
when scikit-learn accepts one of them.
"""

from __future__ import annotations

import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from fusedlstm import LSTMClassifier, LSTMRegressor, SequenceScaler
from fusedlstm.layers import LSTM, Dropout
from fusedlstm.optimizers import SGD, Adam

pytestmark = pytest.mark.usefixtures("one_thread")

rng = np.random.default_rng(0)
ARRAY = rng.standard_normal((60, 6, 2))
RAGGED = [x[:n] for x, n in zip(ARRAY, rng.integers(2, 7, 60), strict=True)]
TOTAL = np.array([x.sum() for x in RAGGED])
SIGNS = np.where(TOTAL > 0, "plus", "minus")
NUMBERS = np.stack([TOTAL, -10 * TOTAL], axis=1)
FORMS = {"3d": ARRAY, "ragged": RAGGED}

CLASSIFIER = LSTMClassifier(6, max_iter=4, learning_rate=0.01, random_state=0)
REGRESSOR = LSTMRegressor(6, max_iter=4, learning_rate=0.01, random_state=0)


def targets(estimator):
    return SIGNS if isinstance(estimator, LSTMClassifier) else TOTAL


@pytest.fixture(params=list(FORMS))
def X(request):
    return FORMS[request.param]


@pytest.fixture(params=[CLASSIFIER, REGRESSOR], ids=["classifier", "regressor"])
def estimator(request):
    return clone(request.param)


# Searches.

GRIDS = {
    "hidden_size": [3, 5],
    "cell": ["lstm"],
    "layers": [(LSTM(3), Dropout(0.1)), (LSTM(3, bidirectional=True), LSTM(2))],
    "optimizer": [SGD(momentum=0.9), Adam(beta2=0.99), "rmsprop"],
}


@pytest.mark.parametrize("name", GRIDS)
def test_grid_search_over_each_parameter(estimator, X, name):
    if name == "layers":
        estimator.set_params(hidden_size=64)  # the default, which has no effect with layers
    search = GridSearchCV(estimator, {name: GRIDS[name]}, cv=2, n_jobs=2)
    search.fit(X, targets(estimator))
    assert search.best_params_[name] in GRIDS[name]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    alone = clone(search.best_estimator_).fit(X, targets(estimator))
    np.testing.assert_array_equal(alone.predict(X), search.predict(X))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_grid_search_warns_once_about_parameters_without_effect(X, n_jobs):
    grid = {"hidden_size": [3, 5]}
    model = clone(CLASSIFIER).set_params(layers=(LSTM(3),))
    search = GridSearchCV(model, grid, cv=2, n_jobs=n_jobs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, SIGNS)
    shown = [warning for warning in caught if "no effect with layers" in str(warning.message)]
    assert [warning.filename for warning in shown] == [__file__]
    with pytest.warns(UserWarning, match="has no effect with layers"):
        search.best_estimator_.fit(X, SIGNS)


def test_grid_search_over_steps_and_parameters_of_a_pipeline(X):
    search = GridSearchCV(make_pipeline(SequenceScaler(), CLASSIFIER), {
        "lstmclassifier__hidden_size": [3, 4],
        "lstmclassifier__optimizer": [Adam(), SGD()],
        "sequencescaler": [SequenceScaler(), "passthrough"],
    }, cv=2, scoring=["accuracy", "neg_log_loss"], refit="accuracy")  # fmt: skip
    search.fit(X, SIGNS)
    assert len(search.cv_results_["params"]) == 8
    assert search.score(X, SIGNS) > 0.4


def test_randomized_search(estimator, X):
    space = {"hidden_size": range(2, 20), "learning_rate": [0.01, 0.1]}
    search = RandomizedSearchCV(estimator, space, n_iter=3, cv=2, n_jobs=2, random_state=0)
    search.fit(X, targets(estimator))
    assert len(search.cv_results_["params"]) == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("resource", [{}, {"resource": "max_iter", "max_resources": 4}])
def test_halving_search(estimator, X, resource):
    search = HalvingRandomSearchCV(
        estimator, {"hidden_size": range(2, 9)}, n_candidates=3, factor=2, cv=2, random_state=0,
        **resource,
    )  # fmt: skip
    search.fit(X, targets(estimator))
    assert search.n_iterations_ >= 2
    assert len(search.predict(X)) == 60


def test_cross_validation_with_several_scorers(X):
    scores = cross_validate(
        CLASSIFIER, X, SIGNS, cv=3, scoring=["accuracy", "roc_auc", "neg_log_loss", "f1_macro"]
    )
    assert all(np.isfinite(values).all() for values in scores.values())
    scores = cross_validate(REGRESSOR, X, TOTAL, cv=3, scoring=("r2", "neg_mean_absolute_error"))
    assert all(np.isfinite(values).all() for values in scores.values())
    p = cross_val_predict(CLASSIFIER, X, SIGNS, cv=3, method="predict_proba")
    assert p.shape == (60, 2)


@pytest.mark.parametrize("in_parts", [False, True])
def test_learning_curve(X, in_parts):
    sizes, *scores = learning_curve(
        CLASSIFIER, X, SIGNS, cv=2, train_sizes=[0.5, 1.0], exploit_incremental_learning=in_parts
    )
    assert sizes.tolist() == [15, 30]
    assert np.isfinite(scores).all()


# Meta-estimators.

META = {
    "Pipeline": (make_pipeline(SequenceScaler(), CLASSIFIER), SIGNS),
    "CalibratedClassifierCV": (CalibratedClassifierCV(CLASSIFIER, cv=2), SIGNS),
    "CalibratedClassifierCV, isotonic": (
        CalibratedClassifierCV(CLASSIFIER, cv=2, method="isotonic", ensemble=False),
        SIGNS,
    ),
    "TunedThresholdClassifierCV": (
        TunedThresholdClassifierCV(CLASSIFIER, cv=2),
        (TOTAL > 0).astype(int),
    ),
    "MultiOutputRegressor": (MultiOutputRegressor(REGRESSOR), NUMBERS),
    "MultiOutputClassifier": (
        MultiOutputClassifier(CLASSIFIER),
        np.stack([SIGNS, SIGNS[::-1]], axis=1),
    ),
    "OneVsRestClassifier": (OneVsRestClassifier(CLASSIFIER), np.digitize(TOTAL, [-1, 1])),
    "TransformedTargetRegressor": (
        TransformedTargetRegressor(REGRESSOR, func=np.arcsinh, inverse_func=np.sinh),
        TOTAL,
    ),
    "AdaBoostClassifier": (AdaBoostClassifier(CLASSIFIER, n_estimators=3), SIGNS),
    "AdaBoostRegressor": (AdaBoostRegressor(REGRESSOR, n_estimators=3), TOTAL),
    "StackingClassifier": (
        StackingClassifier([("one", CLASSIFIER), ("two", clone(CLASSIFIER))], cv=2),
        SIGNS,
    ),
    "StackingRegressor": (
        StackingRegressor([("one", REGRESSOR), ("two", clone(REGRESSOR))], cv=2),
        TOTAL,
    ),
    "VotingClassifier": (
        VotingClassifier([("one", CLASSIFIER), ("two", clone(CLASSIFIER))], voting="soft"),
        SIGNS,
    ),
    "VotingRegressor": (VotingRegressor([("one", REGRESSOR), ("two", clone(REGRESSOR))]), TOTAL),
    "BaggingClassifier": (BaggingClassifier(CLASSIFIER, n_estimators=2), SIGNS),
    "BaggingRegressor": (BaggingRegressor(REGRESSOR, n_estimators=2), TOTAL),
    "OneVsOneClassifier": (OneVsOneClassifier(CLASSIFIER), np.digitize(TOTAL, [-1, 1])),
    "RegressorChain": (RegressorChain(REGRESSOR), NUMBERS),
    "SelfTrainingClassifier": (SelfTrainingClassifier(CLASSIFIER), (TOTAL > 0).astype(int)),
}
NOT_3D, NOT_RAGGED = "Found array with dim 3", "inhomogeneous|setting an array element"
ONLY_2D = (
    "BaggingClassifier",
    "BaggingRegressor",
    "OneVsOneClassifier",
    "RegressorChain",
    "SelfTrainingClassifier",
)
REFUSED = {
    **{(name, "3d"): NOT_3D for name in ONLY_2D},
    **{(name, "ragged"): NOT_RAGGED for name in ONLY_2D},
    ("AdaBoostClassifier", "ragged"): NOT_RAGGED,
    ("AdaBoostRegressor", "ragged"): NOT_RAGGED,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", META)
def test_meta_estimators_fit_and_predict(name, form):
    meta, y = META[name]
    meta, X = clone(meta), FORMS[form]
    if hasattr(meta, "random_state"):
        meta.set_params(random_state=0)
    if (name, form) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name, form]):
            meta.fit(X, y)
        return
    predicted = meta.fit(X, y).predict(X)
    assert predicted.shape == y.shape
    assert set(np.ravel(predicted)) <= set(np.ravel(y)) or y.dtype.kind == "f"
    np.testing.assert_array_equal(clone(meta).fit(X, y).predict(X), predicted)
    assert np.isfinite(meta.score(X, y))


@pytest.mark.parametrize("name", ONLY_2D)
@pytest.mark.filterwarnings("ignore:y contains no unlabeled samples")
def test_meta_estimators_that_need_2d_X(name):
    meta, y = META[name]
    predicted = clone(meta).fit(ARRAY[:, :, 0], y).predict(ARRAY[:, :, 0])
    assert predicted.shape == y.shape


def test_calibration_passes_the_sample_weights(X):
    weights = np.where(SIGNS == "plus", 5.0, 1.0)
    meta = CalibratedClassifierCV(CLASSIFIER, cv=2)
    plain, weighted = (clone(meta).fit(X, SIGNS, sample_weight=w) for w in (None, weights))
    assert weighted.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.1


# Pipelines and metadata.


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_metadata_routing_passes_the_sample_weights(X):
    weights = np.where(SIGNS == "plus", 5.0, 1.0)
    model = clone(CLASSIFIER).set_fit_request(sample_weight=True)
    model.set_score_request(sample_weight=False)
    expected = clone(CLASSIFIER).fit(X, SIGNS, sample_weight=weights).predict_proba(X)
    pipeline = make_pipeline(clone(model)).fit(X, SIGNS, sample_weight=weights)
    np.testing.assert_array_equal(pipeline.predict_proba(X), expected)
    search = GridSearchCV(model, {"hidden_size": [6]}, cv=2).fit(X, SIGNS, sample_weight=weights)
    np.testing.assert_array_equal(search.predict_proba(X), expected)
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
        make_pipeline(clone(CLASSIFIER)).fit(X, SIGNS, sample_weight=weights)


@pytest.mark.usefixtures("routing")
def test_pipelines_transform_the_validation_data(X):
    model = clone(REGRESSOR).set_params(early_stopping=True)
    model.set_fit_request(X_val=True, y_val=True)
    far = [x * 100 + 7 for x in X]
    train, held_out = (far[:40], TOTAL[:40]), {"X_val": far[40:], "y_val": TOTAL[40:]}
    pipeline = make_pipeline(SequenceScaler(), model, transform_input=["X_val"])
    pipeline.fit(*train, **held_out)
    scaler = SequenceScaler().fit(far[:40])
    alone = clone(REGRESSOR).set_params(early_stopping=True)
    alone.fit(
        scaler.transform(far[:40]), TOTAL[:40], X_val=scaler.transform(far[40:]), y_val=TOTAL[40:]
    )
    assert pipeline[-1].validation_loss_curve_ == alone.validation_loss_curve_


def test_feature_names_are_recorded_and_checked(estimator):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ARRAY[:, :, 0], columns=[f"lag {i}" for i in range(6)])
    model = estimator.fit(frame, targets(estimator))
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(frame.to_numpy())
    assert not hasattr(model.fit(ARRAY, targets(estimator)), "feature_names_in_")
    scaler = SequenceScaler().fit(frame)
    assert scaler.feature_names_in_.tolist() == frame.columns.tolist()


# Copies and representations.


def test_pickles_and_joblib_files_predict_and_refit_the_same(estimator, X, tmp_path):
    model = estimator.fit(X, targets(estimator))
    joblib.dump(model, tmp_path / "model.joblib", compress=3)
    for same in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(same.predict(X), model.predict(X))
        again = clone(model).fit(X, targets(estimator)).loss_curve_
        assert same.fit(X, targets(estimator)).loss_curve_ == again
    # joblib maps the arrays of its files into memory as read-only arrays.
    joblib.dump(model, tmp_path / "mapped.joblib")
    mapped = joblib.load(tmp_path / "mapped.joblib", mmap_mode="r")
    np.testing.assert_array_equal(mapped.predict(X), model.predict(X))


def test_html_and_text_representations(estimator):
    unfitted = estimator._repr_html_()
    assert type(estimator).__name__ in unfitted
    assert "Not fitted" in unfitted
    estimator.fit(ARRAY, targets(estimator))
    assert "Not fitted" not in estimator._repr_html_()
    assert repr(clone(estimator)) == repr(estimator)
    assert "max_iter=4" in repr(estimator)
    assert "SequenceScaler" in make_pipeline(SequenceScaler(), estimator)._repr_html_()
