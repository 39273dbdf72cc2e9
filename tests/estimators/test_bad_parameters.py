"""Errors for wrong parameters of the estimators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from bad_calls import SIGNS, TOTAL, X, check, rows
from fusedlstm import (
    LSTMClassifier,
    LSTMRegressor,
)
from fusedlstm.layers import LSTM, LastStep
from fusedlstm.losses import Huber, LogLoss, log_loss
from fusedlstm.optimizers import SGD, Adam
from fusedlstm.schedules import Cosine

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
    ("layers", (LastStep(), LSTM(3)), "layers[1] must be a layer for vectors after LastStep"),
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
    """Return a call that fits a fitted estimator with one wrong parameter."""

    def call(fitted):
        model = getattr(fitted, estimator)
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
def test_the_tests_cover_every_parameter(estimator, own):
    assert {name for name, _, _ in [*PARAMETERS, *own]} == estimator().get_params().keys()


@rows(dict(parameter_rows()))
def test_errors_of_parameters(fitted, call, sentence):
    check(fitted, call, sentence)


MISSPELT = {
    "in the constructor": (
        lambda fitted: LSTMClassifier(hiden_size=3),
        "unexpected keyword argument 'hiden_size'",
    ),
    "in set_params": (
        lambda fitted: fitted.clf.set_params(hiden_size=3),
        "Invalid parameter 'hiden_size'",
    ),
    "without its name": (
        lambda fitted: LSTMRegressor(64, 2),
        "positional arguments but 3 were given",
    ),
    "in fit": (
        lambda fitted: fitted.clf.fit(X, SIGNS, X_vall=X),
        "unexpected keyword argument 'X_vall'",
    ),
    "in a layer": (
        lambda fitted: LSTM(3, bidirectonal=True),
        "unexpected keyword argument 'bidirectona",
    ),
    "in an optimizer": (lambda fitted: Adam(lr=0.1), "unexpected keyword argument 'lr'"),
}


@rows(MISSPELT)
def test_errors_of_misspelled_parameters(fitted, call, sentence):
    check(fitted, call, sentence)
