"""Encode values of parameters and attributes as JSON and arrays, and decode them.

A value is a value of JSON, a tuple, a dictionary, an array, labels, a model, a random generator, or
an object of a class in `VALUES`. Decoding calls only constructors of these classes. A file may come
from an untrusted source. Therefore every structure and type is checked, and the memory used is
proportional to the length of the content.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from typing import Any

import numpy as np

from fusedlstm import layers
from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.files.classes import FIELDS, MODELS, VALUES, class_of, is_listed, name_in_files
from fusedlstm.losses import ClassificationLoss, RegressionLoss

LAYERS_OF = {"Model": "layer", "Sequential": "layers"}
"""Name of the attribute with the layers, by class of model."""

LABEL_KINDS = "biufUO"
"""Kinds of NumPy dtypes that labels may have."""

FREE_LABEL_BYTES = 2**24
"""Bytes that a string array of labels may have in addition to `BYTES_PER_CHARACTER`."""

BYTES_PER_CHARACTER = 100
"""Bytes that a string array of labels may have per character."""

BY_PICKLE = "Use pickle for your own classes."
"""Hint of errors for classes of other packages."""


def encode_parameter(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Encode a parameter of a constructor; raise TypeError if a file cannot contain its value."""
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
    """Return True for a function, and for a callable object of another package."""
    known = name_in_files(type(value)) is not None
    return callable(value) and not isinstance(value, type) and not known


def encode_labels(labels: Array, name: str) -> Any:
    """Encode labels as JSON."""
    needed = "of str, int, float or bool to be saved"
    if labels.dtype.kind not in LABEL_KINDS:
        raise TypeError(check.needs(name, needed, labels))
    values = labels.tolist()
    for value in values:
        if type(value) not in (str, int, float, bool):
            raise TypeError(check.needs(name, needed, value))
    dtype = labels.dtype
    if _excess(values, dtype) > FREE_LABEL_BYTES:  # the dtype is much wider than the labels
        dtype = np.dtype(f"U{max(map(len, values))}")
        if _excess(values, dtype) > FREE_LABEL_BYTES:
            hint = "Some labels are much longer than the rest. Use an array of dtype object."
            raise TypeError(check.needs(name, "of similar lengths to be saved", labels, hint))
    return {"labels": [encode(value, name, {}) for value in values], "dtype": dtype.str}


def encode(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Return a value as JSON. Arrays are added to ``arrays``, with names derived from ``name``."""
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
    if type(value).__name__ == "Sequential" and is_listed(value, MODELS):
        return {"Sequential": encode_model(value, name + ".", arrays)}
    if type(value) is np.random.Generator and type(value.bit_generator) is np.random.PCG64:
        return {"Generator": encode(value.bit_generator.state, name, arrays)}
    kind = name_in_files(type(value))
    if kind is not None:
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {kind: {k: encode(v, f"{name}.{k}", arrays) for k, v in fields.items()}}
    if isinstance(value, layers.Layer):
        needed = "a layer of fusedlstm to be saved, since a file holds no code"
        raise TypeError(check.needs(name, needed, value, BY_PICKLE))
    if isinstance(value, (ClassificationLoss, RegressionLoss)):
        needed = "a loss of fusedlstm to be saved, since a file holds no code"
        raise TypeError(check.needs(name, needed, value, BY_PICKLE))
    needed = "composed of numbers, text and objects of fusedlstm to be saved"
    raise TypeError(check.needs(name, needed, value))


def encode_model(model: Any, prefix: str, arrays: dict[str, Array]) -> dict[str, Any]:
    """Return a model as JSON. Its parameters are added to ``arrays``, with a prefix to their names.

    Parameters
    ----------
    model : Model or Sequential
    prefix : str
    arrays : dict of str to array
    """
    arrays.update({prefix + name: array for name, array in model.named_params().items()})
    held = LAYERS_OF[type(model).__name__]
    return {
        held: encode(getattr(model, held), prefix + held, arrays),
        "input_size": model.input_size,
        "dtype": model.dtype.name,
        "params": prefix,
    }


def decode(value: Any, arrays: dict[str, Array]) -> Any:
    """Return the value that `encode` encoded."""
    return Decoder(arrays).decode(value)


class Decoder:
    """Decodes the values of a header.

    Parameters
    ----------
    arrays : dict of str to array
        The arrays of the file.
    """

    def __init__(self, arrays: dict[str, Array]) -> None:
        self.arrays = arrays
        self._has_model = False
        self._label_bytes = 2 * FREE_LABEL_BYTES

    def decode(self, value: Any) -> Any:
        """Return the value that `encode` encoded; raise ValueError or TypeError."""
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
        return construct(
            make, {name: self.decode(each) for name, each in of_object(content).items()}
        )

    def model(self, content: Any, name: str = "Sequential") -> Any:
        """Return the model of the class ``name`` that `encode_model` encoded."""
        held = LAYERS_OF[name]
        parts = fields_of(name, content, held, "input_size", "dtype", "params")
        if self._has_model:  # a second model would need the memory of the same arrays again
            raise ValueError("a file must hold one model; got two")
        self._has_model = True
        prefix = _typed("params", parts["params"], str)
        arrays = {
            name[len(prefix) :]: array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }
        own = self.decode(parts[held])
        return class_of(name).from_named_params(own, parts["input_size"], arrays, parts["dtype"])

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
            raise ValueError(check.needs("dtype", "about as wide as the longest label", name))
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


def construct(kind: Any, fields: dict[str, Any]) -> Any:
    """Return an object of a dataclass, after a check of the names and types of its fields."""
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
    """Raise a TypeError if a value does not have the type of an annotation."""
    if not _fits(value, hint):
        text = hint.__name__ if isinstance(hint, type) else str(hint)
        raise TypeError(check.needs(name, f"of type {text}", value))


def of_object(content: Any) -> dict[str, Any]:
    """Return an object of JSON; raise TypeError for another value."""
    return _typed("an object", content, dict)  # type: ignore[no-any-return]


def fields_of(name: str, content: Any, *fields: str) -> dict[str, Any]:
    """Return an object of JSON; raise ValueError unless it has exactly these fields."""
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
    if type(value) is int and abs(value) >= 2**63:  # too large for the compiled core
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
    """Return the bytes of a string array of labels in excess of `BYTES_PER_CHARACTER`."""
    if dtype.kind != "U":
        return 0
    characters = sum(len(label) for label in labels if type(label) is str)
    return len(labels) * dtype.itemsize - BYTES_PER_CHARACTER * characters
