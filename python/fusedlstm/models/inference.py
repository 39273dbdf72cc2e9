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
    """A layer with weights. Reads the input and computes the output.

    Base class of `Model`, whose weights can be trained, and of `Predictor`, whose weights are
    constant.

    Parameters
    ----------
    layer : layer
    weights : array (n_params,) or object
        The parameters, which are read at every call, or the object that `Layer.pack` made of them.
    input_size : int
    dtype : numpy dtype

    Attributes
    ----------
    layer, weights, input_size, dtype
        As given.
    output_size : int
    program : object or None
        The core's program of the whole model. None if the core cannot compute one of the layers.
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
            Any strides. Converted to the model's dtype if it has another one.
        lengths : int array (B,) or None
            Number of real steps of each sequence. None: all have T.
        mask : bool array (B, T) or None
            False for steps to skip, anywhere in a sequence. States are carried over skipped steps.
            The output of a skipped step is the output of the latest real step before it; zero
            before the first and after the last real step. Cannot be combined with ``lengths``.

        Returns
        -------
        array (B, T, output_size), or (B, output_size) after `LastStep`
            Its bits do not depend on the other sequences of the batch or on the number of threads.

        Notes
        -----
        Ctrl-C interrupts a long call on many sequences within about a second. With few sequences
        it takes effect at the end of the call. With ``mask``, or with cells outside the fused
        kernel such as ``LSTM(layer_norm=True)``, it takes effect at the end of the current layer.
        """
        if mask is not None:
            return self.run(x, None, lengths, mask=mask)[0]
        program, y = self.program, None
        if program is not None and lengths is None and type(x) is np.ndarray:
            y = program.predict_contiguous(x, get_num_threads)
        if y is not None:  # the most frequent case
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
        state : tuple or None
            State from an earlier call with B sequences. None starts from zero. A layer with
            ``full_gate_recurrence`` accepts only None, because its state is incomplete.
        lengths : int array (B,) or None
        mask : bool array (B, T) or None
            As for `predict`.

        Returns
        -------
        y : array
            As from `predict`.
        state : tuple
            One entry per layer: for an `LSTM` the pair (h, c), each (directions, B, hidden_size);
            for other recurrent layers (h,); for a layer of layers the tuple of their states; for a
            layer without a state None. `fusedlstm.models.select_rows` selects sequences of it.
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
        """Return the real steps, and with a mask their positions."""
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
