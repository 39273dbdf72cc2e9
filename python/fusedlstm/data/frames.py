"""Checks of data frames that are passed as X."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_feature_names, validate_data

from fusedlstm._utils import validation as check
from fusedlstm._utils.user_warnings import warn
from fusedlstm.data.forms import is_frame

TIDY_HINT = (
    "For a data frame with one row per time step use "
    "fusedlstm.sequences_from_frame(df, id=..., time=...)."
)

_TIDY_NAMES = {
    "id",
    "unique_id",
    "series_id",
    "sequence_id",
    "case_id",
    "sample_id",
    "time",
    "timestamp",
    "datetime",
    "date",
    "timestep",
    "time_step",
}
"""Names of columns that contain ids or times."""

_ID_NAME = re.compile(
    r"(.*[_ .-])?(id|ids|uid|uuid|unit[_ .-]?(id|no|nr|number)|(patient|subject|participant|person|"
    r"user|customer|client|account|household|machine|device|engine|vehicle|session)"
    r"([_ .-]?(id|no|nr|number))?)"
)
"""Names of columns that contain ids if their values are integers."""

_CALENDAR_NAMES = {
    *("year", "quarter", "month", "week", "day", "hour", "minute", "second"),
    *("t", "ts", "ds", "step", "tick", "cycle", "period"),
}
"""Names of columns that contain times if their numbers ascend."""

_MIN_ROWS = 10
"""Smallest number of rows in which a sorted column of integers is probably an id or a time."""

_MAX_SCALE_RATIO = 100
"""Ratio of standard deviations above which columns are probably not steps of one feature."""

_MAX_ROWS = 10_000
"""Largest number of rows from which standard deviations are computed."""

_MAX_EQUAL_SHARE = 0.9
"""A column with at least this share of equal values is not compared with other columns."""


def check_frames(X: Any, name: str, reset: bool) -> None:
    """Check the columns of data frames: they must be numbers, and `fit` warns of ids and times.

    Parameters
    ----------
    X : array, data frame, or list of arrays or data frames
    name : str
    reset : bool
        True in `fit`.
    """
    if is_frame(X):
        _check_numeric(X, name)
        if reset and not _warn_of_tidy(X, name):
            _warn_of_scales(X, name)
        return
    frame = _first(X)
    if is_frame(frame):
        _check_numeric(frame, f"{name}[0]")
        if reset:
            _warn_of_tidy_columns(X, name)


def check_names(
    estimator: Any, X: Any, n_features: int, name: str, reset: bool, fitted_on_2d: bool
) -> None:
    """Check the column names of a list of data frames.

    With ``reset``, the names are recorded in ``feature_names_in_`` and their number in
    ``n_features_in_``. Otherwise scikit-learn's ValueError is raised if the names or their order
    differ from `fit`, and scikit-learn's UserWarning is given for arrays after a `fit` on data
    frames.
    """
    frame = _first(X)
    if is_frame(frame):
        names = list(frame.columns)
        for i, item in enumerate(X):
            if is_frame(item) and item.columns is not frame.columns and list(item.columns) != names:
                needed = f"a data frame with the columns of {name}[0], {check.shown(names)}"
                raise ValueError(f"{name}[{i}] must be {needed}; got {list(item.columns)}")
        validate_data(estimator, frame, reset=reset, skip_check_array=True)
    elif reset:
        estimator.n_features_in_ = n_features
        vars(estimator).pop("feature_names_in_", None)
    elif hasattr(estimator, "feature_names_in_") and not fitted_on_2d:
        validate_data(estimator, np.empty((1, n_features)), reset=False, skip_check_array=True)


def step_names_check(names: Any) -> Callable[[Any], None] | None:
    """Return a function that compares the feature names of a step with the names in `fit`.

    Parameters
    ----------
    names : array (n_features,) or None
        Names of the features in `fit`. None if the features have no names.

    Returns
    -------
    callable or None
        Function of a step. It raises scikit-learn's ValueError for a pandas Series or data frame
        with other names or another order. None if ``names`` is None.
    """
    if names is None:
        return None
    fitted = SimpleNamespace(feature_names_in_=names)

    def check_step(x: Any) -> None:
        if not is_frame(x):
            if not hasattr(x, "to_frame") or not hasattr(x, "iloc"):
                return
            x = x.to_frame().T
        if all(isinstance(name, str) for name in x.columns):
            _check_feature_names(fitted, x, reset=False)

    return check_step


def _first(X: Any) -> Any:
    """Return the first item of a list, tuple or object array; otherwise None."""
    if isinstance(X, np.ndarray):
        return X[0] if X.dtype.kind == "O" and len(X) else None
    return X[0] if isinstance(X, (list, tuple)) and X else None


def _check_numeric(frame: Any, name: str) -> None:
    for i, (column, dtype) in enumerate(zip(frame.columns, frame.dtypes, strict=True)):
        kind = getattr(dtype, "kind", None)
        if kind is not None and kind in "biufc":  # complex numbers raise an error later
            continue
        if kind is None or kind not in "Mm":  # the types of polars have no kind
            values = np.asarray(frame.iloc[:, i] if hasattr(frame, "iloc") else frame[column])
            kind = values.dtype.kind
        problem = ""
        if kind in "Mm":
            problem = f"got dates or times in column {column!r}"
        elif kind not in "biufc":
            try:
                values.astype(np.float64)
            except (TypeError, ValueError) as error:
                problem = f"got column {column!r}: {str(error).rstrip('.')}"
        if problem:
            raise ValueError(f"{name} must be a data frame of numbers; {problem}. {TIDY_HINT}")


def _warn_of_tidy(frame: Any, name: str) -> bool:
    """Warn if a 2-D data frame seems to have one row per time step instead of one per sequence.

    Returns
    -------
    bool
        True if a warning was given.
    """
    kinds = [getattr(dtype, "kind", "") for dtype in frame.dtypes]
    suspect = []
    for i, (column, kind) in enumerate(zip(frame.columns, kinds, strict=True)):
        label = _label(column)
        if label in _TIDY_NAMES or (kind in ("i", "u") and _ID_NAME.fullmatch(label)):
            suspect.append(column)
        elif label in _CALENDAR_NAMES and hasattr(frame, "iloc"):
            suspect += [column] if _ascends(np.asarray(frame.iloc[:, i])) else []
    if not suspect and _has_time_level(frame):
        warn(
            f"Each row of a 2-D data frame is read as one sequence of one feature, and each column "
            f"as a time step. The index of {name} looks like ids and times. Call reset_index() "
            f"first. {TIDY_HINT}",
            UserWarning,
        )
        return True
    if not suspect and "f" in kinds and len(frame) >= _MIN_ROWS:
        for i, (column, kind) in enumerate(zip(frame.columns, kinds, strict=True)):
            if kind in ("i", "u") and _is_sorted(np.asarray(frame.iloc[:, i])):
                suspect.append(column)
    if suspect:
        warn(
            f"Each row of a 2-D data frame is read as one sequence of one feature, and each column "
            f"as a time step. Column {suspect[0]!r} of {name} looks like an id or a time. "
            f"{TIDY_HINT}",
            UserWarning,
        )
    return bool(suspect)


def _warn_of_scales(frame: Any, name: str) -> None:
    """Warn if the columns of a 2-D data frame have very different scales.

    Columns with the same value in most rows, such as the border pixels of images, are not compared.
    """
    if len(frame.columns) < 2:
        return
    try:
        values = np.asarray(frame)[:_MAX_ROWS]
        values = values.astype(np.float64) if values.dtype.kind != "c" else np.abs(values)
    except (TypeError, ValueError):  # the values raise an error later
        return
    if len(values) < _MIN_ROWS:
        return
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # columns of NaN
        spread = np.nanstd(values, axis=0)
        at_median = (values == np.nanmedian(values, axis=0)).mean(axis=0)
    compared = np.flatnonzero(np.isfinite(spread) & (spread > 0) & (at_median < _MAX_EQUAL_SHARE))
    if not compared.size:
        return
    low, high = (int(compared[f(spread[compared])]) for f in (np.argmin, np.argmax))
    if spread[high] > _MAX_SCALE_RATIO * spread[low]:
        columns = list(frame.columns)
        warn(
            f"The columns of a 2-D data frame are read as time steps of one feature, with one mean "
            f"and one scale. The standard deviation of column {columns[high]!r} of {name} is "
            f"{spread[high] / spread[low]:.0f} times the standard deviation of column "
            f"{columns[low]!r}. If the columns are different features, pass a 3-D array "
            f"(n_samples, n_timesteps, n_features): {name}.to_numpy()[:, np.newaxis] for one time "
            f"step per row.",
            UserWarning,
        )


def _warn_of_tidy_columns(X: Any, name: str) -> None:
    """Warn if a column of the data frames in a list looks like an id or a time."""
    some = [item for item in X[:_MIN_ROWS] if is_frame(item) and hasattr(item, "iloc")]
    if len(some) < 2 or any(len(item.columns) != len(some[0].columns) for item in some):
        return
    for i, column in enumerate(some[0].columns):
        label = _label(column)
        if label not in _TIDY_NAMES and not _ID_NAME.fullmatch(label):
            continue
        values = [np.asarray(item.iloc[:, i]) for item in some]
        is_id = _ID_NAME.fullmatch(label) and all(
            each.dtype.kind in "iu" and (each == each[:1]).all() for each in values
        )
        differs = len({each[0] for each in values if len(each)}) > 1
        if (is_id and differs) or (not is_id and all(map(_ascends, values))):
            warn(
                f"Every column of the data frames is read as a feature. Column {column!r} of "
                f"{name}[0] looks like an id or a time. Remove the column if it is not a feature. "
                f"{TIDY_HINT}",
                UserWarning,
            )
            return


def _label(column: Any) -> str:
    """Return the name of a column in lower case, with an underscore before capitals."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(column)).lower()


