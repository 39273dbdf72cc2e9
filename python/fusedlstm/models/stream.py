"""One step at a time: weights that streams of a predictor share, and states of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check
from fusedlstm.layers import Chain, states
from fusedlstm.layers.requirements import require_stream
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State

if TYPE_CHECKING:
    from fusedlstm.data.standardization import Standardizer
    from fusedlstm.models.model import Model
    from fusedlstm.models.predictor import Predictor

__all__ = ["EstimatorStream", "Stream"]


class Stream(core.Stream):  # type: ignore[misc, name-defined]
    """Running sequences, fed step by step. From `Sequential.stream` or `Predictor.stream`.

    It holds the parameters as they were when it was made; streams of one predictor share them. One
    thread at a time may use it.

    Parameters
    ----------
    predictor : Predictor
        Every layer reads from the first step to the last.
    n_sequences : int or None
        So many side by side; None: one, and arrays have no axis for it.

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

    __slots__ = ("_dtype", "_layers", "_model", "_one", "_rows", "_x_shape", "_y_shape")

    if TYPE_CHECKING:  # the core has it, and its documentation

        def step(self, x: npt.ArrayLike, out: Array | None = None) -> Array: ...  # noqa: D102

    else:
        step = core.Stream.step

    def __init__(self, predictor: Predictor, n_sequences: int | None = None) -> None:
        model, whole = predictor._packed, predictor._packed._whole
        rows = 1 if n_sequences is None else check.positive_int("n_sequences", n_sequences)
        require_stream(model.layer)
        super().__init__(whole, n_sequences is None, rows)
        self._model, self._one = model, n_sequences is None
        self._dtype = model.dtype
        self._set_rows(rows)
        self._layers = _RunningLayers(model, rows) if whole is None else None

    def _set_rows(self, rows: int) -> None:
        self._rows = rows
        axes = () if self._one else (rows,)
        self._x_shape = (*axes, self._model.input_size)
        self._y_shape = (*axes, self._model.output_size)

    def _step(self, x: npt.ArrayLike, out: Array | None = None) -> Array:
        """Step with what the core's `step` does not take as it stands, or refuse it."""
        given = check.real_array("x", x, self._dtype)
        if given.shape != self._x_shape:
            raise ValueError(check.needs("x", f"an array of shape {self._x_shape}", given))
        given = np.require(given, requirements=["C", "A"])
        y: Any = np.empty(self._y_shape, self._dtype) if out is None else out
        usable = isinstance(y, np.ndarray) and y.dtype == self._dtype and y.flags.carray
        if not usable or y.shape != self._y_shape:
            needed = f"a writeable contiguous array of {self._dtype.name} of shape {self._y_shape}"
            raise ValueError(check.needs("out", needed, out))
        if self._layers is None:
            self._feed(given, y)
        else:
            y[...] = self._layers.step(given).reshape(self._y_shape)
        written: Array = y
        return written

    @property
    def state(self) -> State:
        """The states of the layers, as from `Sequential.run`; assigning one sets them.

        Reading returns a copy. None stands for the initial state.
        """
        if self._layers is not None:
            return states.copied(self._layers.state)
        held = iter([state for state in super().state() if state is not None])
        shapes = self._model.layer.state_shapes(self._rows, self._model.input_size)
        return _ordered(self._model.layer, shapes, held)

    @state.setter
    def state(self, value: State) -> None:
        if value is None:
            self.reset()
            return
        shapes = self._model.layer.state_shapes(self._rows, self._model.input_size)
        value = states.checked("state", value, shapes, self._dtype)
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
        given = iter(_in_order(self._model.layer, value))
        super().set_state([None if s is None else next(given) for s in super().state()])

    def select(self, rows: npt.ArrayLike) -> None:
        """Go on with the states of some of the sequences.

        Parameters
        ----------
        rows : int array
            Numbers of sequences, in the new order; one may occur several times. The stream then has
            ``len(rows)`` sequences.
        """
        if self._one:
            raise ValueError("n_sequences must be given for select; got None")
        index = check.row_numbers("rows", rows, self._rows)
        if self._layers is not None:
            self._layers.select(index)
        else:
            super().select(index)
        self._set_rows(len(index))

    def __repr__(self) -> str:
        """Return the sizes and the dtype."""
        return f"Stream({_sizes(self)}, output_size={self._y_shape[-1]}, dtype='{self._dtype}')"

    def reset(self) -> None:
        """Begin new sequences."""
        if self._layers is None:
            super().reset()
        else:
            self._layers.reset()


