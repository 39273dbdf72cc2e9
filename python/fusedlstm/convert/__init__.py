"""Weights from other libraries, and into them."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "torch":
        return importlib.import_module("fusedlstm.convert.torch")
    raise AttributeError(f"module 'fusedlstm.convert' has no attribute {name!r}")


def __dir__() -> list[str]:
    return ["torch"]
