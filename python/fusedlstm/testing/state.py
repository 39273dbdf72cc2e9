"""Checks that an estimator remembers its fit, and nothing else."""

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
    """Attribute n_features_in_ must be the number of features of a step."""
    for X in (regular(), ragged()):
        assert fitted(estimator, X).n_features_in_ == N_FEATURES, "another number"


@sequence_check()
def check_results_change_nothing(estimator: Any) -> None:
    """Asking a fitted estimator must not change it, nor what the next answer is."""
    for X in (regular(), ragged()):
        model = fitted(estimator, X)
        before = joblib.hash(vars(model))
        first = outputs(model, X)
        assert_same(outputs(model, X), first, "X asked again")
        assert joblib.hash(vars(model)) == before, "attributes that differ afterwards"


@sequence_check()
def check_input_is_left_alone(estimator: Any) -> None:
    """Neither fit nor any other method may change X and y."""
    for X in (regular(), ragged(), padded(ragged(), 8)):
        y = targets(estimator, X)
        before = joblib.hash((X, y))
        outputs(unfitted(estimator).fit(X, y), X)
        assert joblib.hash((X, y)) == before, "X or y that differ afterwards"


@sequence_check()
def check_fitting_twice(estimator: Any) -> None:
    """Two fits on the same data, from one random_state, must give the same."""
    for X in (regular(), ragged()):
        model = fitted(estimator, X)
        first = outputs(model, X)
        assert_same(outputs(fitted(estimator, X), X), first, "X after another fit")
        model.fit(X, targets(estimator, X))
        assert_same(outputs(model, X), first, "X after fitting again")


@sequence_check()
def check_fitting_again_forgets(estimator: Any) -> None:
    """A fit on other sequences, of other lengths and features, must leave nothing behind."""
    model = fitted(estimator, [x[:3] for x in regular(N_FEATURES + 2, seed=5)])
    X = ragged()
    model.fit(X, targets(estimator, X))
    assert_same(outputs(model, X), outputs(fitted(estimator, X), X), "X after another fit")


@sequence_check()
def check_clone(estimator: Any) -> None:
    """A clone of a fitted estimator must be unfitted, and its fit must give the same."""
    X = ragged()
    model = fitted(estimator, X)
    fresh = clone(model)
    assert not [name for name in vars(fresh) if name.endswith("_")], "fitted attributes"
    fresh.fit(X, targets(estimator, X))
    assert_same(outputs(fresh, X), outputs(model, X), "X from a clone")


@sequence_check()
def check_pickles_and_copies(estimator: Any) -> None:
    """Pickles and copies of a fitted estimator must give the same, and be fit to be fitted."""
    X = ragged()
    model = fitted(estimator, X)
    expected = outputs(model, X)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_same(outputs(other, X), expected, "X from a copy")
        other.fit(X, targets(estimator, X))
        assert_same(outputs(other, X), expected, "X from a copy that was fitted again")


@sequence_check()
def check_threads(estimator: Any) -> None:
    """A fitted estimator must answer many threads at once."""
    X = ragged()
    model = fitted(estimator, X)
    expected = outputs(model, X)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: outputs(model, X), range(8)):
            assert_same(got, expected, "X from one of several threads")
