"""Errors for wrong calls of models."""

from __future__ import annotations

import numpy as np

from bad_calls import SIGNS, TOTAL, X, changed, check, rows
from fusedlstm import (
    Sequential,
)
from fusedlstm.layers import LSTM, Dense, LastStep

X32 = X.astype("float32")
MASKED = np.ma.masked_array(X, X > 0)
MASKED_X = "x must be an array without a mask; got a MaskedArray of shape ("


def state(h=(1, 20, 3), c=(1, 20, 3)):
    return ((np.zeros(h), np.zeros(c)), None, None)


def backward(dy=None, grads=None):
    """Return a call of backward with a wrong gradient or a wrong array for gradients."""

    def call(fitted):
        y, saved = fitted.model.forward(X)
        good = np.zeros_like(fitted.model.params)
        fitted.model.backward(saved, np.ones_like(y) if dy is None else dy,
                         good if grads is None else grads(good))  # fmt: skip

    return call


def backward_twice(fitted):
    y, saved = fitted.model.forward(X)
    for _ in range(2):
        fitted.model.backward(saved, np.ones_like(y), np.zeros_like(fitted.model.params))


FLAT_ARRAY = (
    "grads must be a flat, contiguous, aligned and writeable array of 76 numbers of float32; got"
)
NAMED = {"0.weight": [[1, 2]], "0.bias": [1]}
MODELS = {
    "no layers": (
        lambda fitted: Sequential([], 3),
        "layers must be a sequence of layers from fusedlst",
    ),
    "layers of None": (
        lambda fitted: Sequential(None, 3),
        "layers must be a sequence of layers from",
    ),
    "only a layer": (
        lambda fitted: Sequential(LSTM(3), 3),
        "layers must be a sequence of layers from",
    ),
    "a class": (lambda fitted: Sequential([LSTM], 3), "Did you mean LSTM(...)?"),
    "a string": (lambda fitted: Sequential(["lstm"], 3), "layers[0] must be a layer; got 'lstm'"),
    "no steps left": (
        lambda fitted: Sequential([LastStep(), LSTM(3)], 3),
        "layers[1] must be a layer for vectors after LastStep, which reduces sequences; got LSTM(",
    ),
    "two last steps": (
        lambda fitted: Sequential([LSTM(3), LastStep(), LastStep()], 3),
        "layers[2] must be a layer for vectors",
    ),
    "no input": (
        lambda fitted: Sequential([LSTM(3)], 0),
        "input_size must be a positive integer; got ",
    ),
    "half precision": (
        lambda fitted: Sequential([LSTM(3)], 3, "float16"),
        "dtype must be 'float32' or",
    ),
    "unknown dtype": (lambda fitted: Sequential([LSTM(3)], 3, "real"), "'float64'; got 'real'"),
    "a string for seed": (
        lambda fitted: Sequential([LSTM(3)], 3, random_state="seed"),
        "random_state must be an integer of at least 0, a numpy Generator or None; got 'seed'",
    ),
    "a negative seed": (
        lambda fitted: Sequential([LSTM(3)], 3, random_state=-1),
        "of at least 0, a nu",
    ),
    "no parameters": (
        lambda fitted: Sequential.from_named_params([Dense(1)], 2, {}),
        "named['0.bias'] must be an array of shape (1,); got None",
    ),
    "parameters of no layer": (
        lambda fitted: Sequential.from_named_params([Dense(1)], 2, {**NAMED, "x": 3}),
        "named must have only parameters of these layers; got 'x'",
    ),
    "parameters of another shape": (
        lambda fitted: Sequential.from_named_params([Dense(1)], 3, NAMED),
        "named['0.weight'] must be an array of shape (1, 3); got an array of shape (1, 2)",
    ),
    "a string for parameters": (
        lambda fitted: Sequential.from_named_params([Dense(1)], 2, {"0.bias": "a"}),
        "named['0.bias'] must be an array of numbers; got 'a'",
    ),
    "parameters without names": (
        lambda fitted: Sequential.from_named_params([Dense(1)], 2, [1, 2]),
        "named must be a dict of arrays by name; got [1, 2]",
    ),
    "a mask": (lambda fitted: fitted.model.predict(MASKED), MASKED_X),
    "a mask, in the model's dtype": (
        lambda fitted: fitted.model.predict(MASKED.astype("f")),
        MASKED_X,
    ),
    "a mask of a predictor": (lambda fitted: fitted.model.predictor().predict(MASKED), MASKED_X),
    "a mask with lengths": (lambda fitted: fitted.model.predict(MASKED, [5] * 20), MASKED_X),
    "a list of masks": (lambda fitted: fitted.model.predict(list(MASKED)), MASKED_X),
    "a masked mask": (
        lambda fitted: fitted.model.predict(
            X, mask=np.ma.masked_array(X[:, :, 0] > -9, X[:, :, 0] > 0)
        ),
        "mask must be an array without a mask; got a MaskedArray",
    ),
    "None in an array": (
        lambda fitted: fitted.model.predict(changed(X.astype(object), (0, 0, 0), None)),
        "x must be an array of numbers; got an array of shape (20, 5, 2) and dtype object. It con",
    ),
    "None in a list": (
        lambda fitted: fitted.model.predict([[[1.0, None]]]),
        "x must be an array of numbers; got [[[1.0, None]]]. It contains None.",
    ),
    "None in a step": (
        lambda fitted: fitted.reg.stream().step([1.0, None]),
        "x must be an array of numbers; got [1.0, None]. It contains None.",
    ),
    "masked targets": (
        lambda fitted: fitted.reg.fit(X, np.ma.masked_array(TOTAL, TOTAL > 0)),
        "y must be an array without a mask; got a MaskedArray of shape (20,) and dtype float64.",
    ),
    "masked labels": (
        lambda fitted: fitted.clf.fit(X, np.ma.masked_array(SIGNS, TOTAL > 0)),
        "y must be an array without a mask; got a MaskedArray of shape (20,) and dtype <U5. Call",
    ),
    "masked weights": (
        lambda fitted: fitted.clf.fit(X, SIGNS, np.ma.masked_array(np.ones(20), TOTAL > 0)),
        "sample_weight must be an array without a mask; got a MaskedArray",
    ),
    "None in targets": (
        lambda fitted: fitted.reg.fit(X, [*TOTAL[:-1], None]),
        "y must be an array of numbers; got [",
    ),
    "one sequence": (
        lambda fitted: fitted.model.predict(X32[0]),
        "x must be an array of shape (n_sequences, n_timesteps, 2); got an array of shape (5, 2) "
        "and dtype float32. For one sequence pass x[np.newaxis].",
    ),
    "features": (
        lambda fitted: fitted.model.predict(X[:, :, :1]),
        "n_timesteps, 2); got an array of shape ",
    ),
    "no sequences": (
        lambda fitted: fitted.model.predict(X[:0]),
        "x must be at least one sequence of at lea",
    ),
    "no steps": (
        lambda fitted: fitted.model.predict(X[:, :0]),
        "x must be at least one sequence of at leas",
    ),
    "complex": (
        lambda fitted: fitted.model.predict(X + 0j),
        "Complex data not supported: x must be real",
    ),
    "text": (
        lambda fitted: fitted.model.predict([[["a"] * 2]]),
        "x must be an array of numbers; got [[['a'",
    ),
    "None": (lambda fitted: fitted.model.predict(None), "x must be an array of numbers; got None"),
    "unequal lists": (
        lambda fitted: fitted.model.predict([[[1]], [[1, 2]]]),
        "x must be an array of number",
    ),
    "few lengths": (
        lambda fitted: fitted.model.predict(X, [1, 2]),
        "lengths must be 20 integers, one per s",
    ),
    "a length": (
        lambda fitted: fitted.model.predict(X, 5),
        "lengths must be 20 integers, one per sequence;",
    ),
    "lengths of 0": (
        lambda fitted: fitted.model.predict(X, [0] * 20),
        "between 1 and 5, the number of step",
    ),
    "long lengths": (
        lambda fitted: fitted.model.predict(X, [6] * 20),
        "the number of steps; got 6",
    ),
    "real lengths": (
        lambda fitted: fitted.model.predict(X, [1.0] * 20),
        "lengths must be 20 integers, one ",
    ),
    "a string for lengths": (
        lambda fitted: fitted.model.forward(X, ["a"] * 20),
        "lengths must be 20 integers, o",
    ),
    "unequal lengths": (
        lambda fitted: fitted.model.run(X, None, [[1], [2, 3]]),
        "lengths must be 20 intege",
    ),
    "a short state": (
        lambda fitted: fitted.model.run(X, (None,)),
        "state must be a tuple with 3 entries",
    ),
    "a number as state": (
        lambda fitted: fitted.model.run(X, 5),
        "state must be a tuple with 3 entries, one per layer; got",
    ),
    "numbers as state": (
        lambda fitted: fitted.model.run(X, (1, 2, 3)),
        "state[0] must be a tuple of arrays",
    ),
    "a state of another batch": (
        lambda fitted: fitted.model.run(X, state((1, 3, 3), (1, 3, 3))),
        "state[0] must be a tuple of arrays of shapes (1, 20, 3), (1, 20, 3)",
    ),
    "a state of only h": (
        lambda fitted: fitted.model.run(X, ((np.zeros((1, 20, 3)),), None, None)),
        "state[0] must be a tuple of arrays",
    ),
    "a state without c": (
        lambda fitted: fitted.model.run(X, ((np.zeros((1, 20, 3)), None), None, None)),
        "state[0] must be an array of numbers; got None",
    ),
    "a generator of another kind": (
        lambda fitted: fitted.model.forward(X, rng=np.random.RandomState(0)),
        "rng must be a numpy Generator or None; got RandomState",
    ),
    "dy of another shape": (backward(dy=np.ones((20, 3))), "dy must be an array of shape (20, 1);"),
    "dy of None": (backward(dy=[None] * 20), "dy must be an array of numbers; got [None, "),
    "short grads": (backward(grads=lambda good: good[:-1].copy()), FLAT_ARRAY),
    "grads of another dtype": (backward(grads=lambda good: good.astype(float)), FLAT_ARRAY),
    "grads as a list": (backward(grads=lambda good: good.tolist()), FLAT_ARRAY),
    "grads with gaps": (backward(grads=lambda good: np.repeat(good, 2)[::2]), FLAT_ARRAY),
    "saved twice": (backward_twice, "saved must be an unused result of forward; got a result"),
    "saved of no forward": (
        lambda fitted: fitted.model.backward(None, X, X),
        "saved must be a result of forward; got None",
    ),
    "short params": (
        lambda fitted: setattr(fitted.model, "params", [1, 2]),
        "params must be 76 numbers; go",
    ),
    "params of None": (
        lambda fitted: setattr(fitted.model, "params", None),
        "params must be an array of nu",
    ),
    "a short view": (
        lambda fitted: fitted.model.views(np.ones(3)),
        "flat must be an array of 76 numbers; g",
    ),
}


@rows(MODELS)
def test_errors_of_models(fitted, call, sentence):
    check(fitted, call, sentence)
