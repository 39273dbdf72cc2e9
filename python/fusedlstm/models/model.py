"""Models: layers with their parameters in one flat array, and the gradients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers import Layer, states
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.shapes import count_of, views_of
from fusedlstm.layers.states import State
from fusedlstm.models.compaction import RealSteps
from fusedlstm.models.inference import Inference
from fusedlstm.models.predictor import PackedInference, Predictor
from fusedlstm.models.stream import Stream
from fusedlstm.models.summary import summary

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Model", "Saved"]


@dataclass
class Saved:
    """Values that `Model.forward` keeps for one call of `Model.backward`."""

    layer: Any  # the values that the layer's `forward` saved
    output: Sequence  # the output of the layer
    shape: tuple[int, ...]  # of the input of the layer, without masked steps
    output_shape: tuple[int, ...]  # of the output that the caller received
    real: RealSteps | None  # None without a mask
    state: State  # the final state, as from `Model.run`
    has_initial_state: bool
    used: bool = field(default=False)


class Model(Inference):
    """A layer with its parameters.

    `Sequential` is a model whose layer is a `Chain`. The methods describe B sequences of T steps.

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
        All parameters. Writing to it changes the model.
    params_version : object
        Replaced by a new object when an array is assigned to `params`.
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
                raise ValueError(
                    f"init_params must return only names of param_shapes; got {name!r}"
                )
            if np.shape(values) != views[name].shape:
                needed = f"an array of shape {views[name].shape} for {name!r}"
                raise ValueError(check.needs("init_params", needed, values))
            views[name][...] = values
        self._start()

    def _configure(self, layer: Layer[Any], input_size: int, dtype: npt.DTypeLike) -> None:
        if not isinstance(cast(object, layer), Layer):
            raise TypeError(check.needs("layer", "a layer", layer))
        if layer.shares_params_of is not None:
            raise ValueError(check.needs("layer", "a layer with its own parameters", layer))
        size = check.positive_int("input_size", input_size)
        self._set_layer(layer, size, check.float_dtype("dtype", dtype))
        self._shapes = layer.param_shapes(size)

    @classmethod
    def from_named_params(
        cls,
        layer: Any,
        input_size: int,
        named: Mapping[str, npt.ArrayLike],
        dtype: npt.DTypeLike = "float32",
    ) -> Self:
        """Build a model with given parameters.

        Parameters
        ----------
        layer, input_size, dtype
            As for the constructor.
        named : dict of str to array
            The values of all parameters, with the names and shapes of `named_params`.

        Returns
        -------
        Model
        """
        model = cls.__new__(cls)
        model._configure(layer, input_size, dtype)
        model._fill(named)
        return model

    def _fill(self, named: Mapping[str, npt.ArrayLike]) -> None:
        """Set the parameters by name."""
        if not isinstance(named, Mapping):
            raise TypeError(check.needs("named", "a dict of arrays by name", named))
        arrays = {
            name: check.real_array(f"named[{name!r}]", array, self.dtype)
            for name, array in named.items()
        }
        for name in sorted(self._shapes.keys() | arrays.keys()):
            if name not in self._shapes:
                raise ValueError(f"named must have only parameters of these layers; got {name!r}")
            if name not in arrays or arrays[name].shape != self._shapes[name]:
                needed = f"an array of shape {self._shapes[name]}"
                raise ValueError(check.needs(f"named[{name!r}]", needed, arrays.get(name)))
        self._params = np.empty(count_of(self._shapes), self.dtype)
        for name, view in self.named_params().items():
            view[...] = arrays[name]
        self._start()

    def _start(self) -> None:
        """Set the weights and the program for new parameters."""
        self._set_weights(self._params)
        self.params_version = object()

    def __getstate__(self) -> dict[str, Any]:
        derived = ("weights", "program", "params_version")
        return {name: value for name, value in vars(self).items() if name not in derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._params = check.contiguous(self._params)
        self._start()

    @property
    def params(self) -> Array:
        """All parameters, flat. Writing to the array or assigning an array changes the model."""
        return self._params

    @params.setter
    def params(self, values: npt.ArrayLike) -> None:
        array = check.real_array("params", values, self.dtype)
        if array.shape != self._params.shape:
            raise ValueError(check.needs("params", f"{len(self._params)} numbers", values))
        self._params[:] = array
        self.params_version = object()  # a fitted estimator then takes a new snapshot

    def named_params(self) -> dict[str, Array]:
        """Return views of the parameters by name.

        Returns
        -------
        dict of str to array
            Names of the parameters of a `Sequential` start with the number of the layer, such as
            ``"0.weight_ih"`` (4 * hidden_size, input_size) for an `LSTM`. The order of the gates is
            that of PyTorch. Writing to an array changes the model.
        """
        return self.views(self._params)

    def views(self, flat: Array) -> dict[str, Array]:
        """Return views of an array (n_params,) of gradients or parameters, as `named_params`."""
        if np.shape(flat) != self._params.shape:
            raise ValueError(check.needs("flat", f"an array of {len(self._params)} numbers", flat))
        return views_of(flat, self._shapes)

    def forward(
        self,
        x: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        rng: np.random.Generator | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        state: State = None,
    ) -> tuple[Array, Saved]:
        """Compute the output and the values that `backward` needs.

        Parameters
        ----------
        x : array (B, T, input_size)
        lengths : int array (B,) or None, default None
        rng : numpy Generator or None, default None
            Random numbers for dropout and zoneout. None: compute the output as in prediction.
        mask : bool array (B, T) or None, default None
            As for `predict`.
        state : tuple or None, default None
            As for `run`. With a state, `backward` also returns the gradient of the state.

        Returns
        -------
        y : array
            The output, as from `predict`.
        saved : Saved
            Argument of one call of `backward`. ``saved.state`` is the state that `run` returns.

        Notes
        -----
        ``saved`` refers to ``x`` and to `params` without copying them. If either is changed between
        this call and `backward`, the gradients are wrong, and the change is not detected.

        Ctrl-C takes effect at the end of the current layer.
        """
        check.generator("rng", rng)
        seq, real = self._read_masked(x, lengths, mask)
        shape = seq.steps().shape
        before = None if state is None else self._read_state(state, shape[0])
        (out, after), kept = self.layer.forward(self._params, seq, before, rng)
        y = out.steps()
        if real is not None and y.ndim == 3:
            y = real.spread(y)
        return y, Saved(kept, out, shape, y.shape, real, after, before is not None)

    def backward(self, saved: Saved, dy: npt.ArrayLike, grads: Array, dstate: State = None) -> Any:
        """Propagate the gradient of the output back to the parameters and the input.

        Parameters
        ----------
        saved : Saved
            From `forward`. It can be used only once.
        dy : array (B, T, output_size) or (B, output_size)
            Gradient of the loss with respect to the output.
        grads : array (n_params,)
            The gradient with respect to `params` is added to this array.
        dstate : tuple or None, default None
            Gradient of the loss with respect to the final state, with the structure of
            ``saved.state``. None: zero.

        Returns
        -------
        dx : array (B, T, input_size)
            Gradient with respect to the input. Zero at masked steps and after the end.
        dstate : tuple
            Gradient with respect to the initial state. Returned if `forward` received a state.
        """
        dseq, before = self._backward(saved, dy, grads, True, dstate)
        assert dseq is not None
        dx = dseq.steps() if dseq.x is not None else np.zeros(saved.shape, self.dtype)
        if saved.real is not None:
            dx = saved.real.scatter(dx)
        return (dx, before) if saved.has_initial_state else dx

    def add_gradients(self, saved: Saved, dy: npt.ArrayLike, grads: Array) -> None:
        """Add the gradient with respect to `params` to ``grads``, as `backward` does.

        Other gradients are not computed.
        """
        self._backward(saved, dy, grads, input_gradient=False)

    def predictor(self) -> Predictor:
        """Return an immutable snapshot for predictions, with packed weights.

        Returns
        -------
        Predictor
            Has `predict`, `run` and `stream`. Any number of threads may use it.
        """
        return Predictor(self)

    def stream(self, n_sequences: int | None = None) -> Stream:
        """Return a stream, which computes sequences one step at a time with the current parameters.

        Parameters
        ----------
        n_sequences : int or None, default None
            Number of sequences. None: one sequence, without an axis for the sequences.

        Returns
        -------
        Stream
            Its methods include ``step(x, out=None)`` and ``reset()``.

        Raises
        ------
        ValueError
            If a layer reads sequences backward, is not causal, or has an incomplete state.
        """
        return PackedInference(self.layer, self._params, self.input_size).stream(n_sequences)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file, for `fusedlstm.load`.

        Parameters
        ----------
        path : str or path
            An existing file is replaced only after the new file is complete.

        Raises
        ------
        TypeError
            If the class of a layer is not in `fusedlstm.layers`.

        Notes
        -----
        The file is a safetensors file with the arrays of `named_params`. Its metadata contains a
        text that describes the layers.
        """
        # Imported here to keep the import of models fast.
        from fusedlstm.files.saving import save

        save(self, path)

    def summary(self) -> str:
        """Return the layers with the shapes of their outputs, their parameters and bytes.

        Returns
        -------
        str
            A table. Its repr is the text without quotes, so that prompts and notebooks show the
            table. B is the number of sequences, T the number of steps.

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

    def _backward(
        self,
        saved: Saved,
        dy: npt.ArrayLike,
        grads: Array,
        input_gradient: bool,
        dstate: State = None,
    ) -> tuple[Sequence | None, State]:
        if not isinstance(cast(object, saved), Saved):
            raise TypeError(check.needs("saved", "a result of forward", saved))
        if saved.used:
            raise ValueError(
                "saved must be an unused result of forward; got a result that backward has used"
            )
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


def __dir__() -> list[str]:
    return sorted(__all__)
