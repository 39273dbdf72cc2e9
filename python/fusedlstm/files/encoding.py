"""Values of parameters and attributes as JSON and arrays, and back.

A value is one of JSON's own, a tuple, a dictionary, an array, labels, a model, a random generator,
or an object of the classes in `VALUES`. Reading calls constructors of these classes and nothing
else. What is read may come from a stranger: every structure and type is checked, and no more memory
is taken than the content is long, up to a constant factor.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fusedlstm import layers
from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    ClassificationLoss,
    RegressionLoss,
)
from fusedlstm.models.model import Model
from fusedlstm.models.sequential import Sequential
from fusedlstm.optimizers import OPTIMIZERS, AnyOptimizer, OptimizerState
from fusedlstm.schedules import SCHEDULES, ScheduleState
from fusedlstm.training.fit_state import FitState, Progress, Watch

VALUES: dict[str, Callable[..., Any]] = {
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
    "Progress": Progress,
    "Watch": Watch,
    "FitState": FitState,
}
"""Dataclasses that parameters and attributes may hold."""

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
    Progress: {
        "optimizer": AnyOptimizer,
        "state": OptimizerState,
        "rng": np.random.Generator,
        "schedule": ScheduleState,
    },
    Watch: {
        "tol": float,
        "patience": int,
        "best": float,
        "best_params": npt.NDArray[Any] | None,
        "best_iter": int,
        "waited": int,
    },
    FitState: {
        "seed": int,
        "progress": Progress,
        "watch": Watch,
        "epochs": int,
        "stopped": bool,
    },
}
"""Types of the fields of classes that do not check them themselves.

`typing.get_type_hints` would compile the annotations: loading a file compiles nothing.
"""

LABEL_KINDS = "biufUO"

FREE_LABEL_BYTES = 2**24
"""Bytes that the labels of a file may take, however short they are."""

BYTES_PER_CHARACTER = 100
"""Bytes that labels may take beyond that for each of their characters."""


BY_PICKLE = "Use pickle for classes of one's own."
"""Hint of errors for classes of one's own."""


