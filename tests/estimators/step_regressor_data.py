"""Sequences with numbers at each step, some of which are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fusedlstm.losses import RegressionLoss
from step_data import LENGTHS, objects, padded

MISSING = [(0, 1), (1, 0), (2, 0), (2, 3), (4, 2), (7, 5), (11, 0), (11, 1), (11, 2)]


def data(n_outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((n, 2)) for n in LENGTHS]
    Y = [5 + 3 * np.cumsum(x, axis=0) for x in X]
    return X, [y[:, 0] if n_outputs is None else y[:, :n_outputs] for y in Y]


def with_gaps(parts, places=MISSING):
    parts = [part.copy() for part in parts]
    for i, t in places:
        parts[i][t] = np.nan
    return parts


X, Y = data()
_, Y2 = data(2)
GAPS = with_gaps(Y)

# Forms of X and y.


FORMS = {
    "tuples": lambda y: (tuple(X), tuple(y)),
    "objects": lambda y: (objects(X), objects(y)),
    "lists of lists": lambda y: ([x.tolist() for x in X], [part.tolist() for part in y]),
    "padded": lambda y: (padded(X), padded(y)),
    "padded with numbers": lambda y: (padded(X), padded(y, 1e30)),
    "padded, list": lambda y: (padded(X), y),
    "list, padded": lambda y: (X, padded(y)),
    "frames": lambda y: ([pd.DataFrame(x) for x in X], [pd.DataFrame(part) for part in y]),
    "Fortran order": lambda y: (X, [np.asfortranarray(part) for part in y]),
    "big endian": lambda y: (X, [part.astype(">f8") for part in y]),
}


class Cubic(RegressionLoss):
    """The cube of absolute errors."""

    def __eq__(self, other):
        return type(other) is Cubic

    def __hash__(self):
        return 0

    def of_targets(self, z, y):
        error = z - y
        return np.abs(error) ** 3, 3 * error * np.abs(error)
