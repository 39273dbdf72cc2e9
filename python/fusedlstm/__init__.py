"""Fused LSTM networks for the CPU, with scikit-learn estimators."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fusedlstm._core.config import show_config
from fusedlstm._core.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from fusedlstm.convert.torch import load_torch_state_dict, to_torch_state_dict
    from fusedlstm.estimators import (
        LSTMClassifier,
        LSTMRegressor,
        LSTMStepRegressor,
        LSTMTagger,
    )
    from fusedlstm.files.saving import load, save
    from fusedlstm.models import Model, Sequential
    from fusedlstm.plotting import ForecastDisplay, LossCurveDisplay
    from fusedlstm.preprocessing import (
        PadSequences,
        SequenceImputer,
        SequenceScaler,
        last_window,
        make_windows,
        sequences_from_frame,
    )

__version__ = "0.1.0"

__all__ = [
    "ForecastDisplay",
    "LSTMClassifier",
    "LSTMRegressor",
    "LSTMStepRegressor",
    "LSTMTagger",
    "LossCurveDisplay",
    "Model",
    "PadSequences",
    "SequenceImputer",
    "SequenceScaler",
    "Sequential",
    "__version__",
    "get_num_threads",
    "last_window",
    "load",
    "load_torch_state_dict",
    "make_windows",
    "save",
    "sequences_from_frame",
    "set_num_threads",
    "show_config",
    "to_torch_state_dict",
]

# Names, and modules, imported when they are asked for: what they need takes a while.
_LAZY = {
    "ForecastDisplay": "plotting",
    "LSTMClassifier": "estimators",
    "LSTMRegressor": "estimators",
    "LSTMStepRegressor": "estimators",
    "LSTMTagger": "estimators",
    "LossCurveDisplay": "plotting",
    "Model": "models",
    "PadSequences": "preprocessing",
    "SequenceImputer": "preprocessing",
    "SequenceScaler": "preprocessing",
    "Sequential": "models",
    "last_window": "preprocessing",
    "load": "files.saving",
    "load_torch_state_dict": "convert.torch",
    "make_windows": "preprocessing",
    "save": "files.saving",
    "sequences_from_frame": "preprocessing",
    "to_torch_state_dict": "convert.torch",
}

_MODULES = {
    "convert",
    "datasets",
    "estimators",
    "layers",
    "losses",
    "metrics",
    "models",
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
    return sorted({*__all__, *_MODULES})
