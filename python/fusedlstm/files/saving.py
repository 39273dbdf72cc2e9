"""Save models, estimators, transformers and pipelines of them in files, and load them.

Reading calls constructors of classes that are listed here or in `_encoding`, and nothing else: no
code comes from a file, nor the name of anything to import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

import fusedlstm
from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.files.encoding import (
    Decoder,
    check_type,
    encode,
    encode_labels,
    encode_model,
    encode_parameter,
    fields_of,
    of_object,
)
from fusedlstm.files.format import FileName, checked, read, refused, sweep, write
from fusedlstm.losses import RegressionLoss
from fusedlstm.models.model import Model
from fusedlstm.models.sequential import Sequential
from fusedlstm.schedules import ScheduleState
from fusedlstm.training.fit_state import Progress

ESTIMATORS = (
    "LSTMClassifier",
    "LSTMRegressor",
    "LSTMStepRegressor",
    "LSTMTagger",
    "PadSequences",
    "SequenceImputer",
    "SequenceScaler",
)
"""Names in the package of the classes with parameters and fitted attributes."""

ATTRIBUTES: dict[str, Any] = {
    "n_features_in_": int,
    "feature_names_in_": npt.NDArray[Any],
    "_fitted_on_2d": bool,
    "X_mean_": npt.NDArray[Any] | None,
    "X_scale_": npt.NDArray[Any] | None,
    "model_": Sequential,
    "n_iter_": int,
    "best_iter_": int,
    "loss_": float,
    "loss_curve_": list[float],
    "validation_loss_curve_": list[float],
    "_progress": Progress | None,
    "_schedule_state": ScheduleState,
    "classes_": npt.NDArray[Any],
    "_multilabel": bool,
    "_y_ndim": int,
    "_y_mean": npt.NDArray[Any],
    "_y_scale": npt.NDArray[Any],
    "_fitted_loss": RegressionLoss,
    "mean_": npt.NDArray[Any],
    "scale_": npt.NDArray[Any],
    "statistics_": npt.NDArray[Any],
    "width_": int,
}
"""Types of the fitted attributes in a file."""

_OF_A_MODEL = ("n_features_in_", "_fitted_on_2d", "model_", "n_iter_", "loss_curve_")

REQUIRED: dict[str, tuple[str, ...]] = {
    "LSTMClassifier": (*_OF_A_MODEL, "classes_", "_multilabel"),
    "LSTMRegressor": (*_OF_A_MODEL, "_y_ndim", "_y_mean", "_y_scale", "_fitted_loss"),
    "LSTMStepRegressor": (*_OF_A_MODEL, "_y_ndim", "_y_mean", "_y_scale", "_fitted_loss"),
    "LSTMTagger": (*_OF_A_MODEL, "classes_"),
    "PadSequences": ("n_features_in_", "_fitted_on_2d", "width_"),
    "SequenceImputer": ("n_features_in_", "_fitted_on_2d", "statistics_"),
    "SequenceScaler": ("n_features_in_", "_fitted_on_2d", "mean_", "scale_"),
}
"""Attributes without which an object of the class cannot work. Files of every version have them."""

DEFAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "X_mean_": lambda attributes: None,
    "X_scale_": lambda attributes: None,
    "best_iter_": lambda attributes: attributes["n_iter_"],
    "loss_": lambda attributes: (attributes["loss_curve_"] or [np.nan])[-1],
    "validation_loss_curve_": lambda attributes: [],
    "_schedule_state": lambda attributes: ScheduleState(attributes["n_iter_"]),
}
"""Values of other attributes of a fitted model that a file does not have."""

OF_FEATURES = ("feature_names_in_", "X_mean_", "X_scale_", "mean_", "scale_", "statistics_")
"""Attributes with a number or a name per feature."""


class Savable:
    """Base class of estimators and transformers that can be saved."""

    _saved_attributes: ClassVar[tuple[str, ...]]
    """Attributes from `fit` that a file holds, where they are set; typed in `ATTRIBUTES`."""

    def save(self, path: FileName) -> None:
        """Write parameters and everything fitted into a file, for `fusedlstm.load`.

        Parameters
        ----------
        path : str or path
            A file there is replaced, once the new one is complete; its permissions are kept.

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
        save(self, path)


