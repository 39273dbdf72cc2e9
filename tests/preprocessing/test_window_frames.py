"""Windows of pandas series and data frames."""

from __future__ import annotations

import numpy as np
import pytest

from fusedlstm import last_window, make_windows


def test_windows_of_an_unsorted_time_index_are_an_error():
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2024-01-01", periods=6)
    series = pandas.Series(np.arange(6.0), index=days)
    expected = make_windows(np.arange(6.0), width=2)
    for ordered in (series, series.to_frame()[0], series.set_axis(days.to_period("D"))):
        np.testing.assert_array_equal(make_windows(ordered, width=2)[0], expected[0])
    message = "must be sorted by time; got 2024-01-05.* after 2024-01-06.* Call sort_index"
    for wrong in (
        series[::-1],
        series[::-1].to_frame(),
        series[::-1].set_axis(days.to_period("D")[::-1]),
    ):
        with pytest.raises(ValueError, match="series " + message):
            make_windows(wrong, width=2)
        with pytest.raises(ValueError, match=r"series\[1\] " + message):
            make_windows([wrong.sort_index(), wrong], width=2)
    with pytest.raises(ValueError, match="series " + message):
        last_window(series[::-1], width=2)
    twice = pandas.concat([series, series])
    groups = np.repeat(["a", "b"], 6)
    assert len(make_windows(twice, width=2, groups=groups)[0]) == 8
    with pytest.raises(ValueError, match="group 'b' must be sorted by time"):
        make_windows(pandas.concat([series, series[::-1]]), width=2, groups=groups)
    by_number = pandas.Series(np.arange(6.0), index=np.arange(6)[::-1])
    np.testing.assert_array_equal(make_windows(by_number, width=2)[0], expected[0])


def test_windows_of_data_frames_with_other_columns_are_an_error():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"sales": np.arange(6.0), "price": 100 + np.arange(6.0)})
    X, y = make_windows([frame, frame], 3, target="sales")
    assert X.shape == (6, 3, 2)
    assert y.tolist() == [3, 4, 5] * 2
    for wrong in (frame[["price", "sales"]], frame.rename(columns={"price": "cost"})):
        message = r"series\[1\] must be a data frame with the columns \['sales', 'price'\], in this"
        with pytest.raises(ValueError, match=message):
            make_windows([frame, wrong], 3, target="sales")
        with pytest.raises(ValueError, match=message):
            last_window([frame, wrong], 3)
