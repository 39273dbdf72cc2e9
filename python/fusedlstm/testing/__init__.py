"""Checks for estimators and transformers of sequences, including those of other libraries.

`sklearn.utils.estimator_checks.check_estimator` checks estimators of 2-D X. The checks of this
package use X of shape (n_samples, n_timesteps, n_features) and lists of sequences with unequal
lengths. They check that

- all forms of X with the same content give the same results,
- the results for a sequence do not depend on the other sequences,
- the estimator keeps no state apart from its fitted attributes,
- invalid X and y raise an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fusedlstm.testing import forms, independence, invalid_input, methods, state  # noqa: F401
from fusedlstm.testing.checks import CHECKS, Check

__all__ = ["check_sequence_estimator", "parametrize_with_sequence_checks", "sequence_checks"]


def check_sequence_estimator(estimator: Any) -> None:
    """Run all checks that apply to an estimator or transformer of sequences.

    Parameters
    ----------
    estimator : estimator
        An instance. Its clones are fitted about fifty times on 24 short sequences.

    Raises
    ------
    AssertionError
        If a check fails. The message names the check, its requirement and the result.

    See Also
    --------
    sequence_checks : Yield the checks that apply to an estimator.
    parametrize_with_sequence_checks : Return a pytest decorator that runs each check as a test.

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
    estimator : estimator
        An instance. Checks of methods that the estimator does not have are not yielded. The checks
        of NaN are not yielded if the tags of the estimator allow NaN.

    Yields
    ------
    callable
        A function of the estimator. It raises AssertionError if the check fails.

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
    """Return a pytest decorator that runs a test for each estimator and each check.

    Parameters
    ----------
    estimators : list of estimators
        Instances. They are cloned.

    Returns
    -------
    decorator
        A decorator for a test function with the arguments ``estimator`` and ``check``.

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
