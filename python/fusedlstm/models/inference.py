"""Predictions of a layer with given weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array, core
from fusedlstm._core.threads import get_num_threads
from fusedlstm._utils import validation as check
from fusedlstm.layers import Layer, states
from fusedlstm.layers.base import can_lower
from fusedlstm.layers.requirements import require_maskable, require_state
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State
from fusedlstm.models.compaction import RealSteps


class Inference:
    """Base class of models: a layer with weights, and the methods that compute predictions.

    The weights of `Model` can be trained. The weights of `Predictor` are constant.

    Parameters
    ----------
    layer : layer
    weights : array (n_params,) or object
        The parameters, which are read at every call, or the result of `Layer.pack`.
    input_size : int
    dtype : numpy dtype

    Attributes
    ----------
    layer, weights, input_size, dtype
        As given.
    output_size : int
    program : object or None
        A program of the core that computes the whole model in one call. None if the core cannot
        compute one of the layers.
    """

    def __init__(
        self, layer: Layer[Any], weights: Any, input_size: int, dtype: np.dtype[Any]
    ) -> None:
        self._set_layer(layer, input_size, dtype)
        self._set_weights(weights)

    def _set_layer(self, layer: Layer[Any], input_size: int, dtype: np.dtype[Any]) -> None:
        self.layer = layer
        self.input_size = input_size
        self.dtype = dtype
        self.output_size = layer.output_size(input_size)

    def _set_weights(self, weights: Any) -> None:
        self.weights = weights
        program = core.Program(self.dtype.name, self.input_size)
        layer = self.layer
        lowered = can_lower(layer) and layer.lower(program, weights, self.input_size, True)
        self.program: Any = program if lowered else None

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
            B sequences of T steps. An array of another dtype than the model's is converted.
        lengths : int array (B,) or None, default None
            Number of real steps of each sequence, from 1 to T. None: T for all sequences.
        mask : bool array (B, T) or None, default None
            False for steps to skip, anywhere in a sequence. Skipped steps do not change the states.
            The output of a skipped step is the output of the latest real step before it. It is zero
            before the first and after the last real step. Cannot be combined with ``lengths``.

        Returns
        -------
        array (B, T, output_size), or (B, output_size) after `LastStep` or `Pool`
            Its bits do not depend on the other sequences of the batch or on the number of threads.
            The output of recurrent layers and `Dense` is zero after the end of a sequence.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, shape or values, or if ``mask`` is given and a layer
            is not maskable.

        Notes
        -----
        Ctrl-C interrupts a long call on many sequences within about a second. With few sequences
        it takes effect at the end of the call. With ``mask``, with merged directions, or with a
        custom layer, it takes effect at the end of the current layer.
        """
        if mask is not None:
            return self.run(x, None, lengths, mask=mask)[0]
        program, y = self.program, None
        if program is not None and lengths is None and type(x) is np.ndarray:
            y = program.predict_contiguous(x, get_num_threads)
        if y is not None:  # the core accepted x without conversion
            return y  # type: ignore[no-any-return]
        seq = self._read(x, lengths)
        if program is None:
            return self.layer.run(self.weights, seq, None)[0].steps()
        return program.predict(seq.x, seq.lengths, get_num_threads)  # type: ignore[no-any-return]

    def run(
        self,
        x: npt.ArrayLike,
        state: State = None,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
    ) -> tuple[Array, State]:
        """Compute the output and the final state from an initial state.

        Parameters
        ----------
        x : array (B, T, input_size)
        state : tuple or None, default None
            State from an earlier call with B sequences. None: zero, or the trained initial state of
            layers with ``trainable_state``.
        lengths : int array (B,) or None, default None
        mask : bool array (B, T) or None, default None
            As for `predict`.

        Returns
        -------
        y : array
            The output, as from `predict`.
        state : tuple or None
            The state of the layer. The state of an `LSTM` is (h, c), or (h, c, gates) with
            ``full_gate_recurrence``. The state of other recurrent layers is (h,). Each array is
            (directions, B, size). The state of a layer that contains layers, such as the `Chain` of
            a `Sequential`, is a tuple with one state per layer. The state is None for a layer
            without a state. To select sequences of a state, use `fusedlstm.models.select_rows`.

        Raises
        ------
        TypeError, ValueError
            As for `predict`. Also if ``state`` does not have the structure and shapes of the
            model's state, or if it is given and a layer cannot start from a state.
        """
        seq, real = self._read_masked(x, lengths, mask)
        before = self._read_state(state, seq.steps().shape[0])
        out, after = self.layer.run(self.weights, seq, before)
        y = out.steps()
        if y.ndim == 2:
            y = y.copy()  # it may share memory with the state
        return (y if real is None or y.ndim == 2 else real.spread(y)), after

    def _read(self, x: npt.ArrayLike, lengths: npt.ArrayLike | None) -> Sequence:
        array = check.sequence_array("x", x, self.dtype, self.input_size)
        return Sequence(array, check.sequence_lengths(lengths, *array.shape[:2]))

    def _read_masked(
        self, x: npt.ArrayLike, lengths: npt.ArrayLike | None, mask: npt.ArrayLike | None
    ) -> tuple[Sequence, RealSteps | None]:
        """Return the real steps, and their positions if a mask is given."""
        seq = self._read(x, lengths)
        if mask is None:
            return seq, None
        require_maskable(self.layer)
        if lengths is not None:
            raise ValueError(check.needs("lengths", "None if mask is given", lengths))
        real = RealSteps.of(mask, *seq.steps().shape[:2])
        return Sequence(real.take(seq.steps()), real.lengths), real

    def _read_state(self, state: Any, batch: int) -> State:
        if state is None:
            return None
        require_state(self.layer, "to start from a state")
        shapes = self.layer.state_shapes(batch, self.input_size)
        return states.checked("state", state, shapes, self.dtype)
