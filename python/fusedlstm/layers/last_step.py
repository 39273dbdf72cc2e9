"""Reduction of each sequence to its last step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm.layers.base import Layer
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State


@dataclass(frozen=True)
class LastStep(Layer[Sequence]):
    """Reduce each sequence to one vector, its last output. The output is (B, F).

    After a recurrent layer, the vector is the final hidden state of each direction, as ``h_n`` in
    PyTorch. For the reverse direction, this is the state at the first step. Pointwise layers
    between the recurrent layer and `LastStep`, such as `Dense` and `Dropout`, are applied to this
    vector. After any other layer, the vector is the last real step.

    Examples
    --------
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense, LastStep
    >>> model = Sequential([LSTM(16), LastStep(), Dense(3)], input_size=4)
    >>> import numpy as np
    >>> model.predict(np.zeros((5, 20, 4), dtype="float32")).shape
    (5, 3)
    """

    causal = True
    reduces = True
    random = False
    selects = True

    def output_size(self, input_size: int) -> int:
        return input_size

    def needs_steps(self, all_steps: bool) -> bool:
        return False

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Sequence]:
        if seq.last is not None:
            return (Sequence(seq.last), None), seq
        rows, steps = self._last_steps(seq)
        return (Sequence(seq.steps()[rows, steps]), None), seq

    def backward(
        self,
        params: Array,
        saved: Sequence,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        if saved.last is not None:
            return Sequence(None, saved.lengths, dseq.steps()), None
        dx = np.zeros_like(saved.steps())
        dx[self._last_steps(saved)] = dseq.steps()
        return Sequence(dx, saved.lengths), None

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        program.add_last_step()
        return True

    @staticmethod
    def _last_steps(seq: Sequence) -> tuple[Array, Array | int]:
        steps = seq.steps()
        last = steps.shape[1] - 1 if seq.lengths is None else seq.lengths - 1
        return np.arange(len(steps)), last