def save(estimator: Any, path: FileName) -> None:
    """Write a model, an estimator, a transformer or a pipeline of them into a file.

    Parameters
    ----------
    estimator : Sequential, estimator, transformer or Pipeline
        A fitted estimator or transformer of this package, a model of layers, or a
        `sklearn.pipeline.Pipeline` with steps of this package, None or ``"passthrough"``.
    path : str or path
        An existing file is replaced, once the new one is complete; its permissions are kept.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        An estimator or a step is not fitted.
    TypeError
        The object, a step or a parameter is of a class that a file cannot hold.

    See Also
    --------
    load : Read the file.

    Notes
    -----
    The file is a safetensors file: arrays, and text that names them. Of a pipeline, the names and
    the order of the steps are kept. A pipeline with ``memory`` is refused.

    Examples
    --------
    >>> import tempfile, fusedlstm, numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from fusedlstm import LSTMRegressor, SequenceScaler
    >>> X = np.random.default_rng(0).standard_normal((30, 5, 2))
    >>> model = make_pipeline(SequenceScaler(), LSTMRegressor(4, max_iter=1))
    >>> model = model.fit(X, X.mean(axis=(1, 2)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fusedlstm.save(model, folder + "/model.safetensors")
    ...     same = fusedlstm.load(folder + "/model.safetensors")
    >>> bool((same.predict(X) == model.predict(X)).all())
    True
    """
    arrays: dict[str, Array] = {}
    if type(estimator) in (Model, Sequential):
        header = {
            "class": type(estimator).__name__,
            "parameters": encode_model(estimator, "", arrays),
            "dtype": estimator.dtype.name,
        }
    elif _is_ours(estimator):
        header = _encode_estimator(estimator, arrays)
    elif _is_pipeline(estimator):
        header = _encode_pipeline(estimator, arrays)
    else:
        needed = "of a class of fusedlstm itself to be saved: "
        needed += ", ".join(("Model", "Sequential", *ESTIMATORS)) + ", or a Pipeline of them"
        raise TypeError(check.needs("type", needed, type(estimator)))
    sweep(checked(path))
    write(path, header, arrays)


