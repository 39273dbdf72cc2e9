"""Fused LSTM networks for the CPU, with scikit-learn estimators."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fusedlstm._config import show_config
from fusedlstm._threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from fusedlstm._saving import load, save
    from fusedlstm.convert.torch import load_torch_state_dict, to_torch_state_dict
    from fusedlstm.estimators import LSTMClassifier, LSTMRegressor
    from fusedlstm.model import Sequential
    from fusedlstm.plotting import ForecastDisplay, LossCurveDisplay
    from fusedlstm.preprocessing import (
        PadSequences,
        SequenceImputer,
        SequenceScaler,
        make_windows,
    )

__version__ = "0.1.0"

__all__ = [
    "ForecastDisplay",
    "LSTMClassifier",
    "LSTMRegressor",
    "LossCurveDisplay",
    "PadSequences",
    "SequenceImputer",
    "SequenceScaler",
    "Sequential",
    "__version__",
    "get_num_threads",
    "load",
    "load_torch_state_dict",
    "make_windows",
    "save",
    "set_num_threads",
    "show_config",
    "to_torch_state_dict",
]

# Names, and modules, imported when they are asked for: what they need takes a while.
_LAZY = {
    "ForecastDisplay": "plotting",
    "LSTMClassifier": "estimators",
    "LSTMRegressor": "estimators",
    "LossCurveDisplay": "plotting",
    "PadSequences": "preprocessing",
    "SequenceImputer": "preprocessing",
    "SequenceScaler": "preprocessing",
    "Sequential": "model",
    "load": "_saving",
    "load_torch_state_dict": "convert.torch",
    "make_windows": "preprocessing",
    "save": "_saving",
    "to_torch_state_dict": "convert.torch",
}

_MODULES = {
    "datasets",
    "layers",
    "losses",
    "model",
    "optimizers",
    "plotting",
    "preprocessing",
    "schedules",
    "testing",
    "training",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"fusedlstm.{_LAZY[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"fusedlstm.{name}")
    module = sys.modules[__name__]  # with it Python says what might have been meant
    raise AttributeError(f"module 'fusedlstm' has no attribute {name!r}", name=name, obj=module)


def __dir__() -> list[str]:
    return sorted(__all__)
