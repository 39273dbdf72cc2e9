"""Pooling over the steps of each sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm._core.threads import get_num_threads
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State, StateShapes


class PoolSaved(NamedTuple):
    """Values that `Pool.forward` keeps for `Pool.backward`."""

    seq: Sequence
    counts: Array  # (B, 1): numbers of real steps, including the steps of earlier calls
    where: Array | None  # (B, F): step of the maximum, or -1 if the maximum is from the state
    has_state: bool


@dataclass(frozen=True)
class Pool(Layer[PoolSaved]):
    """Reduce each sequence to the mean or the maximum of its real steps. The output is (B, F).

    The state is the sum and the number of all steps so far, or the maximum so far. So each step of
    a stream returns the mean or the maximum of all steps so far. If several steps have the maximum,
    the first of them receives the gradient.

    Parameters
    ----------
    kind : {"mean", "max"}, default "mean"
        Mean or maximum, computed for each feature.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import Pool
    >>> x = np.array([[[1.0], [2.0], [6.0]], [[4.0], [2.0], [0.0]]])
    >>> Sequential([Pool("mean")], input_size=1).predict(x, lengths=[3, 2]).tolist()
    [[3.0], [3.0]]
    >>> Sequential([Pool("max")], input_size=1).predict(x, lengths=[3, 2]).tolist()
    [[6.0], [4.0]]
    """

    kind: Literal["mean", "max"] = "mean"

    causal = True
    reduces = True
    random = False

    def __post_init__(self) -> None:
        check.choice("kind", self.kind, ("mean", "max"))

    def output_size(self, input_size: int) -> int:
        return input_size

    def state_shapes(self, batch: int, input_size: int = 1) -> StateShapes:
        pooled = (1, batch, input_size)
        return (pooled, (1, batch, 1)) if self.kind == "mean" else (pooled,)

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], PoolSaved]:
        x = seq.steps()
        before = None if state is None else check.contiguous(state[0][0])
        pooled, where = core.pool_forward(self.kind, x, seq.lengths, before, get_num_threads())
        real = np.full(len(x), x.shape[1]) if seq.lengths is None else seq.lengths
        counts = real[:, np.newaxis].astype(x.dtype)
        if self.kind == "max":
            saved = PoolSaved(seq, counts, where, state is not None)
            return (Sequence(pooled), (pooled[np.newaxis],)), saved
        if state is not None:
            counts = counts + state[1][0]
        saved = PoolSaved(seq, counts, None, state is not None)
        mean = pooled / counts
        subnormal = np.abs(mean) < np.finfo(mean.dtype).tiny  # the core sets them to zero
        mean[subnormal] = np.copysign(0, mean[subnormal])
        return (Sequence(mean), (pooled[np.newaxis], counts[np.newaxis])), saved

    def backward(
        self,
        params: Array,
        saved: PoolSaved,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        seq, dy = saved.seq, dseq.steps()
        if self.kind == "mean":
            dy = dy / saved.counts
        if dstate is not None:
            dy = dy + dstate[0][0]
        if self.kind == "mean":
            dx = np.broadcast_to(dy[:, np.newaxis], seq.steps().shape)
            dx = Sequence(dx, seq.lengths).zeroed().steps()
            before: State = (dy[np.newaxis], np.zeros((1, len(dy), 1), dy.dtype))
        else:
            assert saved.where is not None
            here = saved.where >= 0
            dx = np.zeros_like(seq.steps())
            rows, features = np.nonzero(here)
            dx[rows, saved.where[here], features] = dy[here]
            before = (np.where(here, 0, dy)[np.newaxis],)
        return Sequence(np.ascontiguousarray(dx), seq.lengths), before if saved.has_state else None

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        program.add_pool(self.kind)
        return True
