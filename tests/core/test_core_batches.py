"""Gathering of batches and the losses of rows, for each variant, agree with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import VARIANTS
from fusedlstm.losses.classification import ClassificationLoss, LogLoss
from fusedlstm.losses.regression import RegressionLoss, SquaredError


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_sequences_of_an_array(core, rng, dtype):
    x = (10 * rng.standard_normal((6, 5, 3))).astype(dtype)
    rows = np.array([4, 0, 4])
    np.testing.assert_array_equal(core.take_sequences(x, rows, None), x[rows])
    lengths = np.array([2, 4, 1])
    taken = core.take_sequences(x, rows, lengths)
    assert taken.shape == (3, 4, 3)
    assert taken.dtype == x.dtype
    for row, number, length in zip(taken, rows, lengths, strict=True):
        np.testing.assert_array_equal(row[:length], x[number, :length])
        assert not row[length:].any()


def test_sequences_of_concatenated_sequences(core, rng):
    values, first, lengths = rng.standard_normal((9, 2)), np.array([7, 0]), np.array([2, 5])
    taken = core.take_sequences(values, first, lengths)
    assert taken.shape == (2, 5, 2)
    np.testing.assert_array_equal(taken[0, :2], values[7:])
    np.testing.assert_array_equal(taken[1], values[:5])
    targets = np.arange(9)
    assert core.take_sequences(targets, first, lengths).tolist() == [
        [7, 8, 0, 0, 0],
        [0, 1, 2, 3, 4],
    ]


def test_sequences_outside_of_the_array_are_not_taken(core):
    x, values = np.zeros((3, 4, 2)), np.zeros((9, 2))
    for first in ([3], [-1], []):
        assert core.take_sequences(x, np.array(first, np.int64), None) is None
    for lengths in ([5], [-1]):
        assert core.take_sequences(x, np.array([0]), np.array(lengths)) is None
    assert core.take_sequences(values, np.array([5]), np.array([5])) is None
    assert core.take_sequences(values, np.array([2**62]), np.array([2**62])) is None


def test_only_contiguous_arrays_of_numbers_are_taken(core):
    x, rows = np.zeros((3, 4, 2)), np.array([0])
    for other in (x[:, ::2], x.astype(object), x.tolist(), np.ma.array(x), x[0, 0, 0]):
        assert core.take_sequences(other, rows, None) is None
    assert core.take_sequences(x, slice(0, 1), None) is None
    assert core.take_sequences(x, rows.astype(np.int32), None) is None
    assert core.take_sequences(x, rows, [1]) is None
    assert core.take_sequences(x[0], rows, None) is None


@pytest.mark.parametrize("source", ["float32", "float64"])
def test_standardized_sequences_have_the_bits_of_the_standardized_array(core, rng, dtype, source):
    mean, scale = rng.standard_normal(3), 1 + rng.random(3)
    standardizer = core.Standardizer(dtype.name, mean, scale)
    x = rng.standard_normal((6, 200, 3)).astype(source)
    rows, lengths = np.array([4, 0, 4]), np.array([150, 7, 1])
    everything = standardizer.standardize(x)
    np.testing.assert_array_equal(standardizer.take(x, rows, None), everything[rows])
    taken = standardizer.take(x, rows, lengths)
    assert taken.dtype == dtype
    for row, number, length in zip(taken, rows, lengths, strict=True):
        np.testing.assert_array_equal(row[:length], everything[number, :length])
        assert not row[length:].any()


def test_take_refuses_what_standardize_refuses(core):
    standardizer = core.Standardizer("float32", np.zeros(2), np.full(2, 1e-30))
    assert standardizer.take(np.zeros((3, 4, 3)), np.array([0]), None) is None
    assert standardizer.take(np.zeros((3, 4, 2), int), np.array([0]), None) is None
    with pytest.raises(ValueError, match="float32's range"):
        standardizer.take(np.full((3, 4, 2), 1e10), np.array([0]), None)


def check_loss(found, expected, dtype):
    tolerance = 20 * float(np.finfo(dtype).eps)
    assert found[0] == pytest.approx(expected[0], rel=tolerance, abs=tolerance)
    assert found[1].dtype == dtype
    atol = tolerance / len(found[1])  # the gradient of a row is at most 1 / rows
    np.testing.assert_allclose(found[1], expected[1], rtol=tolerance, atol=atol)


@pytest.mark.parametrize("variant", VARIANTS)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 40),
    outputs=st.integers(1, 40),
    dtype=st.sampled_from(["float32", "float64"]),
    smoothing=st.sampled_from([0.0, 0.1]),
    weighted=st.booleans(),
    size=st.sampled_from([1, 30]),
)
def test_losses_agree_with_numpy(variant, seed, rows, outputs, dtype, smoothing, weighted, size):
    core, rng = VARIANTS[variant], np.random.default_rng(seed)
    z = (size * rng.standard_normal((rows, outputs))).astype(dtype)
    weights = rng.random(rows) if weighted else None
    loss = LogLoss(smoothing)
    for y in (
        rng.integers(0, max(outputs, 2), rows),
        rng.integers(0, 2, (rows, outputs)),
    ):
        expected = ClassificationLoss.__call__(loss, z.astype("float64"), y, weights)
        check_loss(core.log_loss(z, y, weights, smoothing), expected, dtype)
    y = rng.standard_normal((rows, outputs)).astype(dtype)
    expected = RegressionLoss.__call__(SquaredError(), z, y, weights)
    check_loss(core.squared_error(z, y, weights), expected, dtype)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_losses_of_outputs_that_are_not_finite(core, wrong, dtype):
    z = np.zeros((3, 4), dtype)
    z[1, 2] = wrong
    value, dz = core.log_loss(z, np.array([0, 2, 0]), None, 0.0)
    assert not np.isfinite(value)
    assert np.isfinite(dz[[0, 2]]).all()
    assert not np.isfinite(core.log_loss(z[:, 2:3].copy(), np.array([0, 1, 1]), None, 0.0)[0]) or (
        wrong == np.inf
    )
    assert not np.isfinite(core.squared_error(z, np.zeros_like(z), None)[0])


def test_losses_do_not_take_other_arguments(core):
    z, y = np.zeros((3, 4)), np.array([0, 1, 3])
    assert core.log_loss(z, y, None, 0.0) is not None
    for wrong in (y + 1, y - 1, y[:2], y.astype(float), y.tolist(), np.zeros((3, 3), int)):
        assert core.log_loss(z, wrong, None, 0.0) is None
    assert core.log_loss(z, np.full((3, 4), 2), None, 0.0) is None
    assert core.log_loss(z[:, :1].copy(), np.array([0, 1, 2]), None, 0.0) is None
    assert core.log_loss(z[:0], y[:0], None, 0.0) is None
    assert core.log_loss(z[:, ::2], y, None, 0.0) is None
    assert core.log_loss(z, y, np.ones(2), 0.0) is None
    assert core.log_loss(z, y, np.ones(3, "float32"), 0.0) is None
    assert core.squared_error(z, np.zeros((3, 4), "float32"), None) is None
    assert core.squared_error(z, np.zeros((3, 3)), None) is None