def _has_time_level(frame: Any) -> bool:
    """Return True if the index has several levels and one of them looks like a time."""
    index: Any = getattr(frame, "index", None)
    if getattr(index, "nlevels", 1) < 2:
        return False
    for level in range(1, index.nlevels):
        values = index.get_level_values(level)
        kind = getattr(values.dtype, "kind", "")
        if kind in ("M", "m") or hasattr(values.dtype, "freq"):
            return True
        if values.name is not None and _label(values.name) not in _TIDY_NAMES | _CALENDAR_NAMES:
            continue
        # An unnamed index is also repeated if two frames of sequences have been concatenated.
        repeats = len(values) / max(1, values.nunique())
        if repeats > (2 if values.name is None else 1) and _ascends(np.asarray(values)):
            return True
    return False


def _ascends(values: Any) -> bool:
    """Return True for whole numbers that never decrease or mostly increase by the same amount."""
    if values.dtype.kind not in "iuf" or len(values) < 3 or not np.isfinite(values).all():
        return False
    steps = np.diff(values.astype(np.float64))
    if (values % 1 != 0).any() or len(np.unique(values)) < 3:
        return False
    amounts, counts = np.unique(steps[steps > 0], return_counts=True)
    return bool((steps >= 0).all() or (amounts.size and counts.max() >= len(steps) / 2))


def _is_sorted(values: Any) -> bool:
    """Return True for at least three different integers in ascending order."""
    if values.dtype.kind not in "iu":
        return False
    steps = values[1:] > values[:-1]
    return bool((values[1:] >= values[:-1]).all() and steps.sum() >= 2)
