"""The list of checks, their data, and functions that compare results."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.base import clone, is_classifier
from sklearn.utils import get_tags

Check: TypeAlias = Callable[[Any], None]
Rows: TypeAlias = "dict[str, list[npt.NDArray[Any]]]"

METHODS = ("predict", "predict_proba", "decision_function", "transform")
TOLERANCE = 1e-6
N_FEATURES = 3

CHECKS: list[tuple[Check, Callable[[Any], bool]]] = []
"""The checks, each with a function that returns True if the check applies to an estimator."""


def sequence_check(
    applies: Callable[[Any], bool] = lambda estimator: True,
) -> Callable[[Check], Check]:
    """Return a decorator that adds a check to `CHECKS`.

    Errors of the check become AssertionErrors with the name and the docstring of the check.

    Parameters
    ----------
    applies : callable
        Function of an estimator that returns True if the check applies to the estimator.
    """

    def register(function: Check) -> Check:
        @functools.wraps(function)
        def named(estimator: Any) -> None:
            try:
                function(estimator)
            except Exception as error:
                raise AssertionError(
                    f"{function.__name__} failed for {estimator!r}. {function.__doc__} "
                    f"Got {type(error).__name__}: {error}"
                ) from error

        CHECKS.append((named, applies))
        return named

    return register


def has(*methods: str) -> Callable[[Any], bool]:
    """Return a function that returns True if an estimator has the methods."""
    return lambda estimator: all(hasattr(estimator, method) for method in methods)


def refuses_nan(estimator: Any) -> bool:
    """Return True if the tags of an estimator do not allow NaN in X."""
    return not get_tags(estimator).input_tags.allow_nan


# The data of the checks are multiples of 1/4, which float32 represents exactly.


def regular(n_features: int = N_FEATURES, seed: int = 0) -> npt.NDArray[np.float64]:
    """Return 24 sequences of 6 steps."""
    rng = np.random.default_rng(seed)
    return rng.integers(-8, 9, (24, 6, n_features)) / 4


def ragged() -> list[npt.NDArray[np.float64]]:
    """Return 24 sequences of 2 to 6 steps."""
    return [x[: 2 + i % 5] for i, x in enumerate(regular())]


def object_array(sequences: list[Any]) -> npt.NDArray[np.object_]:
    """Return an object array with one sequence per element."""
    objects = np.empty(len(sequences), object)
    objects[:] = sequences
    return objects


def padded(sequences: list[Any], steps: int) -> npt.NDArray[np.float64]:
    """Return a 3-D array of the sequences, padded with NaN."""
    X = np.full((len(sequences), steps, sequences[0].shape[1]), np.nan)
    for row, sequence in zip(X, sequences, strict=True):
        row[: len(sequence)] = sequence
    return X


def targets(estimator: Any, X: Any) -> npt.NDArray[Any]:
    """Return targets: the sum of each sequence, or for a classifier "more" or "less".

    "more" stands for a sum above the median of the sums.
    """
    totals = np.array([np.nansum(x) for x in X])
    if is_classifier(estimator):
        return np.where(totals > np.median(totals), "more", "less")
    return totals


def unfitted(estimator: Any) -> Any:
    """Return a clone with a fixed random state."""
    fresh = clone(estimator)
    if "random_state" in fresh.get_params():
        fresh.set_params(random_state=0)
    return fresh


def fitted(estimator: Any, X: Any = None) -> Any:
    """Return a fitted clone."""
    X = regular() if X is None else X
    return unfitted(estimator).fit(X, targets(estimator, X))


def methods_of(estimator: Any) -> dict[str, Callable[[Any], Any]]:
    """Return the methods of an estimator that predict or transform, by name."""
    return {name: getattr(estimator, name) for name in METHODS if hasattr(estimator, name)}


def outputs(estimator: Any, X: Any) -> Rows:
    """Return the results of all methods, one array per sequence, without padding."""
    rows = {name: list(map(np.asarray, call(X))) for name, call in methods_of(estimator).items()}
    if "transform" in rows:
        rows["transform"] = list(map(stripped, rows["transform"]))
    return rows


def stripped(row: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the output of a sequence without the padding at its end."""
    while row.ndim == 2 and len(row) and np.isnan(row[-1]).all():
        row = row[:-1]
    return row


def select(rows: Rows, which: Any) -> Rows:
    """Return the outputs of the sequences with the indices ``which``."""
    return {method: [values[i] for i in which] for method, values in rows.items()}


def assert_same(got: Rows, expected: Rows, case: str) -> None:
    """Assert that two outputs are equal, for floats within `TOLERANCE`."""
    for method, rows in expected.items():
        assert len(got[method]) == len(rows), f"{method} of {case} has {len(got[method])} rows"
        for i, (one, other) in enumerate(zip(got[method], rows, strict=True)):
            message = f"{method} of {case} differs at [{i}]"
            if other.dtype.kind == "f":
                np.testing.assert_allclose(one, other, TOLERANCE, TOLERANCE, err_msg=message)
            else:
                np.testing.assert_array_equal(one, other, err_msg=message)


def assert_raises(errors: Any, call: Callable[..., Any], *args: Any, case: str) -> None:
    """Assert that a call raises one of the errors."""
    with suppress(errors):
        call(*args)
        raise AssertionError(f"{getattr(call, '__name__', 'fit')} accepted {case}")


def assert_refused(estimator: Any, X: Any, case: str) -> None:
    """Assert that fit and the other methods raise an error for X.

    The fitted estimator must give the same results after the errors.
    """
    assert_raises(
        (ValueError, TypeError),
        unfitted(estimator).fit,
        X,
        targets(estimator, regular())[: len(X)],
        case=case,
    )
    model = fitted(estimator)
    expected = outputs(model, regular())
    for call in methods_of(model).values():
        assert_raises((ValueError, TypeError), call, X, case=case)
    assert_same(outputs(model, regular()), expected, f"X after {case}")
