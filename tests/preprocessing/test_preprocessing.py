"""Transformers on each form of X, make_windows, last_window and the data sets."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fusedlstm
from fusedlstm import (
    PadSequences,
    SequenceImputer,
    SequenceScaler,
    datasets,
    last_window,
    make_windows,
)


@pytest.fixture
def ragged(rng):
    return [rng.normal([5, -3, 0], [2, 0.1, 1], (n, 3)) for n in (4, 1, 7)]


def padded(arrays):
    x = np.full((len(arrays), max(map(len, arrays)), 3), np.nan)
    for row, array in zip(x, arrays, strict=True):
        row[: len(array)] = array
    return x


def test_the_scaler_takes_mean_and_scale_over_all_real_steps(ragged):
    steps = np.concatenate(ragged)
    expected = StandardScaler().fit(steps)
    for X in (ragged, padded(ragged)):
        scaler = SequenceScaler().fit(X)
        np.testing.assert_allclose(scaler.mean_, expected.mean_)
        np.testing.assert_allclose(scaler.scale_, expected.scale_)
        assert scaler.n_features_in_ == 3


def test_the_scaler_returns_the_form_that_it_gets(ragged):
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
def test_inverse_transform_undoes_transform(shape, rng):
    X = rng.normal(3, 2, shape)
    scaler = SequenceScaler().fit(X)
    assert scaler.transform(X).shape == shape
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X)


def test_the_scaler_takes_sequences_of_one_dimension():
    out = SequenceScaler().fit_transform([np.array([1.0, 3.0]), np.array([2.0])])
    assert [array.shape for array in out] == [(2,), (1,)]


def test_a_constant_feature_becomes_zero():
    X = np.full((3, 4, 1), 0.1)
    np.testing.assert_allclose(SequenceScaler().fit_transform(X), 0, atol=1e-12)


NAN = np.nan
GAPS = [[1, NAN, 5], [NAN, 3, NAN, NAN], [NAN, NAN, 9.0]]  # one feature
FILLED = {
    "mean": [[1, 4.5, 5], [4.5, 3, 4.5, 4.5], [4.5, 4.5, 9]],
    "median": [[1, 4, 5], [4, 3, 4, 4], [4, 4, 9]],
    "constant": [[1, -7, 5], [-7, 3, -7, -7], [-7, -7, 9]],
    "forward_fill": [[1, 1, 5], [4.5, 3, 3, 3], [4.5, 4.5, 9]],
}


def with_two_features(rows):
    """Add a feature without gaps, so that no step at the end is padding."""
    return [np.stack([row, np.arange(len(row))], axis=1) for row in rows]


@pytest.mark.parametrize("strategy", FILLED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_imputer_fills_gaps_in_all_forms(strategy, dtype):
    imputer = SequenceImputer(strategy=strategy, fill_value=-7)
    gaps = [x.astype(dtype) for x in with_two_features(GAPS)]
    expected = with_two_features(FILLED[strategy])
    as_list = imputer.fit_transform(gaps)
    for out, x in zip(as_list, expected, strict=True):
        np.testing.assert_array_equal(out, x)
        assert out.dtype == dtype
    as_array = imputer.fit_transform(gaps_as_padded(gaps, 5))
    for i, x in enumerate(as_list):
        np.testing.assert_array_equal(as_array[i, : len(x)], x)
        assert np.isnan(as_array[i, len(x) :]).all()
    one = imputer.fit_transform([np.array(x) for x in GAPS])
    assert [x.tolist() for x in one] == FILLED[strategy]


def gaps_as_padded(arrays, width):
    x = np.full((len(arrays), width, 2), np.nan, arrays[0].dtype)
    for row, array in zip(x, arrays, strict=True):
        row[: len(array)] = array
    return x


def test_the_imputer_fills_gaps_in_two_dimensions(rng):
    X = rng.standard_normal((6, 5))
    X[[0, 2, 3], [4, 0, 1]] = np.nan  # also the last step, which is not padding in 2-D
    out = SequenceImputer().fit_transform(X)
    np.testing.assert_allclose(out[np.isnan(X)], np.nanmean(X))
    np.testing.assert_array_equal(out[~np.isnan(X)], X[~np.isnan(X)])
    out = SequenceImputer(strategy="forward_fill").fit_transform(X)
    assert out[0, 4] == X[0, 3]
    assert out[3, 1] == X[3, 0]
    assert out[2, 0] == pytest.approx(np.nanmean(X))


@pytest.mark.parametrize(
    ("estimator", "X", "error", "message"),
    [
        (
            SequenceImputer(),
            [[[NAN, 1]], [[NAN, 2]]],
            ValueError,
            "got only NaN for feature 0. Use",
        ),
        (SequenceImputer(strategy="mode"), [[1, 2]], ValueError, "strategy must be one of mean, m"),
        (SequenceImputer(fill_value=None), [[1, 2]], TypeError, "fill_value must be a number; got"),
        (SequenceImputer(), [[1, np.inf]], ValueError, "Input X contains infinity"),
        (
            SequenceImputer(),
            [np.array([1, np.inf]), np.ones(3)],
            ValueError,
            r"X\[0\] contains inf",
        ),
        (
            SequenceImputer(),
            np.full((2, 3, 1), NAN),
            ValueError,
            r"X\[0\] must have at least one",
        ),
        (PadSequences(width=0), [[1, 2]], ValueError, "width must be a positive integer; got 0"),
        (PadSequences(value="0"), [[1, 2]], TypeError, "value must be a number or nan; got '0'"),
        (
            PadSequences(width=2),
            [[1], [1, 2, 3]],
            ValueError,
            r"X\[1\] must have at most width = 2",
        ),
        (PadSequences(), [[1, NAN]], ValueError, "Input X contains NaN"),
    ],
)
def test_errors_of_transformers(estimator, X, error, message):
    with pytest.raises(error, match=message):
        estimator.fit(X)
    assert not [name for name in vars(estimator) if name.endswith("_")]


@pytest.mark.parametrize("value", [NAN, 0.0, -1])
@pytest.mark.parametrize("width", [None, 9])
def test_pad_sequences_and_its_inverse(value, width, ragged):
    pad = PadSequences(width=width, value=value).fit(ragged)
    out = pad.transform(ragged)
    assert out.shape == (3, width or 7, 3)
    for row, x in zip(out, ragged, strict=True):
        np.testing.assert_array_equal(row[: len(x)], x)
        np.testing.assert_array_equal(row[len(x) :], np.full((len(row) - len(x), 3), value))
    for back, x in zip(pad.inverse_transform(out), ragged, strict=True):
        np.testing.assert_array_equal(back, x)
    again = pad.transform(padded(ragged))
    np.testing.assert_array_equal(again, out)
    with pytest.raises(ValueError, match="must have at most"):
        pad.transform([np.ones((20, 3))])
    with pytest.raises(ValueError, match="X has 2 features, but PadSequences is expecting 3"):
        pad.transform([np.ones((2, 2))])
    with pytest.raises(ValueError, match="X must be an array of shape"):
        pad.inverse_transform(out[0])


def test_inverse_of_a_sequence_of_padding_keeps_one_step():
    pad = PadSequences(value=0.0).fit([[1, 2, 3]])
    assert [x.tolist() for x in pad.inverse_transform(np.zeros((2, 3, 1)))] == [[[0]], [[0]]]


@pytest.mark.parametrize("transformer", [SequenceImputer(strategy="median"), PadSequences(width=9)])
def test_transformers_survive_a_round_trip_through_files(transformer, ragged, tmp_path):
    transformer.fit(ragged).save(tmp_path / "file")
    same = fusedlstm.load(tmp_path / "file")
    np.testing.assert_array_equal(same.transform(ragged)[1], transformer.transform(ragged)[1])
    assert repr(same) == repr(transformer)


def test_a_pipeline_of_imputer_scaler_and_estimator_learns(rng):
    X = rng.standard_normal((60, 6, 2))
    y = X.sum(axis=(1, 2))
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    X[:, -1] = np.nan_to_num(X[:, -1])
    model = make_pipeline(
        SequenceImputer(strategy="forward_fill"),
        SequenceScaler(),
        fusedlstm.LSTMRegressor(8, max_iter=30, random_state=0),
    )
    assert model.fit(X, y).score(X, y) > 0.6


def test_windows_do_not_cross_series(rng):
    first, second = rng.standard_normal((12, 2)), rng.standard_normal((9, 2))
    X, y = make_windows([first, second], 4, 2, 3)
    expected = [make_windows(series, 4, 2, 3) for series in (first, second)]
    np.testing.assert_array_equal(X, np.concatenate([x for x, _ in expected]))
    np.testing.assert_array_equal(y, np.concatenate([y for _, y in expected]))
    rows = rng.permutation(np.repeat([0, 1], [12, 9]))  # two interleaved series in one array
    together = np.empty((21, 2))
    together[rows == rows[0]] = (first, second)[rows[0]]
    together[rows != rows[0]] = (first, second)[1 - rows[0]]
    X2, y2 = make_windows(together, 4, 2, 3, groups=np.array(["a", "b"])[rows])
    order = [0, 1] if rows[0] == 0 else [1, 0]
    np.testing.assert_array_equal(X2, np.concatenate([expected[i][0] for i in order]))
    np.testing.assert_array_equal(y2, np.concatenate([expected[i][1] for i in order]))


@pytest.mark.parametrize("horizon", [1, 2])
def test_windows_have_exogenous_columns_and_chosen_targets(horizon, rng):
    series, others = rng.standard_normal((10, 3)), rng.standard_normal((10, 2))
    X, y = make_windows(series, 4, horizon)
    X_all, y_all = make_windows(series, 4, horizon, exogenous=others)
    np.testing.assert_array_equal(X_all[..., :3], X)
    np.testing.assert_array_equal(X_all[..., 3:], make_windows(others, 4, horizon)[0])
    np.testing.assert_array_equal(y_all, y)
    for target, columns in ((1, 1), (-1, 2), ([2, 0], [2, 0]), ([1], [1])):
        X_of, y_of = make_windows(series, 4, horizon, target=target)
        np.testing.assert_array_equal(X_of, X)
        np.testing.assert_array_equal(y_of, y[..., columns])
    both = make_windows([series, series[:7]], 4, horizon, exogenous=[others, others[:7]], target=0)
    alone = make_windows(series[:7], 4, horizon, exogenous=others[:7], target=0)
    np.testing.assert_array_equal(both[0][-len(alone[0]) :], alone[0])
    np.testing.assert_array_equal(both[1][-len(alone[1]) :], alone[1])


def test_windows_of_data_frames_take_columns_by_name(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rng.standard_normal((10, 3)), columns=["load", "wind", "sun"])
    X, y = make_windows(frame, 4, target="wind")
    np.testing.assert_array_equal(y, frame["wind"].to_numpy()[4:])
    assert X.shape == (6, 4, 3)
    X, y = make_windows(frame["load"], 4, exogenous=frame[["wind", "sun"]])
    np.testing.assert_array_equal(X[0], frame.to_numpy()[:4])
    np.testing.assert_array_equal(y, frame["load"].to_numpy()[4:])
    several = [frame[:6], frame[4:]]
    assert make_windows(several, 4, target=["sun", "load"])[1].shape == (4, 2)


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        (
            [np.ones(9), np.ones(3)],
            {},
            r"series\[1\] must have at least width \+ horizon = 4",
        ),
        ([np.ones(9), np.ones((9, 2))], {}, "series must have the same number of features"),
        ([np.ones(9), np.array(["a"] * 9)], {}, r"series\[1\] must be numbers of shape"),
        (
            np.ones(9),
            {"exogenous": np.ones(8)},
            "exogenous must be an array of 9 steps, like series",
        ),
        (
            [np.ones(9)],
            {"exogenous": np.ones(9)},
            "exogenous must be a list of 1 arrays, one per",
        ),
        (np.ones((9, 2)), {"target": 2}, r"target must be one of the columns \[0, 1\]; got 2"),
        (np.ones((9, 2)), {"target": "a"}, r"target must be one of the columns \[0, 1\]; got 'a'"),
        (np.ones(9), {"groups": [1] * 8}, "groups must be 9 labels, one per step"),
        (np.ones(9), {"groups": [1] * 6 + [2] * 3}, "group 2 must have at least width"),
        ([np.ones(9)], {"groups": [1] * 9}, "groups must be None for a list of series"),
    ],
)
def test_errors_for_wrong_series(series, options, message):
    with pytest.raises(ValueError, match=message):
        make_windows(series, 3, **options)


@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("features", [None, 2])
def test_windows_and_targets_are_slices_of_the_series(stride, horizon, features, rng):
    series = rng.standard_normal((20,) if features is None else (20, features))
    X, y = make_windows(series, 4, horizon, stride)
    starts = range(0, 20 - 4 - horizon + 1, stride)
    assert len(X) == len(y) == len(starts)
    for start, window, target in zip(starts, X, y, strict=True):
        np.testing.assert_array_equal(window, series[start : start + 4])
        after = series[start + 4 : start + 4 + horizon]
        np.testing.assert_array_equal(target, after[0] if horizon == 1 else after)


@pytest.mark.parametrize("features", [None, 2])
def test_last_window_follows_the_windows_of_make_windows(features, rng):
    series = rng.standard_normal((20,) if features is None else (20, features))
    others = rng.standard_normal((20, 3))
    # With one more observation, the same window is the last of make_windows.
    longer = np.concatenate([series, series[:1]])
    X, y = make_windows(longer, 4)
    np.testing.assert_array_equal(last_window(series, 4), X[-1:])
    np.testing.assert_array_equal(last_window(series, 4)[0, -1], series[-1])
    more = last_window(series, 4, exogenous=others)
    longer_others = np.concatenate([others, others[:1]])
    np.testing.assert_array_equal(more, make_windows(longer, 4, exogenous=longer_others)[0][-1:])
    model = fusedlstm.LSTMRegressor(2, max_iter=1, random_state=0).fit(X, y)
    assert model.predict(last_window(series, 4)).shape == y[:1].shape


def test_last_window_of_several_series(rng):
    first, second = rng.standard_normal((12, 2)), rng.standard_normal((9, 2))
    expected = np.stack([second[-4:], first[-4:]])
    np.testing.assert_array_equal(last_window([second, first], 4), expected)
    rows = np.repeat([1, 0], [9, 12])
    together = np.concatenate([second, first])
    np.testing.assert_array_equal(last_window(together, 4, groups=rows), expected)
    assert last_window(first[:4], 4).shape == (1, 4, 2)
    with pytest.raises(ValueError, match=r"series\[1\] must have at least width = 10 steps; got 9"):
        last_window([first, second], 10)
    with pytest.raises(ValueError, match="width must be a positive integer; got 0"):
        last_window(first, 0)


def test_sunspots_have_known_values():
    years, sunspots = datasets.load_sunspots()
    np.testing.assert_array_equal(years, np.arange(1700, 2009))
    assert sunspots.shape == (309,)
    # Known facts about the series: its largest year and the Dalton minimum.
    assert sunspots[years == 1957] == 190.2
    assert sunspots[years == 1810] == 0


@pytest.mark.parametrize("value", [1e155, 1e300, 1.7e308])
def test_scaling_values_without_finite_squares_is_an_error(value):
    X = np.ones((3, 4, 2))
    scaler = SequenceScaler().fit(X)
    before = vars(scaler).copy()
    X[1, 2, 1] = -value
    with pytest.raises(ValueError, match="X must be numbers with finite squares; got 1"):
        scaler.fit(X)
    assert vars(scaler) == before


def test_scaled_values_that_overflow_are_an_error():
    X = np.array([[[0.0], [1e-150]], [[np.nan], [np.nan]]])
    X[1, 0] = 2e-150
    scaler = SequenceScaler().fit(X)
    with pytest.raises(ValueError, match="X must be numbers within float64's range after scaling"):
        scaler.transform(np.full((1, 1, 1), 1e200))
    assert np.isnan(scaler.transform(X)[1, 1])  # padding
    wide = SequenceScaler().fit(np.array([[[0.0], [1e60]]]))
    with pytest.raises(ValueError, match="X must be numbers within float32's range after scaling"):
        wide.transform(np.ones((1, 1, 1), "float32"))


@pytest.mark.parametrize("order", ["C", "F"])
def test_forward_fill_does_not_depend_on_the_memory_layout(order):
    X = np.random.default_rng(0).standard_normal((5, 7, 3))
    X[np.random.default_rng(1).random(X.shape) < 0.4] = np.nan
    X[:, 0] = 1.0
    expected = X.copy()
    for t in range(1, 7):
        expected[:, t] = np.where(np.isnan(X[:, t]), expected[:, t - 1], X[:, t])
    imputer = SequenceImputer(strategy="forward_fill")
    layouts = [
        np.asarray(X, order=order),
        np.ascontiguousarray(X.transpose(0, 2, 1)).transpose(0, 2, 1),
    ]
    for array in layouts:
        np.testing.assert_array_equal(imputer.fit_transform(array), expected)
        flat = np.asarray(X[:, :, 0], order=order)
        np.testing.assert_array_equal(imputer.fit_transform(flat), expected[:, :, 0])
