"""Models: a layer, its parameters in one flat vector, and the way in and out."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from fusedlstm import _states as states
from fusedlstm import _validation as check
from fusedlstm._core import Array, core
from fusedlstm._masking import RealSteps
from fusedlstm._requirements import require_maskable, require_state
from fusedlstm._states import State
from fusedlstm._summary import summary
from fusedlstm._threads import get_num_threads
from fusedlstm.layers import Chain, Layer
from fusedlstm.layers.base import can_lower
from fusedlstm.layers.composite import checked_layers, count_of
from fusedlstm.predictor import Predictor
from fusedlstm.sequence import Sequence
from fusedlstm.streaming import Stream

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Model", "Saved", "Sequential"]


LONGEST_LINE = 88
"""Characters of a model's repr up to which it is one line."""


@dataclass
class Saved:
    """Values that `Sequential.forward` keeps for one call of `Sequential.backward`."""

    layer: Any
    output: Sequence
    shape: tuple[int, ...]  # of what the first layer read
    output_shape: tuple[int, ...]  # of what the caller got
    real: RealSteps | None
    state: State  # of all layers at the end, as from `Sequential.run`
    has_initial_state: bool
    used: bool = field(default=False)


class Model:
    """A layer with its parameters.

    `Sequential` is a model whose layer is a `Chain`.

    Parameters
    ----------
    layer : layer
        From `fusedlstm.layers`.
    input_size : int
        Number of features of the input.
    dtype : {"float32", "float64"}, default "float32"
    random_state : int, numpy Generator or None, default None
        Seed of the initial parameters.

    Attributes
    ----------
    params : array (n_params,)
        All parameters; writing to it changes the model.
    layer : layer
    input_size, output_size : int
    dtype : numpy dtype

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import Model
    >>> from fusedlstm.layers import GRU, LSTM, Parallel
    >>> model = Model(Parallel(LSTM(8), GRU(4)), input_size=3, random_state=0)
    >>> model.predict(np.ones((4, 10, 3), dtype="float32")).shape
    (4, 10, 12)
    """

    def __init__(
        self,
        layer: Layer[Any],
        input_size: int,
        dtype: npt.DTypeLike = "float32",
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self._configure(layer, input_size, dtype)
        try:
            rng = np.random.default_rng(random_state)
        except (TypeError, ValueError) as error:
            needed = "an integer of at least 0, a numpy Generator or None"
            raise type(error)(check.needs("random_state", needed, random_state)) from None
        self._params = np.zeros(count_of(self._shapes), self.dtype)
        views = self.named_params()
        for name, values in self.layer.init_params(self.input_size, rng).items():
            if name not in views:
                raise ValueError(check.needs("init_params", "of names of param_shapes", name))
            if np.shape(values) != views[name].shape:
                needed = f"an array of shape {views[name].shape} for {name!r}"
                raise ValueError(check.needs("init_params", needed, values))
            views[name][...] = values
        self._prepare(self._params)

    def _configure(self, layer: Layer[Any], input_size: int, dtype: npt.DTypeLike) -> None:
        if not isinstance(cast(object, layer), Layer):
            raise TypeError(check.needs("layer", "a layer", layer))
        if layer.shares_params_of is not None:
            raise ValueError(check.needs("layer", "a layer with parameters of its own", layer))
        self.layer = layer
        self.input_size = check.positive_int("input_size", input_size)
        self.dtype = check.float_dtype("dtype", dtype)
        self.output_size = layer.output_size(self.input_size)
        self._shapes = layer.param_shapes(self.input_size)

    @classmethod
    def from_named_params(
        cls,
        layer: Any,
        input_size: int,
        named: Mapping[str, npt.ArrayLike],
        dtype: npt.DTypeLike = "float32",
    ) -> Self:
        """Build a model of given parameters.

        Parameters
        ----------
        layer, input_size, dtype
            As for the constructor.
        named : dict of str to array
            All of what `named_params` of the model returns.

        Returns
        -------
        Model
        """
        model = cls.__new__(cls)
        model._configure(layer, input_size, dtype)
        model._fill(named)
        return model

    def _fill(self, named: Mapping[str, npt.ArrayLike]) -> None:
        """Take parameters by name."""
        if not isinstance(named, Mapping):
            raise TypeError(check.needs("named", "a dict of arrays by name", named))
        arrays = {
            name: check.real_array(f"named[{name!r}]", array, self.dtype)
            for name, array in named.items()
        }
        for name in sorted(self._shapes.keys() | arrays.keys()):
            if name not in self._shapes:
                raise ValueError(check.needs("named", "of parameters of these layers", name))
            if name not in arrays or arrays[name].shape != self._shapes[name]:
                needed = f"an array of shape {self._shapes[name]}"
                raise ValueError(check.needs(f"named[{name!r}]", needed, arrays.get(name)))
        self._params = np.empty(count_of(self._shapes), self.dtype)
        for name, view in self.named_params().items():
            view[...] = arrays[name]
        self._prepare(self._params)

    def _prepare(self, weights: Any) -> None:
        """Take parameters, or what the layer packed of them, for predictions."""
        self._weights = weights
        self._whole = self._program()
        self._values_id = object()

    def _program(self) -> Any:
        """Return the core's program of the whole model; None if it cannot compute a layer."""
        program = core.Program(self.dtype.name, self.input_size)
        layer = self.layer
        whole = can_lower(layer) and layer.lower(program, self._weights, self.input_size, True)
        return program if whole else None

    def __getstate__(self) -> dict[str, Any]:
        made = ("_weights", "_whole", "_values_id")
        return {name: value for name, value in vars(self).items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._params = check.contiguous(self._params)
        self._prepare(self._params)

    @property
    def params(self) -> Array:
        """All parameters, flat. Writing to the array, or assigning one, changes the model."""
        return self._params

    @params.setter
    def params(self, values: npt.ArrayLike) -> None:
        array = check.real_array("params", values, self.dtype)
        if array.shape != self._params.shape:
            raise ValueError(check.needs("params", f"{len(self._params)} numbers", values))
        self._params[:] = array
        self._values_id = object()  # so that a fitted estimator takes a new snapshot

    def named_params(self) -> dict[str, Array]:
        """Return views of the parameters, by the number of the layer and the name in it.

        Returns
        -------
        dict of str to array
            In PyTorch's shapes and gate order, such as ``"0.weight_ih"`` (4 * hidden_size,
            input_size).
        """
        return self.views(self._params)

    def views(self, flat: Array) -> dict[str, Array]:
        """Return the parts of any array that is laid out like `params`, by name."""
        if np.shape(flat) != self._params.shape:
            raise ValueError(check.needs("flat", f"an array of {len(self._params)} numbers", flat))
        named, start = {}, 0
        for name, shape in self._shapes.items():
            stop = start + math.prod(shape)
            named[name] = flat[start:stop].reshape(shape)
            start = stop
        return named

    def predict(
        self,
        x: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
    ) -> Array:
        """Compute the output.

        Parameters
        ----------
        x : array (B, T, input_size)
            Any strides; converted to the model's dtype if need be.
        lengths : int array (B,) or None
            Real steps of each sequence; None if all have T.
        mask : bool array (B, T) or None
            False for steps that are passed over, wherever they stand: states are carried over
            them, and the output is that of the step before, zero before the first and past the
            last real step. In place of ``lengths``.

        Returns
        -------
        array (B, T, output_size), or (B, output_size) after `LastStep`
            Does not depend, to the last bit, on the other sequences of the batch or on the
            number of threads.

        Notes
        -----
        Ctrl-C interrupts a long call on many sequences within about a second. With few sequences
        it takes effect at the end of the call, and with ``mask``, or with cells outside the fused
        kernel such as ``LSTM(layer_norm=True)``, at the end of the present layer.
        """
        if mask is not None:
            return self.run(x, None, lengths, mask=mask)[0]
        whole, y = self._whole, None
        if whole is not None and lengths is None and type(x) is np.ndarray:
            y = whole.predict_contiguous(x, get_num_threads)
        if y is not None:  # as most often
            return y  # type: ignore[no-any-return]
        seq = self._input(x, lengths)
        if whole is None:
            return self._run(seq, None)[0]
        return whole.predict(seq.x, seq.lengths, get_num_threads)  # type: ignore[no-any-return]

    def run(
        self,
        x: npt.ArrayLike,
        state: State = None,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
    ) -> tuple[Array, State]:
        """Compute the output, from a state to a state.

        Parameters
        ----------
        x : array (B, T, input_size)
        state : tuple or None
            As returned by an earlier call with B sequences; None starts from zero. A layer with
            ``full_gate_recurrence`` takes none: its state is incomplete.
        lengths : int array (B,) or None
        mask : bool array (B, T) or None
            As for `predict`.

        Returns
        -------
        y : array
            As from `predict`.
        state : tuple
            An entry per layer: for an `LSTM` the pair (h, c), each (directions, B, hidden_size),
            for other recurrent layers (h,); for a layer of layers the tuple of their states; for a
            layer without state None. `fusedlstm.states.select_rows` selects sequences of it.
        """
        seq, real = self._masked_input(x, lengths, mask)
        y, state = self._run(seq, self._state(state, seq.steps().shape[0]))
        if y.ndim == 2:
            y = y.copy()  # which may share memory with the state
        return (y if real is None or y.ndim == 2 else real.spread(y)), state

    def forward(
        self,
        x: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        rng: np.random.Generator | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        state: State = None,
    ) -> tuple[Array, Saved]:
        """Compute the output and keep what `backward` needs.

        Parameters
        ----------
        x : array (B, T, input_size)
        lengths : int array (B,) or None
        rng : numpy Generator or None
            For dropout; None: nothing is dropped.
        mask : bool array (B, T) or None
            As for `predict`.
        state : tuple or None
            As for `run`. `backward` then returns its gradient, too.

        Returns
        -------
        y : array
            As from `predict`.
        saved : object
            For one call of `backward`; ``saved.state`` is what `run` returns as state.

        Notes
        -----
        `saved` refers to ``x`` and to `params`; neither is copied, and a change is not detected.
        If either is written to between this call and `backward`, the gradients are wrong: those
        of neither the old nor the new values.

        Ctrl-C takes effect when the layer that is being computed has ended.
        """
        check.generator("rng", rng)
        seq, real = self._masked_input(x, lengths, mask)
        shape = seq.steps().shape
        before = None if state is None else self._state(state, shape[0])
        (out, after), kept = self.layer.forward(self._params, seq, before, rng)
        y = out.steps()
        if real is not None and y.ndim == 3:
            y = real.spread(y)
        return y, Saved(kept, out, shape, y.shape, real, after, before is not None)

    def backward(self, saved: Saved, dy: npt.ArrayLike, grads: Array, dstate: State = None) -> Any:
        """Propagate a gradient back.

        Parameters
        ----------
        saved : object
            From `forward`; it can be used once.
        dy : array
            Gradient of the loss by the output, of the output's shape.
        grads : array (n_params,)
            The gradient by `params` is added to it.
        dstate : tuple or None
            Gradient of the loss by the final state ``saved.state``, of its structure; None: zero.

        Returns
        -------
        dx : array (B, T, input_size)
            Gradient by the input, zero past the end of a sequence and at masked steps.
        dstate : tuple
            Gradient by the initial state, of its structure. Returned only if `forward` was given a
            state.
        """
        dseq, before = self._backward(saved, dy, grads, True, dstate)
        assert dseq is not None
        dx = dseq.steps() if dseq.x is not None else np.zeros(saved.shape, self.dtype)
        if saved.real is not None:
            dx = saved.real.scatter(dx)
        return (dx, before) if saved.has_initial_state else dx

    def add_gradients(self, saved: Saved, dy: npt.ArrayLike, grads: Array) -> None:
        """Add the gradient by `params` to ``grads``, as `backward`, and compute no other."""
        self._backward(saved, dy, grads, input_gradient=False)

    def predictor(self) -> Predictor:
        """Return a snapshot for predictions, its weights packed once for all.

        Returns
        -------
        Predictor
            ``predict(x, lengths=None)`` and ``stream()``; immutable, for any number of threads.
        """
        return Predictor(self)

    def stream(self, n_sequences: int | None = None) -> Stream:
        """Run sequences one step at a time, with the parameters as they are now.

        Parameters
        ----------
        n_sequences : int or None, default None
            So many side by side; None: one, and arrays have no axis for it.

        Returns
        -------
        Stream
            ``step(x, out=None)`` and ``reset()``.

        Raises
        ------
        ValueError
            A layer reads sequences from their last step, or its state is incomplete.
        """
        return Predictor._beside(self).stream(n_sequences)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model into a file, for `fusedlstm.load`.

        Parameters
        ----------
        path : str or path
            A file there is replaced, once the new one is complete.

        Raises
        ------
        TypeError
            A layer is not one of `fusedlstm.layers`.

        Notes
        -----
        A safetensors file with the arrays of `named_params` and text that describes the layers.
        """
        from fusedlstm._saving import save

        save(self, path)

    def summary(self) -> str:
        """Return the layers with the shapes of their outputs, their parameters and bytes, as text.

        B stands for sequences, T for steps.

        Returns
        -------
        str
            With the text itself as its repr, so that prompts and notebooks show the lines.

        Examples
        --------
        >>> from fusedlstm import Sequential
        >>> from fusedlstm.layers import LSTM, Dense, LastStep
        >>> print(Sequential([LSTM(8), LastStep(), Dense(2)], input_size=3).summary())
        Sequential, input (B, T, 3), float32
        --------------------------------------------------------------------
           layer                                output     parameters  bytes
        --------------------------------------------------------------------
        0  LSTM(hidden_size=8)                  (B, T, 8)         384  1,536
        1  LastStep()                           (B, 8)              0      0
        2  Dense(units=2, activation='linear')  (B, 2)             18     72
        --------------------------------------------------------------------
           total                                                  402  1,608
        """
        return summary(self)

    def __repr__(self) -> str:
        """Return a call that makes a model of this layer."""
        return f"Model({self.layer!r}, input_size={self.input_size}, dtype={self.dtype.name!r})"

    def _input(self, x: npt.ArrayLike, lengths: npt.ArrayLike | None) -> Sequence:
        array = check.sequence_array("x", x, self.dtype, self.input_size)
        return Sequence(array, check.sequence_lengths(lengths, *array.shape[:2]))

    def _masked_input(
        self, x: npt.ArrayLike, lengths: npt.ArrayLike | None, mask: npt.ArrayLike | None
    ) -> tuple[Sequence, RealSteps | None]:
        seq = self._input(x, lengths)
        if mask is None:
            return seq, None
        require_maskable(self.layer)
        if lengths is not None:
            raise ValueError(check.needs("lengths", "None where there is a mask", lengths))
        real = RealSteps.of(mask, *seq.steps().shape[:2])
        return Sequence(real.take(seq.steps()), real.lengths), real

    def _state(self, state: Any, batch: int) -> State:
        if state is None:
            return None
        require_state(self.layer, "to start from a state")
        shapes = self.layer.state_shapes(batch, self.input_size)
        return states.checked("state", state, shapes, self.dtype)

    def _run(self, seq: Sequence, state: State) -> tuple[Array, State]:
        out, after = self.layer.run(self._weights, seq, state)
        return out.steps(), after

    def _packed(self) -> Self:
        """Return a twin that predicts with packed weights, or copies of parameters.

        Its `params` are a view of this model's that cannot be written to.
        """
        twin = copy.copy(self)
        twin._params = self._params.view()
        twin._params.flags.writeable = False
        packed = self.layer.pack(self._params, self.input_size)
        twin._prepare(self._params.copy() if packed is None else packed)
        return twin

    def _backward(
        self,
        saved: Saved,
        dy: npt.ArrayLike,
        grads: Array,
        input_gradient: bool,
        dstate: State = None,
    ) -> tuple[Sequence | None, State]:
        if not isinstance(cast(object, saved), Saved):
            raise TypeError(check.needs("saved", "what forward returned", saved))
        if saved.used:
            raise ValueError("saved must be fresh from forward; got one that backward has used")
        array = check.real_array("dy", dy, self.dtype)
        if array.shape != saved.output_shape:
            raise ValueError(check.needs("dy", f"an array of shape {saved.output_shape}", dy))
        check.flat_array("grads", grads, self._params)
        of_state = None
        if dstate is not None:
            shapes = states.mapped(np.shape, saved.state)
            of_state = states.checked("dstate", dstate, shapes, self.dtype)
        saved.used = True
        if saved.real is not None and array.ndim == 3:
            array = saved.real.gather(array)
        dseq = Sequence(check.contiguous(array), saved.output.lengths)
        return self.layer.backward(self._params, saved.layer, dseq, of_state, grads, input_gradient)


class Sequential(Model):
    """Layers in a row, over sequences.

    Parameters
    ----------
    layers : iterable of layers
        From `fusedlstm.layers`; stacked recurrent layers are listed one after the other. Before
        `LastStep` or `Pool` data has the shape (B, T, features), after it (B, features).
    input_size : int
        Features of the input.
    dtype : {"float32", "float64"}, default "float32"
    random_state : int, numpy Generator or None, default None
        Seed of the initial parameters.

    Attributes
    ----------
    params : array (n_params,)
        All parameters; writing to it changes the model.
    layers : tuple of layers
    input_size, output_size : int
    dtype : numpy dtype

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense, LastStep
    >>> model = Sequential([LSTM(8), LastStep(), Dense(2)], input_size=3, random_state=0)
    >>> x = np.ones((4, 10, 3), dtype="float32")
    >>> y, saved = model.forward(x)
    >>> grads = np.zeros_like(model.params)
    >>> dx = model.backward(saved, np.ones_like(y), grads)
    >>> y.shape, dx.shape, sorted(model.named_params())[:2]
    ((4, 2), (4, 10, 3), ['0.bias', '0.weight_hh'])
    """

    def __init__(
        self,
        layers: Iterable[Layer[Any]],
        input_size: int,
        dtype: npt.DTypeLike = "float32",
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(Chain(*checked_layers(layers)), input_size, dtype, random_state)

    @classmethod
    def from_named_params(
        cls,
        layers: Iterable[Layer[Any]],
        input_size: int,
        named: Mapping[str, npt.ArrayLike],
        dtype: npt.DTypeLike = "float32",
    ) -> Sequential:
        """Build a model of given parameters.

        Parameters
        ----------
        layers, input_size, dtype
            As for `Sequential`.
        named : dict of str to array
            All of what `named_params` of the model returns.

        Returns
        -------
        Sequential

        Examples
        --------
        >>> import numpy as np
        >>> from fusedlstm import Sequential
        >>> from fusedlstm.layers import Dense
        >>> named = {"0.weight": np.array([[2.0, 0.0]]), "0.bias": np.array([1.0])}
        >>> model = Sequential.from_named_params([Dense(1)], 2, named)
        >>> model.predict([[[3.0, 5.0]]]).tolist()
        [[[7.0]]]
        """
        model = cls.__new__(cls)
        model._configure(Chain(*checked_layers(layers)), input_size, dtype)
        model._fill(named)
        return model

    @property
    def layers(self) -> tuple[Layer[Any], ...]:
        """The layers, in order."""
        return cast(Chain, self.layer).layers

    def __repr__(self) -> str:
        """Return a call that makes a model of these layers, on one line if it is short."""
        layers = [repr(layer) for layer in self.layers]
        rest = [f"input_size={self.input_size}", f"dtype={self.dtype.name!r}"]
        line = f"Sequential([{', '.join(layers)}], {', '.join(rest)})"
        if len(line) <= LONGEST_LINE:
            return line
        lines = ["    [", *(f"        {layer}," for layer in layers), "    ],"]
        return "\n".join(["Sequential(", *lines, *(f"    {part}," for part in rest), ")"])


def __dir__() -> list[str]:
    return sorted(__all__)
