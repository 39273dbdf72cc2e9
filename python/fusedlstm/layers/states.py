"""States of layers: nested tuples of arrays with the batch on axis 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check

State: TypeAlias = Any
"""None, a tuple of arrays (directions, B, size), or a tuple of states.

The state of a layer is a tuple of arrays, or None if the layer has no state. The state of a
`Composite` is the tuple of the states of its layers.
"""

StateShapes: TypeAlias = Any
"""The structure of a state, with the shape of each array in place of the array."""


def mapped(function: Callable[..., Array], *states: State) -> State:
    """Apply a function to the arrays of states of the same structure. Return a state."""
    first = states[0]
    if first is None:
        return None
    if isinstance(first, tuple):
        return tuple(mapped(function, *parts) for parts in zip(*states, strict=True))
    return function(*states)


def copied(state: State) -> State:
    """Return a copy of a state."""
    return mapped(np.copy, state)


def select_rows(state: State, rows: npt.ArrayLike) -> State:
    """Return the states of some sequences of a batch.

    Parameters
    ----------
    state : tuple, array or None
        A state from `Sequential.run`. The sequences are on axis 1 of every array.
    rows : int array (N,)
        Numbers of the sequences. A number may occur several times.

    Returns
    -------
    tuple, array or None
        A state of N sequences with the same structure, in new arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM
    >>> from fusedlstm.models import select_rows
    >>> model = Sequential([LSTM(4)], input_size=2, random_state=0)
    >>> _, state = model.run(np.ones((3, 5, 2)))
    >>> ((h, c),) = select_rows(state, [2, 0])
    >>> h.shape
    (1, 2, 4)
    """
    index = np.asarray(rows)
    return mapped(lambda array: np.ascontiguousarray(array[:, index]), state)


def update_rows(state: State, rows: npt.NDArray[np.intp], new: State) -> None:
    """Write the states of some sequences into the state of a batch, in place.

    Parameters
    ----------
    state : State
        The state of the batch.
    rows : int array (N,)
        Numbers of the sequences.
    new : State
        The states of N sequences.
    """

    def write(old: Array, part: Array) -> Array:
        old[:, rows] = part
        return old

    mapped(write, state, new)


def checked(name: str, state: Any, shapes: StateShapes, dtype: np.dtype[Any]) -> State:
    """Return a state as contiguous arrays of a dtype, or raise an error if it is not valid.

    Parameters
    ----------
    name : str
        Name of the state, for error messages.
    state : object
        None: the initial state.
    shapes : StateShapes
    dtype : numpy dtype
    """
    if state is None or shapes is None:
        return None
    if not _holds_arrays(shapes):
        needed = f"a tuple with {len(shapes)} entries, one per layer"
        if not isinstance(state, (tuple, list)) or len(state) != len(shapes):
            raise ValueError(check.needs(name, needed, state))
        parts = enumerate(zip(state, shapes, strict=True))
        return tuple(checked(f"{name}[{i}]", part, shape, dtype) for i, (part, shape) in parts)
    needed = f"a tuple of arrays of shapes {', '.join(map(str, shapes))}"
    if not isinstance(state, (tuple, list)):
        raise TypeError(check.needs(name, needed, state))
    arrays = tuple(check.real_array(name, array, dtype) for array in state)
    if tuple(array.shape for array in arrays) != shapes:
        raise ValueError(check.needs(name, needed, state))
    return tuple(check.contiguous(array) for array in arrays)


def has_gap(state: State, shapes: StateShapes) -> bool:
    """Return True if an entry of the state is None for a layer that has a state."""
    if state is None or shapes is None or _holds_arrays(shapes):
        return state is None and shapes is not None
    return any(map(has_gap, state, shapes))


def filled(state: State, initial: State, shapes: StateShapes) -> State:
    """Return a state in which each entry that is None is replaced by the initial state.

    An entry is None in the result if it is None in both states.
    """
    if state is None:
        if initial is not None or shapes is None:
            return initial
        if _holds_arrays(shapes):
            return None
        state = (None,) * len(shapes)
    if shapes is None or _holds_arrays(shapes):
        return state
    parts = initial if initial is not None else (None,) * len(shapes)
    return tuple(filled(*each) for each in zip(state, parts, shapes, strict=True))


def _holds_arrays(shapes: StateShapes) -> bool:
    return bool(shapes) and isinstance(shapes[0], tuple) and isinstance(shapes[0][0], int)
