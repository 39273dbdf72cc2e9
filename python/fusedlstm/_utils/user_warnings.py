"""Warnings that point at the line of the user's code."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import joblib
import sklearn

_INSIDE = (
    str(Path(__file__).parents[1]),
    *(str(Path(library.__file__).parent) for library in (sklearn, joblib)),
)

_CROSS_VALIDATION = str(Path(sklearn.__file__).parent / "model_selection" / "_validation.py")
"""The file of scikit-learn that fits clones of an estimator to parts of the data."""


def warn(message: str, category: type[Warning], *, in_cross_validation: bool = True) -> None:
    """Warn at the nearest line outside this package, scikit-learn and joblib.

    Parameters
    ----------
    message : str
    category : type
    in_cross_validation : bool
        If False, there is no warning in the fits of a search or a cross-validation, which would
        repeat the warning for every fit. The final fit of a search warns.
    """
    level, frame = 1, inspect.currentframe()
    while frame and frame.f_back and frame.f_code.co_filename.startswith(_INSIDE):
        if frame.f_code.co_filename == _CROSS_VALIDATION and not in_cross_validation:
            return
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
