"""The checks for estimators of sequences pass for our estimators, and each check can fail."""

from __future__ import annotations

import pytest

from broken_estimators import BROKEN, Classifier, Regressor, Shift, Sorts
from fusedlstm import LSTMClassifier, LSTMRegressor, PadSequences, SequenceImputer, SequenceScaler
from fusedlstm.layers import LSTM, Dense, Dropout
from fusedlstm.testing import (
    check_sequence_estimator,
    parametrize_with_sequence_checks,
    sequence_checks,
)


@parametrize_with_sequence_checks(
    [
        LSTMClassifier(4, max_iter=2),
        LSTMClassifier(4, max_iter=2, class_weight="balanced", dtype="float64"),
        LSTMRegressor(4, max_iter=2),
        LSTMRegressor(4, max_iter=2, bidirectional=True, early_stopping=True, dropout=0.2),
        LSTMRegressor(layers=(LSTM(4), Dense(3, "tanh"), Dropout(0.1), LSTM(2)), max_iter=2),
        SequenceScaler(),
        SequenceImputer(),
        SequenceImputer(strategy="forward_fill"),
        PadSequences(width=200),
    ]
)
def test_estimators_and_transformers_pass_the_checks(estimator, check):
    check(estimator)


@parametrize_with_sequence_checks([Regressor(), Classifier(), Shift()])
def test_estimators_of_users_pass_the_checks(estimator, check):
    check(estimator)


CHECKS = {
    check.__name__: check
    for estimator in (Regressor(), Classifier(), Shift())
    for check in sequence_checks(estimator)
}

CASES = [
    (name, estimator)
    for name, broken in BROKEN.items()
    for estimator in (broken if isinstance(broken, tuple) else (broken,))
]


def test_each_check_has_an_estimator_that_fails_it():
    assert BROKEN.keys() == CHECKS.keys()


@pytest.mark.parametrize(
    ("name", "estimator"), CASES, ids=[f"{name}-{type(e).__name__}" for name, e in CASES]
)
def test_each_check_fails_for_its_broken_estimator(name, estimator):
    with pytest.raises(AssertionError, match=f"^{name} failed for {type(estimator).__name__}"):
        CHECKS[name](estimator)


def test_check_sequence_estimator_raises_the_first_failure():
    with pytest.raises(
        AssertionError,
        match=r"^check_order failed for Sorts\(\). If the order of the sequences changes, the res",
    ):
        check_sequence_estimator(Sorts())


def test_checks_that_do_not_apply_are_left_out():
    class AllowsNaN(Regressor):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.allow_nan = True
            return tags

    names = {check.__name__ for check in sequence_checks(AllowsNaN())}
    assert "check_nan" not in names
    assert "check_infinity" in names
    assert "check_probabilities" not in names
