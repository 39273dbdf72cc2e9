"""Fitted attributes of estimators and transformers in files: their types, defaults and sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fusedlstm._utils import validation as check
from fusedlstm.files.classes import VALUES, class_of
from fusedlstm.files.encoding import check_type
from fusedlstm.losses import RegressionLoss
from fusedlstm.schedules import ScheduleState

ATTRIBUTES: dict[str, Any] = {
    "n_features_in_": int,
    "feature_names_in_": npt.NDArray[Any],
    "_fitted_on_2d": bool,
    "X_mean_": npt.NDArray[Any] | None,
    "X_scale_": npt.NDArray[Any] | None,
    "model_": "Sequential",
    "n_iter_": int,
    "best_iter_": int,
    "loss_": float,
    "loss_curve_": list[float],
    "validation_loss_curve_": list[float],
    "_progress": "Progress or None",
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
"""Types of the fitted attributes in a file.

A string stands for a class of a package that depends on `fusedlstm.files`.
"""

_REQUIRED_WITH_MODEL = ("n_features_in_", "_fitted_on_2d", "model_", "n_iter_", "loss_curve_")

REQUIRED: dict[str, tuple[str, ...]] = {
    "LSTMClassifier": (*_REQUIRED_WITH_MODEL, "classes_", "_multilabel"),
    "LSTMRegressor": (*_REQUIRED_WITH_MODEL, "_y_ndim", "_y_mean", "_y_scale", "_fitted_loss"),
    "LSTMStepRegressor": (*_REQUIRED_WITH_MODEL, "_y_ndim", "_y_mean", "_y_scale", "_fitted_loss"),
    "LSTMTagger": (*_REQUIRED_WITH_MODEL, "classes_"),
    "PadSequences": ("n_features_in_", "_fitted_on_2d", "width_"),
    "SequenceImputer": ("n_features_in_", "_fitted_on_2d", "statistics_"),
    "SequenceScaler": ("n_features_in_", "_fitted_on_2d", "mean_", "scale_"),
}
"""Attributes that every file of a class contains, by the name of the class."""

DEFAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "X_mean_": lambda attributes: None,
    "X_scale_": lambda attributes: None,
    "best_iter_": lambda attributes: attributes["n_iter_"],
    "loss_": lambda attributes: (attributes["loss_curve_"] or [np.nan])[-1],
    "validation_loss_curve_": lambda attributes: [],
    "_schedule_state": lambda attributes: ScheduleState(attributes["n_iter_"]),
}
"""Values of attributes that files of earlier versions do not contain, for a fitted model."""

OF_FEATURES = ("feature_names_in_", "X_mean_", "X_scale_", "mean_", "scale_", "statistics_")
"""Attributes with one number or name per feature."""


def checked_attributes(name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """Check decoded attributes, and return them with defaults for missing attributes.

    Parameters
    ----------
    name : str
        Name of the class.
    attributes : dict of str to object

    Raises
    ------
    TypeError
        An attribute has the wrong type.
    ValueError
        A required attribute is missing, or the sizes of attributes do not agree.
    """
    for key, value in attributes.items():
        check_type(key, value, type_of(key))
    for key in REQUIRED[name]:
        if key not in attributes:
            raise ValueError(f"{name} must have an attribute {key}; got none")
    if "model_" in attributes:
        for key, default in DEFAULTS.items():
            if key not in attributes:
                attributes[key] = default(attributes)
    _check_sizes(attributes)
    return attributes


def type_of(name: str) -> Any:
    """Return the type of an attribute."""
    kind = ATTRIBUTES[name]
    if kind == "Sequential":
        return class_of(kind)
    return VALUES["Progress"] | None if kind == "Progress or None" else kind


def _check_sizes(attributes: dict[str, Any]) -> None:
    """Raise an error if the sizes of arrays and models do not agree."""
    n_features = check.positive_int("n_features_in_", attributes["n_features_in_"])
    for name in OF_FEATURES:
        if attributes.get(name) is not None and attributes[name].shape != (n_features,):
            # After a fit on 2-D X, n_features_in_ is the number of steps, and there is one feature.
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
            raise ValueError(
                check.needs("_y_ndim", "2, or 1 for one target", attributes["_y_ndim"])
            )
    if "width_" in attributes:
        check.positive_int("width_", attributes["width_"])
    if "model_" in attributes:
        size = 1 if attributes["_fitted_on_2d"] else n_features
        if attributes["model_"].input_size != size:
            needed = f"of {size} features"
            raise ValueError(check.needs("model_", needed, attributes["model_"].input_size))
