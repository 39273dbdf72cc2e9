"""Checks that an estimator keeps no state apart from its fitted attributes."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
from sklearn.base import clone

from fusedlstm.testing.checks import (
    N_FEATURES,
    assert_same,
    fitted,
    outputs,
    padded,
    ragged,
    regular,
    sequence_check,
    targets,
    unfitted,
)


@sequence_check()
def check_fit_returns_self(estimator: Any) -> None:
    """Method fit must return the estimator."""
    for X in (regular(), ragged()):
        model = unfitted(estimator)
        assert model.fit(X, targets(model, X)) is model, "another object"


@sequence_check()
def check_n_features_in(estimator: Any) -> None:
    """Attribute n_features_in_ must be the number of features per step."""
    for X in (regular(), ragged()):
        assert fitted(estimator, X).n_features_in_ == N_FEATURES, "another number"


@sequence_check()
def check_methods_keep_the_state(estimator: Any) -> None:
    """Methods of a fitted estimator must not change its attributes or its next results."""
    for X in (regular(), ragged()):
        model = fitted(estimator, X)
        before = joblib.hash(vars(model))
        first = outputs(model, X)
        assert_same(outputs(model, X), first, "X in a second call")
        assert joblib.hash(vars(model)) == before, "attributes that differ after a call"


@sequence_check()
def check_input_is_unchanged(estimator: Any) -> None:
    """Methods must not change X and y."""
    for X in (regular(), ragged(), padded(ragged(), 8)):
        y = targets(estimator, X)
        before = joblib.hash((X, y))
        outputs(unfitted(estimator).fit(X, y), X)
        assert joblib.hash((X, y)) == before, "X or y that differ after the calls"


@sequence_check()
def check_fit_is_deterministic(estimator: Any) -> None:
    """Two fits on the same data with the same random_state must give the same results."""
    for X in (regular(), ragged()):
        model = fitted(estimator, X)
        first = outputs(model, X)
        assert_same(outputs(fitted(estimator, X), X), first, "X after another fit")
        model.fit(X, targets(estimator, X))
        assert_same(outputs(model, X), first, "X after fitting again")


@sequence_check()
def check_refit_resets_the_state(estimator: Any) -> None:
    """A fit must give the same results after an earlier fit on other sequences and features."""
    model = fitted(estimator, [x[:3] for x in regular(N_FEATURES + 2, seed=5)])
    X = ragged()
    model.fit(X, targets(estimator, X))
    assert_same(outputs(model, X), outputs(fitted(estimator, X), X), "X after another fit")


@sequence_check()
def check_clone(estimator: Any) -> None:
    """A clone of a fitted estimator must be unfitted, and must give the same results after fit."""
    X = ragged()
    model = fitted(estimator, X)
    fresh = clone(model)
    assert not [name for name in vars(fresh) if name.endswith("_")], "fitted attributes"
    fresh.fit(X, targets(estimator, X))
    assert_same(outputs(fresh, X), outputs(model, X), "X from a clone")


@sequence_check()
def check_pickles_and_copies(estimator: Any) -> None:
    """Pickles and copies of a fitted estimator must give the same results, and after a new fit."""
    X = ragged()
    model = fitted(estimator, X)
    expected = outputs(model, X)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_same(outputs(other, X), expected, "X from a copy")
        other.fit(X, targets(estimator, X))
        assert_same(outputs(other, X), expected, "X from a copy that was fitted again")


@sequence_check()
def check_threads(estimator: Any) -> None:
    """A fitted estimator must give the same results in several threads at the same time."""
    X = ragged()
    model = fitted(estimator, X)
    expected = outputs(model, X)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: outputs(model, X), range(8)):
            assert_same(got, expected, "X from one of several threads")
