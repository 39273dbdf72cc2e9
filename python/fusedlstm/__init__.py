"""Fused LSTM networks for the CPU, with scikit-learn estimators."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fusedlstm._core.config import show_config
from fusedlstm._core.threads import get_num_threads, set_num_threads
from fusedlstm._core.version import __version__

if TYPE_CHECKING:  # the names in _LAZY, for static type checkers
    from fusedlstm.convert.torch import load_torch_state_dict as load_torch_state_dict
    from fusedlstm.convert.torch import to_torch_state_dict as to_torch_state_dict
    from fusedlstm.estimators import LSTMClassifier as LSTMClassifier
    from fusedlstm.estimators import LSTMRegressor as LSTMRegressor
    from fusedlstm.estimators import LSTMStepRegressor as LSTMStepRegressor
    from fusedlstm.estimators import LSTMTagger as LSTMTagger
    from fusedlstm.files.saving import load as load
    from fusedlstm.files.saving import save as save
    from fusedlstm.models import Model as Model
    from fusedlstm.models import Sequential as Sequential
    from fusedlstm.plotting import ForecastDisplay as ForecastDisplay
    from fusedlstm.plotting import LossCurveDisplay as LossCurveDisplay
    from fusedlstm.preprocessing import PadSequences as PadSequences
    from fusedlstm.preprocessing import SequenceImputer as SequenceImputer
    from fusedlstm.preprocessing import SequenceScaler as SequenceScaler
    from fusedlstm.preprocessing import last_window as last_window
    from fusedlstm.preprocessing import make_windows as make_windows
    from fusedlstm.preprocessing import sequences_from_frame as sequences_from_frame

_LAZY = {
    "convert.torch": ("load_torch_state_dict", "to_torch_state_dict"),
    "estimators": ("LSTMClassifier", "LSTMRegressor", "LSTMStepRegressor", "LSTMTagger"),
    "files.saving": ("load", "save"),
    "models": ("Model", "Sequential"),
    "plotting": ("ForecastDisplay", "LossCurveDisplay"),
    "preprocessing": (
        "PadSequences",
        "SequenceImputer",
        "SequenceScaler",
        "last_window",
        "make_windows",
        "sequences_from_frame",
    ),
}
"""Names by module. They are imported on first access, because importing scikit-learn is slow."""

_MODULE_OF = {name: module for module, names in _LAZY.items() for name in names}

_MODULES = (
    "contrib",
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
)
"""Public modules, which are also imported on first access."""

__all__ = ["__version__", "get_num_threads", "set_num_threads", "show_config", *_MODULE_OF]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"fusedlstm.{_MODULE_OF[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"fusedlstm.{name}")
    # The interpreter needs `obj` to suggest a similar name.
    module = sys.modules[__name__]
    raise AttributeError(f"module 'fusedlstm' has no attribute {name!r}", name=name, obj=module)


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
