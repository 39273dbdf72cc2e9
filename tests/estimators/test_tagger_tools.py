"""LSTMTagger in copies, files and tools of scikit-learn."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
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
from fusedlstm import LSTMTagger, SequenceScaler
from fusedlstm.metrics import step_scorer
from step_data import equal, weights_of
from tagger_data import FORMS, X, Y


def model(**options):
    return LSTMTagger(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


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
def test_cross_validation_gives_the_scores_of_single_fits(form):
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
def test_cross_val_predict_predicts_each_step(form):
    given = FORMS[form]()
    predicted = cross_val_predict(model(), *given, cv=3)
    for train, test in KFold(3).split(X):
        fitted = model().fit([X[i] for i in train], [Y[i] for i in train])
        for i, part in zip(test, fitted.predict([X[i] for i in test]), strict=True):
            assert (predicted[i][: len(part)] == part).all()


def test_grid_searches_and_pipelines(tmp_path):
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
