"""The classes whose objects a file may contain.

Reading a file calls only constructors of these classes. A class is found by its name in a table of
this module. Therefore a file cannot cause the import of another module.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy.typing as npt

from fusedlstm import layers
from fusedlstm.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from fusedlstm.optimizers import OPTIMIZERS, OptimizerState
from fusedlstm.schedules import SCHEDULES, ScheduleState

T = TypeVar("T")

ESTIMATORS = {
    "LSTMClassifier": "fusedlstm.estimators",
    "LSTMRegressor": "fusedlstm.estimators",
    "LSTMStepRegressor": "fusedlstm.estimators",
    "LSTMTagger": "fusedlstm.estimators",
    "PadSequences": "fusedlstm.preprocessing",
    "SequenceImputer": "fusedlstm.preprocessing",
    "SequenceScaler": "fusedlstm.preprocessing",
}
"""Modules of the classes with parameters and fitted attributes, by name."""

MODELS = {"Model": "fusedlstm.models", "Sequential": "fusedlstm.models"}
"""Modules of the models, by name."""

VALUES: dict[str, type[Any]] = {
    **{
        name: layer
        for name in layers.__all__
        if isinstance(layer := getattr(layers, name), type)
        and issubclass(layer, layers.Layer)
        and not inspect.isabstract(layer)
    },
    **{
        type(value).__name__: type(value)
        for named in (OPTIMIZERS, SCHEDULES, REGRESSION_LOSSES, CLASSIFICATION_LOSSES)
        for value in named.values()
    },
    "OptimizerState": OptimizerState,
    "ScheduleState": ScheduleState,
}
"""Dataclasses of values in parameters and attributes, by name.

Packages that are not imported here add their classes with `can_be_saved`.
"""

FIELDS: dict[Any, dict[str, Any]] = {
    OptimizerState: {
        "t": int,
        "averages": dict[str, npt.NDArray[Any]],
        "momentum_product": float,
    },
    ScheduleState: {
        "epoch": int,
        "watched": float | None,
        "best": float,
        "waited": int,
        "cooling": int,
        "reduced": float,
    },
}
"""Types of the fields of classes that do not check their fields themselves.

The types repeat the annotations. `typing.get_type_hints` is not used, because it compiles the
annotations, and loading a file must not compile code.
"""


def can_be_saved(fields: dict[str, Any], name: str) -> Callable[[type[T]], type[T]]:
    """Return a decorator of dataclasses whose objects a file may contain.

    Parameters
    ----------
    fields : dict of str to type
        Types of the fields, which reading checks.
    name : str
        Name of the class in files. It does not change if the class is renamed.
    """

    def register(kind: type[T]) -> type[T]:
        VALUES[name] = kind
        FIELDS[kind] = fields
        return kind

    return register


def name_in_files(kind: type[Any]) -> str | None:
    """Return the name of a class in `VALUES`; None for other classes."""
    return next((name for name, value in VALUES.items() if value is kind), None)


def class_of(name: str) -> Any:
    """Import and return the model or estimator class with this name."""
    module = ESTIMATORS.get(name) or MODELS[name]
    return getattr(importlib.import_module(module), name)


def is_listed(value: Any, names: dict[str, str]) -> bool:
    """Return True for an object of one of the named classes, but not of a subclass."""
    name = type(value).__name__
    return name in names and type(value) is class_of(name)
