"""Data frames: names of columns, and frames that would be read wrongly."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

import fusedlstm
from frame_data import LikePolars, tidy_frame
from fusedlstm import (
    LSTMClassifier,
    LSTMRegressor,
    PadSequences,
    SequenceImputer,
    SequenceScaler,
)

pandas = pytest.importorskip("pandas")
pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"hidden_size": 3, "max_iter": 2, "random_state": 0}


@pytest.fixture
def tidy(rng):
    return tidy_frame(rng)


def frames(rng, n=20, lengths=(4, 7)):
    sizes = [lengths[i % len(lengths)] for i in range(n)]
    return [pandas.DataFrame(rng.standard_normal((size, 2)), columns=["a", "b"]) for size in sizes]


# Names of columns in lists of data frames.


@pytest.mark.parametrize("lengths", [(4, 7), (5, 5)], ids=["unequal", "equal"])
@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (LSTMClassifier(**SMALL), "predict"),
        (LSTMRegressor(**SMALL), "predict"),
        (SequenceScaler(), "transform"),
        (SequenceImputer(), "transform"),
        (PadSequences(), "transform"),
    ],
)
def test_feature_names_in_lists_of_frames_are_checked(estimator, method, lengths, rng):
    X = frames(rng, lengths=lengths)
    estimator.fit(X, np.arange(20) % 2)
    assert estimator.feature_names_in_.tolist() == ["a", "b"]
    assert estimator.n_features_in_ == 2
    call = getattr(estimator, method)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = call(X)
    renamed = [x.rename(columns={"a": "z"}) for x in X]
    swapped = [x[["b", "a"]] for x in X]
    with pytest.raises(ValueError, match="Feature names must be in the same order as they were in"):
        call(swapped)
    with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- z"):
        call(renamed)
    with pytest.raises(ValueError, match=r"X\[1\] must be a data frame with the columns of X\[0\]"):
        call([X[0], *swapped[1:]])
    with pytest.warns(UserWarning, match="X does not have valid feature names, but"):
        arrays = call([x.to_numpy() for x in X])
    for one, other in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    estimator.fit([x.to_numpy() for x in X], np.arange(20) % 2)
    assert not hasattr(estimator, "feature_names_in_")
    with pytest.warns(UserWarning, match="X has feature names, but .* was fitted without"):
        call(swapped)


def test_feature_names_are_saved_and_checked_in_partial_fit(rng, tmp_path):
    X = frames(rng)
    model = LSTMRegressor(**SMALL).partial_fit(X, np.arange(20.0))
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        model.partial_fit([x[["b", "a"]] for x in X], np.arange(20.0))
    model.save(tmp_path / "model.safetensors")
    loaded = fusedlstm.load(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        loaded.predict([x[["b", "a"]] for x in X])
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        LSTMRegressor(**SMALL).fit(
            X, np.arange(20.0), X_val=[x[["b", "a"]] for x in X], y_val=np.arange(20.0)
        )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_pipelines_of_frames_give_no_warning(rng):
    X = frames(rng)
    pipeline = make_pipeline(SequenceScaler(), LSTMRegressor(**SMALL))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(X, np.arange(20.0)).predict(X)
        scaler = pipeline[0]
        np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X))[0], X[0])


# Data frames that would be read wrongly.


@pytest.mark.parametrize("estimator", [LSTMRegressor(**SMALL), SequenceScaler()])
def test_a_tidy_frame_as_X_gives_a_warning(estimator, tidy):
    y = np.zeros(len(tidy))
    with pytest.warns(UserWarning, match="Column 'id' of X looks like an id or a time.*sequences_"):
        estimator.fit(tidy, y)
    unnamed = tidy.sort_values(["id", "time"])[["id", "time", "a"]]
    unnamed.columns = ["p", "q", "r"]
    with pytest.warns(UserWarning, match="Column 'p' of X looks like an id or a time"):
        estimator.fit(unnamed, y)
    dates = tidy.assign(time=pandas.Timestamp("2024-01-01"))
    with pytest.raises(ValueError, match="must be a data frame of numbers; got dates.*'time'.*seq"):
        estimator.fit(dates, y)
    with pytest.raises(ValueError, match="column 'id': could not convert string.*sequences_"):
        estimator.fit(tidy.assign(id="x"), y)
    with pytest.raises(ValueError, match=r"X\[0\] must be a data frame of numbers; got dates"):
        estimator.fit([group for _, group in dates.groupby("id")], np.zeros(12))
    with pytest.raises(TypeError, match=r"X must be an array .*GroupBy.*Use fusedlstm.sequences_"):
        estimator.fit(tidy.groupby("id"), np.zeros(12))


def numbers(rows=24, **columns):
    """Return a data frame with a column of floats and the given columns."""
    values = np.random.default_rng(0).standard_normal(rows)
    return pandas.DataFrame({"a": values, **columns})


TIDY_FRAMES = {
    "user_id": (numbers(user_id=np.arange(24)[::-1] // 6), "Column 'user_id' of X"),
    "patient": (numbers(patient=np.arange(24)[::-1] // 6), "Column 'patient' of X"),
    "one word": (numbers(patientid=np.arange(24)[::-1] // 6), "Column 'patientid' of X"),
    "capitals": (numbers(userId=np.arange(24)[::-1] // 6), "Column 'userId' of X"),
    "a number": (numbers(unit_number=np.arange(24)[::-1] // 6), "Column 'unit_number' of X"),
    "hours": (numbers(hour=np.arange(24) % 6), "Column 'hour' of X"),
    "years": (numbers(year=2000.0 + np.arange(24) // 2), "Column 'year' of X"),
    "steps": (numbers(t=np.arange(24) % 3), "Column 't' of X"),
    "an index of numbers": (
        numbers().set_index([np.arange(24) // 6, np.arange(24) % 6]),
        "The index of X looks like ids and times. Call reset_index",
    ),
    "an index of dates": (
        numbers().set_index([np.arange(24) % 2, pandas.date_range("2024", periods=24)]),
        "The index of X looks like ids and times. Call reset_index",
    ),
}


@pytest.mark.parametrize(("frame", "message"), TIDY_FRAMES.values(), ids=TIDY_FRAMES)
def test_frames_with_an_id_or_a_time_give_a_warning(frame, message):
    with pytest.warns(UserWarning, match=message):
        SequenceScaler().fit(frame)


@pytest.mark.parametrize("column", ["user_id", "timestamp"])
def test_an_id_or_a_time_among_the_features_of_a_list_gives_a_warning(column):
    frame = numbers(user_id=np.arange(24) // 6, timestamp=np.arange(24))
    X = [group[["a", column]] for _, group in frame.groupby("user_id")]
    with pytest.warns(UserWarning, match=rf"Column '{column}' of X\[0\] looks like an id"):
        SequenceScaler().fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SequenceScaler().fit([x[["a"]] for x in X])
        SequenceScaler().fit([x.assign(**{column: [1, 0, 1, 3, 0, 2]}) for x in X])


@pytest.mark.parametrize(
    "frame",
    [
        numbers(hour=np.random.default_rng(0).integers(0, 24, 24)),
        numbers(t=np.random.default_rng(0).standard_normal(24).cumsum()),
        numbers(user=np.random.default_rng(0).standard_normal(24), paid=1, humid=2, valid=0),
        numbers().set_index([np.arange(24) % 6, np.random.default_rng(0).permutation(24)]),
        numbers().set_index(pandas.date_range("2024", periods=24)),
        pandas.concat({"train": numbers(12), "test": numbers(12)}),
        numbers().set_index(
            pandas.MultiIndex.from_product([range(4), range(6)], names=["site", "patient"])
        ),
        pandas.DataFrame(np.random.default_rng(0).standard_normal((20, 6))),
        pandas.DataFrame(np.arange(120).reshape(20, 6), columns=list("abcdef")),
        pandas.DataFrame({"t0": np.arange(20.0), "t1": np.arange(20.0), "t2": 1}),
        pandas.DataFrame({"t0": np.random.default_rng(0).poisson(3, 20), "t1": 0.5, "t2": 1.5}),
        pandas.DataFrame(np.ones((5, 3)), columns=["lag 1", "lag 2", "lag 3"]).astype(
            {"lag 1": int}
        ),
    ],
)
def test_frames_of_time_steps_give_no_warning(frame):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SequenceScaler().fit(frame)
    assert not caught


def test_the_warning_for_a_tidy_frame_is_only_given_in_fit(tidy):
    with pytest.warns(UserWarning, match="looks like an id"):
        scaler = SequenceScaler().fit(tidy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaler.transform(tidy)


class Awkward:
    """Has the interface of an awkward array of unequal lengths."""

    def __array__(self, dtype=None, copy=None):
        raise ValueError("cannot convert to RegularArray")


class FrameWithoutKinds(LikePolars):
    """A data frame whose types have no ``kind``."""

    @property
    def dtypes(self):
        return [object() for _ in self.columns]

    def __getitem__(self, name):
        return self._frame[name].to_numpy()

    def __array__(self, dtype=None, copy=None):
        return self._frame.to_numpy(dtype)


def test_frames_of_other_libraries(tidy):
    with pytest.raises(ValueError, match="column 'id': could not convert string.*sequences_from_f"):
        SequenceScaler().fit(FrameWithoutKinds(tidy.assign(id="x")))
    with pytest.raises(ValueError, match="got dates or times in column 'time'.*sequences_from_f"):
        SequenceScaler().fit(FrameWithoutKinds(tidy.assign(time=pandas.Timestamp("2024-01-01"))))
    numbers = pandas.DataFrame(np.arange(6.0).reshape(2, 3), columns=list("abc"))
    expected = SequenceScaler().fit_transform(numbers.to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = SequenceScaler().fit_transform(FrameWithoutKinds(numbers))
    np.testing.assert_array_equal(given, expected)
    with pytest.raises(ValueError, match="Complex data not supported"):
        SequenceScaler().fit(numbers.astype(complex))


def test_frames_with_arrays_in_cells_are_an_error():
    cells = pandas.DataFrame({"x": [np.ones(3), np.ones(4)], "y": [np.ones(3), np.ones(4)]})
    with pytest.raises(ValueError, match="setting an array element with a sequence") as caught:
        SequenceScaler().fit(cells)
    assert ".." not in str(caught.value).replace("=...", "")
    with pytest.raises(ValueError, match=r"X must be numbers; .* Its elements are arrays\. Pass a"):
        SequenceScaler().fit(cells.to_numpy())
    with pytest.raises(ValueError, match=r"X must be an array or a list .*Pass a list of arrays"):
        SequenceScaler().fit(Awkward())


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_feature_names_of_streamed_steps_are_checked(estimator, rng):
    X = frames(rng)
    model = estimator(**SMALL).fit(X, np.arange(20) % 2)
    step = X[0].iloc[0]
    expected = model.stream().step(step.to_numpy())
    stream = model.stream()
    with pytest.raises(ValueError, match="Feature names must be in the same order as they were in"):
        stream.step(step[["b", "a"]])
    with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- z"):
        stream.step(step.rename({"a": "z"}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(stream.step(step), expected)
        for unnamed in (step.reset_index(drop=True), step.tolist()):
            np.testing.assert_array_equal(model.stream().step(unnamed), expected)
    several = model.stream(2)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        several.step(X[0][["b", "a"]].iloc[:2])
    np.testing.assert_array_equal(several.step(X[0].iloc[:2])[0], expected)
    model.fit([x.to_numpy() for x in X], np.arange(20) % 2)
    model.stream().step(step[["b", "a"]])


def test_columns_of_very_different_scales_give_a_warning():
    rng = np.random.default_rng(0)
    columns = {"age": rng.normal(40, 12, 50), "income": rng.normal(5e4, 2e4, 50)}
    frame = pandas.DataFrame(columns)
    y = np.arange(50) % 2
    message = (
        "deviation of column 'income' of X is 1... times the standard deviation of column 'age'"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        LSTMClassifier(**SMALL).fit(frame, y)
    assert sum("standard deviation" in str(each.message) for each in caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        LSTMClassifier(**SMALL).fit(frame.to_numpy()[:, np.newaxis], y)
        LSTMClassifier(**SMALL).fit(frame.assign(income=frame["income"] / 1000), y)
        digits = load_digits(as_frame=True)
        LSTMClassifier(4, max_iter=1).fit(digits.data, digits.target)
