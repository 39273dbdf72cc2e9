"""Conversion of weights from and to other libraries.

Each library has its own module. The modules are imported on first access.
"""

from __future__ import annotations

import importlib
from types import ModuleType

_MODULES = ("torch",)


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return importlib.import_module(f"fusedlstm.convert.{name}")
    raise AttributeError(f"module 'fusedlstm.convert' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_MODULES)
