"""Data frames: sequences from rows."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

from frame_data import LikePolars, tidy_frame
from fusedlstm import (
    LSTMClassifier,
    SequenceImputer,
    sequences_from_frame,
)

pandas = pytest.importorskip("pandas")
pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"hidden_size": 3, "max_iter": 2, "random_state": 0}


@pytest.fixture
def tidy(rng):
    return tidy_frame(rng)


def test_sequences_from_frame_groups_rows_by_id(tidy):
    X, y = sequences_from_frame(tidy, id="id", time="time", target="failed")
    ids = tidy["id"].unique()
    assert len(X) == len(y) == len(ids)
    for key, x, label in zip(ids, X, y, strict=True):
        expected = tidy[tidy["id"] == key].sort_values("time").set_index("time")
        pandas.testing.assert_frame_equal(x, expected[["a", "b"]])
        assert label == (key % 3 == 0)
    model = LSTMClassifier(**SMALL).fit(X, y)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    assert len(cross_val_score(model, X, y, cv=2)) == 2


def test_sequences_from_frame_takes_several_ids_and_targets(tidy):
    tidy["site"] = np.where(tidy["id"] < 6, "north", "south")
    tidy["number"] = tidy["id"] % 6
    X, y = sequences_from_frame(
        tidy, id=["site", "number"], time="time", columns=["b"], target=["failed", "id"]
    )
    assert y.shape == (12, 2)
    alone = sequences_from_frame(tidy, id="id", time="time", columns=["b"])
    for x, expected in zip(X, alone, strict=True):
        pandas.testing.assert_frame_equal(x, expected)


def test_sequences_from_frame_sorts_rows_by_time(tidy):
    days = tidy.assign(time=pandas.Timestamp("2024-01-01") + pandas.to_timedelta(tidy["time"], "D"))
    by_day = sequences_from_frame(days, id="id", time="time", columns=["a"])
    for x, expected in zip(
        by_day, sequences_from_frame(tidy, id="id", time="time", columns=["a"]), strict=True
    ):
        np.testing.assert_array_equal(x, expected)
    assert isinstance(by_day[0].index, pandas.DatetimeIndex)
    as_they_are = sequences_from_frame(tidy, id="id", time=None, columns=["a"])
    first = tidy["id"].iloc[0]
    np.testing.assert_array_equal(as_they_are[0]["a"], tidy.loc[tidy["id"] == first, "a"])


def test_sequences_from_frame_keeps_missing_values_and_dtypes(tidy):
    tidy = tidy.astype({"a": "Float64", "b": "float32", "failed": "boolean"})
    tidy.iloc[0, tidy.columns.get_loc("a")] = pandas.NA
    X = sequences_from_frame(tidy, id="id", time="time")
    assert [str(t) for t in X[0].dtypes] == ["float64"] * 3
    assert sum(int(np.isnan(x).to_numpy().sum()) for x in X) == 1
    only = sequences_from_frame(tidy, id="id", time="time", columns=["b"])
    assert only[0]["b"].dtype == np.float32
    filled = SequenceImputer().fit_transform(X)
    assert np.isfinite(np.concatenate(filled)).all()


def test_sequences_from_frame_reads_other_data_frames_and_dicts(tidy):
    expected = sequences_from_frame(tidy, id="id", time="time")
    arrays = {name: tidy[name].to_numpy() for name in tidy}
    for other in (LikePolars(tidy), arrays):
        for x, y in zip(sequences_from_frame(other, id="id", time="time"), expected, strict=True):
            np.testing.assert_array_equal(x, y)


REFUSED = {
    "no such column": ({"id": "idd"}, "df must have a column 'idd'; got columns ['id', 'time', 'a"),
    "a hint": ({"time": "tyme"}, "Did you mean 'time'?"),
    "a hint for wrong case": ({"time": "TIME"}, "Did you mean 'time'?"),
    "a hint for a misspelling in wrong case": ({"id": "Tmie"}, "Did you mean 'time'?"),
    "an index of names": (
        {"id": pandas.Index(["id", "a"])},
        "id must be a column name or a list of names; got Index(['id', 'a'], dtype='",
    ),
    "a series of names": (
        {"id": pandas.Series(["id"])},
        "id must be a column name or a list of names",
    ),
    "an index as a hint": (
        {"target": pandas.Index(["a"])},
        "Pass list(target) for several columns",
    ),
    "a list as a time": ({"time": ["time"]}, "time must be a column name or None; got ['time']"),
    "a list in a list": (
        {"id": [["id"]]},
        "id must be a column name or a list of names; got [['id'",
    ),
    "a list as a feature": (
        {"columns": [["a"]]},
        "columns must be a list of column names or None;",
    ),
    "no such target": ({"target": "y"}, "df must have a column 'y'"),
    "no such feature": ({"columns": ["a", "c"]}, "df must have a column 'c'"),
    "a target that changes": (
        {"target": "a"},
        "target column 'a' must have one value per sequence",
    ),
    "a target among the features": (
        {"target": "failed", "columns": ["a", "failed"]},
        "columns must not contain the target 'failed'",
    ),
    "no features": ({"columns": []}, "columns must be at least one column; got []"),
    "one name": ({"columns": "a"}, "columns must be a list of column names or None; got 'a'"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_errors_for_wrong_arguments_of_sequences_from_frame(tidy, options, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        sequences_from_frame(tidy, **{"id": "id", "time": "time", **options})


def test_errors_for_wrong_frames_of_sequences_from_frame(tidy):
    def check(frame, message, **options):
        with pytest.raises((ValueError, TypeError), match=re.escape(message)):
            sequences_from_frame(frame, **{"id": "id", "time": "time", **options})

    key, at = tidy["id"].iloc[0], tidy["time"].iloc[0]
    check(
        pandas.concat([tidy, tidy[:1]]),
        f"df must have one row per id and time; got several rows with id {key} and time {at}",
    )
    one = tidy[:1].assign(id=7, time=3)
    check(pandas.concat([tidy, one, one]), "got several rows with id 7 and time 3")
    check(tidy.assign(a="text"), "column 'a' must be numbers; got dtype")
    check(tidy.assign(a=pandas.Timestamp(0)), "column 'a' must be numbers; got dtype datetime64")
    check(tidy.assign(time=tidy["time"].astype(str)), "column 'time' must be numbers or dates")
    missing = tidy.assign(id=tidy["id"].where(tidy["time"] > 0))
    check(missing, "column 'id' must have no missing values; got one in row")
    check(tidy.assign(time=np.nan), "column 'time' must have no missing values; got one in row 0")
    check(tidy.set_index(["id", "time"]), "The index has this name: call df.reset_index() first.")
    check(tidy[:0], "df must have at least one row; got 0")
    check(tidy.to_numpy(), "df must have a column 'id'")
    check(tidy["a"], "df must be a data frame with one row per time step; got")
    check([1, 2], "df must be a data frame with one row per time step; got [1, 2]")
