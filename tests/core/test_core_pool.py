"""The pooling of each variant agrees with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import VARIANTS

KINDS = ["mean", "max"]


def problem(seed, batch, steps, features, dtype):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, steps, features)).astype(dtype)
    x = x.round(1) if seed % 2 else x  # with ties
    return (
        x,
        rng.integers(1, steps + 1, batch),
        rng.standard_normal((batch, features)).astype(dtype),
    )


def pooled(kind, x, lengths, before):
    """Return the sums, added step by step in x's dtype, or the maxima and their steps."""
    rows = [row[:length] for row, length in zip(x, lengths, strict=True)]
    if kind == "mean":
        totals = np.zeros_like(x[:, 0]) if before is None else before.copy()
        for total, row in zip(totals, rows, strict=True):
            for step in row:
                total += step
        return totals, None
    where = np.array([row.argmax(axis=0) for row in rows])
    largest = np.take_along_axis(x, where[:, np.newaxis], axis=1)[:, 0]  # first of equal zeros
    if before is None:
        return largest, where
    stays = before >= largest
    return np.where(stays, before, largest), np.where(stays, -1, where)


@pytest.mark.parametrize("variant", VARIANTS)
@given(
    seed=st.integers(0, 2**32),
    batch=st.integers(1, 5),
    steps=st.integers(1, 9),
    features=st.sampled_from([1, 3, 16, 63, 64, 65, 200]),
    dtype=st.sampled_from(["float32", "float64"]),
    kind=st.sampled_from(KINDS),
    ragged=st.booleans(),
    follows=st.booleans(),
    threads=st.integers(1, 4),
)
def test_pooling_agrees_with_numpy(
    variant, seed, batch, steps, features, dtype, kind, ragged, follows, threads
):
    core = VARIANTS[variant]
    x, lengths, before = problem(seed, batch, steps, features, dtype)
    before = before if follows else None
    eager = core.set_force_threads(True)
    got, where = core.pool_forward(kind, x, lengths if ragged else None, before, threads)
    core.set_force_threads(eager)
    lengths = lengths if ragged else np.full(batch, steps)
    expected, expected_where = pooled(kind, x, lengths, before)
    assert got.dtype == dtype
    assert got.tobytes() == expected.tobytes()
    if kind == "mean":
        assert where is None
        exact = pooled(kind, x.astype(float), lengths, before)[0]
        np.testing.assert_allclose(got, exact, atol=50 * np.finfo(dtype).eps)
    else:
        assert where.dtype == np.int64
        np.testing.assert_array_equal(where, expected_where)


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("kind", KINDS)
def test_bits_do_not_depend_on_batch_pieces_and_strides(core, kind, dtype):
    x, lengths, _ = problem(0, 7, 12, 70, dtype)
    whole, where = core.pool_forward(kind, x, lengths, None, 1)
    for rows in (slice(0, 1), slice(2, 6), slice(6, 7)):
        part = core.pool_forward(kind, x[rows], lengths[rows], None, 3)
        assert part[0].tobytes() == whole[rows].tobytes()
    by_time = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    wide = np.repeat(x, 2, axis=1)[:, ::2]
    for other in (by_time, wide):
        assert core.pool_forward(kind, other, lengths, None, 2)[0].tobytes() == whole.tobytes()
    full, where = core.pool_forward(kind, x, None, None, 4)
    for cut in (1, 5, 11):
        first, first_where = core.pool_forward(kind, x[:, :cut], None, None, 2)
        second, second_where = core.pool_forward(kind, x[:, cut:], None, first, 3)
        assert second.tobytes() == full.tobytes()
        if kind == "max":
            joined = np.where(second_where < 0, first_where, cut + second_where)
            np.testing.assert_array_equal(joined, where)


def test_max_pooling_of_nan_infinity_and_ties(core, dtype):
    nan, inf = np.nan, np.inf
    columns = np.array(
        [[1, nan, 2], [nan, 1, nan], [-inf, -inf, -inf], [3, 3, 1], [0, inf, nan], [-1, -2, -3]],
        dtype,
    )
    x = np.ascontiguousarray(columns.T[np.newaxis])
    largest, where = core.pool_forward("max", x, None, None, 1)
    np.testing.assert_array_equal(largest[0], [nan, nan, -inf, 3, nan, -1])
    np.testing.assert_array_equal(where[0], [1, 0, 0, 0, 2, 0])
    before = np.array([[nan, 0, -inf, 3, inf, -2]], dtype)
    largest, where = core.pool_forward("max", x, None, before, 1)
    np.testing.assert_array_equal(largest[0], [nan, nan, -inf, 3, nan, -1])
    np.testing.assert_array_equal(where[0], [-1, 0, -1, -1, 2, 0])


def test_errors_of_pooling(core):
    x, lengths, before = problem(0, 2, 3, 4, "float32")
    for arguments, message in [
        (("sum", x, None, None, 1), "'mean' or 'max'"),
        (("mean", x[0], None, None, 1), "three dimensions"),
        (("mean", x[:, :0], None, None, 1), "positive"),
        (("mean", x[:, :, ::2], None, None, 1), "contiguous"),
        (("max", x, lengths + 3, None, 1), "lengths must be between"),
        (("max", x, lengths[:1], None, 1), "wrong size"),
        (("max", x, None, before[:1], 1), "wrong size"),
        (("max", x, None, before.astype(float), 1), "one dtype"),
    ]:
        with pytest.raises(ValueError, match=message):
            core.pool_forward(*arguments)
    absurd = np.broadcast_to(np.float32(0), (2**30, 2**30, 1))
    with pytest.raises(MemoryError):
        core.pool_forward("max", absurd, None, None, 1)
