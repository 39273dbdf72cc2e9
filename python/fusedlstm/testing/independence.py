"""Checks that the results for a sequence do not depend on the other sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from fusedlstm.testing.checks import (
    N_FEATURES,
    assert_same,
    fitted,
    outputs,
    padded,
    ragged,
    regular,
    select,
    sequence_check,
)


@sequence_check()
def check_order(estimator: Any) -> None:
    """If the order of the sequences changes, the results must be the same in the new order."""
    order = np.random.default_rng(1).permutation(24)
    for X in (regular(), ragged()):
        model = fitted(estimator, X)
        got = outputs(model, [X[i] for i in order])
        assert_same(got, select(outputs(model, X), order), "X in another order")


@sequence_check()
def check_subsets(estimator: Any) -> None:
    """A sequence must give the same results in any subset of X, and as the only sequence."""
    for X in (regular(), ragged()):
        model = fitted(estimator, X)
        together = outputs(model, X)
        for rows in ([0], [23], [3, 4, 5], [7, 7]):
            part = [X[i] for i in rows]
            assert_same(outputs(model, part), select(together, rows), f"X[{rows}]")


@sequence_check()
def check_padding(estimator: Any) -> None:
    """Padding with any number of NaN steps must not change the results."""
    X = ragged()
    model = fitted(estimator, X)
    expected = outputs(model, X)
    for steps in (6, 7, 40):
        assert_same(outputs(model, padded(X, steps)), expected, f"X padded to {steps} steps")


@sequence_check()
def check_longer_neighbors(estimator: Any) -> None:
    """A sequence must give the same results if X also contains a much longer sequence."""
    X = ragged()
    model = fitted(estimator, X)
    longer = [*X, np.ones((100, N_FEATURES))]
    got = select(outputs(model, longer), range(24))
    assert_same(got, outputs(model, X), "X beside a longer sequence")


@sequence_check()
def check_other_lengths(estimator: Any) -> None:
    """Sequences that are shorter or longer than the sequences in fit must be accepted."""
    for model in (fitted(estimator), fitted(estimator, ragged())):
        for steps in (1, 2, 5, 7, 30):
            for method, rows in outputs(model, np.ones((5, steps, N_FEATURES))).items():
                assert len(rows) == 5, f"{method} of 5 sequences of {steps} steps: {len(rows)}"


@sequence_check()
def check_last_steps_are_used(estimator: Any) -> None:
    """The results for a sequence must depend on its last step."""
    X = ragged()
    changed = [x.copy() for x in X]
    for x in changed:
        x[-1] += 1000
    model = fitted(estimator, X)
    before, after = outputs(model, X), outputs(model, changed)
    for method in before.keys() - {"predict"} if is_classifier(estimator) else before:
        same = [np.array_equal(a, b) for a, b in zip(before[method], after[method], strict=True)]
        assert not all(same), f"{method} does not depend on the last steps"
