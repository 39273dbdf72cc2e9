"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State


@dataclass(frozen=True)
class Dropout(Layer[Any]):
    """Set features to zero at random in training, and divide the other features by ``1 - rate``.

    A new mask is drawn for every sequence and step [1]_. In prediction, the output is the input.

    Parameters
    ----------
    rate : float in [0, 1)
        Probability that a feature is set to zero.

    References
    ----------
    .. [1] Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
       2014.

    Examples
    --------
    >>> from fusedlstm.layers import Dropout
    >>> Dropout(0.5)
    Dropout(rate=0.5)
    """

    rate: float

    pointwise = True

    def __post_init__(self) -> None:
        check.fraction("rate", self.rate)

    @property
    def random(self) -> bool:
        return self.rate > 0

    def output_size(self, input_size: int) -> int:
        return input_size

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Array | None]:
        if rng is None or self.rate == 0:
            return (seq, None), None
        x = seq.steps()
        kept = rng.random(x.shape, dtype=np.float32) >= self.rate
        factors: Array = kept.astype(x.dtype) / x.dtype.type(1 - self.rate)
        return (Sequence(x * factors, seq.lengths), None), factors

    def backward(
        self,
        params: Array,
        saved: Array | None,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        dseq = dseq.zeroed()
        return (dseq if saved is None else dseq._replace(x=dseq.steps() * saved)), None

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        return True
