"""Malformed calls: each must raise its sentence and change nothing.

A row is a name, a call and the text of the error. Calls act on estimators, models and a scaler
that are already fitted. After each call, all of them must give the same bits as before.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fusedlstm import (
    LSTMClassifier,
    LSTMRegressor,
    SequenceScaler,
    Sequential,
)
from fusedlstm.layers import LSTM, Dense, LastStep

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 5, 2))
TOTAL = X.sum(axis=(1, 2))
SIGNS = np.where(TOTAL > 0, "plus", "minus")
LABELS = np.stack([TOTAL > 0, X[:, 0, 0] > 0], axis=1)
SMALL = {"hidden_size": 4, "max_iter": 2, "random_state": 0}


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def object_array(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


def fit_all():
    """Return the fitted objects on which the calls act."""
    return SimpleNamespace(
        clf=LSTMClassifier(**SMALL).fit(X, SIGNS),
        labels=LSTMClassifier(**SMALL).fit(X, LABELS),
        reg=LSTMRegressor(**SMALL).fit(X, TOTAL),
        flat=LSTMRegressor(**SMALL).fit(X[:, :, 0], TOTAL),
        scaler=SequenceScaler().fit(X),
        model=Sequential([LSTM(3), LastStep(), Dense(1)], 2, random_state=0),
    )


def answers(fitted):
    """Return the predictions, attributes and parameters of all fitted objects, bit for bit."""
    return [
        fitted.clf.predict_proba(X).tobytes(),
        fitted.clf.predict(list(X)).tolist(),
        fitted.labels.predict_proba(X).tobytes(),
        fitted.reg.predict(X).tobytes(),
        fitted.flat.predict(X[:, :, 0]).tobytes(),
        fitted.scaler.transform(X).tobytes(),
        fitted.model.predict(X).tobytes(),
        [sorted(vars(each)) for each in vars(fitted).values()],
        [each.get_params() for each in (fitted.clf, fitted.reg, fitted.labels, fitted.flat)],
    ]


def check(fitted, call, sentence):
    """Call raises an error with this sentence and changes no fitted object."""
    before = answers(fitted)
    with pytest.raises((ValueError, TypeError, OSError)) as raised:
        call(fitted)
    assert sentence in str(raised.value)
    assert answers(fitted) == before


def rows(table):
    """Parametrize a test with the calls and sentences of a table."""
    return pytest.mark.parametrize(("call", "sentence"), table.values(), ids=table)
