"""A suite of checks for estimators and transformers of sequences, ours or anybody's.

What scikit-learn's `check_estimator` is for tables, these checks are for X of shape (n_samples,
n_timesteps, n_features) and for lists of sequences of unequal lengths: that a form of X is a form
only, that sequences do not see each other, and that what makes no sense is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fusedlstm.testing import forms, methods, neighbors, refusals, state  # noqa: F401
from fusedlstm.testing.checks import CHECKS, Check

__all__ = ["check_sequence_estimator", "parametrize_with_sequence_checks", "sequence_checks"]


def check_sequence_estimator(estimator: Any) -> None:
    """Check that an estimator or transformer of sequences keeps the conventions.

    Parameters
    ----------
    estimator : object
        Not fitted; it is cloned, and fitted some fifty times on 24 short sequences.

    Raises
    ------
    AssertionError
        Names the check, says what it asks for and what came instead.

    See Also
    --------
    sequence_checks : The checks one by one.

    Examples
    --------
    >>> from fusedlstm import LSTMRegressor
    >>> from fusedlstm.testing import check_sequence_estimator
    >>> check_sequence_estimator(LSTMRegressor(4, max_iter=1))
    """
    for check in sequence_checks(estimator):
        check(estimator)


def sequence_checks(estimator: Any) -> Iterator[Check]:
    """Yield the checks that apply to an estimator.

    Parameters
    ----------
    estimator : object
        Checks of methods that it lacks are left out, and those of NaN if its tags allow NaN.

    Yields
    ------
    callable
        Takes the estimator, raises AssertionError.

    Examples
    --------
    >>> from fusedlstm import LSTMClassifier
    >>> from fusedlstm.testing import sequence_checks
    >>> [check.__name__ for check in sequence_checks(LSTMClassifier())][:2]
    ['check_lists_and_tuples', 'check_nested_lists']
    """
    for check, applies in CHECKS:
        if applies(estimator):
            yield check


def parametrize_with_sequence_checks(estimators: list[Any]) -> Any:
    """Return a pytest decorator that runs a test once an estimator and check.

    Parameters
    ----------
    estimators : list of objects

    Returns
    -------
    decorator
        For a test function with the arguments ``estimator`` and ``check``.

    Examples
    --------
    >>> from fusedlstm import LSTMClassifier, SequenceScaler
    >>> from fusedlstm.testing import parametrize_with_sequence_checks
    >>> @parametrize_with_sequence_checks([LSTMClassifier(4, max_iter=1), SequenceScaler()])
    ... def test_sequences(estimator, check):
    ...     check(estimator)
    """
    import pytest

    cases = [(estimator, check) for estimator in estimators for check in sequence_checks(estimator)]
    ids = [f"{type(estimator).__name__}-{check.__name__}" for estimator, check in cases]
    return pytest.mark.parametrize(("estimator", "check"), cases, ids=ids)


def __dir__() -> list[str]:
    return sorted(__all__)
