"""Optimizers: frozen configuration and an explicit state.

``init`` makes the state for a flat vector of parameters, ``step`` updates both in place. The
learning rate is the caller's. Weight decay applies where ``decay_mask`` is 1. `LBFGS` takes no such
steps: it works on all data at once, see `fusedlstm.training.full_batch`.
"""

from __future__ import annotations

from typing import TypeAlias

from fusedlstm._utils import validation as check
from fusedlstm.optimizers.adam import Adam, AdamW, Nadam
from fusedlstm.optimizers.adaptive import Adagrad, RMSprop
from fusedlstm.optimizers.base import Optimizer, OptimizerState
from fusedlstm.optimizers.clipping import clip_by_norm, clip_by_value
from fusedlstm.optimizers.lbfgs import LBFGS
from fusedlstm.optimizers.lion import Lion
from fusedlstm.optimizers.sgd import SGD

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Nadam",
    "Optimizer",
    "OptimizerState",
    "RMSprop",
    "as_optimizer",
    "clip_by_norm",
    "clip_by_value",
]

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
"""What the estimators' ``optimizer`` names."""


def as_optimizer(value: object) -> AnyOptimizer:
    """Return an optimizer given by name or as an object."""
    if isinstance(value, (Optimizer, LBFGS)):
        return value
    if isinstance(value, str):
        return OPTIMIZERS[check.choice("optimizer", value, OPTIMIZERS)]
    hint = f"Did you mean {value.__name__}()?" if isinstance(value, type) else ""
    needed = "an optimizer from fusedlstm.optimizers or one of " + ", ".join(OPTIMIZERS)
    raise TypeError(check.needs("optimizer", needed, value, hint))


def __dir__() -> list[str]:
    return sorted(__all__)
