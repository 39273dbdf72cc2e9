"""Data and estimators of the tests of files."""

from __future__ import annotations

import numpy as np

X = np.random.default_rng(0).standard_normal((30, 5, 2))
TOTAL = X.sum(axis=(1, 2))
SIGNS = np.where(TOTAL > 0, "plus", "minus")


def quick(estimator, **kwargs):
    return estimator(**{"hidden_size": 4, "max_iter": 2, "random_state": 0, **kwargs})
