"""Errors for wrong options and steps of optimizers."""

from __future__ import annotations

import numpy as np

from bad_calls import check, rows
from fusedlstm.optimizers import SGD, Adam, AdamW, RMSprop, as_optimizer, clip_by_norm


def step(optimizer, params=None, grads=None, state=None, learning_rate=0.1):
    """Return a call of step with one wrong argument."""
    good = np.ones(3)

    def call(fitted):
        optimizer.step(
            good if params is None else params,
            good if grads is None else grads,
            optimizer.init(good) if state is None else state,
            learning_rate,
        )

    return call


BAD_OPTIMIZERS = {
    "SGD(momentum=1)": (
        lambda fitted: SGD(momentum=1),
        "momentum must be a number in [0, 1); got 1",
    ),
    "SGD(nesterov)": (
        lambda fitted: SGD(nesterov=True),
        "momentum must be positive with nesterov=True",
    ),
    "SGD('yes')": (lambda fitted: SGD(nesterov="yes"), "nesterov must be True or False; got 'yes'"),
    "RMSprop(rho=-1)": (lambda fitted: RMSprop(rho=-1), "rho must be a number in [0, 1); got -1"),
    "RMSprop(epsilon=0)": (
        lambda fitted: RMSprop(epsilon=0),
        "epsilon must be a positive number; got ",
    ),
    "Adam(beta1=1.0)": (
        lambda fitted: Adam(beta1=1.0),
        "beta1 must be a number in [0, 1); got 1.0",
    ),
    "Adam(beta2=None)": (
        lambda fitted: Adam(beta2=None),
        "beta2 must be a number in [0, 1); got None",
    ),
    "Adam(epsilon=inf)": (
        lambda fitted: Adam(epsilon=np.inf),
        "epsilon must be a positive number; got",
    ),
    "AdamW(beta1='0.9')": (
        lambda fitted: AdamW(beta1="0.9"),
        "beta1 must be a number in [0, 1); got '0.9'",
    ),
    "'adm'": (
        lambda fitted: as_optimizer("adm"),
        "nadam, adamw, lion, lbfgs; got 'adm'. Did you mean 'adam'?",
    ),
    "Adam for Adam()": (lambda fitted: as_optimizer(Adam), "Did you mean Adam()?"),
    "3 for an optimizer": (
        lambda fitted: as_optimizer(3),
        "optimizer must be an optimizer from fusedl",
    ),
    "a step of lists": (
        step(Adam(), [1.0, 1.0, 1.0]),
        "params must be a flat, contiguous, aligned",
    ),
    "a step of integers": (
        step(Adam(), np.ones(3, int)),
        "params must be a flat, contiguous, aligned",
    ),
    "a step with few gradients": (
        step(SGD(), grads=np.ones(2)),
        "array of 3 numbers of float64; got an",
    ),
    "a step without a state": (
        step(SGD(), state=0),
        "state must be a state from init of SGD for params",
    ),
    "a step with another's state": (
        step(Adam(), state=SGD().init(np.ones(3))),
        "state must be a state from init of Adam for params of this shape and dtype; got Opt",
    ),
    "a negative learning rate": (
        step(SGD(), learning_rate=-1),
        "learning_rate must be a number of at lea",
    ),
    "a penalty below 0": (lambda fitted: SGD(l1=-1), "l1 must be a number of at least 0; got -1"),
    "clipping to 0 in a step": (
        lambda fitted: SGD(clip_value=0),
        "clip_value must be a positive number",
    ),
    "amsgrad of 1": (lambda fitted: Adam(amsgrad=1), "amsgrad must be True or False; got 1"),
    "clipping a list": (
        lambda fitted: clip_by_norm([1.0], 1),
        "grads must be a flat, contiguous, aligned",
    ),
    "clipping a matrix": (
        lambda fitted: clip_by_norm(np.ones((2, 2)), 1),
        "grads must be a flat, cont",
    ),
    "clipping to 0": (
        lambda fitted: clip_by_norm(np.ones(2), 0),
        "max_norm must be a positive number;",
    ),
    "clipping to text": (
        lambda fitted: clip_by_norm(np.ones(2), "1"),
        "max_norm must be a positive nu",
    ),
}


@rows(BAD_OPTIMIZERS)
def test_errors_of_optimizers(fitted, call, sentence):
    check(fitted, call, sentence)
