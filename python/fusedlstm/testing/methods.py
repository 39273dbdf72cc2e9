"""Checks of methods that not all estimators have."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.model_selection import cross_val_score
from sklearn.utils.validation import has_fit_parameter

from fusedlstm.testing.checks import (
    assert_raises,
    assert_same,
    fitted,
    has,
    outputs,
    ragged,
    regular,
    sequence_check,
    stripped,
    targets,
    unfitted,
)


@sequence_check(has("predict_proba"))
def check_probabilities(estimator: Any) -> None:
    """Probabilities must have one column per class, add up to 1 and agree with predict."""
    for X in (regular(), ragged()):
        model = fitted(estimator, X)
        p = model.predict_proba(X)
        assert p.shape == (24, len(model.classes_)), f"the shape {p.shape}"
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        likeliest = model.classes_[p.argmax(axis=1)]
        np.testing.assert_array_equal(model.predict(X), likeliest, err_msg="predict")


@sequence_check(has("predict", "score"))
def check_score_and_cross_validation(estimator: Any) -> None:
    """Method score and cross-validation must give the same scores for lists and arrays."""
    X = regular()
    y = targets(estimator, X)
    scores = []
    for form in (X, list(X)):
        score = unfitted(estimator).fit(form, y).score(form, y)
        scores.append([score, *cross_val_score(unfitted(estimator), form, y, cv=2)])
    assert np.isfinite(scores).all(), "a score that is not finite"
    array_scores, list_scores = map(np.array, scores)
    np.testing.assert_allclose(list_scores, array_scores, 1e-5, err_msg="the scores of a list")


@sequence_check(lambda estimator: has_fit_parameter(estimator, "sample_weight"))
def check_sample_weights(estimator: Any) -> None:
    """Equal weights must have no effect; weights of another shape or NaN must raise an error."""
    X = ragged()
    y = targets(estimator, X)
    weighted = unfitted(estimator).fit(X, y, sample_weight=np.ones(24))
    assert_same(outputs(weighted, X), outputs(fitted(estimator, X), X), "X with weights of 1")
    for wrong in (np.ones(23), np.ones((24, 6)), np.full(24, np.nan)):
        fit = partial(unfitted(estimator).fit, sample_weight=wrong)
        assert_raises(ValueError, fit, X, y, case=f"weights of shape {wrong.shape}")


@sequence_check(has("transform"))
def check_transform_keeps_sequences(estimator: Any) -> None:
    """Method transform must return one result per sequence, the same as fit_transform."""
    for X in (regular(), ragged()):
        model = fitted(estimator, X)
        expected = outputs(model, X)
        assert len(expected["transform"]) == 24, "another number of results"
        got = unfitted(estimator).fit_transform(X, targets(estimator, X))
        rows = [stripped(np.asarray(row)) for row in got]
        assert_same({"transform": rows}, expected, "fit_transform")


@sequence_check(has("inverse_transform"))
def check_inverse_transform(estimator: Any) -> None:
    """Method inverse_transform must give X back after transform."""
    for X in (regular(), ragged()):
        model = fitted(estimator, X)
        back = model.inverse_transform(model.transform(X))
        for one, other in zip(back, X, strict=True):
            np.testing.assert_allclose(stripped(np.asarray(one)), other, 1e-5, 1e-5)
