"""Conversion of a data frame with one row per time step to a list of sequences."""

from __future__ import annotations

import difflib
from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from fusedlstm._utils import validation as check

__all__ = ["sequences_from_frame"]


def sequences_from_frame(
    df: Any,
    *,
    id: Hashable | list[Hashable],
    time: Hashable | None,
    columns: list[Hashable] | None = None,
    target: Hashable | list[Hashable] | None = None,
) -> Any:
    """Convert a data frame with one row per time step to a list of sequences.

    The estimators accept this list. They record the column names in `fit`, and compare the column
    names in `predict` with them.

    Parameters
    ----------
    df : pandas DataFrame, or an object that pandas can convert to a DataFrame
        One row per sequence and time step, in any order.
    id : column name or list of column names
        Rows with the same value belong to the same sequence. Missing values raise an error.
    time : column name or None
        Column of numbers or dates. Each sequence is sorted by this column. With None the rows of a
        sequence keep their order.
    columns : list of column names, optional
        The features. If None, all columns except ``id``, ``time`` and ``target``.
    target : column name or list of column names, optional
        Columns that are returned as y. They must have the same value in all rows of a sequence.

    Returns
    -------
    X : list of pandas DataFrame (n_timesteps_i, n_features)
        One data frame of floats per sequence, with ``time`` as its index. The sequences are in the
        order of the first occurrences of their ids in ``df``, like ``df[id].unique()``.
    y : array (n_sequences,) or (n_sequences, n_targets)
        Only if ``target`` is given; two-dimensional if it is a list.

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If ``df`` cannot be converted to a data frame, or a column name is not hashable, such as a
        ``pandas.Index``.
    ValueError
        If a column is missing or is not numeric, an id or a time is missing, two rows have the
        same id and time, a target has several values in one sequence, or a target is among
        ``columns``.

    Examples
    --------
    >>> import pandas as pd
    >>> from fusedlstm import sequences_from_frame
    >>> df = pd.DataFrame(
    ...     {
    ...         "machine": ["b", "a", "b", "a", "a"],
    ...         "hour": [1, 2, 0, 0, 1],
    ...         "load": [0.1, 0.2, 0.3, 0.4, 0.5],
    ...         "failed": [1, 0, 1, 0, 0],
    ...     }
    ... )
    >>> X, y = sequences_from_frame(df, id="machine", time="hour", target="failed")
    >>> [x["load"].tolist() for x in X], y.tolist()
    ([[0.3, 0.1], [0.4, 0.5, 0.2]], [1, 0])
    """
    frame = _as_frame(df)
    ids = list(id) if isinstance(id, list) else [id]
    targets = list(target) if isinstance(target, list) else [] if target is None else [target]
    features = _check_columns(frame, id, ids, time, columns, target, targets)
    values = _feature_values(frame, features)
    number, order = _sorted_rows(frame, ids, time)
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    if time is not None:
        _check_no_duplicates(frame, ids, time, number, order)
    y = [_target_values(frame, name, ids, number, order, starts) for name in targets]
    index = frame.index[order] if time is None else frame.set_index(time).index[order]
    shared_columns = frame[features].columns  # one object, so that columns compare fast in `fit`
    ends = [*starts[1:], len(frame)]
    values = values[order]
    X = [
        type(frame)(values[start:end], index=index[start:end], columns=shared_columns)
        for start, end in zip(starts, ends, strict=True)
    ]
    if target is None:
        return X
    return X, np.column_stack(y) if isinstance(target, list) else y[0]


def _check_columns(
    frame: Any,
    id: Any,
    ids: list[Any],
    time: Any,
    columns: Any,
    target: Any,
    targets: list[Any],
) -> list[Any]:
    """Check the names of the columns and return the names of the features."""
    if not ids:
        raise ValueError(check.needs("id", "a column name or a list of names", id))
    for argument, name, value in [
        *(("id", name, id) for name in ids),
        ("time", time, time),
        *(("target", name, target) for name in targets),
    ]:
        _check_name(argument, name, value)
    if isinstance(columns, str):
        raise TypeError(check.needs("columns", "a list of column names or None", columns))
    columns = None if columns is None else list(columns)
    for name in columns or []:
        _check_name("columns", name, columns)
    times = [] if time is None else [time]
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"df must have unique column names; got {twice!r} twice")
    for name in [*ids, *times, *targets, *(columns or [])]:
        _check_there(frame, name)
    for name in [*ids, *times]:
        _check_not_missing(frame, name)
    for name in columns or []:
        if name in targets:
            raise ValueError(
                f"columns must not contain the target {name!r}, because the model would get the "
                f"value to predict as input"
            )
    used = {*ids, *times, *targets}
    features = [name for name in frame.columns if name not in used] if columns is None else columns
    features = list(features)
    if not features:
        raise ValueError(check.needs("columns", "at least one column", features))
    if len(frame) == 0:
        raise ValueError("df must have at least one row; got 0")
    return features


