"""Errors for wrong X, in fit, predict and transform."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import sparse
from sklearn.base import clone

from bad_calls import SIGNS, SMALL, TOTAL, X, answers, changed, check, object_array
from fusedlstm import (
    LSTMRegressor,
    SequenceImputer,
    SequenceScaler,
)

NOT_EMPTY = "must be an array of shape (n_timesteps, n_features) or (n_timesteps,), not empty; got"
FORMS = {
    "None": (None, "Expected X to be a 2D or 3D array or a list of sequences; got None"),
    "a number": (3.0, "Expected X to be a 2D or 3D array or a list of sequences; got 3.0"),
    "a string": ("text", "Expected X to be a 2D or 3D array or a list of sequences; got 'text'"),
    "a dict": ({"a": X}, "Expected X to be a 2D or 3D array or a list of sequences; got {'a': arr"),
    "a set": ({1, 2}, "Expected X to be a 2D or 3D array or a list of sequences; got {1, 2}"),
    "a generator": ((x for x in X), "Did you mean list(X)?"),
    "1D": (np.ones(5), "got a 1D array of shape (5,). Reshape your data: X.reshape(1, -1) if"),
    "a list of numbers": ([1, 2, 3], "Reshape your data"),
    "4D": (
        X[None],
        "X must be an array of shape (n_samples, n_timesteps, n_features) or (n_samples, n_ti",
    ),
    "no samples": (X[:0], "Found array with 0 sample(s) (shape=(0, 5, 2))"),
    "no steps": (X[:, :0], "Found array with 0 timestep(s)"),
    "no features": (X[:, :, :0], "Found array with 0 feature(s)"),
    "an empty list": ([], "X must be at least one sequence; got []"),
    "empty lists": ([[], []], "Found array with 0 feature(s) (shape=(2, 0))"),
    "NaN": (
        changed(X, (1, 2, 0), np.nan),
        "Input X contains NaN: X[1] contains NaN at step 2, feature 0; SequenceImputer fills "
        "missing values",
    ),
    "NaN before the end": (changed(X, (1, 1), np.nan), "X[1] contains NaN at step 1, feature 0"),
    "NaN in a part of the end": (
        changed(changed(X, (0, -1), np.nan), (1, -1, 1), np.nan),
        "Input X contains NaN: X[1] contains NaN at step 4, feature 1; Seq",
    ),
    "a sequence of NaN": (
        changed(X, 1, np.nan),
        "X[1] must have at least one step that is not NaN",
    ),
    "infinity": (
        changed(X, (0, 3, 1), np.inf),
        "Input X contains infinity: X[0] contains infinity at step 3, feature 1",
    ),
    "minus infinity": (changed(X, (0, 0, 0), -np.inf), "Input X contains infinity"),
    "values too large": (X * 1e300, "X must be numbers within float32's range; got "),
    "complex": (X + 0j, "Complex data not supported: X must be real; got complex128"),
    "text": (X.astype(str), "X must be numbers; got an array of shape (20, 5, 2) and dtype <U"),
    "numbers as text": ([["1", "2"], ["3"]], "X[0] must be numbers; got an array of shape (2,)"),
    "bytes": (X.astype("S"), "X must be numbers; got an array of shape (20, 5, 2) and dtype |S32"),
    "dates": (X.astype("M8[s]"), "X must be numbers; got an array of shape (20, 5, 2) and dtype"),
    "durations": (X.astype("m8[s]"), "X must be numbers; got an array of shape (20, 5, 2) and dty"),
    "records": (np.zeros((3, 5), "f4,f4"), "X must be numbers; got an array of shape (3, 5)"),
    "objects": (np.full((3, 5, 2), object()), "X must be numbers; got an array of shape (3, 5, 2)"),
    "a mask": (
        np.ma.masked_array(X, X > 0),
        "X must be an array without a mask; got a MaskedArray of",
    ),
    "sparse": (sparse.csr_array(np.eye(3)), "Sparse data not supported: X must be dense; got csr_"),
    "an empty sequence": ([X[0], X[1, :0]], f"X[1] {NOT_EMPTY}"),
    "an empty list in a list": ([X[0], []], f"X[1] {NOT_EMPTY} []"),
    "a 3D sequence": ([X, X[0]], f"X[0] {NOT_EMPTY} an array of shape (20, 5, 2)"),
    "a number in a list": ([X[0], 5.0], f"X[1] {NOT_EMPTY} 5.0"),
    "None in a list": ([X[0], None], f"X[1] {NOT_EMPTY} None"),
    "a string in a list": ([X[0], "abc"], f"X[1] {NOT_EMPTY} 'abc'"),
    "a dict in a list": ([X[0], {}], f"X[1] {NOT_EMPTY} {{}}"),
    "unequal lists in a list": ([[[1, 2], [3]], [[1, 2]]], f"X[0] {NOT_EMPTY} [[1, 2], [3]]"),
    "unequal features": (
        [X[0], np.ones((2, 3))],
        "X[1] must be a sequence of 2 features, as X[0]; got an array of shape (2, 3)",
    ),
    "NaN in a list": (
        [X[0], X[1, :2] * np.nan],
        "Input X contains NaN: X[1] contains NaN at step 0, feature 0; SequenceImputer fills",
    ),
    "infinity in a list": (
        [X[0], X[1, :2] * np.inf],
        "Input X contains infinity: X[1] contains infinity at step 0, feature 0",
    ),
    "complex in a list": ([X[0], X[1] + 0j], "Complex data not supported: X[1] must be real"),
    "text in a list": ([X[0], [["a", "b"]]], "X[1] must be numbers; got an array of shape (1, 2)"),
    "a mask in a list": ([X[0], np.ma.array(X[1])], "X[1] must be an array without a mask"),
    "objects in an array": (object_array([X[0], None]), f"X[1] {NOT_EMPTY} None"),
    "too large in a list": ([X[0], X[1, :2] * 1e99], "X must be numbers within float32's"),
}
FORMS_AFTER_FIT = {
    "one sequence": (
        X[0],
        "X must be a 3D array or a list of sequences, as it was in fit; got a 2D",
    ),
    "fewer features": (X[:, :, :1], "X has 1 features, but "),
    "fewer features in a list": ([x[:, :1] for x in X], "is expecting 2 features as input"),
    "sequences of one dimension": ([[1, 2], [3]], "X has 1 features, but "),
}

OF_FLOAT32 = {name: FORMS.pop(name) for name in ("values too large", "too large in a list")}


def forms(table):
    return pytest.mark.parametrize(("bad", "sentence"), table.values(), ids=table)


@forms({**FORMS, **OF_FLOAT32})
def test_errors_for_X_in_fit(fitted, bad, sentence):
    check(fitted, lambda fitted: fitted.clf.fit(bad, SIGNS), sentence)
    check(fitted, lambda fitted: fitted.reg.partial_fit(bad, TOTAL), sentence)


@forms({name: form for name, form in {**FORMS, **OF_FLOAT32}.items() if name != "None"})
def test_errors_for_X_val(fitted, bad, sentence):
    sentence = re.sub(r"\bX\b", "X_val", sentence)
    check(fitted, lambda fitted: fitted.reg.fit(X, TOTAL, X_val=bad, y_val=TOTAL), sentence)


@forms({**FORMS, **OF_FLOAT32, **FORMS_AFTER_FIT})
def test_errors_for_X_in_predict(fitted, bad, sentence):
    check(fitted, lambda fitted: fitted.clf.predict(bad), sentence)
    check(fitted, lambda fitted: fitted.clf.predict_proba(bad), sentence)
    check(fitted, lambda fitted: fitted.clf.predict_log_proba(bad), sentence)
    check(fitted, lambda fitted: fitted.clf.decision_function(bad), sentence)
    check(fitted, lambda fitted: fitted.reg.predict(bad), sentence)


@forms({**FORMS, **FORMS_AFTER_FIT})
def test_errors_for_X_in_transform(fitted, bad, sentence):
    check(fitted, lambda fitted: fitted.scaler.transform(bad), sentence)
    check(fitted, lambda fitted: fitted.scaler.inverse_transform(bad), sentence)


@forms(FORMS)
def test_errors_for_X_in_fit_of_a_transformer(fitted, bad, sentence):
    check(fitted, lambda fitted: fitted.scaler.fit(bad), sentence)


ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.complex_numbers(),
        st.text(max_size=3),
        st.binary(max_size=3),
        st.dates(),
        st.sampled_from([object(), dict, np.float64, np.nan, np.ma.masked, Ellipsis]),
        arrays(
            st.sampled_from(["f2", "f4", ">f8", "g", "i1", "u8", "?", "c8", "U2", "M8[D]"]),
            array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
        ),
    ),
    lambda inside: st.one_of(
        st.lists(inside, max_size=4),
        st.tuples(inside, inside),
        st.dictionaries(st.text(max_size=1), inside, max_size=2),
        st.lists(inside, max_size=4).map(object_array),
    ),
    max_leaves=8,
)


@given(bad=ANYTHING)
@settings(max_examples=400)
def test_any_X_and_y_are_read_or_raise_value_or_type_error(fitted, bad):
    """Any X and y are accepted or raise ValueError or TypeError; no fitted object changes."""
    before = answers(fitted)
    calls = [
        lambda: fitted.clf.predict(bad),
        lambda: fitted.flat.predict(bad),
        lambda: fitted.scaler.transform(bad),
        lambda: fitted.model.predict(bad),
        lambda: fitted.model.predict(X, bad),
        lambda: fitted.model.run(X, bad),
        lambda: clone(fitted.clf).fit(bad, SIGNS),
        lambda: clone(fitted.clf).fit(X, bad),
        lambda: clone(fitted.reg).fit(X, bad),
        lambda: clone(fitted.reg).fit(X, TOTAL, bad),
        lambda: LSTMRegressor(**{**SMALL, "layers": bad}).fit(X, TOTAL),
    ]
    for call in calls:
        with suppress(ValueError, TypeError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()  # any other exception fails the test
    assert answers(fitted) == before


AFTER_2D = {
    "fewer columns": (X[:, :4, 0], "X has 4 features, but LSTMRegressor is expecting 5 features"),
    "more columns": (
        np.ones((3, 6)),
        "X has 6 features, but LSTMRegressor is expecting 5 features",
    ),
    "two features": (X, "X has 2 features, but LSTMRegressor is expecting 1 features"),
    "NaN at the end": (
        changed(X[:, :, 0], (2, -1), np.nan),
        "Input X contains NaN: X[2] contains NaN at step 4; SequenceImputer fills",
    ),
    "infinity": (changed(X[:, :, 0], (0, 0), np.inf), "Input X contains infinity"),
}


@forms(AFTER_2D)
def test_errors_for_X_after_a_fit_on_2d_X(fitted, bad, sentence):
    check(fitted, lambda fitted: fitted.flat.predict(bad), sentence)


def test_errors_for_columns_of_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X[:, :, 0], columns=list("abcde"))
    for estimator, method in ((LSTMRegressor(**SMALL), "predict"), (SequenceScaler(), "transform")):
        call = getattr(estimator.fit(frame, TOTAL), method)
        expected = np.asarray(call(frame)).tobytes()
        for bad, sentence in (
            (frame.rename(columns={"a": "z"}), "Feature names unseen at fit time:\n- z"),
            (frame[list("edcba")], "Feature names must be in the same order as they were in fit"),
            (frame[["a", "b"]], "Feature names seen at fit time, yet now missing"),
            (frame.assign(f=1), "Feature names unseen at fit time:\n- f"),
            (frame.assign(a="text"), "could not convert string to float: 'text'"),
            (frame.assign(a=None), "Input X contains NaN"),
            (X, "X has 2 features, but"),
        ):
            with pytest.raises(ValueError, match=re.escape(sentence)):
                call(bad)
        assert np.asarray(call(frame)).tobytes() == expected


def test_another_number_of_steps_after_a_fit_on_2d_X_is_an_error(fitted):
    message = "X has 3 features, but LSTMRegressor is expecting 5 .* fit on 3-D X: np.asarray"
    with pytest.raises(ValueError, match=message):
        fitted.flat.predict(X[:, :3, 0])


def test_nan_padding_in_2d_X_is_an_error(fitted):
    pandas = pytest.importorskip("pandas")
    hint = r"If NaN at the end of a row is padding, pass a 3-D array, np.asarray\(X\)\[..., np.newa"
    padded, gap = X[:, :, 0].copy(), X[:, :, 0].copy()
    padded[2, 3:] = gap[2, 3] = np.nan
    for rows_of in (padded, pandas.DataFrame(padded)):
        with pytest.raises(ValueError, match=r"X\[2\] contains NaN at step 3; .*" + hint):
            fitted.flat.fit(rows_of, TOTAL)
        clone(fitted.flat).fit(np.asarray(rows_of)[..., np.newaxis], TOTAL)
    with pytest.raises(ValueError, match="SequenceImputer fills missing values$"):
        fitted.flat.fit(gap, TOTAL)


def test_missing_values_of_pandas_are_an_error(fitted):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X[:, :, 0]).astype("Float64")
    frame.iloc[2, 1] = pandas.NA
    with pytest.raises(ValueError, match=r"Input X contains NaN: X\[2\] contains NaN at step 1"):
        fitted.flat.fit(frame, TOTAL)
    filled = SequenceImputer().fit_transform([frame] * 2)
    assert np.isfinite(filled[0]).all()
