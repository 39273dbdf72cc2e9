"""Sequences that are computed one step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm.layers import states
from fusedlstm.layers.chain import state_from_leaves, state_leaves
from fusedlstm.layers.requirements import require_stream
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State
from fusedlstm.models.inference import Inference

__all__ = ["Stream"]


class Stream(core.Stream):
    """Sequences that are computed one step at a time, with their current states.

    Returned by `Sequential.stream` and `Predictor.stream`. A stream uses the parameters that the
    model had when the stream was made. Streams of one predictor share its packed weights. Only one
    thread at a time may use a stream.

    Parameters
    ----------
    predictor : Predictor
        Its layers must be causal.
    n_sequences : int or None, default None
        Number of sequences that are computed together. None: one sequence, and the arrays of a step
        have no axis for the sequences.

    Attributes
    ----------
    dtype : numpy dtype
    x_shape : tuple of int
        Shape of the input of a step: (input_size,) or (n_sequences, input_size).

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense
    >>> model = Sequential([LSTM(8), Dense(2)], input_size=3, random_state=0)
    >>> x = np.ones((5, 3), dtype="float32")
    >>> stream = model.stream()
    >>> y = np.array([stream.step(x_t) for x_t in x])
    >>> bool((y == model.predict(x[np.newaxis])[0]).all())
    True
    """

    __slots__ = ("_inference", "_layers", "_rows", "_single", "_y_shape", "dtype", "x_shape")

    step = core.Stream.step  # documented in the core

    def __init__(self, predictor: Inference, n_sequences: int | None = None) -> None:
        rows = 1 if n_sequences is None else check.positive_int("n_sequences", n_sequences)
        require_stream(predictor.layer)
        program = predictor.program
        super().__init__(program, n_sequences is None, rows)
        self._inference, self._single = predictor, n_sequences is None
        self.dtype = predictor.dtype
        self._set_rows(rows)
        self._layers = _RunningLayers(predictor, rows) if program is None else None

    def _set_rows(self, rows: int) -> None:
        self._rows = rows
        axes = () if self._single else (rows,)
        self.x_shape = (*axes, self._inference.input_size)
        self._y_shape = (*axes, self._inference.output_size)

    def _step(self, x: npt.ArrayLike, out: Array | None = None) -> Array:
        """Check and convert arguments that the core did not accept, and compute the step."""
        given = check.real_array("x", x, self.dtype)
        if given.shape != self.x_shape:
            raise ValueError(check.needs("x", f"an array of shape {self.x_shape}", given))
        given = np.require(given, requirements=["C", "A"])
        y: Any = np.empty(self._y_shape, self.dtype) if out is None else out
        usable = isinstance(y, np.ndarray) and y.dtype == self.dtype and y.flags.carray
        if not usable or y.shape != self._y_shape:
            needed = f"a writeable contiguous array of {self.dtype.name} of shape {self._y_shape}"
            raise ValueError(check.needs("out", needed, out))
        if self._layers is None:
            self._feed(given, y)
        else:
            y[...] = self._layers.step(given).reshape(self._y_shape)
        written: Array = y
        return written

    @property
    def state(self) -> State:
        """The state after the last step, as from `Sequential.run`. It can be assigned.

        Reading returns a copy. An entry is None for a layer in its initial state, and for a layer
        without a state.
        """
        if self._layers is not None:
            return states.copied(self._layers.state)
        leaves = iter([state for state in super().state() if state is not None])
        return state_from_leaves(self._inference.layer, self._state_shapes(), leaves)

    @state.setter
    def state(self, value: State) -> None:
        if value is None:
            self.reset()
            return
        shapes = self._state_shapes()
        value = states.checked("state", value, shapes, self.dtype)
        if states.has_gap(value, shapes):
            before = self.state
            self.reset()
            initial = self.state
            if before is not None:
                self.state = before
            value = states.filled(value, initial, shapes)
        if self._layers is not None:
            self._layers.state = states.copied(value)
            return
        leaves = state_leaves(self._inference.layer, value)
        super().set_state([None if s is None else next(leaves) for s in super().state()])

    def _state_shapes(self) -> states.StateShapes:
        return self._inference.layer.state_shapes(self._rows, self._inference.input_size)

    def select(self, rows: npt.ArrayLike) -> None:
        """Keep some of the sequences, in a new order.

        The stream then has N sequences.

        Parameters
        ----------
        rows : int array (N,)
            Numbers of the sequences, in the new order. A number may occur several times.

        Raises
        ------
        ValueError
            If the stream was made without ``n_sequences``, or a number is out of range.
        """
        if self._single:
            raise ValueError("n_sequences must be given for select; got None")
        index = check.row_numbers("rows", rows, self._rows)
        if self._layers is not None:
            self._layers.select(index)
        else:
            super().select(index)
        self._set_rows(len(index))

    def __repr__(self) -> str:
        """Return the sizes and the dtype."""
        *rows, input_size = self.x_shape
        return (
            f"Stream(n_sequences={rows[0] if rows else None}, input_size={input_size}, "
            f"output_size={self._y_shape[-1]}, dtype='{self.dtype}')"
        )

    def reset(self) -> None:
        """Set the states of all sequences to the initial state."""
        if self._layers is None:
            super().reset()
        else:
            self._layers.reset()


class _RunningLayers:
    """Computes steps with `Layer.run`, for layers that the core cannot compute."""

    def __init__(self, inference: Inference, rows: int) -> None:
        self.inference, self.rows = inference, rows
        self.reset()

    def reset(self) -> None:
        self.state: State = None

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        self.state, self.rows = states.select_rows(self.state, rows), len(rows)

    def step(self, x: Array) -> Array:
        seq = Sequence(x.reshape(self.rows, 1, -1))
        out, self.state = self.inference.layer.run(self.inference.weights, seq, self.state)
        return out.steps()


def __dir__() -> list[str]:
    return sorted(__all__)
