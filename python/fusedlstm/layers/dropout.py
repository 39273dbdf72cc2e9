"""Features dropped at random while training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fusedlstm import _validation as check
from fusedlstm._core import Array
from fusedlstm.layers.base import Layer, State
from fusedlstm.sequence import Sequence

_Factors: TypeAlias = tuple[Array | None, Array | None]
"""What ``x`` and ``last`` are multiplied with; None: nothing."""


@dataclass(frozen=True)
class Dropout(Layer[_Factors]):
    """Set features to zero at random while training, and scale the others up to make up for it.

    Parameters
    ----------
    rate : float
        Probability of being dropped, in [0, 1).

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

    def __post_init__(self) -> None:
        check.fraction("rate", self.rate)

    def draws(self) -> bool:
        return self.rate > 0

    def output_size(self, input_size: int) -> int:
        return input_size

    def needs_steps(self, all_steps: bool) -> bool:
        return all_steps

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], _Factors]:
        if rng is None or self.rate == 0:
            return (seq, None), (None, None)
        factors = (self._factors(seq.x, rng), self._factors(seq.last, rng))
        return (self._scaled(seq, factors), None), factors

    def backward(
        self,
        params: Array,
        saved: _Factors,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        return self._scaled(dseq, saved), None

    def _factors(self, like: Array | None, rng: np.random.Generator) -> Array | None:
        if like is None:
            return None
        kept = rng.random(like.shape, dtype=np.float32) >= self.rate
        factors: Array = kept.astype(like.dtype) / like.dtype.type(1 - self.rate)
        return factors

    @staticmethod
    def _scaled(seq: Sequence, factors: _Factors) -> Sequence:
        x, last = (
            array if array is None or factor is None else array * factor
            for array, factor in zip((seq.x, seq.last), factors, strict=True)
        )
        return Sequence(x, seq.lengths, last)
