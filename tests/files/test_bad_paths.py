"""Errors for wrong arguments of load and save."""

from __future__ import annotations

import numpy as np

import fusedlstm
from bad_calls import TOTAL, X, check, rows
from fusedlstm import (
    LSTMRegressor,
)

BAD_FILES = {
    "loading None": (
        lambda fitted: fusedlstm.load(None),
        "path must be a string or a path; got None",
    ),
    "loading a folder": (lambda fitted: fusedlstm.load("/"), "Is a directory: '/'"),
    "loading a missing file": (
        lambda fitted: fusedlstm.load("/no such file"),
        "No such file or directory: '/",
    ),
    "saving to None": (
        lambda fitted: fitted.clf.save(None),
        "path must be a string or a path; got None",
    ),
    "saving to a number": (
        lambda fitted: fitted.model.save(3),
        "path must be a string or a path; got 3",
    ),
    "saving to a missing folder": (
        lambda fitted: fitted.scaler.save("/no such folder/file"),
        "No such file or directory: '/no such folder'",
    ),
    "saving a generator": (
        lambda fitted: (
            LSTMRegressor(4, max_iter=1, random_state=np.random.RandomState(0))
            .fit(X, TOTAL)
            .save("never written")
        ),
        "random_state must be an integer or None to be saved; got RandomState",
    ),
}


@rows(BAD_FILES)
def test_errors_of_load_and_save(fitted, call, sentence):
    check(fitted, call, sentence)
