"""Sequential: layers in a row over one flat vector of parameters."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fusedlstm import _validation as check
from fusedlstm._core import Array
from fusedlstm._draws import Draws
from fusedlstm._masking import RealSteps
from fusedlstm._stacks import check_complete_state, check_layers
from fusedlstm._summary import summary
from fusedlstm._threads import get_num_threads
from fusedlstm._whole import Part, whole_model
from fusedlstm.layers import Layer
from fusedlstm.layers.base import State
from fusedlstm.predictor import Predictor
from fusedlstm.sequence import Sequence
from fusedlstm.streaming import Stream

__all__ = ["Saved", "Sequential"]


LONGEST_LINE = 88
"""Characters of a model's repr up to which it is one line."""


@dataclass
class Saved:
    """What `Sequential.forward` leaves for one `Sequential.backward`."""

    layers: list[Any]
    output: Sequence
    shape: tuple[int, ...]  # of what the first layer read
    output_shape: tuple[int, ...]  # of what the caller got
    real: RealSteps | None
    state: tuple[State, ...]  # of all recurrent layers at the end, as from `Sequential.run`
    used: bool = field(default=False)


class Sequential:
    """Layers in a row, over sequences.

    Parameters
    ----------
    layers : iterable of layers
        From `fusedlstm.layers`; stacked recurrent layers are listed one after the other. Before
        `LastStep` data has the shape (B, T, features), after it (B, features).
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
        self._configure(layers, input_size, dtype)
        try:
            rng = np.random.default_rng(random_state)
        except (TypeError, ValueError) as error:
            needed = "an integer of at least 0, a numpy Generator or None"
            raise type(error)(check.needs("random_state", needed, random_state)) from None
        count = sum(map(math.prod, self._named_shapes().values()))
        self._params = np.zeros(count, self.dtype)
        size, start = self.input_size, 0
        for layer in self.layers:
            values = layer.init_params(size, rng)
            for name, shape in layer.param_shapes(size).items():
                stop = start + math.prod(shape)
                if name in values:
                    self._params[start:stop] = np.ravel(values[name])
                start = stop
            size = layer.output_size(size)
        self._divide()

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
        model._configure(layers, input_size, dtype)
        shapes = model._named_shapes()
        if not isinstance(named, Mapping):
            raise TypeError(check.needs("named", "a dict of arrays by name", named))
        arrays = {
            name: check.real_array(f"named[{name!r}]", array, dtype)
            for name, array in named.items()
        }
        for name in sorted(shapes.keys() | arrays.keys()):
            if name not in shapes:
                raise ValueError(check.needs("named", "of parameters of these layers", name))
            if name not in arrays or arrays[name].shape != shapes[name]:
                needed = f"an array of shape {shapes[name]}"
                raise ValueError(check.needs(f"named[{name!r}]", needed, arrays.get(name)))
        model._params = np.empty(sum(map(math.prod, shapes.values())), model.dtype)
        for name, view in model.named_params().items():
            view[...] = arrays[name]
        model._divide()
        return model

    def _configure(
        self, layers: Iterable[Layer[Any]], input_size: int, dtype: npt.DTypeLike
    ) -> None:
        self.layers = tuple(check_layers(layers))
        self.input_size = check.positive_int("input_size", input_size)
        self.dtype = check.float_dtype("dtype", dtype)
        self.output_size = self.input_size
        for layer in self.layers:
            self.output_size = layer.output_size(self.output_size)

    def _named_shapes(self) -> dict[str, tuple[int, ...]]:
        named, size = {}, self.input_size
        for number, layer in enumerate(self.layers):
            for name, shape in layer.param_shapes(size).items():
                named[f"{number}.{name}"] = shape
            size = layer.output_size(size)
        return named

    def _divide(self) -> None:
        """Make what consists of views of the parameters."""
        parts, size, start = [], self.input_size, 0
        wanted, all_steps = True, [True]
        for layer in reversed(self.layers[1:]):
            wanted = layer.needs_steps(wanted)
            all_steps.append(wanted)
        for layer, steps in zip(self.layers, reversed(all_steps), strict=True):
            shapes = layer.param_shapes(size).values()
            place = slice(start, start + sum(math.prod(shape) for shape in shapes))
            parts.append(Part(layer, self._params[place], place, steps))
            size, start = layer.output_size(size), place.stop
        self._work_with(parts)
        self._values_id = object()

    def _work_with(self, parts: list[Part]) -> None:
        self._parts = parts
        self._whole = whole_model(self.dtype, self.input_size, parts)

    def __getstate__(self) -> dict[str, Any]:
        made = ("_parts", "_whole", "_values_id")
        return {name: value for name, value in vars(self).items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._params = check.contiguous(self._params)
        self._divide()

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
        for name, shape in self._named_shapes().items():
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
            y = whole.predict_as_it_is(x, get_num_threads)
        if y is not None:  # as most often
            return y  # type: ignore[no-any-return]
        seq = self._input(x, lengths)
        if whole is None or not (lengths is None or whole.takes_lengths):
            return self._run(seq, None)[0]
        return whole.predict(seq.x, seq.lengths, get_num_threads)  # type: ignore[no-any-return]

    def run(
        self,
        x: npt.ArrayLike,
        state: tuple[State, ...] | None = None,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
    ) -> tuple[Array, tuple[State, ...]]:
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
            An entry a layer: for an `LSTM` the pair (h, c), each (directions, B, hidden_size), for
            other recurrent layers the one (h,); for a layer without state None.
        """
        seq, real = self._masked_input(x, lengths, mask)
        y, state = self._run(seq, self._state(state, seq.steps().shape[0]))
        return (y if real is None or y.ndim == 2 else real.spread(y)), state

    def forward(
        self,
        x: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        rng: np.random.Generator | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        state: tuple[State, ...] | None = None,
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
            As for `run`. No gradient goes back to it.

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
        before = self._state(state, shape[0]) or (None,) * len(self.layers)
        draws = None if rng is None else Draws(rng)
        saved, states = [], []
        for number, part in enumerate(self._parts):
            of_layer = draws.of_layer(number) if draws and part.layer.draws() else None
            (seq, after), kept = part.layer.forward(
                part.params, seq, before[number], of_layer, part.all_steps
            )
            saved.append(kept)
            states.append(after)
        if draws:
            draws.end()
        y = seq.steps()
        if real is not None and y.ndim == 3:
            y = real.spread(y)
        return y, Saved(saved, seq, shape, y.shape, real, tuple(states))

    def backward(self, saved: Saved, dy: npt.ArrayLike, grads: Array) -> Array:
        """Propagate a gradient back.

        Parameters
        ----------
        saved : object
            From `forward`; it can be used once.
        dy : array
            Gradient of the loss by the output, of the output's shape.
        grads : array (n_params,)
            The gradient by `params` is added to it.

        Returns
        -------
        array (B, T, input_size)
            Gradient by the input, zero past the end of a sequence and at masked steps.
        """
        dseq = self._backward(saved, dy, grads, input_gradient=True)
        assert dseq is not None
        dx = dseq.steps() if dseq.x is not None else np.zeros(saved.shape, self.dtype)
        return dx if saved.real is None else saved.real.scatter(dx)

    def add_gradients(self, saved: Saved, dy: npt.ArrayLike, grads: Array) -> None:
        """Add the gradient by `params` to ``grads``, as `backward`; that of the input is spared."""
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
        """Return a call that makes a model of these layers, on one line if it is short."""
        layers = [repr(layer) for layer in self.layers]
        rest = [f"input_size={self.input_size}", f"dtype={self.dtype.name!r}"]
        line = f"Sequential([{', '.join(layers)}], {', '.join(rest)})"
        if len(line) <= LONGEST_LINE:
            return line
        lines = ["    [", *(f"        {layer}," for layer in layers), "    ],"]
        return "\n".join(["Sequential(", *lines, *(f"    {part}," for part in rest), ")"])

    def _input(self, x: npt.ArrayLike, lengths: npt.ArrayLike | None) -> Sequence:
        array = check.sequence_array("x", x, self.dtype, self.input_size)
        return Sequence(array, check.sequence_lengths(lengths, *array.shape[:2]))

    def _masked_input(
        self, x: npt.ArrayLike, lengths: npt.ArrayLike | None, mask: npt.ArrayLike | None
    ) -> tuple[Sequence, RealSteps | None]:
        seq = self._input(x, lengths)
        if mask is None:
            return seq, None
        if lengths is not None:
            raise ValueError(check.needs("lengths", "None where there is a mask", lengths))
        real = RealSteps.of(mask, *seq.steps().shape[:2])
        return Sequence(real.take(seq.steps()), real.lengths), real

    def _state(self, state: Any, batch: int) -> tuple[State, ...] | None:
        if state is None:
            return None
        check_complete_state(self.layers, "to start from a state")
        try:
            given = tuple(state)
        except TypeError:
            given = ()
        if len(given) != len(self.layers):
            raise ValueError(
                check.needs("state", f"{len(self.layers)} entries, one a layer", state)
            )
        checked: list[State] = []
        for number, (layer, part) in enumerate(zip(self.layers, given, strict=True)):
            shapes = layer.state_shapes(batch)
            if shapes is None or part is None:
                checked.append(None)
                continue
            needed = f"a tuple of arrays of shapes {', '.join(map(str, shapes))}"
            if not isinstance(part, (tuple, list)):
                raise TypeError(check.needs(f"state[{number}]", needed, part))
            arrays = tuple(check.real_array(f"state[{number}]", a, self.dtype) for a in part)
            if tuple(a.shape for a in arrays) != shapes:
                raise ValueError(check.needs(f"state[{number}]", needed, part))
            checked.append(tuple(check.contiguous(a) for a in arrays))
        return tuple(checked)

    def _run(
        self, seq: Sequence, state: tuple[State, ...] | None
    ) -> tuple[Array, tuple[State, ...]]:
        states = []
        for number, part in enumerate(self._parts):
            before = None if state is None else state[number]
            seq, after = part.layer.run(part.params, seq, before, part.all_steps)
            states.append(after)
        return seq.steps(), tuple(states)

    def _packed(self) -> Sequential:
        """Return a twin whose parts hold packed weights, or copies of parameters. For `Predictor`.

        Its `params` are a view of this model's that cannot be written to.
        """
        twin = copy.copy(self)
        twin._params = self._params.view()
        twin._params.flags.writeable = False
        size, parts = self.input_size, []
        for part in self._parts:
            packed = part.layer.pack(part.params, size)
            if packed is None:
                packed = part.params.copy()
            parts.append(part._replace(params=packed))
            size = part.layer.output_size(size)
        twin._work_with(parts)
        return twin

    def _backward(
        self, saved: Saved, dy: npt.ArrayLike, grads: Array, input_gradient: bool
    ) -> Sequence | None:
        if not isinstance(cast(object, saved), Saved):
            raise TypeError(check.needs("saved", "what forward returned", saved))
        if saved.used:
            raise ValueError("saved must be fresh from forward; got one that backward has used")
        array = check.real_array("dy", dy, self.dtype)
        if array.shape != saved.output_shape:
            raise ValueError(check.needs("dy", f"an array of shape {saved.output_shape}", dy))
        check.flat_array("grads", grads, self._params)
        saved.used = True
        if saved.real is not None and array.ndim == 3:
            array = saved.real.gather(array)
        dseq: Sequence | None = Sequence(check.contiguous(array), saved.output.lengths)
        for number in reversed(range(len(self._parts))):
            assert dseq is not None
            part, kept = self._parts[number], saved.layers[number]
            wanted = input_gradient or number > 0
            dseq, _ = part.layer.backward(part.params, kept, dseq, None, grads[part.place], wanted)
        return dseq


def __dir__() -> list[str]:
    return sorted(__all__)
