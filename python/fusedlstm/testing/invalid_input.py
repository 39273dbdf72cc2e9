"""Checks that invalid X and y raise an error."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from fusedlstm.testing.checks import (
    N_FEATURES,
    assert_raises,
    assert_refused,
    fitted,
    has,
    methods_of,
    ragged,
    refuses_nan,
    regular,
    sequence_check,
    targets,
    unfitted,
)


@sequence_check()
def check_number_of_features(estimator: Any) -> None:
    """Sequences of fewer or more features than in fit must raise ValueError."""
    model = fitted(estimator)
    for n_features in (1, N_FEATURES - 1, N_FEATURES + 1):
        X = regular(n_features)
        for form in (X, [x[: 1 + i % 6] for i, x in enumerate(X)]):
            for call in methods_of(model).values():
                assert_raises(ValueError, call, form, case=f"{n_features} features")


@sequence_check()
def check_unequal_features(estimator: Any) -> None:
    """Sequences with different numbers of features in one list must raise an error."""
    X = [*ragged()[:-1], np.ones((4, N_FEATURES + 1))]
    assert_refused(estimator, X, "sequences of unequal features")


@sequence_check(refuses_nan)
def check_nan(estimator: Any) -> None:
    """NaN inside a sequence, in a feature of the last step or in all steps must raise an error."""
    for place in ((2, 1), (2, -1, 0), 2):
        X = regular()
        X[place] = np.nan
        assert_refused(estimator, X, f"NaN at X[{place}]")
    listed = ragged()
    listed[5][0, 1] = np.nan
    assert_refused(estimator, listed, "NaN in a list")


@sequence_check()
def check_infinity(estimator: Any) -> None:
    """Infinite numbers in an array or a list must raise an error."""
    for value in (np.inf, -np.inf):
        X = regular()
        X[3, 2, 1] = value
        assert_refused(estimator, X, str(value))
        assert_refused(estimator, [*X[:-1], X[-1, :2]], f"{value} in a list")


@sequence_check()
def check_empty(estimator: Any) -> None:
    """X without sequences, steps or features, or with an empty sequence, must raise an error."""
    for shape in ((0, 6, N_FEATURES), (24, 0, N_FEATURES), (24, 6, 0)):
        assert_refused(estimator, np.empty(shape), f"X of shape {shape}")
    assert_refused(estimator, [], "an empty list")
    X = [*ragged()[:-1], np.empty((0, N_FEATURES))]
    assert_refused(estimator, X, "an empty sequence")


@sequence_check()
def check_complex_numbers_and_text(estimator: Any) -> None:
    """Complex numbers, text and other objects must raise an error."""
    X = regular()
    assert_refused(estimator, X + 1j, "complex numbers")
    assert_refused(estimator, np.full(X.shape, "a"), "text")
    assert_refused(estimator, [*ragged()[:-1], [["a"] * N_FEATURES]], "text in a list")
    assert_refused(estimator, np.full(X.shape, object()), "objects")


@sequence_check()
def check_two_dimensional_sequence(estimator: Any) -> None:
    """One sequence (n_timesteps, n_features) as X must raise ValueError after a fit on 3-D X."""
    for call in methods_of(fitted(estimator)).values():
        assert_raises(ValueError, call, regular()[0], case="one sequence as X")


@sequence_check(has("predict"))
def check_number_of_targets(estimator: Any) -> None:
    """Fewer or more targets than sequences must raise ValueError."""
    for X in (regular(), ragged()):
        y = targets(estimator, X)
        for wrong in (y[:-1], np.r_[y, y[:1]]):
            case = f"{len(X)} sequences with {len(wrong)} targets"
            assert_raises(ValueError, unfitted(estimator).fit, X, wrong, case=case)


@sequence_check()
def check_not_fitted(estimator: Any) -> None:
    """Methods called before fit must raise NotFittedError."""
    for X in (regular(), ragged()):
        for call in methods_of(unfitted(estimator)).values():
            assert_raises(NotFittedError, call, X, case="X before fit")
