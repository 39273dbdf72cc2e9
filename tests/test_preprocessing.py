"""SequenceScaler on every form, make_windows, and the data sets."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from fusedlstm import SequenceScaler, datasets, make_windows


@pytest.fixture
def ragged(rng):
    return [rng.normal([5, -3, 0], [2, 0.1, 1], (n, 3)) for n in (4, 1, 7)]


def padded(arrays):
    x = np.full((len(arrays), max(map(len, arrays)), 3), np.nan)
    for row, array in zip(x, arrays, strict=True):
        row[: len(array)] = array
    return x


def test_mean_and_scale_over_all_real_steps(ragged):
    steps = np.concatenate(ragged)
    expected = StandardScaler().fit(steps)
    for X in (ragged, padded(ragged)):
        scaler = SequenceScaler().fit(X)
        np.testing.assert_allclose(scaler.mean_, expected.mean_)
        np.testing.assert_allclose(scaler.scale_, expected.scale_)
        assert scaler.n_features_in_ == 3


def test_forms_in_and_out(ragged):
    scaler = SequenceScaler().fit(ragged)
    as_list = scaler.transform(ragged)
    assert isinstance(as_list, list)
    assert isinstance(scaler.transform(tuple(ragged)), tuple)
    objects = np.empty(3, object)
    objects[:] = ragged
    as_objects = scaler.transform(objects)
    assert as_objects.dtype == object
    as_padded = scaler.transform(padded(ragged))
    np.testing.assert_array_equal(np.isnan(as_padded), np.isnan(padded(ragged)))
    for i, (array, other) in enumerate(zip(as_list, as_objects, strict=True)):
        np.testing.assert_array_equal(array, other)
        np.testing.assert_array_equal(array, as_padded[i, : len(array)])
    np.testing.assert_allclose(np.concatenate(as_list).mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.concatenate(as_list).std(axis=0), 1)


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4)])
def test_there_and_back(shape, rng):
    X = rng.normal(3, 2, shape)
    scaler = SequenceScaler().fit(X)
    assert scaler.transform(X).shape == shape
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X)


def test_sequences_of_one_dimension():
    out = SequenceScaler().fit_transform([np.array([1.0, 3.0]), np.array([2.0])])
    assert [array.shape for array in out] == [(2,), (1,)]


def test_a_constant_feature_becomes_zero():
    X = np.full((3, 4, 1), 0.1)
    np.testing.assert_allclose(SequenceScaler().fit_transform(X), 0, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("features", [None, 2])
def test_windows(stride, horizon, features, rng):
    series = rng.standard_normal((20,) if features is None else (20, features))
    X, y = make_windows(series, 4, horizon, stride)
    starts = range(0, 20 - 4 - horizon + 1, stride)
    assert len(X) == len(y) == len(starts)
    for start, window, target in zip(starts, X, y, strict=True):
        np.testing.assert_array_equal(window, series[start : start + 4])
        after = series[start + 4 : start + 4 + horizon]
        np.testing.assert_array_equal(target, after[0] if horizon == 1 else after)


def test_sunspots():
    years, sunspots = datasets.load_sunspots()
    np.testing.assert_array_equal(years, np.arange(1700, 2009))
    assert sunspots.shape == (309,)
    # Facts about the series that are easy to look up: its largest year and the Dalton minimum.
    assert sunspots[years == 1957] == 190.2
    assert sunspots[years == 1810] == 0
