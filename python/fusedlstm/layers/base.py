"""The base class of layers."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from fusedlstm._core import Array
from fusedlstm.layers.properties import LayerProperties
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.shapes import Shapes
from fusedlstm.layers.states import State, StateShapes

SavedT = TypeVar("SavedT")


class Layer(LayerProperties, abc.ABC, Generic[SavedT]):
    """Base class of layers: frozen configuration and pure functions.

    A subclass implements `output_size`, `forward` and `backward`.

    ``params`` and ``grads`` are flat arrays with the same layout: the arrays of `param_shapes`, one
    after the other. `backward` adds the gradients of the parameters to ``grads`` and returns the
    other gradients as new arrays.

    Properties such as `pointwise`, `causal`, `reduces` and `random` describe the layer. Streams,
    truncated back-propagation, masks and L-BFGS refuse layers without the properties that they
    require. A layer that sets no property works in prediction and in training with batches.
    """

    # Sizes and shapes.

    @abc.abstractmethod
    def output_size(self, input_size: int) -> int:
        """Return the number of features of the output.

        Parameters
        ----------
        input_size : int
            Number of features of the input, F.
        """

    def gives_last(self, given: bool) -> bool:
        """Return True if the output has `Sequence.last`.

        Parameters
        ----------
        given : bool
            True if the input has `Sequence.last`.
        """
        return False

    def needs_steps(self, all_steps: bool) -> bool:
        """Return True if the layer reads `Sequence.x` of its input.

        Parameters
        ----------
        all_steps : bool
            True if `Sequence.x` of the output is read.
        """
        return True

    def state_shapes(self, batch: int, input_size: int = 1) -> StateShapes:
        """Return the shapes of the arrays of the state.

        Parameters
        ----------
        batch : int
            Number of sequences, B.
        input_size : int, default 1

        Returns
        -------
        tuple of tuples (n, B, ...), or None
            n is 1, or the number of directions of a recurrent layer. None: the layer has no state.
        """
        return None

    def param_shapes(self, input_size: int) -> Shapes:
        """Return the shapes of the parameter arrays by name, in their order in ``params``."""
        return {}

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        """Return initial values by name. Parameters that are left out start at zero."""
        return {}

    # Computation.

    def pack(self, params: Array, input_size: int) -> object | None:
        """Return an object with prepared parameters, with which `run` is faster.

        `run` accepts the object in place of ``params``. None: `run` accepts only ``params``.
        """
        return None

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        """Compute the output and the state, without the values that `backward` needs.

        The arguments are as for `forward`, without ``rng``. ``params`` may also be the result of
        `pack`.
        """
        (out, new_state), _ = self.forward(params, seq, state, None, all_steps)
        return out, new_state

    @abc.abstractmethod
    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], SavedT]:
        """Compute the output, the state and the values that `backward` needs.

        Parameters
        ----------
        params : array (n_params,)
        seq : Sequence
            The input, (B, T, F), or (B, F) after a layer that reduces.
        state : tuple of arrays or None
            State after the previous steps. None: the initial state.
        rng : numpy Generator or None
            It may be used only during this call. None: the layer draws no random numbers.
        all_steps : bool, default True
            False: `Sequence.x` of the output is not read, and may be None.

        Returns
        -------
        (Sequence, tuple of arrays or None), object
            The output and the new state, and the values for `backward`.
        """

    @abc.abstractmethod
    def backward(
        self,
        params: Array,
        saved: SavedT,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        """Add the gradient of the parameters to ``grads``, and return the other gradients.

        Parameters
        ----------
        params : array (n_params,)
            The parameters that `forward` received.
        saved : object
            The values that `forward` returned for `backward`.
        dseq : Sequence
            Gradient of the output.
        dstate : tuple of arrays or None
            Gradient of the new state. None: zero.
        grads : array (n_params,)
        input_gradient : bool, default True

        Returns
        -------
        dseq : Sequence or None
            Gradient of the input. None if ``input_gradient`` is False.
        dstate : tuple of arrays or None
            Gradient of the state that `forward` received. None if it received no state.
        """

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        """Add the layer to a program of the core.

        Parameters
        ----------
        program : object
            The program, a list of operations that the core computes in one call.
        params : array (n_params,) or object
            The parameters, which the program reads at every call, or the result of `pack`.
        input_size : int
        all_steps : bool
            False: `Sequence.x` of the output is not read.

        Returns
        -------
        bool
            False if the core cannot compute the layer.
        """
        return False


def can_lower(layer: Layer[Any]) -> bool:
    """Return True if `Layer.lower` of the layer may be used.

    Return False if a subclass overrides `Layer.run` or `Layer.forward`, and inherits `lower`.
    """
    order = type(layer).__mro__
    definer = {
        name: next(i for i, kind in enumerate(order) if name in vars(kind))
        for name in ("lower", "run", "forward")
    }
    return definer["lower"] <= min(definer["run"], definer["forward"])
