"""Data and estimators of the tests of checkpoints."""

from __future__ import annotations

import numpy as np

from fusedlstm import LSTMRegressor

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))


def quick(estimator=LSTMRegressor, **options):
    return estimator(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})
