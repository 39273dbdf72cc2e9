"""Windows of time series, and the values to predict after each window."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check


def make_windows(
    series: Any,
    width: int,
    horizon: int = 1,
    stride: int = 1,
    *,
    exogenous: Any = None,
    target: Any = None,
    groups: npt.ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Split time series into windows and the values that follow each window.

    Parameters
    ----------
    series : array or data frame (n_timesteps,) or (n_timesteps, n_features), or list of series
        One series, or a list of several series. A window never contains steps of two series.
    width : positive int
        Number of steps of a window.
    horizon : positive int, default 1
        Number of steps to predict after each window.
    stride : positive int, default 1
        Number of steps between the starts of successive windows.
    exogenous : like series, optional
        Additional features of the windows, which are not predicted. Their number of steps must be
        the number of steps of the series.
    target : int, str or list of int or str, optional
        Columns of the series to predict, by index, or by name in a data frame. If None, all
        columns are predicted.
    groups : array (n_timesteps,), optional
        Labels of several series in one array. Steps with the same label belong to one series, in
        their order in the array.

    Returns
    -------
    X : array (n_windows, width) or (n_windows, width, n_features)
        The windows: all windows of the first series, then of the second series, and so on. Groups
        are in the order of their first steps. X has no feature axis if the series are
        one-dimensional and ``exogenous`` is None.
    y : array (n_windows, horizon) or (n_windows, horizon, n_targets)
        The values that follow each window. y has no horizon axis if ``horizon`` is 1. It has no
        target axis if the series are one-dimensional or ``target`` is a single column.

    Raises
    ------
    ValueError
        If a series has fewer than ``width + horizon`` steps, the times in the pandas index of a
        series decrease, or the shape of an argument is wrong.

    See Also
    --------
    last_window : Return the last window of each series, to forecast.

    Notes
    -----
    `make_windows` is not a transformer, because transformers of scikit-learn cannot change the
    number of samples.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import make_windows
    >>> X, y = make_windows([1, 2, 3, 4, 5], width=3)
    >>> X.tolist(), y.tolist()
    ([[1, 2, 3], [2, 3, 4]], [4, 5])
    >>> X, y = make_windows([np.arange(4), np.arange(10, 13)], width=2)
    >>> X.tolist(), y.tolist()
    ([[0, 1], [1, 2], [10, 11]], [2, 3, 12])
    >>> load, temperature = np.arange(5), np.full((5, 1), 20)
    >>> X, y = make_windows(load, width=3, exogenous=temperature)
    >>> X.shape, y.tolist()
    ((2, 3, 2), [3, 4])
    """
    columns = _target_columns(series, _is_several(series), target)
    parts, others, names = _read(series, exogenous, groups)
    width = check.positive_int("width", width)
    horizon = check.positive_int("horizon", horizon)
    stride = check.positive_int("stride", stride)
    Xs, ys = [], []
    for i, (part, name) in enumerate(zip(parts, names, strict=True)):
        if len(part) < width + horizon:
            raise ValueError(
                f"{name} must have at least width + horizon = {width + horizon} steps; got "
                f"{len(part)}"
            )
        inputs = np.column_stack([part, others[i]]) if others else part
        Xs.append(_spans(inputs[: len(part) - horizon], width, stride))
        predicted = part if columns is None else part[:, columns]
        ys.append(_spans(predicted[width:], horizon, stride))
    X, y = np.concatenate(Xs), np.concatenate(ys)
    return X, y[:, 0] if horizon == 1 else y


def last_window(
    series: Any,
    width: int,
    *,
    exogenous: Any = None,
    groups: npt.ArrayLike | None = None,
) -> Array:
    """Return the last window of each series, to forecast the steps after the end of the series.

    `make_windows` returns only windows that are followed by known values. It does not return the
    window that ends with the last observation.

    Parameters
    ----------
    series : array or data frame (n_timesteps,) or (n_timesteps, n_features), or list of series
        One series, or a list of several series.
    width : positive int
        Number of steps of a window.
    exogenous : like series, optional
        Additional features of the windows. Their number of steps must be the number of steps of the
        series.
    groups : array (n_timesteps,), optional
        Labels of several series in one array. Steps with the same label belong to one series, in
        their order in the array.

    Returns
    -------
    X : array (n_series, width) or (n_series, width, n_features)
        One window per series, in the form of X from `make_windows`, for ``predict``.

    Raises
    ------
    ValueError
        If a series has fewer than ``width`` steps, the times in the pandas index of a series
        decrease, or the shape of an argument is wrong.

    See Also
    --------
    make_windows : Split series into windows and the values that follow each window.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import last_window, make_windows
    >>> series = np.arange(6)
    >>> X, y = make_windows(series, width=3)
    >>> X[-1].tolist(), int(y[-1])
    ([2, 3, 4], 5)
    >>> last_window(series, width=3).tolist()
    [[3, 4, 5]]
    """
    parts, others, names = _read(series, exogenous, groups)
    width = check.positive_int("width", width)
    windows = []
    for i, (part, name) in enumerate(zip(parts, names, strict=True)):
        if len(part) < width:
            raise ValueError(f"{name} must have at least width = {width} steps; got {len(part)}")
        inputs = np.column_stack([part, others[i]]) if others else part
        windows.append(inputs[-width:])
    return np.stack(windows)


