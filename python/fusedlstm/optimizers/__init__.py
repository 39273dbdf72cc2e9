"""Optimizers for a flat array of parameters, and gradient clipping.

An optimizer is a frozen dataclass of options. `Optimizer.init` returns the state before the first
step, and `Optimizer.step` updates the parameters and the state in place. The caller passes the
learning rate to each step. Weight decay applies to the elements whose ``decay_mask`` is 1.

`LBFGS` has no ``step``, because each of its iterations uses all training data. To train with
`LBFGS`, use `fusedlstm.training.full_batch_epochs`.
"""

from fusedlstm.optimizers.adam import Adam, AdamW, Nadam
from fusedlstm.optimizers.adaptive import Adagrad, RMSprop
from fusedlstm.optimizers.base import Optimizer, OptimizerState
from fusedlstm.optimizers.clipping import clip_by_norm, clip_by_value
from fusedlstm.optimizers.lbfgs import LBFGS
from fusedlstm.optimizers.lion import Lion
from fusedlstm.optimizers.registry import OPTIMIZERS as OPTIMIZERS
from fusedlstm.optimizers.registry import AnyOptimizer as AnyOptimizer
from fusedlstm.optimizers.registry import as_optimizer as as_optimizer
from fusedlstm.optimizers.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Nadam",
    "Optimizer",
    "OptimizerState",
    "RMSprop",
    "clip_by_norm",
    "clip_by_value",
]


def __dir__() -> list[str]:
    return sorted(__all__)
