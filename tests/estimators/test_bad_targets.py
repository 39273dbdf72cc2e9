"""Errors for wrong y and sample_weight, and for calls before fit."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.utils.fixes import parse_version

from bad_calls import LABELS, SIGNS, SMALL, TOTAL, X, changed, check, object_array, rows
from fusedlstm import (
    LSTMClassifier,
    LSTMRegressor,
    PadSequences,
    SequenceImputer,
    SequenceScaler,
)

UNEQUAL = [x[: 2 + i % 4] for i, x in enumerate(X)]

ONES = np.ones(20)
TARGETS = {
    "none": (
        lambda fitted: fitted.clf.fit(X, None),
        "requires y to be passed, but the target y is None",
    ),
    "none, in parts": (
        lambda fitted: fitted.reg.partial_fit(X, None),
        "requires y to be passed, but the t",
    ),
    "too few": (
        lambda fitted: fitted.clf.fit(X, SIGNS[:-1]),
        "inconsistent numbers of samples: [20, 19]",
    ),
    "too many": (
        lambda fitted: fitted.reg.fit(X[:-1], TOTAL),
        "inconsistent numbers of samples: [19, 20]",
    ),
    "empty": (lambda fitted: fitted.clf.fit(X, []), "inconsistent numbers of samples: [20, 0]"),
    "a number": (
        lambda fitted: fitted.clf.fit(X, 3),
        "Expected array-like (array or non-string sequence), g",
    ),
    "a string": (
        lambda fitted: fitted.clf.fit(X, "a"),
        "Expected array-like (array or non-string sequence)",
    ),
    "one class": (
        lambda fitted: fitted.clf.fit(X, np.zeros(20)),
        "needs at least 2 classes in y; got 1 class",
    ),
    "numbers as classes": (
        lambda fitted: fitted.clf.fit(X, TOTAL),
        "Unknown label type: continuous",
    ),
    "None as classes": (lambda fitted: fitted.clf.fit(X, [None] * 20), "Unknown label type"),
    "dicts as classes": (lambda fitted: fitted.clf.fit(X, [{}] * 20), "Unknown label type"),
    "bytes as classes": (
        lambda fitted: fitted.clf.fit(X, [b"a", b"b"] * 10),
        "represented as bytes is not",
    ),
    "NaN as a class": (
        lambda fitted: fitted.clf.fit(X, changed(ONES, 1, np.nan)),
        "Input y contains NaN",
    ),
    "infinity as a class": (
        lambda fitted: fitted.clf.fit(X, changed(ONES, 1, np.inf)),
        "contains infinity",
    ),
    "complex classes": (lambda fitted: fitted.clf.fit(X, ONES + 0j), "Complex data not supported"),
    "several classes each": (
        lambda fitted: fitted.clf.fit(X, np.arange(40).reshape(20, 2) % 3),
        "y should ",
    ),
    "classes of steps": (
        lambda fitted: fitted.clf.fit(X, np.where(X[:, :, 0] > 0, "plus", "minus")),
        "y must have one label per sequence; got one label per step. To predict at every step",
    ),
    "classes of unequal steps": (
        lambda fitted: fitted.clf.fit(UNEQUAL, [np.where(x[:, 0] > 0, 1, 0) for x in UNEQUAL]),
        "To predict at every step use LSTMTagger.",
    ),
    "numbers of unequal steps": (
        lambda fitted: fitted.reg.fit(UNEQUAL, [x[:, 0] for x in UNEQUAL]),
        "y must have one target per sequence; got one target per step. To predict at every step",
    ),
    "numbers of unequal steps in an array of objects": (
        lambda fitted: fitted.reg.fit(UNEQUAL, object_array([x[:, 0] for x in UNEQUAL])),
        "To predict at every step use LSTMStepRegressor.",
    ),
    "numbers of unequal steps in y_val": (
        lambda fitted: fitted.reg.fit(X, TOTAL, X_val=UNEQUAL, y_val=[x[:, 0] for x in UNEQUAL]),
        "y_val must have one target per sequence; got one target per step",
    ),
    "3D classes": (lambda fitted: fitted.clf.fit(X, np.zeros((20, 2, 2))), "dim"),
    "text": (
        lambda fitted: fitted.reg.fit(X, SIGNS),
        "y must be an array of numbers; got an array of shape",
    ),
    "NaN": (lambda fitted: fitted.reg.fit(X, changed(TOTAL, 1, np.nan)), "Input y contains NaN"),
    "infinity": (
        lambda fitted: fitted.reg.fit(X, changed(TOTAL, 1, np.inf)),
        "Input y contains infinity",
    ),
    "too large": (
        lambda fitted: fitted.reg.fit(X, TOTAL * 1e200),
        "y must be numbers with finite squares",
    ),
    "complex": (lambda fitted: fitted.reg.fit(X, TOTAL + 0j), "Complex data not supported"),
    "a 3D array": (
        lambda fitted: fitted.reg.fit(X, np.zeros((20, 2, 2))),
        "y must be of shape (n_samples,) or ",
    ),
    "several steps of several targets": (
        lambda fitted: fitted.reg.fit(X, np.zeros((20, 2, 2))),
        "Pass y.reshape(len(y), -1).",
    ),
    "no columns": (
        lambda fitted: fitted.reg.fit(X, np.zeros((20, 0))),
        "Found array with 0 feature(s)",
    ),
    "unequal rows": (
        lambda fitted: fitted.reg.fit(X, [[1], [2, 3]] * 10),
        "y must be an array of numbers",
    ),
    "one number": (
        lambda fitted: fitted.reg.fit(X, 5),
        "y must be of shape (n_samples,) or (n_samples, n_",
    ),
    "another class in y_val": (
        lambda fitted: fitted.clf.fit(X, SIGNS, X_val=X[:1], y_val=["zero"]),
        "y_val must be labels that occur in classes_; got 'zero'",
    ),
    "another kind of class in y_val": (
        lambda fitted: fitted.clf.fit(X, SIGNS, X_val=X[:1], y_val=[3]),
        "y_val must be labels that occur in classes_; got 3",
    ),
    "another number of outputs in y_val": (
        lambda fitted: fitted.reg.fit(X, TOTAL, X_val=X, y_val=np.zeros((20, 2))),
        "y_val must have 1 outputs, as in fit; got 2",
    ),
    "another number of labels in y_val": (
        lambda fitted: fitted.labels.fit(X, LABELS, X_val=X, y_val=np.zeros((20, 3), int)),
        "y_val must be a matrix of zeros and ones with 2 columns, as in fit; got",
    ),
    "labels for classes": (
        lambda fitted: fitted.clf.fit(X, SIGNS, X_val=X, y_val=LABELS),
        "y_val must be labels (n_samples,), as in fit; got an array of shape (20, 2)",
    ),
    "too few in y_val": (
        lambda fitted: fitted.clf.fit(X, SIGNS, X_val=X, y_val=SIGNS[:3]),
        "inconsistent numbers of samples: [20, 3]",
    ),
    "X_val alone": (
        lambda fitted: fitted.clf.fit(X, SIGNS, X_val=X),
        "y_val must be given with X_val; got N",
    ),
    "y_val alone": (
        lambda fitted: fitted.clf.fit(X, SIGNS, y_val=SIGNS),
        "X_val must be given with y_val",
    ),
    "weights of X_val alone": (
        lambda fitted: fitted.clf.fit(X, SIGNS, sample_weight_val=ONES),
        "X_val must be given with y_val and sample_weight_val; got None",
    ),
    "another class in parts": (
        lambda fitted: fitted.clf.partial_fit(X, ["zero"] * 20),
        "y must be labels that occur in classes_; got 'zero'",
    ),
    "other classes in parts": (
        lambda fitted: fitted.clf.partial_fit(X, SIGNS, classes=["a", "b"]),
        "classes must be the classes of the first call",
    ),
    "no classes in parts": (
        lambda fitted: LSTMClassifier(**SMALL).partial_fit(X, SIGNS),
        "classes must be passed on the first call to partial_fit; got None",
    ),
    "one class in parts": (
        lambda fitted: LSTMClassifier(**SMALL).partial_fit(X, SIGNS, classes=["plus"]),
        "needs at least 2 classes",
    ),
    "balanced in parts": (
        lambda fitted: LSTMClassifier(class_weight="balanced").partial_fit(X, SIGNS, classes=SIGNS),
        "class_weight must be a dict or None for partial_fit",
    ),
    "early stopping in parts": (
        lambda fitted: LSTMRegressor(early_stopping=True).partial_fit(X, TOTAL),
        "early_stopping must be False for partial_fit; got True",
    ),
    "too few to set aside": (
        lambda fitted: LSTMRegressor(early_stopping=True).fit(X[:1], TOTAL[:1]),
        "must be a number that leaves at least one of 1 sequences in each part; got 0.1",
    ),
    "too few of a class to set aside": (
        lambda fitted: LSTMClassifier(early_stopping=True).fit(X, ["a"] + ["b"] * 19),
        "y must have at least 2 sequences of every class for early_stopping",
    ),
    "too small a part for all classes": (
        lambda fitted: LSTMClassifier(early_stopping=True).fit(X, np.repeat(range(5), 4)),
        "validation_fraction must be at least 0.25 for 20 sequences of 5 classes; got 0.1",
    ),
    "too large a part for all classes": (
        lambda fitted: LSTMClassifier(early_stopping=True, validation_fraction=0.9).fit(
            X, np.repeat(range(5), 4)
        ),
        "validation_fraction must be at most 0.75 for 20 sequences of 5 classes; got 0.9",
    ),
    "a layer that does not fit, in parts": (
        lambda fitted: fitted.reg.set_params(hidden_size=4).partial_fit(X[:, :, :1], TOTAL),
        "X has 1 features, but LSTMRegressor is expecting 2 features as input",
    ),
}
if parse_version(sklearn.__version__) < parse_version("1.7"):
    del TARGETS["bytes as classes"]  # earlier versions only give a warning


@rows(TARGETS)
def test_errors_of_targets(fitted, call, sentence):
    check(fitted, call, sentence)


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
def test_errors_of_sample_weights(fitted, weights, sentence):
    check(fitted, lambda fitted: fitted.clf.fit(X, SIGNS, weights), sentence)
    check(fitted, lambda fitted: fitted.reg.partial_fit(X, TOTAL, weights), sentence)
    of_validation = {"X_val": X, "y_val": TOTAL, "sample_weight_val": weights}
    check(fitted, lambda fitted: fitted.reg.fit(X, TOTAL, **of_validation), sentence)


UNFITTED = {
    f"{type(estimator).__name__}.{method}": (
        lambda fitted, estimator=estimator, method=method: getattr(estimator, method)(X),
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
def test_methods_before_fit_raise_not_fitted_error(fitted, call, sentence):
    check(fitted, call, sentence)
    with pytest.raises(NotFittedError):
        call(fitted)