def load(path: FileName) -> Any:
    """Read a file that `save` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Sequential, estimator, transformer or Pipeline
        It predicts the same to the last bit, and can be fitted again, cloned and saved.

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        The file is cut off, damaged, of something else or of a newer version.
    MemoryError
        There is not enough memory for the arrays.

    See Also
    --------
    save : Write the file.

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
    if header.get("class") == "Checkpoint":
        what = "which is a checkpoint: pass it to fit as checkpoint, with the same data"
        raise refused(path, what)
    try:
        return _decode_whole(header, arrays)
    except MemoryError:
        raise
    except Exception as error:  # whatever a stranger's file may lead to
        what = f"whose content this version of fusedlstm does not know ({error})"
        raise refused(path, what) from error


def _is_ours(estimator: Any) -> bool:
    name = type(estimator).__name__
    return name in ESTIMATORS and type(estimator) is getattr(fusedlstm, name)


def _is_pipeline(estimator: Any) -> bool:
    from sklearn.pipeline import Pipeline

    return type(estimator) is Pipeline


def _encode_estimator(estimator: Any, arrays: dict[str, Array]) -> dict[str, Any]:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator)
    held = type(estimator)._saved_attributes
    attributes = {name: vars(estimator)[name] for name in held if name in vars(estimator)}
    classes = attributes.pop("classes_", None)
    header = {
        "class": type(estimator).__name__,
        "parameters": {
            name: encode_parameter(value, name, arrays)
            for name, value in estimator.get_params(deep=False).items()
        },
        "classes": None if classes is None else encode_labels(classes, "classes_"),
        "attributes": {name: encode(value, name, arrays) for name, value in attributes.items()},
    }
    if "model_" in attributes:
        header["dtype"] = attributes["model_"].dtype.name
    estimator._check_params()  # as `load` will
    return header


def _encode_pipeline(pipeline: Any, arrays: dict[str, Array]) -> dict[str, Any]:
    if pipeline.memory is not None:
        raise TypeError(check.needs("memory", "None for a pipeline to be saved", pipeline.memory))
    if getattr(pipeline, "transform_input", None) is not None:
        needed = "None for a pipeline to be saved"
        raise TypeError(check.needs("transform_input", needed, pipeline.transform_input))
    content: dict[str, Any] | str | None
    steps = []
    for number, (name, step) in enumerate(pipeline.steps):
        own: dict[str, Array] = {}
        if step is None or (isinstance(step, str) and step == "passthrough"):
            content = step
        elif _is_ours(step):
            content = _encode_estimator(step, own)
        else:
            needed = "of a class of fusedlstm, None or 'passthrough' for a pipeline to be saved"
            raise TypeError(check.needs(f"step {name!r}", needed, type(step)))
        steps.append({"name": name, "step": content})
        arrays.update({f"{number}.{key}": array for key, array in own.items()})
    return {"class": "Pipeline", "steps": steps, "verbose": bool(pipeline.verbose)}


def _decode_whole(header: dict[str, Any], arrays: dict[str, Array]) -> Any:
    kind = header.get("class")
    if kind in ("Model", "Sequential"):
        made = Sequential if kind == "Sequential" else Model
        return Decoder(arrays).model(header.get("parameters"), made)
    if kind == "Pipeline":
        return _decode_pipeline(header, arrays)
    return _decode_estimator(header, arrays)


def _decode_estimator(content: Any, arrays: dict[str, Array]) -> Any:
    content = of_object(content)
    name = check.choice("class", content.get("class"), ESTIMATORS)
    kind, decoder = getattr(fusedlstm, name), Decoder(arrays)
    parameters = {
        check.choice("parameter", key, kind._get_param_names()): decoder.decode(value)
        for key, value in of_object(content.get("parameters")).items()
    }
    if "standardize" in kind._get_param_names():  # files of earlier versions do not have it
        parameters.setdefault("standardize", False)
    estimator = kind(**parameters)
    estimator._check_params()
    attributes = {
        check.choice("attribute", key, kind._saved_attributes): decoder.decode(value)
        for key, value in of_object(content.get("attributes")).items()
    }
    if content.get("classes") is not None:
        attributes["classes_"] = decoder.decode(content["classes"])
    for key, value in attributes.items():
        check_type(key, value, ATTRIBUTES.get(key, Any))
    for key in REQUIRED[name]:
        if key not in attributes:
            raise ValueError(f"{name} must have an attribute {key}; got none")
    if "model_" in attributes:
        for key, default in DEFAULTS.items():
            if key not in attributes:
                attributes[key] = default(attributes)
    _check_sizes(attributes)
    estimator.__setstate__(attributes)
    if "model_" in attributes and attributes["model_"].output_size != estimator._n_outputs():
        needed = f"of {estimator._n_outputs()} outputs"
        raise ValueError(check.needs("model_", needed, attributes["model_"].output_size))
    return estimator


def _check_sizes(attributes: dict[str, Any]) -> None:
    """Refuse arrays and a model that do not have the number of features."""
    n_features = check.positive_int("n_features_in_", attributes["n_features_in_"])
    for name in OF_FEATURES:
        if attributes.get(name) is not None and attributes[name].shape != (n_features,):
            # After a fit on 2-D X the features are steps of one.
            if name == "feature_names_in_" or not attributes["_fitted_on_2d"]:
                raise ValueError(check.needs(name, f"of {n_features} features", attributes[name]))
            if attributes[name].shape != (1,):
                raise ValueError(check.needs(name, "of one feature", attributes[name]))
    for name in ("X_mean_", "X_scale_", "mean_", "scale_", "statistics_", "_y_mean", "_y_scale"):
        if attributes.get(name) is not None:
            check.real_array(name, attributes[name], np.float64)
    if (attributes.get("X_mean_") is None) != (attributes.get("X_scale_") is None):
        raise ValueError(check.needs("X_scale_", "given with X_mean_", attributes.get("X_scale_")))
    if "classes_" in attributes and attributes["classes_"].ndim != 1:
        raise ValueError(check.needs("classes_", "labels (n_classes,)", attributes["classes_"]))
    if "_y_ndim" in attributes:
        mean, scale = attributes["_y_mean"], attributes["_y_scale"]
        if mean.ndim != 1 or mean.shape != scale.shape:
            raise ValueError(check.needs("_y_scale", f"an array like {check.shown(mean)}", scale))
        if attributes["_y_ndim"] != 2 and (attributes["_y_ndim"] != 1 or len(mean) != 1):
            raise ValueError(check.needs("_y_ndim", "1 or 2, as the targets", len(mean)))
    if "width_" in attributes:
        check.positive_int("width_", attributes["width_"])
    if "model_" in attributes:
        size = 1 if attributes["_fitted_on_2d"] else n_features
        if attributes["model_"].input_size != size:
            needed = f"of {size} features"
            raise ValueError(check.needs("model_", needed, attributes["model_"].input_size))


def _decode_pipeline(header: dict[str, Any], arrays: dict[str, Array]) -> Any:
    from sklearn.pipeline import Pipeline

    steps = header.get("steps")
    if type(steps) is not list or not steps:
        raise ValueError(check.needs("steps", "a list of steps", steps))
    of_step: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        place, _, own = name.partition(".")
        of_step.setdefault(place, {})[own] = array
    decoded = []
    for number, step in enumerate(steps):
        parts = fields_of("a step", step, "name", "step")
        check_type("name", parts["name"], str)
        value = parts["step"]
        if value is not None and value != "passthrough":
            value = _decode_estimator(value, of_step.get(str(number), {}))
        decoded.append((parts["name"], value))
    check_type("verbose", header.get("verbose"), bool)
    pipeline = Pipeline(decoded, verbose=header["verbose"])
    pipeline._validate_steps()
    return pipeline
