"""Names of optimizers for the estimators."""

from __future__ import annotations

from typing import TypeAlias

from fusedlstm._utils import validation as check
from fusedlstm.optimizers.adam import Adam, AdamW, Nadam
from fusedlstm.optimizers.adaptive import Adagrad, RMSprop
from fusedlstm.optimizers.base import Optimizer
from fusedlstm.optimizers.lbfgs import LBFGS
from fusedlstm.optimizers.lion import Lion
from fusedlstm.optimizers.sgd import SGD

AnyOptimizer: TypeAlias = Optimizer | LBFGS

OPTIMIZERS: dict[str, AnyOptimizer] = {
    "sgd": SGD(),
    "rmsprop": RMSprop(),
    "adagrad": Adagrad(),
    "adam": Adam(),
    "amsgrad": Adam(amsgrad=True),
    "nadam": Nadam(),
    "adamw": AdamW(),
    "lion": Lion(),
    "lbfgs": LBFGS(),
}
"""Optimizers by name, for the parameter ``optimizer`` of an estimator."""


def as_optimizer(value: object) -> AnyOptimizer:
    """Return an optimizer, given its name or the optimizer itself."""
    if isinstance(value, (Optimizer, LBFGS)):
        return value
    if isinstance(value, str):
        return OPTIMIZERS[check.choice("optimizer", value, OPTIMIZERS)]
    hint = f"Did you mean {value.__name__}()?" if isinstance(value, type) else ""
    needed = "an optimizer from fusedlstm.optimizers or one of " + ", ".join(OPTIMIZERS)
    raise TypeError(check.needs("optimizer", needed, value, hint))