def _read(
    series: Any, exogenous: Any, groups: npt.ArrayLike | None
) -> tuple[list[Array], list[Array], list[str]]:
    """Return the arrays of all series, their exogenous columns, and the names of the series."""
    several = _is_several(series)
    names = [f"series[{i}]" for i in range(len(series))] if several else ["series"]
    parts = [
        _numbers(part, name)
        for part, name in zip(series if several else [series], names, strict=True)
    ]
    if len({part.shape[1:] for part in parts}) > 1:
        shapes = ", ".join(str(part.shape) for part in parts[:5])
        raise ValueError(f"series must have the same number of features; got shapes {shapes}")
    if several:
        _check_same_columns(series)
    others = _exogenous_parts(exogenous, parts, several)
    if groups is None:
        for part, name in zip(series if several else [series], names, strict=True):
            _check_increasing(getattr(part, "index", None), name)
        return parts, others, names
    if several:
        raise ValueError(check.needs("groups", "None for a list of series", groups))
    index = getattr(series, "index", None)
    return _split(parts[0], others[0] if others else None, groups, index)


def _check_same_columns(series: Any) -> None:
    """Raise ValueError if data frames in a list have other columns than the first one."""
    first: list[Any] | None = None
    for i, part in enumerate(series):
        if not hasattr(part, "columns"):
            continue
        columns = list(part.columns)
        first = columns if first is None else first
        if columns != first:
            needed = f"a data frame with the columns {first}, in this order"
            raise ValueError(f"series[{i}] must be {needed}; got {columns}")


def _spans(array: Array, width: int, stride: int) -> Array:
    """Return all windows of ``width`` successive steps at distance ``stride``, (n, width, ...)."""
    spans = np.lib.stride_tricks.sliding_window_view(array, width, axis=0)[::stride]
    return np.moveaxis(spans, -1, 1)  # the steps of a window become the second axis


def _is_several(series: Any) -> bool:
    if isinstance(series, np.ndarray) and series.dtype == object and series.ndim == 1:
        series = list(series)
    return (
        isinstance(series, (list, tuple))
        and len(series) > 0
        and all(np.ndim(part) > 0 and hasattr(part, "__array__") for part in series)
    )


def _numbers(series: Any, name: str) -> Array:
    needed = "numbers of shape (n_timesteps,) or (n_timesteps, n_features)"
    try:
        array = np.asarray(series)
    except ValueError:  # nested lists of unequal lengths
        raise ValueError(check.needs(name, needed, series)) from None
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise ValueError(check.needs(name, needed, series))
    return array


def _target_columns(series: Any, several: bool, target: Any) -> Any:
    """Return the indices of the target columns; None means all columns."""
    if target is None:
        return None
    first = series[0] if several else series
    n_features = np.shape(first)[1] if np.ndim(first) == 2 else 0
    known = list(getattr(first, "columns", range(n_features)))

    def index(column: Any) -> int:
        if column in known:
            return known.index(column)
        if not isinstance(column, (int, np.integer)) or not -n_features <= column < n_features:
            raise ValueError(check.needs("target", f"one of the columns {known}", column))
        return int(column)

    if isinstance(target, (list, tuple, np.ndarray)):
        return [index(column) for column in target]
    return index(target)


def _exogenous_parts(exogenous: Any, parts: list[Array], several: bool) -> list[Array]:
    if exogenous is None:
        return []
    if several and not (isinstance(exogenous, (list, tuple)) and len(exogenous) == len(parts)):
        needed = f"a list of {len(parts)} arrays, one per series"
        raise ValueError(check.needs("exogenous", needed, exogenous))
    others = []
    given = exogenous if several else [exogenous]
    for i, (part, columns) in enumerate(zip(parts, given, strict=True)):
        name = f"exogenous[{i}]" if several else "exogenous"
        other = _numbers(columns, name)
        if len(other) != len(part):
            raise ValueError(
                check.needs(name, f"an array of {len(part)} steps, like series", other)
            )
        others.append(other)
    return others


def _check_increasing(index: Any, name: str) -> None:
    """Raise ValueError if the times in a pandas index decrease."""
    dtype = getattr(index, "dtype", None)
    is_time = getattr(dtype, "kind", "") in ("M", "m") or hasattr(dtype, "freq")
    if not is_time or index.is_monotonic_increasing:
        return
    wrong = int(np.argmin(np.asarray(index[1:] >= index[:-1])))
    raise ValueError(
        f"{name} must be sorted by time; got {index[wrong + 1]} after {index[wrong]} in the index. "
        f"Call sort_index() first."
    )


def _split(
    part: Array, other: Array | None, groups: npt.ArrayLike, index: Any
) -> tuple[list[Array], list[Array], list[str]]:
    """Return the series of each group, their exogenous features, and their names."""
    labels = np.asarray(groups)
    if labels.shape != (len(part),):
        raise ValueError(check.needs("groups", f"{len(part)} labels, one per step", labels))
    _, first, number = np.unique(labels, return_index=True, return_inverse=True)
    rows = [np.flatnonzero(number == number[i]) for i in np.sort(first)]
    names = [f"group {check.shown(labels[each[0]])}" for each in rows]
    for each, name in zip(rows, names, strict=True):
        _check_increasing(index[each] if hasattr(index, "dtype") else None, name)
    others = [] if other is None else [other[each] for each in rows]
    return [part[each] for each in rows], others, names