def encode_parameter(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Encode a parameter of a constructor; raise a TypeError that says what a file cannot hold."""
    if name == "random_state" and not (value is None or isinstance(value, (int, np.integer))):
        hint = "Set it with set_params(random_state=...) first."
        raise TypeError(check.needs(name, "an integer or None to be saved", value, hint))
    if is_code(value) and not isinstance(value, (ClassificationLoss, RegressionLoss)):
        needed = "a name or None to be saved, since a file holds no code"
        raise TypeError(check.needs(name, needed, value, BY_PICKLE))
    if isinstance(value, (type, np.dtype)) and name == "dtype":
        return check.float_dtype(name, value).name
    return encode(value, name, arrays)


def is_code(value: Any) -> bool:
    """Return whether a parameter is a function, or a callable object of another project."""
    known = type(value) is VALUES.get(type(value).__name__)
    return callable(value) and not isinstance(value, type) and not known


def encode_labels(labels: Array, name: str) -> Any:
    """Encode labels so that they can be read in the file."""
    needed = "of str, int, float or bool to be saved"
    if labels.dtype.kind not in LABEL_KINDS:
        raise TypeError(check.needs(name, needed, labels))
    values = labels.tolist()
    for value in values:
        if type(value) not in (str, int, float, bool):
            raise TypeError(check.needs(name, needed, value))
    dtype = labels.dtype
    if _excess(values, dtype) > FREE_LABEL_BYTES:  # far wider than the labels are long
        dtype = np.dtype(f"U{max(map(len, values))}")
        if _excess(values, dtype) > FREE_LABEL_BYTES:
            hint = "A few are far longer than the rest: use an array of dtype object."
            raise TypeError(check.needs(name, "of similar lengths to be saved", labels, hint))
    return {"labels": [encode(value, name, {}) for value in values], "dtype": dtype.str}


def encode(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Return a value as JSON holds it; arrays go into ``arrays``, by name."""
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        value = value.item()
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "OU":
            return encode_labels(value, name)
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            arrays[name] = value
            return {"array": name}
    if type(value) in (list, tuple):
        items = [encode(item, f"{name}[{i}]", arrays) for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if type(value) is dict:
        pairs = [
            [encode(key, name, arrays), encode(item, f"{name}[{key!r}]", arrays)]
            for key, item in value.items()
        ]
        return {"dict": sorted(pairs, key=repr)}
    if type(value) is Sequential:
        return {"Sequential": encode_model(value, name + ".", arrays)}
    if type(value) is np.random.Generator and type(value.bit_generator) is np.random.PCG64:
        return {"Generator": encode(value.bit_generator.state, name, arrays)}
    kind = type(value).__name__
    if type(value) is VALUES.get(kind):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {kind: {k: encode(v, f"{name}.{k}", arrays) for k, v in fields.items()}}
    if isinstance(value, layers.Layer):
        needed = "a layer of fusedlstm to be saved, since a file holds no code"
        raise TypeError(check.needs(name, needed, value, BY_PICKLE))
    if isinstance(value, (ClassificationLoss, RegressionLoss)):
        needed = "a loss of fusedlstm to be saved, since a file holds no code"
        raise TypeError(check.needs(name, needed, value, BY_PICKLE))
    needed = "of numbers, text, layers and optimizers of fusedlstm to be saved"
    raise TypeError(check.needs(name, needed, value))


def encode_model(model: Model, prefix: str, arrays: dict[str, Array]) -> dict[str, Any]:
    """Return a model as JSON holds it; its parameters go into ``arrays``, after a prefix."""
    arrays.update({prefix + name: array for name, array in model.named_params().items()})
    return {
        **_layers_of(model, prefix, arrays),
        "input_size": model.input_size,
        "dtype": model.dtype.name,
        "params": prefix,
    }


def _layers_of(model: Model, prefix: str, arrays: dict[str, Array]) -> dict[str, Any]:
    if isinstance(model, Sequential):
        return {"layers": encode(model.layers, prefix + "layers", arrays)}
    return {"layer": encode(model.layer, prefix + "layer", arrays)}


def decode(value: Any, arrays: dict[str, Array]) -> Any:
    """Return the value that `encode` was given."""
    return Decoder(arrays).decode(value)


class Decoder:
    """Values of one header, which share its arrays.

    Parameters
    ----------
    arrays : dict of str to array
        Of the file.
    """

    def __init__(self, arrays: dict[str, Array]) -> None:
        self.arrays = arrays
        self._has_model = False
        self._label_bytes = 2 * FREE_LABEL_BYTES

    def decode(self, value: Any) -> Any:
        """Return the value that `encode` was given; raise ValueError or TypeError."""
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "labels" in value:
            return self._labels(value)
        if len(value) != 1:
            raise ValueError(check.needs("a value", "of one kind", value))
        ((kind, content),) = value.items()
        if kind == "float":
            return float(check.choice("float", content, ("nan", "inf", "-inf")))
        if kind == "array":
            if type(content) is not str or content not in self.arrays:
                raise ValueError(check.needs("array", "the name of an array", content))
            return self.arrays[content]
        if kind == "tuple":
            return tuple(self.decode(_typed("tuple", content, list)))
        if kind == "dict":
            return self._dict(content)
        if kind == "Sequential":
            return self.model(content)
        if kind == "Generator":
            return self._generator(content)
        make = VALUES[check.choice("class", kind, VALUES)]
        return made(make, {name: self.decode(each) for name, each in of_object(content).items()})

    def model(self, content: Any, kind: type[Model] = Sequential) -> Any:
        """Return the model that `encode_model` was given."""
        held = "layers" if kind is Sequential else "layer"
        parts = fields_of(kind.__name__, content, held, "input_size", "dtype", "params")
        if self._has_model:  # which would multiply the memory of the same arrays
            raise ValueError("a file must hold one model; got two")
        self._has_model = True
        prefix = _typed("params", parts["params"], str)
        arrays = {
            name[len(prefix) :]: array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }
        own = self.decode(parts[held])
        return kind.from_named_params(own, parts["input_size"], arrays, parts["dtype"])

    def _labels(self, value: dict[str, Any]) -> Array:
        parts = fields_of("labels", value, "labels", "dtype")
        labels = [self.decode(label) for label in _typed("labels", parts["labels"], list)]
        for label in labels:
            if type(label) not in (str, int, float, bool):
                raise TypeError(check.needs("a label", "a str, int, float or bool", label))
        name = _typed("dtype", parts["dtype"], str)
        needed = "a dtype of labels"
        try:
            dtype = np.dtype(name)
        except (TypeError, ValueError, SyntaxError):
            raise ValueError(check.needs("dtype", needed, name)) from None
        if dtype.kind not in LABEL_KINDS:
            raise ValueError(check.needs("dtype", needed, name))
        self._label_bytes -= max(0, _excess(labels, dtype))
        if self._label_bytes < 0:
            raise ValueError(check.needs("dtype", "about as wide as the labels are long", name))
        try:
            return np.array(labels, dtype)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(check.needs("labels", f"of dtype {name}", labels)) from None

    def _dict(self, content: Any) -> dict[Any, Any]:
        decoded = {}
        for pair in _typed("dict", content, list):
            if type(pair) is not list or len(pair) != 2:
                raise ValueError(check.needs("an item of a dict", "a pair", pair))
            key = self.decode(pair[0])
            if type(key) not in (str, int, float, bool, type(None)):
                raise TypeError(check.needs("the key of a dict", "a str or a number", key))
            decoded[key] = self.decode(pair[1])
        return decoded

    def _generator(self, content: Any) -> np.random.Generator:
        state, bits = self.decode(content), np.random.PCG64()
        try:
            bits.state = state
        except (TypeError, ValueError, KeyError, OverflowError):
            raise ValueError(check.needs("Generator", "the state of a PCG64", state)) from None
        return np.random.Generator(bits)


def made(kind: Any, fields: dict[str, Any]) -> Any:
    """Return an object of a dataclass, after a check of the fields' names and types."""
    known = dataclasses.fields(kind)
    for name in fields:
        check.choice(f"field of {kind.__name__}", name, [field.name for field in known])
    for field in known:
        left_out = field.default is dataclasses.MISSING is field.default_factory
        if field.name not in fields and left_out:
            raise ValueError(f"{kind.__name__} must have a field {field.name}; got none")
    for name, value in fields.items():
        check_type(f"{kind.__name__}.{name}", value, FIELDS.get(kind, {}).get(name, Any))
    make: Callable[..., Any] = getattr(kind, "from_fields", kind)
    return make(**fields)


def check_type(name: str, value: Any, hint: Any) -> None:
    """Refuse a value that does not have the type of an annotation."""
    if not _fits(value, hint):
        text = hint.__name__ if isinstance(hint, type) else str(hint)
        raise TypeError(check.needs(name, f"of type {text}", value))


def of_object(content: Any) -> dict[str, Any]:
    """Return an object of JSON."""
    return _typed("an object", content, dict)  # type: ignore[no-any-return]


def fields_of(name: str, content: Any, *fields: str) -> dict[str, Any]:
    """Return an object of JSON that has these fields and no other."""
    if type(content) is not dict or content.keys() != set(fields):
        raise ValueError(check.needs(name, "of the fields " + ", ".join(fields), content))
    return content


def _typed(name: str, value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(check.needs(name, f"a {kind.__name__}", value))
    return value


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if hint is type(None):
        return value is None
    if type(value) is int and abs(value) >= 2**63:  # more than the core and a float can take
        return False
    if hint in (bool, int, str):
        return type(value) is hint
    if hint is float:
        return type(value) in (int, float)
    if origin is list:
        return type(value) is list and all(_fits(item, parts[0]) for item in value)
    if origin is dict:
        return type(value) is dict and all(
            _fits(key, parts[0]) and _fits(item, parts[1]) for key, item in value.items()
        )
    if origin is tuple:
        if type(value) is not tuple:
            return False
        if parts[-1] is Ellipsis:
            return all(_fits(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if origin is np.ndarray:
        return isinstance(value, np.ndarray)
    return isinstance(value, origin or hint)


def _excess(labels: list[Any], dtype: np.dtype[Any]) -> int:
    """Return the bytes that an array of text takes beyond those for its characters."""
    if dtype.kind != "U":
        return 0
    characters = sum(len(label) for label in labels if type(label) is str)
    return len(labels) * dtype.itemsize - BYTES_PER_CHARACTER * characters
