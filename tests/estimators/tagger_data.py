"""Sequences with a label at each step."""

from __future__ import annotations

import numpy as np
import pandas as pd

from step_data import LENGTHS, objects, padded


def data(n_features=2, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((n, n_features)) for n in LENGTHS]
    return X, [np.where(np.cumsum(x[:, 0]) > 0, "up", "down") for x in X]


def labels_of(parts, labels):
    """Return the labels replaced by other labels."""
    return [np.asarray(labels)[(part == "up").astype(int)] for part in parts]


X, Y = data()

# Forms of X and y.


FORMS = {
    "tuples": lambda: (tuple(X), tuple(Y)),
    "objects": lambda: (objects(X), objects(Y)),
    "lists of lists": lambda: ([x.tolist() for x in X], [y.tolist() for y in Y]),
    "padded": lambda: (padded(X), padded(Y, "padding")),
    "padded, list": lambda: (padded(X), Y),
    "list, padded": lambda: (X, padded(Y, "")),
    "frames": lambda: ([pd.DataFrame(x) for x in X], [pd.Series(y) for y in Y]),
    "series": lambda: (pd.Series(X), pd.Series(Y)),
    "some are objects": lambda: (X, [Y[0].astype(object), *Y[1:]]),
    "frame of targets": lambda: (padded(X), pd.DataFrame(padded(Y, ""))),
    "Fortran order": lambda: ([np.asfortranarray(x) for x in X], Y),
    "not contiguous": lambda: ([np.repeat(x, 2, axis=0)[::2] for x in X], Y),
}
