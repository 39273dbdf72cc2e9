"""Models, estimators and transformers, into files and back.

A file holds values of a few kinds: JSON's own, tuples and dictionaries, arrays, labels, and objects
of the classes listed here. Reading calls constructors of these classes and nothing else: no code
comes from a file, nor the name of anything to import.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

import fusedlstm
from fusedlstm import _validation as check
from fusedlstm import layers
from fusedlstm._core import Array
from fusedlstm._files import FileName, read, refused, write
from fusedlstm._fit_state import FitState, Progress, Watch
from fusedlstm.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from fusedlstm.model import Sequential
from fusedlstm.optimizers import OPTIMIZERS, OptimizerState
from fusedlstm.schedules import SCHEDULES, ScheduleState

ESTIMATORS = (
    "LSTMClassifier",
    "LSTMRegressor",
    "PadSequences",
    "SequenceImputer",
    "SequenceScaler",
)
"""What has parameters and fitted attributes, by its name in the package."""

VALUES: dict[str, Callable[..., Any]] = {
    **{
        name: layer
        for name in layers.__all__
        if not inspect.isabstract(layer := getattr(layers, name))
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


LABEL_KINDS = "biufUO"


class Savable:
    """What an estimator or transformer needs to be saved."""

    _saved_attributes: ClassVar[tuple[str, ...]]
    """Attributes from `fit` that a file holds, where they are set."""

    def save(self, path: FileName) -> None:
        """Write parameters and everything fitted into a file, for `fusedlstm.load`.

        Parameters
        ----------
        path : str or path
            A file there is replaced, once the new one is complete.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError
            A parameter is of a kind that a file cannot hold: a function, a random generator, a
            layer or optimizer of one's own, class labels other than str, int, float and bool.

        Notes
        -----
        The file is a safetensors file: arrays, and text that names them. Loading it runs no code,
        and equal models give equal bytes.

        Examples
        --------
        >>> import tempfile, fusedlstm, numpy as np
        >>> from fusedlstm import LSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((30, 5, 2))
        >>> model = LSTMRegressor(4, max_iter=1).fit(X, X.mean(axis=(1, 2)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(folder + "/model.safetensors")
        ...     same = fusedlstm.load(folder + "/model.safetensors")
        >>> bool((same.predict(X) == model.predict(X)).all())
        True
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        save(self, path)


def save(thing: Any, path: FileName) -> None:
    """Write a model, or what has `save`, into a file."""
    name = type(thing).__name__
    arrays: dict[str, Array] = {}
    header: dict[str, Any] = {"class": name}
    if type(thing) is Sequential:
        header["parameters"] = _encode_model(thing, "", arrays)
        header["dtype"] = thing.dtype.name
    elif name in ESTIMATORS and type(thing) is getattr(fusedlstm, name):
        attributes = {k: vars(thing)[k] for k in type(thing)._saved_attributes if k in vars(thing)}
        header["parameters"] = {
            name: encode_parameter(value, name, arrays)
            for name, value in thing.get_params(deep=False).items()
        }
        header["classes"] = _encode_classes(attributes.pop("classes_", None))
        header["attributes"] = {
            name: encode(value, name, arrays) for name, value in attributes.items()
        }
        if "model_" in attributes:
            header["dtype"] = attributes["model_"].dtype.name
    else:
        needed = "of a class of fusedlstm itself to be saved: " + ", ".join(
            ("Sequential", *ESTIMATORS)
        )
        raise TypeError(check.needs("type", needed, type(thing)))
    write(path, header, arrays)


def load(path: FileName) -> Any:
    """Read what `save` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Sequential, estimator or transformer
        It predicts the same to the last bit, and can be fitted again, cloned and saved.

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        The file is cut off, damaged, of something else or of a newer version.

    Notes
    -----
    Runs no code from the file. Files that differ from what was written in a single bit are refused.

    Examples
    --------
    >>> import tempfile, fusedlstm
    >>> from fusedlstm.layers import LSTM, Dense
    >>> model = fusedlstm.Sequential([LSTM(4), Dense(1)], input_size=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(folder + "/model.safetensors")
    ...     same = fusedlstm.load(folder + "/model.safetensors")
    >>> bool((same.params == model.params).all())
    True
    """
    header, arrays = read(path)
    try:
        return _rebuild(header, arrays)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"whose content this version of fusedlstm does not know ({error})"
        raise refused(path, what) from error


def _rebuild(header: dict[str, Any], arrays: dict[str, Array]) -> Any:
    name, parameters = header["class"], header["parameters"]
    if name == "Sequential":
        return _decode_model(parameters, arrays)
    if name not in ESTIMATORS:
        raise ValueError(check.needs("class", "one of " + ", ".join(ESTIMATORS), name))
    kind = getattr(fusedlstm, name)
    thing = kind(**{key: decode(value, arrays) for key, value in parameters.items()})
    attributes = {key: decode(value, arrays) for key, value in header["attributes"].items()}
    if header["classes"] is not None:
        attributes["classes_"] = decode(header["classes"], arrays)
    for key in attributes:
        check.choice("attribute", key, kind._saved_attributes)
    thing.__setstate__(attributes)
    return thing


def encode_parameter(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Encode a parameter of a constructor; what a file cannot hold gets a sentence of its own."""
    if name == "random_state" and not (value is None or isinstance(value, (int, np.integer))):
        hint = "Set it with set_params(random_state=...) first."
        raise TypeError(check.needs(name, "an integer or None to be saved", value, hint))
    if is_code(value):
        needed = "a name or None to be saved, since a file holds no code"
        raise TypeError(check.needs(name, needed, value))
    if isinstance(value, (type, np.dtype)) and name == "dtype":
        return check.float_dtype(name, value).name
    return encode(value, name, arrays)


def is_code(value: Any) -> bool:
    """Whether a parameter is a function of somebody's own."""
    known = type(value) is VALUES.get(type(value).__name__)
    return callable(value) and not isinstance(value, type) and not known


def _encode_classes(classes: Any) -> Any:
    if classes is None:
        return None
    if isinstance(classes, list):
        return [_encode_classes(each) for each in classes]
    return _encode_labels(classes, "classes_")


def _encode_labels(labels: Array, name: str) -> Any:
    """Encode labels so that they can be read in the file."""
    needed = "of str, int, float or bool to be saved"
    if labels.dtype.kind not in LABEL_KINDS:
        raise TypeError(check.needs(name, needed, labels))
    values = labels.tolist()
    for value in values:
        if type(value) not in (str, int, float, bool):
            raise TypeError(check.needs(name, needed, value))
    return {"labels": [encode(value, name, {}) for value in values], "dtype": labels.dtype.str}


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
            return _encode_labels(value, name)
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
        return {"Sequential": _encode_model(value, name + ".", arrays)}
    if type(value) is np.random.Generator and type(value.bit_generator) is np.random.PCG64:
        return {"Generator": encode(value.bit_generator.state, name, arrays)}
    kind = type(value).__name__
    if type(value) is VALUES.get(kind):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {kind: {k: encode(v, f"{name}.{k}", arrays) for k, v in fields.items()}}
    needed = "of numbers, text, layers and optimizers of fusedlstm to be saved"
    raise TypeError(check.needs(name, needed, value))


def decode(value: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "labels" in value:
        dtype = np.dtype(value["dtype"])
        check.choice("kind of labels", dtype.kind, LABEL_KINDS)
        return np.array(decode(value["labels"], arrays), dtype)
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "array":
        return arrays[content]
    if kind == "tuple":
        return tuple(decode(content, arrays))
    if kind == "dict":
        return {decode(key, arrays): decode(item, arrays) for key, item in content}
    if kind == "Sequential":
        return _decode_model(content, arrays)
    if kind == "Generator":
        bits = np.random.PCG64()
        bits.state = decode(content, arrays)
        return np.random.Generator(bits)
    make = VALUES[check.choice("class", kind, VALUES)]
    return make(**{name: decode(field, arrays) for name, field in content.items()})


def _encode_model(model: Sequential, prefix: str, arrays: dict[str, Array]) -> dict[str, Any]:
    arrays.update({prefix + name: array for name, array in model.named_params().items()})
    return {
        "layers": encode(model.layers, prefix + "layers", arrays),
        "input_size": model.input_size,
        "dtype": model.dtype.name,
        "params": prefix,
    }


def _decode_model(content: dict[str, Any], arrays: dict[str, Array]) -> Sequential:
    prefix = content["params"]
    return Sequential.from_named_params(
        decode(content["layers"], arrays),
        content["input_size"],
        {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)},
        content["dtype"],
    )