def _sorted_rows(
    frame: Any, ids: list[Any], time: Any
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the sorted sequence numbers of the rows, and the indices of the rows in this order."""
    number = frame.groupby(ids, sort=False, observed=True).ngroup().to_numpy()
    if time is None:
        order = np.argsort(number, kind="stable")
    else:
        _check_ordered(frame, time)
        by_time = np.asarray(frame[time].array.argsort(kind="stable"))
        order = by_time[np.argsort(number[by_time], kind="stable")]
    return number[order], order


def _as_frame(df: Any) -> Any:
    """Return df as a pandas data frame."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("sequences_from_frame needs pandas: pip install pandas") from error
    if isinstance(df, pandas.DataFrame):
        return df
    try:
        if hasattr(df, "columns") and hasattr(df, "get_column"):  # a polars data frame
            return pandas.DataFrame({name: df.get_column(name).to_numpy() for name in df.columns})
        if hasattr(df, "to_pandas"):
            return pandas.DataFrame(df.to_pandas())
        if not isinstance(df, pandas.Series) and (isinstance(df, dict) or hasattr(df, "dtype")):
            return pandas.DataFrame(df)
    except (TypeError, ValueError):
        pass
    raise TypeError(check.needs("df", "a data frame with one row per time step", df))


def _check_name(argument: str, name: Any, value: Any) -> None:
    """Raise TypeError for a name that is not hashable, such as a `pandas.Index` of names."""
    try:
        hash(name)
    except TypeError:
        pass
    else:
        return
    needed = {"time": "a column name or None", "columns": "a list of column names or None"}
    hint = ""
    if argument in ("id", "target") and value is name and hasattr(value, "tolist"):
        hint = f"Pass list({argument}) for several columns."
    raise TypeError(
        check.needs(argument, needed.get(argument, "a column name or a list of names"), value, hint)
    )


def _check_there(frame: Any, name: Any) -> None:
    if name in frame.columns:
        return
    hint = ""
    folded = {str(column).casefold(): column for column in frame.columns}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1)
    if name in frame.index.names:
        hint = "The index has this name: call df.reset_index() first."
    elif near:
        hint = f"Did you mean {folded[near[0]]!r}?"
    raise ValueError(
        f"df must have a column {name!r}; got columns {check.shown(list(frame.columns))}"
        + (f". {hint}" if hint else "")
    )


def _check_not_missing(frame: Any, name: Any) -> None:
    missing = frame[name].isna().to_numpy()
    if missing.any():
        row = int(np.argmax(missing))
        raise ValueError(f"column {name!r} must have no missing values; got one in row {row}")


def _check_ordered(frame: Any, time: Any) -> None:
    """Raise ValueError for text, which sorts "10" before "9"."""
    if getattr(frame[time].dtype, "kind", "O") not in "biufMm" and not hasattr(
        frame[time].dtype, "freq"
    ):
        raise ValueError(
            f"column {time!r} must be numbers or dates; got dtype {frame[time].dtype}. "
            f"Convert it with pandas.to_datetime or pandas.to_numeric."
        )


def _check_no_duplicates(
    frame: Any, ids: list[Any], time: Any, number: npt.NDArray[Any], order: npt.NDArray[Any]
) -> None:
    times = frame[time].array[order]
    same = (number[1:] == number[:-1]) & np.asarray(times[1:] == times[:-1])
    if same.any():
        row = order[int(np.argmax(same))]
        raise ValueError(
            f"df must have one row per id and time; got several rows with {_at(frame, ids, row)} "
            f"and {time} {frame[time].iloc[row]}"
        )


def _at(frame: Any, ids: list[Any], row: Any) -> str:
    """Return the names and values of the ids of a row, for error messages."""
    # Selecting several columns of a row at once would convert integers to floats.
    return ", ".join(f"{name} {check.shown(frame[name].iloc[row])}" for name in ids)


def _feature_values(frame: Any, features: list[Any]) -> npt.NDArray[Any]:
    for name in features:
        if getattr(frame[name].dtype, "kind", "O") not in "biuf":
            raise ValueError(
                f"column {name!r} must be numbers; got dtype {frame[name].dtype}. Encode the "
                f"column as numbers, or select other columns with the argument columns."
            )
    block = frame[features]
    kinds = {str(dtype) for dtype in block.dtypes}
    dtype = np.float32 if kinds == {"float32"} else np.float64
    values: npt.NDArray[Any] = block.to_numpy(dtype=dtype, na_value=np.nan)
    return values


def _target_values(
    frame: Any,
    name: Any,
    ids: list[Any],
    number: npt.NDArray[Any],
    order: npt.NDArray[Any],
    starts: npt.NDArray[Any],
) -> npt.NDArray[Any]:
    column = frame[name].iloc[order]
    counts = column.groupby(number, sort=True).nunique(dropna=False).to_numpy()
    if counts.max() > 1:
        wrong = int(np.argmax(counts > 1))
        at = _at(frame, ids, order[starts[wrong]])
        raise ValueError(
            f"target column {name!r} must have one value per sequence; got {counts[wrong]} values "
            f"for {at}"
        )
    values: npt.NDArray[Any] = column.iloc[starts].to_numpy()
    return values
