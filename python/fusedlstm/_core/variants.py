"""Choice of the compiled module.

CMake compiles the same source once per instruction set. Each module is a *variant*. The baseline
runs on all CPUs and detects which variants this CPU and operating system can run. The fastest of
these variants is used, unless the environment variable ``FUSEDLSTM_VARIANT`` selects a variant.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # all variants have the interface of the baseline
    from fusedlstm._core import baseline as core

    reason: str

__all__ = ["ENVIRONMENT_VARIABLE", "core", "load_variants", "reason"]

ENVIRONMENT_VARIABLE = "FUSEDLSTM_VARIANT"


def _refuse_subinterpreter() -> None:
    """Raise ImportError in a sub-interpreter, where importing the compiled code could hang."""
    # The module has the first name from Python 3.13 on, and the second name before.
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        if interpreters.get_current() != interpreters.get_main():
            raise ImportError("fusedlstm must be imported by the main interpreter of a process")
        return


def _import_variant(name: str) -> ModuleType | None:
    """Return the module of a variant; None if it was not built."""
    try:
        return importlib.import_module(f"fusedlstm._core.{name}")
    except ModuleNotFoundError:
        return None


def _runnable() -> list[str]:
    """Return the names of the variants that this machine can run, fastest first."""
    names: list[str] = importlib.import_module("fusedlstm._core.baseline").runnable_variants()
    return names[::-1]


def load_variants() -> dict[str, ModuleType]:
    """Return all variants that were built and that this machine can run, fastest first."""
    found = {name: _import_variant(name) for name in _runnable()}
    return {name: module for name, module in found.items() if module is not None}


def _choose() -> tuple[ModuleType, str]:
    """Return the variant to use and the reason for the choice."""
    wanted = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if not wanted:
        fastest = next(m for name in _runnable() if (m := _import_variant(name)) is not None)
        return fastest, "the fastest variant that was built and that this CPU can run"
    name = wanted.replace("-", "_")
    module = _import_variant(name) if name in _runnable() else None
    if module is None:
        names = ", ".join(load_variants())
        raise ImportError(
            f"{ENVIRONMENT_VARIABLE} must be one of {names} on this machine; got {wanted!r}"
        )
    return module, f"{ENVIRONMENT_VARIABLE}={wanted}"


if not TYPE_CHECKING:
    _refuse_subinterpreter()
    core, reason = _choose()
