"""Layers that read a sequence step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fusedlstm import _validation as check
from fusedlstm._core import Array, core
from fusedlstm._threads import get_num_threads
from fusedlstm.initializers import orthogonal, xavier_uniform
from fusedlstm.layers.base import Layer, Shapes, State
from fusedlstm.sequence import Sequence


@dataclass(frozen=True)
class _RecurrentSaved:
    x: Array
    lengths: Any
    core: object


@dataclass(frozen=True)
class LSTM(Layer[_RecurrentSaved]):
    """Long short-term memory, with forget gate and without peepholes.

    ``i, f, o = sigmoid(...)``, ``g = tanh(...)``, ``c = f c' + i g``, ``h = o tanh(c)``; gates
    stand in the order i, f, g, o, as in PyTorch. Returns h of all steps, (B, T, D * hidden_size),
    zero past the end of a sequence.

    Parameters
    ----------
    hidden_size : int
        Units H, of each direction.
    bidirectional : bool, default False
        Run a second set of weights from each sequence's last step to its first; the outputs stand
        side by side. Its parameters end in ``_reverse``.

    Notes
    -----
    Parameters: ``weight_ih`` (4H, I), ``weight_hh`` (4H, H) and one ``bias`` (4H,), for each
    direction. Initial weights: Xavier-uniform for the input and orthogonal for the hidden state,
    each gate for itself; the bias is 1 for the forget gate [3]_ and 0 elsewhere.

    References
    ----------
    .. [1] Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997.
    .. [2] Gers, Schmidhuber and Cummins, "Learning to Forget", 2000.
    .. [3] Jozefowicz, Zaremba and Sutskever, "An Empirical Exploration of Recurrent Network
       Architectures", 2015.

    Examples
    --------
    >>> from fusedlstm.layers import LSTM
    >>> LSTM(64, bidirectional=True).param_shapes(input_size=8)["weight_ih_reverse"]
    (256, 8)
    """

    hidden_size: int
    bidirectional: bool = False

    cell: ClassVar[str] = "lstm"
    n_gates: ClassVar[int] = 4

    def __post_init__(self) -> None:
        check.positive_int("hidden_size", self.hidden_size)
        check.true_or_false("bidirectional", self.bidirectional)

    @property
    def directions(self) -> tuple[str, ...]:
        """The suffixes of the parameters' names, one a direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def output_size(self, input_size: int) -> int:
        return len(self.directions) * self.hidden_size

    def state_shape(self, batch: int) -> tuple[int, ...] | None:
        return (len(self.directions), batch, self.hidden_size)

    def param_shapes(self, input_size: int) -> Shapes:
        gates = self.n_gates * self.hidden_size
        return {
            name + direction: shape
            for direction in self.directions
            for name, shape in (
                ("weight_ih", (gates, input_size)),
                ("weight_hh", (gates, self.hidden_size)),
                ("bias", (gates,)),
            )
        }

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        values = {}
        for direction in self.directions:
            gates = range(self.n_gates)
            values["weight_ih" + direction] = np.concatenate(
                [xavier_uniform(rng, self.hidden_size, input_size) for _ in gates]
            )
            values["weight_hh" + direction] = np.concatenate(
                [orthogonal(rng, self.hidden_size) for _ in gates]
            )
            forget = np.repeat(np.arange(self.n_gates) == 1, self.hidden_size)
            values["bias" + direction] = forget.astype(float)
        return values

    def run(
        self, params: Array, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        y, h, c, _ = self._call(params, seq, state, all_steps, training=False)
        return self._output(y, h, seq), (h, c)

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], _RecurrentSaved]:
        y, h, c, kept = self._call(params, seq, state, all_steps, training=True)
        saved = _RecurrentSaved(seq.steps(), seq.lengths, kept)
        return (self._output(y, h, seq), (h, c)), saved

    def backward(
        self,
        params: Array,
        saved: _RecurrentSaved,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        dh, dc = dstate if dstate is not None else (None, None)
        if dseq.last is not None:
            dlast = self._split_directions(dseq.last)
            dh = dlast if dh is None else dh + dlast
        dx, dh0, dc0 = core.recurrent_backward(
            saved.core, params, saved.x, dseq.x, dh, dc, input_gradient, grads
        )
        return (Sequence(dx, saved.lengths) if input_gradient else None), (dh0, dc0)

    def _call(
        self, params: Array, seq: Sequence, state: State, all_steps: bool, training: bool
    ) -> tuple[Array | None, Array, Array, object]:
        h, c = state if state is not None else (None, None)
        return core.recurrent_forward(
            self.cell,
            len(self.directions),
            self.hidden_size,
            params,
            seq.steps(),
            seq.lengths,
            h,
            c,
            all_steps,
            training,
            get_num_threads(),
        )

    def _output(self, y: Array | None, h: Array, seq: Sequence) -> Sequence:
        last = h[0] if len(h) == 1 else np.concatenate(h, axis=1)
        return Sequence(y, seq.lengths, last)

    def _split_directions(self, last: Array) -> Array:
        """Turn (B, D * H) into (D, B, H)."""
        batch = last.shape[0]
        split = last.reshape(batch, len(self.directions), self.hidden_size).transpose(1, 0, 2)
        return np.ascontiguousarray(split)
