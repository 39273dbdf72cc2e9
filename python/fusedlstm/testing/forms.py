"""Checks that all forms of X with the same content give the same results."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fusedlstm.testing.checks import (
    N_FEATURES,
    assert_same,
    fitted,
    object_array,
    outputs,
    padded,
    ragged,
    regular,
    sequence_check,
)


@sequence_check()
def check_lists_and_tuples(estimator: Any) -> None:
    """A list, tuple or object array of arrays must give the results of the 3-D array."""
    X = regular()
    model = fitted(estimator)
    expected = outputs(model, X)
    for form in (list(X), tuple(X), object_array(list(X))):
        assert_same(outputs(model, form), expected, f"a {type(form).__name__} of arrays")


@sequence_check()
def check_nested_lists(estimator: Any) -> None:
    """Nested lists of numbers must give the results of arrays, for equal and unequal lengths."""
    model = fitted(estimator)
    for X in (regular(), ragged()):
        lists = [x.tolist() for x in X]
        assert_same(outputs(model, lists), outputs(model, X), "nested lists")


@sequence_check()
def check_fit_on_every_form(estimator: Any) -> None:
    """Fitting on lists, tuples and object arrays must give the model of the 3-D array."""
    X = regular()
    expected = outputs(fitted(estimator), X)
    for form in (list(X), tuple(X), object_array(list(X)), X.tolist()):
        assert_same(outputs(fitted(estimator, form), X), expected, "X")


@sequence_check()
def check_ragged_forms(estimator: Any) -> None:
    """Unequal lengths must give the same results as list, tuple, object array or padded array."""
    X = ragged()
    expected = outputs(fitted(estimator, X), X)
    for form in (tuple(X), object_array(X), padded(X, 6)):
        assert_same(outputs(fitted(estimator, form), form), expected, type(form).__name__)


@sequence_check()
def check_dtypes(estimator: Any) -> None:
    """Integers must give the same results in every dtype and byte order."""
    X = 4 * regular()
    model = fitted(estimator, X)
    expected = outputs(model, X)
    for dtype in ("float32", "int64", "int8", ">f8", object):
        assert_same(outputs(model, X.astype(dtype)), expected, f"X of {dtype}")


@sequence_check()
def check_memory_layouts(estimator: Any) -> None:
    """Arrays in Fortran order, reversed or strided must give the results of contiguous arrays."""
    X = regular()
    model = fitted(estimator)
    expected = outputs(model, X)
    gaps = np.zeros((24, 12, 2 * N_FEATURES))
    gaps[:, ::2, ::2] = X
    backwards = X[:, ::-1].copy()[:, ::-1]
    for layout in (np.asfortranarray(X), gaps[:, ::2, ::2], backwards):
        assert_same(outputs(model, layout), expected, "another layout of X")
        assert_same(outputs(fitted(estimator, layout), X), expected, "X, fitted on another")


@sequence_check()
def check_read_only_and_memory_maps(estimator: Any) -> None:
    """Read-only arrays and memory maps must work with every method."""
    X = regular()
    expected = outputs(fitted(estimator), X)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        np.save(Path(folder) / "X.npy", X)
        mapped = np.load(Path(folder) / "X.npy", mmap_mode="r")
        X.flags.writeable = False
        for form in (X, list(X), mapped, list(mapped)):
            assert_same(outputs(fitted(estimator, form), form), expected, "read-only X")
        del mapped, form


@sequence_check()
def check_one_feature(estimator: Any) -> None:
    """Sequences (n_timesteps,) must give the results of sequences (n_timesteps, 1)."""
    X = [x[:, :1] for x in ragged()]
    model = fitted(estimator, X)
    flat = [x.ravel() for x in X]
    got, expected = outputs(model, flat), outputs(model, X)
    for rows in (got, expected):  # a transformer may return either shape
        rows.update(transform=[row.ravel() for row in rows.get("transform", [])])
    assert_same(got, expected, "sequences of one dimension")
