"""Forms of X and the containers into which they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fusedlstm.data.forms import read_sequences
from fusedlstm.data.sequences import PackedSequences, PaddedSequences

RAGGED = [np.arange(6.0).reshape(3, 2), np.ones((1, 2)), np.full((4, 2), 7.0)]


def as_lists(sequences):
    """Return each sequence as a nested list of its real steps."""
    x, lengths = sequences.take(slice(None), "float64")
    if lengths is None:
        lengths = np.full(len(x), x.shape[1])
    return [row[:n].tolist() for row, n in zip(x, lengths, strict=True)]


def object_array(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


def padded_with_nan(items):
    x = np.full((len(items), max(map(len, items)), 2), np.nan)
    for row, item in zip(x, items, strict=True):
        row[: len(item)] = item
    return x


@pytest.mark.parametrize(
    "X",
    [
        RAGGED,
        tuple(RAGGED),
        object_array(RAGGED),
        [item.tolist() for item in RAGGED],
        [item.astype(int) for item in RAGGED],
        [item.astype("float32") for item in RAGGED],
        padded_with_nan(RAGGED),
    ],
    ids=["list", "tuple", "object array", "lists", "integers", "float32", "NaN padding"],
)
def test_sequences_of_unequal_lengths_are_read_in_each_form(X):
    assert as_lists(read_sequences(X)) == [item.tolist() for item in RAGGED]


@pytest.mark.parametrize(
    ("X", "form", "features"),
    [
        (np.ones((3, 4, 2)), "3d", 2),
        (np.ones((3, 4, 2)).tolist(), "3d", 2),
        (np.ones((3, 4, 2), object), "3d", 2),
        (np.ones((3, 4), int), "2d", 1),
        (np.ones((3, 4)).tolist(), "2d", 1),
        (np.ones((3, 4), bool), "2d", 1),
        ([np.ones(4), np.ones(4)], "ragged", 1),
        ([[1, 2], [3]], "ragged", 1),
        ([np.ones((4, 2))] * 3, "ragged", 2),
    ],
)
def test_the_form_and_number_of_features_are_recorded(X, form, features):
    sequences = read_sequences(X)
    assert (sequences.form, sequences.n_features) == (form, features)
    assert len(sequences) == len(X)


def test_an_array_is_not_copied():
    X = np.ones((5, 6, 2), "float32")
    assert np.shares_memory(read_sequences(X).x, X)
    assert np.shares_memory(read_sequences(X).take(slice(1, 3), "float32")[0], X)


def test_sequences_that_were_read_are_returned_unchanged():
    sequences = read_sequences(RAGGED)
    assert read_sequences(sequences) is sequences


@given(
    st.lists(
        st.integers(1, 8).flatmap(
            lambda n: arrays("float64", (n, 3), elements=st.floats(-1e6, 1e6))
        ),
        min_size=1,
        max_size=9,
    ),
    st.randoms(use_true_random=False),
)
def test_packed_and_padded_sequences_agree(items, random):
    packed = read_sequences(items)
    assert isinstance(packed, PackedSequences)
    lengths = np.array([len(item) for item in items])
    x = np.zeros((len(items), lengths.max(), 3))
    for row, item in zip(x, items, strict=True):
        row[: len(item)] = item
    padded = PaddedSequences(x, lengths)
    rows = np.array([random.randrange(len(items)) for _ in range(4)])
    np.testing.assert_array_equal(packed.lengths(), padded.lengths())
    assert as_lists(packed) == as_lists(padded)
    assert as_lists(packed.select(rows)) == as_lists(padded.select(rows))
    for sequences in (packed, padded):
        taken, n = sequences.take(rows, "float32")
        assert taken.dtype == "float32"
        assert taken.shape == (4, n.max(), 3)


def test_arrays_without_padding_have_no_lengths():
    assert read_sequences(np.ones((2, 3, 1))).take(slice(None), "float32")[1] is None


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


ONES = np.ones((3, 4, 2))


@pytest.mark.parametrize("pieces", [1, 5, 10**6])
def test_infinity_is_found_in_each_chunk(pieces, monkeypatch):
    monkeypatch.setattr("fusedlstm._utils.chunks.CHUNK_SIZE", pieces)
    assert len(read_sequences(ONES)) == 3
    for where in np.ndindex(ONES.shape):
        with pytest.raises(ValueError, match="Input X contains infinity"):
            read_sequences(changed(ONES, where, np.inf))


def test_values_out_of_the_range_of_float32_are_an_error():
    for value, ragged in ((1e39, False), (-1e39, True)):
        X = changed(ONES, (1, 2, 0), value)
        sequences = read_sequences(list(X) if ragged else X)
        sequences.check_range("float64")
        with pytest.raises(ValueError, match="X must be numbers within float32's range; got -?1e"):
            sequences.check_range("float32")
    read_sequences(padded_with_nan(RAGGED)).check_range("float32")


def test_finite_values_whose_sum_overflows_are_accepted():
    X = np.full((2, 3, 1), np.finfo("float32").max, "float32")
    assert len(read_sequences(X)) == 2
