"""Sequences and targets of the tests of estimators."""

from __future__ import annotations

import numpy as np

from fusedlstm import LSTMClassifier


def sequences(n=40, steps=6, features=2, seed=0):
    """Return X (n, steps, features) and the sum of each sequence."""
    X = np.random.default_rng(seed).standard_normal((n, steps, features))
    return X, X.sum(axis=(1, 2))


def targets(estimator, total):
    """Return the sums for a regressor, or their signs as labels for a classifier."""
    if isinstance(estimator, LSTMClassifier) or estimator is LSTMClassifier:
        return np.where(total > 0, "plus", "minus")
    return total
