"""Errors for wrong arguments of batches and epochs."""

from __future__ import annotations

import numpy as np

from bad_calls import RNG, TOTAL, X, check, rows
from fusedlstm.losses import Huber, squared_error
from fusedlstm.optimizers import LBFGS, Adam
from fusedlstm.training import SequenceBatches, epochs, full_batch_epochs

BATCHES = SequenceBatches(X, TOTAL[:, np.newaxis], batch_size=4)
BAD_TRAINING = {
    "batches of 0": (
        lambda fitted: SequenceBatches(X, TOTAL, batch_size=0),
        "batch_size must be a positive integer; got 0",
    ),
    "batches of few targets": (
        lambda fitted: SequenceBatches(X, TOTAL[:3], batch_size=2),
        "y must be an array of length 20, as X; got an array of shape (3,)",
    ),
    "batches of no targets": (
        lambda fitted: SequenceBatches(X, None, batch_size=2),
        "y must be an array of length 20, as X; got None",
    ),
    "batches of few weights": (
        lambda fitted: SequenceBatches(X, TOTAL, batch_size=2, weights=np.ones(5)),
        "weights must be an array of length 20, as X; got an array of shape (5,)",
    ),
    "batches of integers": (
        lambda fitted: SequenceBatches(X, TOTAL, batch_size=2, dtype="int8"),
        "dtype must be 'float32' or 'float64'; got 'int8'",
    ),
    "batches shuffled by text": (
        lambda fitted: SequenceBatches(X, TOTAL, batch_size=2, shuffle="no"),
        "shuffle must be True or False; got 'no'",
    ),
    "epochs with the name of an optimizer": (
        lambda fitted: next(
            epochs(fitted.model, BATCHES, squared_error, "adam", learning_rate=0.1, rng=RNG)
        ),
        "optimizer must be an optimizer from fusedlstm.optimizers, such as Adam(); got 'adam'",
    ),
    "epochs with the name of a loss": (
        lambda fitted: next(
            epochs(fitted.model, BATCHES, "mse", Adam(), learning_rate=0.1, rng=RNG)
        ),
        "loss must be a loss from fusedlstm.losses, such as log_loss; got 'mse'",
    ),
    "epochs with L-BFGS": (
        lambda fitted: next(
            epochs(fitted.model, BATCHES, squared_error, LBFGS(), learning_rate=1, rng=RNG)
        ),
        "got LBFGS(). For L-BFGS use fusedlstm.training.full_batch_epochs.",
    ),
    "epochs with a class of optimizers": (
        lambda fitted: next(
            epochs(fitted.model, BATCHES, squared_error, Adam, learning_rate=1, rng=RNG)
        ),
        "such as Adam(); got <class 'fusedlstm.optimizers.adam.Adam'>. Did you mean Adam(...)?",
    ),
    "epochs with a class of losses": (
        lambda fitted: next(epochs(fitted.model, BATCHES, Huber, Adam(), learning_rate=1, rng=RNG)),
        "such as log_loss; got <class 'fusedlstm.losses.regression.Huber'>. Did you mean Huber(...",
    ),
    "full batches with another optimizer": (
        lambda fitted: next(full_batch_epochs(fitted.model, BATCHES, squared_error, Adam())),
        "optimizer must be an LBFGS object; got Adam(). For other optimizers use fusedlstm.trainin",
    ),
    "full batches with a class of losses": (
        lambda fitted: next(full_batch_epochs(fitted.model, BATCHES, Huber, LBFGS())),
        "Did you mean Huber(...)?",
    ),
}


@rows(BAD_TRAINING)
def test_errors_of_batches_and_epochs(fitted, call, sentence):
    check(fitted, call, sentence)
