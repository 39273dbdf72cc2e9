"""Malformed calls, one a row: each gets its sentence, and changes nothing.

A row is a name, a call and what the error must say. Calls act on estimators, models and a scaler
that are fitted already; after each, all of them must give the same bits as before.
"""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.utils.fixes import parse_version

import fusedlstm
from fusedlstm import (
    LSTMClassifier,
    LSTMRegressor,
    PadSequences,
    SequenceImputer,
    SequenceScaler,
    Sequential,
    make_windows,
)
from fusedlstm.layers import CIFGLSTM, GRU, LSTM, RNN, Dense, Dropout, LastStep, PeepholeLSTM
from fusedlstm.losses import Huber, LogLoss, log_loss, squared_error
from fusedlstm.optimizers import LBFGS, SGD, Adam, AdamW, RMSprop, as_optimizer, clip_by_norm
from fusedlstm.schedules import Cosine
from fusedlstm.training import SequenceBatches, epochs, full_batch

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 5, 2))
TOTAL = X.sum(axis=(1, 2))
SIGNS = np.where(TOTAL > 0, "plus", "minus")
LABELS = np.stack([TOTAL > 0, X[:, 0, 0] > 0], axis=1)
SMALL = {"hidden_size": 4, "max_iter": 2, "random_state": 0}
X32 = X.astype("float32")
UNEQUAL = [x[: 2 + i % 4] for i, x in enumerate(X)]
MASKED = np.ma.masked_array(X, X > 0)
MASKED_X = "x must be without a mask; got a MaskedArray of shape ("


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def object_array(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


@pytest.fixture(scope="module")
def w():
    """What the calls act on."""
    return SimpleNamespace(
        clf=LSTMClassifier(**SMALL).fit(X, SIGNS),
        labels=LSTMClassifier(**SMALL).fit(X, LABELS),
        reg=LSTMRegressor(**SMALL).fit(X, TOTAL),
        flat=LSTMRegressor(**SMALL).fit(X[:, :, 0], TOTAL),
        scaler=SequenceScaler().fit(X),
        model=Sequential([LSTM(3), LastStep(), Dense(1)], 2, random_state=0),
    )


def answers(w):
    """Everything that what was fitted says, bit for bit."""
    return [
        w.clf.predict_proba(X).tobytes(),
        w.clf.predict(list(X)).tolist(),
        w.labels.predict_proba(X).tobytes(),
        w.reg.predict(X).tobytes(),
        w.flat.predict(X[:, :, 0]).tobytes(),
        w.scaler.transform(X).tobytes(),
        w.model.predict(X).tobytes(),
        [sorted(vars(each)) for each in vars(w).values()],
        [each.get_params() for each in (w.clf, w.reg, w.labels, w.flat)],
    ]


def check(w, call, sentence):
    before = answers(w)
    with pytest.raises((ValueError, TypeError, OSError)) as raised:
        call(w)
    assert sentence in str(raised.value)
    assert answers(w) == before


def rows(table):
    return pytest.mark.parametrize(("call", "sentence"), table.values(), ids=table)


# Parameters of the estimators

POSITIVE_INT = "must be a positive integer; got"
PARAMETERS = [
    ("hidden_size", 0, f"hidden_size {POSITIVE_INT} 0"),
    ("hidden_size", 2.0, f"hidden_size {POSITIVE_INT} 2.0"),
    ("hidden_size", "64", f"hidden_size {POSITIVE_INT} '64'"),
    ("hidden_size", True, f"hidden_size {POSITIVE_INT} True"),
    ("hidden_size", [64], f"hidden_size {POSITIVE_INT} [64]"),
    ("hidden_size", 10**30, f"hidden_size must be at most 2147483647; got {10**30}"),
    (
        "hidden_size",
        10**9999,
        "hidden_size must be at most 2147483647; got a value that is too long to show",
    ),
    ("num_layers", -1, f"num_layers {POSITIVE_INT} -1"),
    ("num_layers", None, f"num_layers {POSITIVE_INT} None"),
    ("cell", "lstn", "got 'lstn'. Did you mean 'lstm'?"),
    ("cell", "LSTM", "got 'LSTM'. Did you mean 'lstm'?"),
    ("cell", None, "cell must be one of"),
    ("bidirectional", "yes", "bidirectional must be True or False; got 'yes'"),
    ("layers", (), "layers must be a sequence of layers from fusedlstm.layers; got ()"),
    ("layers", (3,), "layers[0] must be a layer; got 3"),
    (
        "layers",
        LSTM(3),
        "layers must be a tuple of layers from fusedlstm.layers or None; got LSTM(",
    ),
    (
        "layers",
        "lstm",
        "layers must be a tuple of layers from fusedlstm.layers or None; got 'lstm'",
    ),
    ("layers", (LSTM,), "Did you mean LSTM(...)?"),
    ("layers", (LastStep(), LSTM(3)), "layers[1] must be a layer for vectors, since LastStep"),
    ("dropout", 1.0, "dropout must be a number in [0, 1); got 1.0"),
    ("dropout", -0.1, "dropout must be a number in [0, 1); got -0.1"),
    ("dropout", "half", "dropout must be a number in [0, 1); got 'half'"),
    ("recurrent_dropout", 1.0, "recurrent_dropout must be a number in [0, 1); got 1.0"),
    ("recurrent_dropout", None, "recurrent_dropout must be a number in [0, 1); got None"),
    ("pooling", "mea", "got 'mea'. Did you mean 'mean'?"),
    ("pooling", None, "pooling must be one of last, mean, max; got None"),
    ("loss", "squared_los", "loss must be one of"),
    ("loss", log_loss.__call__, "loss must be one of"),
    ("loss", LogLoss, "Did you mean LogLoss()?"),
    ("loss", Huber, "Did you mean Huber()?"),
    ("optimizer", "adan", "got 'adan'. Did you mean 'adam'?"),
    ("optimizer", SGD, "Did you mean SGD()?"),
    ("optimizer", None, "optimizer must be an optimizer from fusedlstm.optimizers or one of sgd, "),
    ("learning_rate", 0, "learning_rate must be a positive number; got 0"),
    ("learning_rate", "adaptive", "learning_rate must be a positive number; got 'adaptive'"),
    ("learning_rate", np.nan, "learning_rate must be a positive number; got nan"),
    ("learning_rate", np.inf, "learning_rate must be a positive number; got inf"),
    ("learning_rate", np.ones(1), "learning_rate must be a positive number; got an array of shape"),
    (
        "schedule",
        "cosin",
        "schedule must be one of step, exponential, cosine, cosine_restarts, one_cyc",
    ),
    ("schedule", Cosine, "Did you mean Cosine()?"),
    (
        "schedule",
        0.9,
        "schedule must be one of step, exponential, cosine, cosine_restarts, one_cycle",
    ),
    ("weight_decay", -1, "weight_decay must be a number of at least 0; got -1"),
    ("weight_decay", None, "weight_decay must be a number of at least 0; got None"),
    ("weight_decay", "automatic", "weight_decay must be a number of at least 0; got 'automatic'"),
    ("clip_norm", 0.0, "clip_norm must be a positive number; got 0.0"),
    ("clip_norm", "big", "clip_norm must be a positive number; got 'big'"),
    ("batch_size", 0, "batch_size must be a positive integer or 'auto'; got 0"),
    ("batch_size", "all", "batch_size must be a positive integer or 'auto'; got 'all'"),
    (
        "batch_size",
        np.ones(2, int),
        "batch_size must be a positive integer or 'auto'; got an array",
    ),
    ("max_iter", 0, f"max_iter {POSITIVE_INT} 0"),
    ("max_iter", 1e3, f"max_iter {POSITIVE_INT} 1000.0"),
    ("tbptt_steps", 0, f"tbptt_steps {POSITIVE_INT} 0"),
    ("tbptt_steps", "auto", f"tbptt_steps {POSITIVE_INT} 'auto'"),
    ("shuffle", 1, "shuffle must be True or False; got 1"),
    ("early_stopping", None, "early_stopping must be True or False; got None"),
    ("scoring", "acuracy", "got 'acuracy'. Did you mean 'accuracy'?"),
    (
        "scoring",
        accuracy_score,
        "Use sklearn.metrics.make_scorer(accuracy_score) for a function of",
    ),
    ("scoring", 3, "scoring must be a name from sklearn.metrics.get_scorer_names(), a function"),
    ("validation_fraction", 1, "validation_fraction must be a number in (0, 1); got 1"),
    ("validation_fraction", "10%", "validation_fraction must be a number in (0, 1); got '10%'"),
    ("validation_split", "first", "validation_split must be one of random, last; got 'first'"),
    ("standardize", "yes", "standardize must be True, False or 'auto'; got 'yes'"),
    ("standardize", 1, "standardize must be True, False or 'auto'; got 1"),
    ("n_iter_no_change", 0, f"n_iter_no_change {POSITIVE_INT} 0"),
    ("tol", -1e-4, "tol must be a number of at least 0; got -0.0001"),
    ("tol", None, "tol must be a number of at least 0; got None"),
    ("dtype", "float16", "dtype must be 'float32' or 'float64'; got 'float16'"),
    ("dtype", None, "dtype must be 'float32' or 'float64'; got None"),
    ("dtype", "int32", "dtype must be 'float32' or 'float64'; got 'int32'"),
    ("n_threads", 0, f"n_threads {POSITIVE_INT} 0"),
    ("n_threads", -1, f"n_threads {POSITIVE_INT} -1"),
    ("n_threads", 10**30, f"n_threads must be at most 2147483647; got {10**30}"),
    (
        "random_state",
        "seed",
        "random_state must be an integer from 0 to 4294967295, a numpy Random",
    ),
    ("random_state", -1, "random_state must be an integer from 0 to 4294967295, a numpy RandomSt"),
    ("random_state", np.random.default_rng(0), "a numpy RandomState or None; got Generator(PCG64)"),
    ("warm_start", None, "warm_start must be True or False; got None"),
    ("verbose", -1, "verbose must be an integer of at least 0; got -1"),
    ("verbose", "yes", "verbose must be an integer of at least 0; got 'yes'"),
]
OF_CLASSIFIERS = [
    ("loss", "categorical_crossentropy", "Did you mean 'cross_entropy', an alias of 'log_loss'?"),
    ("loss", "binary_crossentropy", "Did you mean 'cross_entropy', an alias of 'log_loss'?"),
    ("loss", "BCE", "Did you mean 'cross_entropy', an alias of 'log_loss'?"),
    (
        "class_weight",
        "balance",
        "a dict, 'balanced' or None; got 'balance'. Did you mean 'balanced'?",
    ),
    ("class_weight", 3, "class_weight must be a dict, 'balanced' or None; got 3"),
    ("class_weight", [1, 2], "class_weight must be a dict, 'balanced' or None; got [1, 2]"),
    ("class_weight", {"zero": 1}, "The classes, ['minus', 'plus'], are not in class_weight"),
    ("class_weight", {"plus": -1}, "class_weight['plus'] must be a number of at least 0; got -1"),
    ("class_weight", {"plus": "1"}, "class_weight['plus'] must be a number of at least 0; got '1'"),
    (
        "class_weight",
        {"plus": np.nan},
        "class_weight['plus'] must be a number of at least 0; got n",
    ),
    ("class_weight", {"plus": 0, "minus": 0}, "must contain at least one non-zero number"),
]
OF_REGRESSORS = [
    ("normalize_y", "yes", "normalize_y must be True or False; got 'yes'"),
    ("normalize_y", np.ones(2), "normalize_y must be True or False; got an array of shape (2,)"),
]


def with_parameter(estimator, y, name, value):
    """Fit a fitted estimator after one of its parameters was set to something bad."""

    def call(w):
        model = getattr(w, estimator)
        good = model.get_params()[name]
        model.set_params(**{name: value})
        try:
            model.fit(X, y)
        finally:
            model.set_params(**{name: good})

    return call


def parameter_rows():
    for estimator, y, own in (("clf", SIGNS, OF_CLASSIFIERS), ("reg", TOTAL, OF_REGRESSORS)):
        for number, (name, value, sentence) in enumerate([*PARAMETERS, *own]):
            call = with_parameter(estimator, y, name, value)
            yield f"{estimator} {name} {number}", (call, sentence)


@pytest.mark.parametrize(
    ("estimator", "own"), [(LSTMClassifier, OF_CLASSIFIERS), (LSTMRegressor, OF_REGRESSORS)]
)
def test_every_parameter_has_a_row(estimator, own):
    assert {name for name, _, _ in [*PARAMETERS, *own]} == estimator().get_params().keys()


@rows(dict(parameter_rows()))
def test_parameters(w, call, sentence):
    check(w, call, sentence)


MISSPELT = {
    "in the constructor": (
        lambda w: LSTMClassifier(hiden_size=3),
        "unexpected keyword argument 'hiden_size'",
    ),
    "in set_params": (lambda w: w.clf.set_params(hiden_size=3), "Invalid parameter 'hiden_size'"),
    "without its name": (lambda w: LSTMRegressor(64, 2), "positional arguments but 3 were given"),
    "in fit": (lambda w: w.clf.fit(X, SIGNS, X_vall=X), "unexpected keyword argument 'X_vall'"),
    "in a layer": (
        lambda w: LSTM(3, bidirectonal=True),
        "unexpected keyword argument 'bidirectona",
    ),
    "in an optimizer": (lambda w: Adam(lr=0.1), "unexpected keyword argument 'lr'"),
}


@rows(MISSPELT)
def test_misspelt_parameters(w, call, sentence):
    check(w, call, sentence)


# X, in fit, in predict and in transform

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
    "4D": (X[None], "X must be an array of shape (n_samples, n_timesteps, n_features), a list of"),
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
    "numbers too large": (X * 1e300, "X must be numbers within float32's range; got "),
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


OF_FLOAT32 = {name: FORMS.pop(name) for name in ("numbers too large", "too large in a list")}


def forms(table):
    return pytest.mark.parametrize(("bad", "sentence"), table.values(), ids=table)


@forms({**FORMS, **OF_FLOAT32})
def test_forms_of_X_in_fit(w, bad, sentence):
    check(w, lambda w: w.clf.fit(bad, SIGNS), sentence)
    check(w, lambda w: w.reg.partial_fit(bad, TOTAL), sentence)


@forms({name: form for name, form in {**FORMS, **OF_FLOAT32}.items() if name != "None"})
def test_forms_of_X_val(w, bad, sentence):
    sentence = re.sub(r"\bX\b", "X_val", sentence)
    check(w, lambda w: w.reg.fit(X, TOTAL, X_val=bad, y_val=TOTAL), sentence)


@forms({**FORMS, **OF_FLOAT32, **FORMS_AFTER_FIT})
def test_forms_of_X_in_predict(w, bad, sentence):
    check(w, lambda w: w.clf.predict(bad), sentence)
    check(w, lambda w: w.clf.predict_proba(bad), sentence)
    check(w, lambda w: w.clf.predict_log_proba(bad), sentence)
    check(w, lambda w: w.clf.decision_function(bad), sentence)
    check(w, lambda w: w.reg.predict(bad), sentence)


@forms({**FORMS, **FORMS_AFTER_FIT})
def test_forms_of_X_in_a_transformer(w, bad, sentence):
    check(w, lambda w: w.scaler.transform(bad), sentence)
    check(w, lambda w: w.scaler.inverse_transform(bad), sentence)


@forms(FORMS)
def test_forms_of_X_in_fitting_a_transformer(w, bad, sentence):
    check(w, lambda w: w.scaler.fit(bad), sentence)


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
def test_anything_for_X_and_y(w, bad):
    """Whatever comes is read, or refused with a ValueError or TypeError."""
    calls = [
        lambda: w.clf.predict(bad),
        lambda: w.flat.predict(bad),
        lambda: w.scaler.transform(bad),
        lambda: w.model.predict(bad),
        lambda: w.model.predict(X, bad),
        lambda: w.model.run(X, bad),
        lambda: clone(w.clf).fit(bad, SIGNS),
        lambda: clone(w.clf).fit(X, bad),
        lambda: clone(w.reg).fit(X, bad),
        lambda: clone(w.reg).fit(X, TOTAL, bad),
        lambda: LSTMRegressor(**{**SMALL, "layers": bad}).fit(X, TOTAL),
    ]
    for call in calls:
        with suppress(ValueError, TypeError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()


# X after a fit on 2-D X or on a data frame

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
def test_forms_of_X_after_2d(w, bad, sentence):
    check(w, lambda w: w.flat.predict(bad), sentence)


def test_columns_of_data_frames():
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


# y

ONES = np.ones(20)
TARGETS = {
    "none": (lambda w: w.clf.fit(X, None), "requires y to be passed, but the target y is None"),
    "none, in parts": (lambda w: w.reg.partial_fit(X, None), "requires y to be passed, but the t"),
    "too few": (lambda w: w.clf.fit(X, SIGNS[:-1]), "inconsistent numbers of samples: [20, 19]"),
    "too many": (lambda w: w.reg.fit(X[:-1], TOTAL), "inconsistent numbers of samples: [19, 20]"),
    "empty": (lambda w: w.clf.fit(X, []), "inconsistent numbers of samples: [20, 0]"),
    "a number": (
        lambda w: w.clf.fit(X, 3),
        "Expected array-like (array or non-string sequence), g",
    ),
    "a string": (lambda w: w.clf.fit(X, "a"), "Expected array-like (array or non-string sequence)"),
    "one class": (
        lambda w: w.clf.fit(X, np.zeros(20)),
        "needs at least 2 classes in y; got 1 class",
    ),
    "numbers as classes": (lambda w: w.clf.fit(X, TOTAL), "Unknown label type: continuous"),
    "None as classes": (lambda w: w.clf.fit(X, [None] * 20), "Unknown label type"),
    "dicts as classes": (lambda w: w.clf.fit(X, [{}] * 20), "Unknown label type"),
    "bytes as classes": (lambda w: w.clf.fit(X, [b"a", b"b"] * 10), "represented as bytes is not"),
    "NaN as a class": (lambda w: w.clf.fit(X, changed(ONES, 1, np.nan)), "Input y contains NaN"),
    "infinity as a class": (lambda w: w.clf.fit(X, changed(ONES, 1, np.inf)), "contains infinity"),
    "complex classes": (lambda w: w.clf.fit(X, ONES + 0j), "Complex data not supported"),
    "several classes each": (lambda w: w.clf.fit(X, np.arange(40).reshape(20, 2) % 3), "y should "),
    "classes of steps": (
        lambda w: w.clf.fit(X, np.where(X[:, :, 0] > 0, "plus", "minus")),
        "y must have one label per sequence; got one per step of each sequence. To predict at ev",
    ),
    "classes of unequal steps": (
        lambda w: w.clf.fit(UNEQUAL, [np.where(x[:, 0] > 0, 1, 0) for x in UNEQUAL]),
        "To predict at every step use LSTMTagger.",
    ),
    "numbers of unequal steps": (
        lambda w: w.reg.fit(UNEQUAL, [x[:, 0] for x in UNEQUAL]),
        "y must have one target per sequence; got one per step of each sequence. To predict at ev",
    ),
    "numbers of unequal steps in an array of objects": (
        lambda w: w.reg.fit(UNEQUAL, object_array([x[:, 0] for x in UNEQUAL])),
        "To predict at every step use LSTMStepRegressor.",
    ),
    "numbers of unequal steps in y_val": (
        lambda w: w.reg.fit(X, TOTAL, X_val=UNEQUAL, y_val=[x[:, 0] for x in UNEQUAL]),
        "y_val must have one target per sequence; got one per step",
    ),
    "a cube of classes": (lambda w: w.clf.fit(X, np.zeros((20, 2, 2))), "dim"),
    "text": (lambda w: w.reg.fit(X, SIGNS), "y must be an array of numbers; got an array of shape"),
    "NaN": (lambda w: w.reg.fit(X, changed(TOTAL, 1, np.nan)), "Input y contains NaN"),
    "infinity": (lambda w: w.reg.fit(X, changed(TOTAL, 1, np.inf)), "Input y contains infinity"),
    "too large": (lambda w: w.reg.fit(X, TOTAL * 1e200), "y must be numbers with finite squares"),
    "complex": (lambda w: w.reg.fit(X, TOTAL + 0j), "Complex data not supported"),
    "a cube": (lambda w: w.reg.fit(X, np.zeros((20, 2, 2))), "y must be of shape (n_samples,) or "),
    "several steps of several targets": (
        lambda w: w.reg.fit(X, np.zeros((20, 2, 2))),
        "Pass y.reshape(len(y), -1).",
    ),
    "no columns": (lambda w: w.reg.fit(X, np.zeros((20, 0))), "Found array with 0 feature(s)"),
    "unequal rows": (lambda w: w.reg.fit(X, [[1], [2, 3]] * 10), "y must be an array of numbers"),
    "one number": (lambda w: w.reg.fit(X, 5), "y must be of shape (n_samples,) or (n_samples, n_"),
    "another class in y_val": (
        lambda w: w.clf.fit(X, SIGNS, X_val=X[:1], y_val=["zero"]),
        "y_val must be of the classes of fit; got 'zero'",
    ),
    "another kind of class in y_val": (
        lambda w: w.clf.fit(X, SIGNS, X_val=X[:1], y_val=[3]),
        "y_val must be of the classes of fit; got 3",
    ),
    "another number of outputs in y_val": (
        lambda w: w.reg.fit(X, TOTAL, X_val=X, y_val=np.zeros((20, 2))),
        "y_val must have 1 outputs, as in fit; got 2",
    ),
    "another number of labels in y_val": (
        lambda w: w.labels.fit(X, LABELS, X_val=X, y_val=np.zeros((20, 3), int)),
        "y_val must be a matrix of zeros and ones, a column for each of 2 labels; got",
    ),
    "labels for classes": (
        lambda w: w.clf.fit(X, SIGNS, X_val=X, y_val=LABELS),
        "y_val must be labels (n_samples,), as in fit; got an array of shape (20, 2)",
    ),
    "too few in y_val": (
        lambda w: w.clf.fit(X, SIGNS, X_val=X, y_val=SIGNS[:3]),
        "inconsistent numbers of samples: [20, 3]",
    ),
    "X_val alone": (
        lambda w: w.clf.fit(X, SIGNS, X_val=X),
        "y_val must be given with X_val; got N",
    ),
    "y_val alone": (lambda w: w.clf.fit(X, SIGNS, y_val=SIGNS), "X_val must be given with y_val"),
    "weights of X_val alone": (
        lambda w: w.clf.fit(X, SIGNS, sample_weight_val=ONES),
        "X_val must be given with y_val and sample_weight_val; got None",
    ),
    "another class in parts": (
        lambda w: w.clf.partial_fit(X, ["zero"] * 20),
        "y must be of the classes of fit; got 'zero'",
    ),
    "other classes in parts": (
        lambda w: w.clf.partial_fit(X, SIGNS, classes=["a", "b"]),
        "classes must be those of the first call",
    ),
    "no classes in parts": (
        lambda w: LSTMClassifier(**SMALL).partial_fit(X, SIGNS),
        "classes must be passed on the first call to partial_fit; got None",
    ),
    "one class in parts": (
        lambda w: LSTMClassifier(**SMALL).partial_fit(X, SIGNS, classes=["plus"]),
        "needs at least 2 classes",
    ),
    "balanced in parts": (
        lambda w: LSTMClassifier(class_weight="balanced").partial_fit(X, SIGNS, classes=SIGNS),
        "class_weight must be a dict or None for partial_fit",
    ),
    "early stopping in parts": (
        lambda w: LSTMRegressor(early_stopping=True).partial_fit(X, TOTAL),
        "early_stopping must be False for partial_fit; got True",
    ),
    "too few to set aside": (
        lambda w: LSTMRegressor(early_stopping=True).fit(X[:1], TOTAL[:1]),
        "must be a number that leaves at least one of 1 sequences in each part; got 0.1",
    ),
    "too few of a class to set aside": (
        lambda w: LSTMClassifier(early_stopping=True).fit(X, ["a"] + ["b"] * 19),
        "y must have at least 2 sequences of every class for early_stopping",
    ),
    "too small a part for all classes": (
        lambda w: LSTMClassifier(early_stopping=True).fit(X, np.repeat(range(5), 4)),
        "validation_fraction must be at least 0.25 for 20 sequences of 5 classes; got 0.1",
    ),
    "too large a part for all classes": (
        lambda w: LSTMClassifier(early_stopping=True, validation_fraction=0.9).fit(
            X, np.repeat(range(5), 4)
        ),
        "validation_fraction must be at most 0.75 for 20 sequences of 5 classes; got 0.9",
    ),
    "a layer that does not fit, in parts": (
        lambda w: w.reg.set_params(hidden_size=4).partial_fit(X[:, :, :1], TOTAL),
        "X has 1 features, but LSTMRegressor is expecting 2 features as input",
    ),
}
if parse_version(sklearn.__version__) < parse_version("1.7"):
    del TARGETS["bytes as classes"]  # it only warns of them


@rows(TARGETS)
def test_targets(w, call, sentence):
    check(w, call, sentence)


WEIGHTS = {
    "too few": (np.ones(19), "sample_weight.shape == (19,), expected (20,)!"),
    "a matrix": (np.ones((20, 1)), "sample_weight must be None, a number or an array of shape"),
    "validation data": (X, "Pass validation data by name: fit(X, y, X_val=..., y_val=...)."),
    "a list of sequences": ([*X], "Pass validation data by name: fit(X, y, X_val=..., y_val=...)."),
    "negative": (changed(ONES, 3, -1), "Negative values in data passed to `sample_weight`"),
    "zeros": (np.zeros(20), "Sample weights must contain at least one non-zero number"),
    "NaN": (changed(ONES, 3, np.nan), "Input sample_weight contains NaN"),
    "infinity": (changed(ONES, 3, np.inf), "Input sample_weight contains infinity"),
    "complex": (ONES + 0j, "Complex data not supported: sample_weight must be real"),
    "a string": ("balanced", "sample_weight must be an array of numbers; got 'balanced'"),
    "strings": (["a"] * 20, "sample_weight must be an array of numbers; got ['a', 'a'"),
    "a dict": ({0: 1}, "sample_weight must be an array of numbers; got {0: 1}"),
    "unequal rows": (
        [[1], [2, 3]] * 10,
        "sample_weight must be None, a number or an array of shape (20,); g",
    ),
}


@pytest.mark.parametrize(("weights", "sentence"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights(w, weights, sentence):
    check(w, lambda w: w.clf.fit(X, SIGNS, weights), sentence)
    check(w, lambda w: w.reg.partial_fit(X, TOTAL, weights), sentence)
    of_validation = {"X_val": X, "y_val": TOTAL, "sample_weight_val": weights}
    check(w, lambda w: w.reg.fit(X, TOTAL, **of_validation), sentence)


# Before fit

UNFITTED = {
    f"{type(estimator).__name__}.{method}": (
        lambda w, estimator=estimator, method=method: getattr(estimator, method)(X),
        f"This {type(estimator).__name__} instance is not fitted yet",
    )
    for estimator, methods in (
        (LSTMClassifier(), ("predict", "predict_proba", "predict_log_proba", "decision_function")),
        (LSTMRegressor(), ("predict",)),
        (SequenceScaler(), ("transform", "inverse_transform")),
        (SequenceImputer(), ("transform",)),
        (PadSequences(), ("transform", "inverse_transform")),
    )
    for method in (*methods, "save")
}


@rows(UNFITTED)
def test_before_fit(w, call, sentence):
    check(w, call, sentence)
    with pytest.raises(NotFittedError):
        call(w)


# Models


def state(h=(1, 20, 3), c=(1, 20, 3)):
    return ((np.zeros(h), np.zeros(c)), None, None)


def backward(dy=None, grads=None):
    """Call backward with a gradient or a place for gradients that does not do."""

    def call(w):
        y, saved = w.model.forward(X)
        good = np.zeros_like(w.model.params)
        w.model.backward(saved, np.ones_like(y) if dy is None else dy,
                         good if grads is None else grads(good))  # fmt: skip

    return call


def backward_twice(w):
    y, saved = w.model.forward(X)
    for _ in range(2):
        w.model.backward(saved, np.ones_like(y), np.zeros_like(w.model.params))


FLAT_ARRAY = (
    "grads must be a flat, contiguous, aligned and writeable array of 76 numbers of float32; got"
)
NAMED = {"0.weight": [[1, 2]], "0.bias": [1]}
MODELS = {
    "no layers": (lambda w: Sequential([], 3), "layers must be a sequence of layers from fusedlst"),
    "layers of None": (lambda w: Sequential(None, 3), "layers must be a sequence of layers from"),
    "a layer alone": (lambda w: Sequential(LSTM(3), 3), "layers must be a sequence of layers from"),
    "a class": (lambda w: Sequential([LSTM], 3), "Did you mean LSTM(...)?"),
    "a string": (lambda w: Sequential(["lstm"], 3), "layers[0] must be a layer; got 'lstm'"),
    "no steps left": (
        lambda w: Sequential([LastStep(), LSTM(3)], 3),
        "layers[1] must be a layer for vectors, since LastStep stands before it; got LSTM(",
    ),
    "two last steps": (
        lambda w: Sequential([LSTM(3), LastStep(), LastStep()], 3),
        "layers[2] must be a layer for vectors",
    ),
    "no input": (lambda w: Sequential([LSTM(3)], 0), "input_size must be a positive integer; got "),
    "half precision": (lambda w: Sequential([LSTM(3)], 3, "float16"), "dtype must be 'float32' or"),
    "unknown dtype": (lambda w: Sequential([LSTM(3)], 3, "real"), "'float64'; got 'real'"),
    "a seed of text": (
        lambda w: Sequential([LSTM(3)], 3, random_state="seed"),
        "random_state must be an integer of at least 0, a numpy Generator or None; got 'seed'",
    ),
    "a negative seed": (lambda w: Sequential([LSTM(3)], 3, random_state=-1), "of at least 0, a nu"),
    "no parameters": (
        lambda w: Sequential.from_named_params([Dense(1)], 2, {}),
        "named['0.bias'] must be an array of shape (1,); got None",
    ),
    "parameters of no layer": (
        lambda w: Sequential.from_named_params([Dense(1)], 2, {**NAMED, "x": 3}),
        "named must be of parameters of these layers; got 'x'",
    ),
    "parameters of another shape": (
        lambda w: Sequential.from_named_params([Dense(1)], 3, NAMED),
        "named['0.weight'] must be an array of shape (1, 3); got an array of shape (1, 2)",
    ),
    "parameters of text": (
        lambda w: Sequential.from_named_params([Dense(1)], 2, {"0.bias": "a"}),
        "named['0.bias'] must be an array of numbers; got 'a'",
    ),
    "parameters without names": (
        lambda w: Sequential.from_named_params([Dense(1)], 2, [1, 2]),
        "named must be a dict of arrays by name; got [1, 2]",
    ),
    "a mask": (lambda w: w.model.predict(MASKED), MASKED_X),
    "a mask, in the model's dtype": (lambda w: w.model.predict(MASKED.astype("f")), MASKED_X),
    "a mask of a predictor": (lambda w: w.model.predictor().predict(MASKED), MASKED_X),
    "a mask with lengths": (lambda w: w.model.predict(MASKED, [5] * 20), MASKED_X),
    "a list of masks": (lambda w: w.model.predict(list(MASKED)), MASKED_X),
    "a masked mask": (
        lambda w: w.model.predict(X, mask=np.ma.masked_array(X[:, :, 0] > -9, X[:, :, 0] > 0)),
        "mask must be without a mask; got a MaskedArray",
    ),
    "None in an array": (
        lambda w: w.model.predict(changed(X.astype(object), (0, 0, 0), None)),
        "x must be an array of numbers; got an array of shape (20, 5, 2) and dtype object. It hol",
    ),
    "None in a list": (
        lambda w: w.model.predict([[[1.0, None]]]),
        "x must be an array of numbers; got [[[1.0, None]]]. It holds None.",
    ),
    "None in a step": (
        lambda w: w.reg.stream().step([1.0, None]),
        "x must be an array of numbers; got [1.0, None]. It holds None.",
    ),
    "masked targets": (
        lambda w: w.reg.fit(X, np.ma.masked_array(TOTAL, TOTAL > 0)),
        "y must be without a mask; got a MaskedArray of shape (20,) and dtype float64. Call its",
    ),
    "masked labels": (
        lambda w: w.clf.fit(X, np.ma.masked_array(SIGNS, TOTAL > 0)),
        "y must be without a mask; got a MaskedArray of shape (20,) and dtype <U5. Call its me",
    ),
    "masked weights": (
        lambda w: w.clf.fit(X, SIGNS, np.ma.masked_array(np.ones(20), TOTAL > 0)),
        "sample_weight must be without a mask; got a MaskedArray",
    ),
    "None in targets": (
        lambda w: w.reg.fit(X, [*TOTAL[:-1], None]),
        "y must be an array of numbers; got [",
    ),
    "one sequence": (
        lambda w: w.model.predict(X32[0]),
        "x must be an array of shape (n_sequences, n_timesteps, 2); got an array of shape (5, 2) "
        "and dtype float32. For one sequence pass x[np.newaxis].",
    ),
    "features": (lambda w: w.model.predict(X[:, :, :1]), "n_timesteps, 2); got an array of shape "),
    "no sequences": (lambda w: w.model.predict(X[:0]), "x must be at least one sequence of at lea"),
    "no steps": (lambda w: w.model.predict(X[:, :0]), "x must be at least one sequence of at leas"),
    "complex": (lambda w: w.model.predict(X + 0j), "Complex data not supported: x must be real"),
    "text": (lambda w: w.model.predict([[["a"] * 2]]), "x must be an array of numbers; got [[['a'"),
    "None": (lambda w: w.model.predict(None), "x must be an array of numbers; got None"),
    "unequal lists": (lambda w: w.model.predict([[[1]], [[1, 2]]]), "x must be an array of number"),
    "few lengths": (lambda w: w.model.predict(X, [1, 2]), "lengths must be 20 integers, one per s"),
    "a length": (lambda w: w.model.predict(X, 5), "lengths must be 20 integers, one per sequence;"),
    "lengths of 0": (lambda w: w.model.predict(X, [0] * 20), "between 1 and 5, the number of step"),
    "long lengths": (lambda w: w.model.predict(X, [6] * 20), "the number of steps; got 6"),
    "real lengths": (lambda w: w.model.predict(X, [1.0] * 20), "lengths must be 20 integers, one "),
    "lengths of text": (lambda w: w.model.forward(X, ["a"] * 20), "lengths must be 20 integers, o"),
    "unequal lengths": (lambda w: w.model.run(X, None, [[1], [2, 3]]), "lengths must be 20 intege"),
    "a short state": (lambda w: w.model.run(X, (None,)), "state must be 3 entries, one a layer"),
    "a number as state": (lambda w: w.model.run(X, 5), "state must be 3 entries, one a layer; got"),
    "numbers as state": (lambda w: w.model.run(X, (1, 2, 3)), "state[0] must be a tuple of arrays"),
    "a state of another batch": (
        lambda w: w.model.run(X, state((1, 3, 3), (1, 3, 3))),
        "state[0] must be a tuple of arrays of shapes (1, 20, 3), (1, 20, 3)",
    ),
    "a state of h alone": (
        lambda w: w.model.run(X, ((np.zeros((1, 20, 3)),), None, None)),
        "state[0] must be a tuple of arrays",
    ),
    "a state without c": (
        lambda w: w.model.run(X, ((np.zeros((1, 20, 3)), None), None, None)),
        "state[0] must be an array of numbers; got None",
    ),
    "a generator of another kind": (
        lambda w: w.model.forward(X, rng=np.random.RandomState(0)),
        "rng must be a numpy Generator or None; got RandomState",
    ),
    "dy of another shape": (backward(dy=np.ones((20, 3))), "dy must be an array of shape (20, 1);"),
    "dy of None": (backward(dy=[None] * 20), "dy must be an array of numbers; got [None, "),
    "short grads": (backward(grads=lambda good: good[:-1].copy()), FLAT_ARRAY),
    "grads of another dtype": (backward(grads=lambda good: good.astype(float)), FLAT_ARRAY),
    "grads as a list": (backward(grads=lambda good: good.tolist()), FLAT_ARRAY),
    "grads with gaps": (backward(grads=lambda good: np.repeat(good, 2)[::2]), FLAT_ARRAY),
    "saved twice": (backward_twice, "saved must be fresh from forward; got one that backward has "),
    "saved of no forward": (
        lambda w: w.model.backward(None, X, X),
        "saved must be what forward returned; got None",
    ),
    "short params": (lambda w: setattr(w.model, "params", [1, 2]), "params must be 76 numbers; go"),
    "params of None": (lambda w: setattr(w.model, "params", None), "params must be an array of nu"),
    "a short view": (lambda w: w.model.views(np.ones(3)), "flat must be an array of 76 numbers; g"),
}


@rows(MODELS)
def test_models(w, call, sentence):
    check(w, call, sentence)


# Layers, optimizers, batches


def step(optimizer, params=None, grads=None, state=None, learning_rate=0.1):
    """Take a step with something that does not do."""
    good = np.ones(3)

    def call(w):
        optimizer.step(
            good if params is None else params,
            good if grads is None else grads,
            optimizer.init(good) if state is None else state,
            learning_rate,
        )

    return call


PARTS = {
    "LSTM(0)": (lambda w: LSTM(0), "hidden_size must be a positive integer; got 0"),
    "LSTM(2.5)": (lambda w: LSTM(2.5), "hidden_size must be a positive integer; got 2.5"),
    "LSTM(True)": (lambda w: LSTM(True), "hidden_size must be a positive integer; got True"),
    "LSTM(3, 1)": (lambda w: LSTM(3, 1), "bidirectional must be True or False; got 1"),
    "LSTM('3')": (lambda w: LSTM("3"), "hidden_size must be a positive integer; got '3'"),
    "GRU(0)": (lambda w: GRU(0), "hidden_size must be a positive integer; got 0"),
    "RNN(None)": (lambda w: RNN(None), "hidden_size must be a positive integer; got None"),
    "a mean": (
        lambda w: GRU(3, True, merge="mean"),
        "merge must be one of concat, sum, average; got 'mean'",
    ),
    "a merge of None": (lambda w: RNN(3, merge=None), "merge must be one of concat, sum, average"),
    "reverse of text": (
        lambda w: GRU(3, reverse="yes"),
        "reverse must be True or False; got 'yes'",
    ),
    "reverse of both directions": (
        lambda w: LSTM(3, True, reverse=True),
        "reverse must be False with bidirectional=True; got True",
    ),
    "a trainable state of 1": (
        lambda w: RNN(3, trainable_state=1),
        "trainable_state must be True or False; got 1",
    ),
    "all dropped": (
        lambda w: LSTM(3, recurrent_dropout=1.0),
        "recurrent_dropout must be a number in [0, 1); got 1.0",
    ),
    "weights dropped by text": (
        lambda w: GRU(3, weight_dropout="0.5"),
        "weight_dropout must be a number in [0, 1); got '0.5'",
    ),
    "zoneout below 0": (
        lambda w: RNN(3, zoneout=-0.1),
        "zoneout must be a number in [0, 1); got -0.1",
    ),
    "zoneout of nan": (
        lambda w: LSTM(3, zoneout_cell=np.nan),
        "zoneout_cell must be a number in [0",
    ),
    "a pair of zoneouts": (
        lambda w: LSTM(3, zoneout=(0.1, 0.2)),
        "zoneout must be a number in [0, ",
    ),
    "candidates dropped": (
        lambda w: GRU(3, candidate_dropout=1),
        "candidate_dropout must be a number in [0, 1); got 1",
    ),
    "candidates of None": (
        lambda w: LSTM(3, candidate_dropout=None),
        "candidate_dropout must be a number in [0, 1); got None",
    ),
    "peepholes of text": (
        lambda w: LSTM(3, peepholes="io"),
        "peepholes must be True or False; got ",
    ),
    "an output gate of 0": (
        lambda w: LSTM(3, output_gate=0),
        "output_gate must be True or False; ",
    ),
    "layer_norm of None": (
        lambda w: LSTM(3, layer_norm=None),
        "layer_norm must be True or False; g",
    ),
    "reset_after of 1": (
        lambda w: GRU(3, reset_after=1),
        "reset_after must be True or False; got 1",
    ),
    "one gate coupled": (
        lambda w: LSTM(3, coupled_gates=True, input_gate=False),
        "coupled_gates must be False without both of its gates; got True",
    ),
    "a gate coupled with none": (
        lambda w: CIFGLSTM(3, forget_gate=False),
        "coupled_gates must be False without both of its gates; got True",
    ),
    "three gates in full recurrence": (
        lambda w: PeepholeLSTM(3, full_gate_recurrence=True, output_gate=False),
        "full_gate_recurrence must be False without all gates; got True",
    ),
    "no clip": (lambda w: LSTM(3, cell_clip=0), "cell_clip must be a positive number; got 0"),
    "an infinite clip": (
        lambda w: LSTM(3, cell_clip=np.inf),
        "cell_clip must be a positive number",
    ),
    "a projection to 0": (
        lambda w: LSTM(3, projection_size=0),
        "projection_size must be a positive integer; got 0",
    ),
    "a projection of True": (
        lambda w: LSTM(3, projection_size=True),
        "projection_size must be a positive integer; got True",
    ),
    "a bias of no projection": (
        lambda w: LSTM(3, projection_bias=True),
        "projection_bias must be False without a projection_size; got True",
    ),
    "RNN('Relu')": (lambda w: RNN(3, activation="Relu"), "got 'Relu'. Did you mean 'relu'?"),
    "gates of 'hard sigmoid'": (
        lambda w: GRU(3, recurrent_activation="hard sigmoid"),
        "got 'hard sigmoid'. Did you mean 'hard_sigmoid'?",
    ),
    "an output of 3": (
        lambda w: LSTM(3, output_activation=3),
        "output_activation must be one of linear, sigmoid, tanh, relu, leaky_relu, ",
    ),
    "an activation of None": (
        lambda w: LSTM(3, activation=None),
        "activation must be one of linear",
    ),
    "an empty activation": (
        lambda w: GRU(3, activation=()),
        "activation must be one of linear, sig",
    ),
    "a list for an activation": (
        lambda w: RNN(3, activation=["leaky_relu", 0.1]),
        "activation must be a name, or a tuple of a name and its parameters; got ['leaky_relu', ",
    ),
    "a parameter too many": (
        lambda w: RNN(3, activation=("relu", 1)),
        "activation must be 'relu' with at most 0 parameters; got ('relu', 1)",
    ),
    "a parameter of text": (
        lambda w: LSTM(3, activation=("affine", 1, "0")),
        "activation's parameter must be a finite number; got '0'",
    ),
    "an infinite parameter": (
        lambda w: LSTM(3, recurrent_activation=("hard_sigmoid", np.inf)),
        "recurrent_activation's parameter must be a finite number; got inf",
    ),
    "a leak upwards": (
        lambda w: RNN(3, activation=("leaky_relu", -0.1)),
        "activation's parameter must be a number of at least 0; got -0.1",
    ),
    "elu upwards": (
        lambda w: LSTM(3, output_activation=("elu", -1.0)),
        "output_activation's parameter must be a number of at least 0; got -1.0",
    ),
    "Dense(-1)": (lambda w: Dense(-1), "units must be a positive integer; got -1"),
    "Dense(3, 'tahn')": (
        lambda w: Dense(3, "tahn"),
        "activation must be one of linear, sigmoid, tanh, relu, leaky_relu, thresholded_relu, "
        "scaled_tanh, hard_sigmoid, elu, softsign, softplus, affine; got 'tahn'. Did you mean "
        "'tanh'?",
    ),
    "Dense(3, None)": (lambda w: Dense(3, None), "activation must be one of linear, sigmoid, tanh"),
    "Dropout(1.0)": (lambda w: Dropout(1.0), "rate must be a number in [0, 1); got 1.0"),
    "Dropout(-0.1)": (lambda w: Dropout(-0.1), "rate must be a number in [0, 1); got -0.1"),
    "Dropout('half')": (lambda w: Dropout("half"), "rate must be a number in [0, 1); got 'half'"),
    "Dropout(nan)": (lambda w: Dropout(np.nan), "rate must be a number in [0, 1); got nan"),
    "SGD(momentum=1)": (lambda w: SGD(momentum=1), "momentum must be a number in [0, 1); got 1"),
    "SGD(nesterov)": (lambda w: SGD(nesterov=True), "momentum must be positive with nesterov=True"),
    "SGD('yes')": (lambda w: SGD(nesterov="yes"), "nesterov must be True or False; got 'yes'"),
    "RMSprop(rho=-1)": (lambda w: RMSprop(rho=-1), "rho must be a number in [0, 1); got -1"),
    "RMSprop(epsilon=0)": (lambda w: RMSprop(epsilon=0), "epsilon must be a positive number; got "),
    "Adam(beta1=1.0)": (lambda w: Adam(beta1=1.0), "beta1 must be a number in [0, 1); got 1.0"),
    "Adam(beta2=None)": (lambda w: Adam(beta2=None), "beta2 must be a number in [0, 1); got None"),
    "Adam(epsilon=inf)": (lambda w: Adam(epsilon=np.inf), "epsilon must be a positive number; got"),
    "AdamW(beta1='0.9')": (
        lambda w: AdamW(beta1="0.9"),
        "beta1 must be a number in [0, 1); got '0.9'",
    ),
    "'adm'": (
        lambda w: as_optimizer("adm"),
        "nadam, adamw, lion, lbfgs; got 'adm'. Did you mean 'adam'?",
    ),
    "Adam for Adam()": (lambda w: as_optimizer(Adam), "Did you mean Adam()?"),
    "3 for an optimizer": (lambda w: as_optimizer(3), "optimizer must be an optimizer from fusedl"),
    "a step of lists": (
        step(Adam(), [1.0, 1.0, 1.0]),
        "params must be a flat, contiguous, aligned",
    ),
    "a step of integers": (
        step(Adam(), np.ones(3, int)),
        "params must be a flat, contiguous, aligned",
    ),
    "a step of few grads": (step(SGD(), grads=np.ones(2)), "array of 3 numbers of float64; got an"),
    "a step without a state": (
        step(SGD(), state=0),
        "state must be a state from init of SGD for params",
    ),
    "a step with another's state": (
        step(Adam(), state=SGD().init(np.ones(3))),
        "state must be a state from init of Adam for params of this shape and dtype; got Opt",
    ),
    "a step backwards": (step(SGD(), learning_rate=-1), "learning_rate must be a number of at lea"),
    "a penalty below 0": (lambda w: SGD(l1=-1), "l1 must be a number of at least 0; got -1"),
    "clipping to 0 in a step": (
        lambda w: SGD(clip_value=0),
        "clip_value must be a positive number",
    ),
    "amsgrad of 1": (lambda w: Adam(amsgrad=1), "amsgrad must be True or False; got 1"),
    "clipping a list": (
        lambda w: clip_by_norm([1.0], 1),
        "grads must be a flat, contiguous, aligned",
    ),
    "clipping a matrix": (lambda w: clip_by_norm(np.ones((2, 2)), 1), "grads must be a flat, cont"),
    "clipping to 0": (lambda w: clip_by_norm(np.ones(2), 0), "max_norm must be a positive number;"),
    "clipping to text": (lambda w: clip_by_norm(np.ones(2), "1"), "max_norm must be a positive nu"),
    "batches of 0": (
        lambda w: SequenceBatches(X, TOTAL, batch_size=0),
        "batch_size must be a positive integer; got 0",
    ),
    "batches of few targets": (
        lambda w: SequenceBatches(X, TOTAL[:3], batch_size=2),
        "y must be an array of length 20, as X; got an array of shape (3,)",
    ),
    "batches of no targets": (
        lambda w: SequenceBatches(X, None, batch_size=2),
        "y must be an array of length 20, as X; got None",
    ),
    "batches of few weights": (
        lambda w: SequenceBatches(X, TOTAL, batch_size=2, weights=np.ones(5)),
        "weights must be an array of length 20, as X; got an array of shape (5,)",
    ),
    "batches of integers": (
        lambda w: SequenceBatches(X, TOTAL, batch_size=2, dtype="int8"),
        "dtype must be 'float32' or 'float64'; got 'int8'",
    ),
    "batches shuffled by text": (
        lambda w: SequenceBatches(X, TOTAL, batch_size=2, shuffle="no"),
        "shuffle must be True or False; got 'no'",
    ),
}


@rows(PARTS)
def test_layers_optimizers_and_batches(w, call, sentence):
    check(w, call, sentence)


# Functions

BATCHES = SequenceBatches(X, TOTAL[:, np.newaxis], batch_size=4)
SERIES = "series must be numbers of shape (n_timesteps,) or (n_timesteps, n_features); got"
FUNCTIONS = {
    "epochs with the name of an optimizer": (
        lambda w: next(epochs(w.model, BATCHES, squared_error, "adam", learning_rate=0.1, rng=RNG)),
        "optimizer must be an optimizer from fusedlstm.optimizers, such as Adam(); got 'adam'",
    ),
    "epochs with the name of a loss": (
        lambda w: next(epochs(w.model, BATCHES, "mse", Adam(), learning_rate=0.1, rng=RNG)),
        "loss must be a loss from fusedlstm.losses, such as log_loss; got 'mse'",
    ),
    "epochs with L-BFGS": (
        lambda w: next(epochs(w.model, BATCHES, squared_error, LBFGS(), learning_rate=1, rng=RNG)),
        "got LBFGS(). For L-BFGS use fusedlstm.training.full_batch_epochs.",
    ),
    "epochs with a class of optimizers": (
        lambda w: next(epochs(w.model, BATCHES, squared_error, Adam, learning_rate=1, rng=RNG)),
        "such as Adam(); got <class 'fusedlstm.optimizers.adam.Adam'>. Did you mean Adam(...)?",
    ),
    "epochs with a class of losses": (
        lambda w: next(epochs(w.model, BATCHES, Huber, Adam(), learning_rate=1, rng=RNG)),
        "such as log_loss; got <class 'fusedlstm.losses.regression.Huber'>. Did you mean Huber(...",
    ),
    "full batches with another optimizer": (
        lambda w: next(full_batch.epochs(w.model, BATCHES, squared_error, Adam())),
        "optimizer must be an LBFGS object; got Adam(). For other optimizers use fusedlstm.trainin",
    ),
    "full batches with a class of losses": (
        lambda w: next(full_batch.epochs(w.model, BATCHES, Huber, LBFGS())),
        "Did you mean Huber(...)?",
    ),
    "a short series": (
        lambda w: make_windows([1, 2, 3], 3),
        "series must have at least width + horizon = 4 steps; got 3",
    ),
    "no series": (lambda w: make_windows(None, 3), f"{SERIES} None"),
    "a series of text": (lambda w: make_windows(["a", "b"], 1), f"{SERIES} ['a', 'b']"),
    "a cube of a series": (lambda w: make_windows(np.ones((2, 2, 2)), 1), SERIES),
    "a complex series": (lambda w: make_windows([1j, 2, 3], 1), SERIES),
    "an uneven series": (lambda w: make_windows([[1, 2], [3]], 1), f"{SERIES} [[1, 2], [3]]"),
    "no width": (lambda w: make_windows([1, 2, 3], 0), "width must be a positive integer; got 0"),
    "a width of text": (lambda w: make_windows([1, 2], "1"), "width must be a positive integer; g"),
    "a huge width": (lambda w: make_windows([1, 2, 3], 10**30), "width must be at most 2147483647"),
    "no horizon": (lambda w: make_windows([1, 2, 3], 1, 0), "horizon must be a positive integer; "),
    "a real stride": (lambda w: make_windows([1, 2, 3], 1, 1, 1.5), "stride must be a positive in"),
    "no threads": (lambda w: fusedlstm.set_num_threads(0), "n must be a positive integer; got 0"),
    "threads of text": (lambda w: fusedlstm.set_num_threads("2"), "n must be a positive integer; "),
    "half a thread": (lambda w: fusedlstm.set_num_threads(1.5), "n must be a positive integer; go"),
    "True threads": (lambda w: fusedlstm.set_num_threads(True), "n must be a positive integer; go"),
    "huge threads": (lambda w: fusedlstm.set_num_threads(10**30), "n must be at most 2147483647; "),
    "loading None": (lambda w: fusedlstm.load(None), "path must be a string or a path; got None"),
    "loading a folder": (lambda w: fusedlstm.load("/"), "Is a directory: '/'"),
    "loading nothing": (lambda w: fusedlstm.load("/no such file"), "No such file or directory: '/"),
    "saving to None": (lambda w: w.clf.save(None), "path must be a string or a path; got None"),
    "saving to a number": (lambda w: w.model.save(3), "path must be a string or a path; got 3"),
    "saving to no folder": (
        lambda w: w.scaler.save("/no such folder/file"),
        "No such file or directory: '/no such folder'",
    ),
    "saving a generator": (
        lambda w: (
            LSTMRegressor(4, max_iter=1, random_state=np.random.RandomState(0))
            .fit(X, TOTAL)
            .save("never written")
        ),
        "random_state must be an integer or None to be saved; got RandomState",
    ),
}


@rows(FUNCTIONS)
def test_functions(w, call, sentence):
    check(w, call, sentence)


def test_another_number_of_steps_after_a_fit_on_two_dimensions(w):
    message = "X has 3 features, but LSTMRegressor is expecting 5 .* fit on 3-D X, np.asarray"
    with pytest.raises(ValueError, match=message):
        w.flat.predict(X[:, :3, 0])


def test_padding_in_two_dimensions(w):
    pandas = pytest.importorskip("pandas")
    hint = r"If NaN at the end of a row is padding, pass a 3-D array, np.asarray\(X\)\[..., np.newa"
    padded, gap = X[:, :, 0].copy(), X[:, :, 0].copy()
    padded[2, 3:] = gap[2, 3] = np.nan
    for rows_of in (padded, pandas.DataFrame(padded)):
        with pytest.raises(ValueError, match=r"X\[2\] contains NaN at step 3; .*" + hint):
            w.flat.fit(rows_of, TOTAL)
        clone(w.flat).fit(np.asarray(rows_of)[..., np.newaxis], TOTAL)
    with pytest.raises(ValueError, match="SequenceImputer fills missing values$"):
        w.flat.fit(gap, TOTAL)


def test_missing_values_of_pandas(w):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X[:, :, 0]).astype("Float64")
    frame.iloc[2, 1] = pandas.NA
    with pytest.raises(ValueError, match=r"Input X contains NaN: X\[2\] contains NaN at step 1"):
        w.flat.fit(frame, TOTAL)
    filled = SequenceImputer().fit_transform([frame] * 2)
    assert np.isfinite(filled[0]).all()