class EstimatorStream(core.EstimatorStream):  # type: ignore[misc, name-defined]
    """Running sequences of a fitted estimator, fed step by step. From its `stream`.

    It holds the model as it was at the end of `fit`; streams of one estimator share its weights.
    One thread at a time may use it.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMRegressor
    >>> X = np.random.default_rng(0).standard_normal((20, 5, 2))
    >>> model = LSTMRegressor(4, max_iter=1).fit(X, X.mean(axis=(1, 2)))
    >>> stream = model.stream()
    >>> for x_t in X[0]:
    ...     forecast = stream.step(x_t)
    >>> bool(forecast == model.predict(X[:1])[0])
    True
    """

    __slots__ = ("_check_names", "_decode", "_standardizer", "_stream")

    if TYPE_CHECKING:  # the core has it, and its documentation

        def step(self, x: npt.ArrayLike, /) -> Any: ...  # noqa: D102

    else:
        step = core.EstimatorStream.step

    def __init__(
        self,
        stream: Stream,
        decode: Callable[[Array], Any],
        standardizer: Standardizer | None = None,
        check_names: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__(
            stream,
            decode if isinstance(decode, core.Decoder) else None,
            None if standardizer is None else standardizer.core,
        )
        self._stream, self._decode, self._standardizer = stream, decode, standardizer
        self._check_names = check_names

    def _step(self, x: Any) -> Any:
        """Step with what the core's `step` does not take as it stands, or refuse it."""
        array: Array = x
        if self._check_names is not None and type(x) is not np.ndarray:
            self._check_names(x)
        if type(x) is not np.ndarray or x.dtype.kind != "f":
            array = check.real_array("x", x, np.float64)  # as `predict` reads it
        dtype, shape = self._stream._dtype, self._stream._x_shape
        if array.shape != shape:
            raise ValueError(check.needs("x", f"an array of shape {shape}", x))
        values: Array | None = None
        if np.isfinite(array).all():
            with np.errstate(over="ignore"), contextlib.suppress(ValueError):
                values = (self._standardizer or dtype.type)(array)
        if values is None or not np.isfinite(values).all():
            raise ValueError(check.needs("x", f"finite, within {dtype}'s range", x))
        decoded = self._decode(np.atleast_2d(self._stream.step(values)))
        if len(shape) > 1:
            return decoded
        if isinstance(decoded, tuple):
            return tuple(part[0] for part in decoded)
        return decoded[0]

    def __repr__(self) -> str:
        """Return the sizes and the dtype."""
        return f"EstimatorStream({_sizes(self._stream)}, dtype='{self._stream._dtype}')"

    def reset(self) -> None:
        """Begin new sequences."""
        self._stream.reset()


def _sizes(stream: Stream) -> str:
    """Return the sequences and features of a stream's step."""
    *rows, features = stream._x_shape
    return f"n_sequences={rows[0] if rows else None}, input_size={features}"


class _RunningLayers:
    """Any layers, by their own `run`."""

    def __init__(self, model: Model, rows: int) -> None:
        self.model, self.rows = model, rows
        self.reset()

    def reset(self) -> None:
        self.state: State = None

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        self.state, self.rows = states.select_rows(self.state, rows), len(rows)

    def step(self, x: Array) -> Array:
        seq = Sequence(x.reshape(self.rows, 1, -1))
        y, self.state = self.model._run(seq, self.state)
        return y


def _ordered(layer: Any, shapes: Any, held: Iterator[State]) -> State:
    """Return a tree of states of the leaves, which come in the order of computation."""
    if not isinstance(layer, Chain):
        return None if shapes is None else next(held)
    tree: list[State] = [None] * len(layer.layers)
    for number in layer.order:
        tree[number] = _ordered(layer.layers[number], shapes[number], held)
    return tuple(tree)


def _in_order(layer: Any, state: State) -> Iterator[State]:
    """Yield the states of the leaves that have one, in the order of computation."""
    if not isinstance(layer, Chain):
        if state is not None:
            yield state
        return
    for number in layer.order:
        yield from _in_order(layer.layers[number], state[number])


def __dir__() -> list[str]:
    return sorted(__all__)
