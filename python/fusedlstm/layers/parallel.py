"""Layers applied to the same input."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer
from fusedlstm.layers.composite import Composite, Sublayer, added, params_of
from fusedlstm.layers.rng import LayerGenerators
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State


class Parallel(Composite):
    """Layers applied to the same input, with their outputs concatenated along the features.

    Parameters
    ----------
    *branches : layers
        Layers that all have an output at every step, or that all reduce the steps. Use a `Chain`
        for a branch of several layers.

    Raises
    ------
    ValueError
        If some branches reduce the steps and others do not, or if a branch is `Tied`.

    Examples
    --------
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import GRU, LSTM, Dense, LastStep, Parallel
    >>> model = Sequential([Parallel(LSTM(8), GRU(4)), LastStep(), Dense(2)], input_size=3)
    >>> list(model.named_params())[3]
    '0.1.weight_ih'
    """

    is_sequential = False

    def __init__(self, *branches: Layer[Any]) -> None:
        super().__init__(*branches)
        kinds = {branch.reduces for branch in self.layers}
        if len(kinds) > 1:
            needed = "layers that all have an output at every step or all reduce the steps"
            raise ValueError(check.needs("branches", needed, self.layers))
        if any(branch.shares_params_of is not None for branch in self.layers):
            needed = "layers with their own parameters"
            raise ValueError(check.needs("branches", needed, self.layers))

    @property
    def reduces(self) -> bool:
        return self.layers[0].reduces

    @property
    def reads_last(self) -> bool:
        return any(branch.reads_last for branch in self.layers)

    def gives_last(self, given: bool) -> bool:
        return all(branch.gives_last(given) for branch in self.layers)

    def output_size(self, input_size: int) -> int:
        return sum(branch.output_size(input_size) for branch in self.layers)

    def input_sizes(self, input_size: int) -> tuple[int, ...]:
        return (input_size,) * len(self.layers)

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        outs, after = [], []
        for sublayer in self.sublayers(seq.size):
            before = None if state is None else state[sublayer.number]
            own = params_of(params, sublayer)
            out, of_branch = sublayer.layer.run(own, branch_input(seq, sublayer), before)
            outs.append(out)
            after.append(of_branch)
        return self._concatenated(outs), tuple(after)

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Any]:
        outs, after, saved = [], [], []
        generators = None if rng is None else LayerGenerators(rng)
        sublayers = self.sublayers(seq.size)
        for sublayer in sublayers:
            generator = None
            if generators is not None and sublayer.layer.random:
                generator = generators.for_layer(sublayer.number)
            before = None if state is None else state[sublayer.number]
            (out, of_branch), kept = sublayer.layer.forward(
                params[sublayer.params], branch_input(seq, sublayer), before, generator
            )
            outs.append(out)
            after.append(of_branch)
            saved.append(kept)
        if generators is not None:
            generators.release()
        widths = [out.size for out in outs]
        return (self._concatenated(outs), tuple(after)), (sublayers, saved, widths, seq.lengths)

    def backward(
        self,
        params: Array,
        saved: Any,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        sublayers, kept, widths, lengths = saved
        stops = np.cumsum(widths)[:-1]
        dx = None if dseq.x is None else np.split(dseq.x, stops, axis=-1)
        dlast = None if dseq.last is None else np.split(dseq.last, stops, axis=-1)
        before: list[State] = []
        total: Sequence | None = None
        for sublayer in sublayers:
            number = sublayer.number
            of_branch = Sequence(
                None if dx is None else check.contiguous(dx[number]),
                dseq.lengths,
                None if dlast is None else check.contiguous(dlast[number]),
            )
            gradient, of_state = sublayer.layer.backward(
                params[sublayer.params],
                kept[number],
                of_branch,
                None if dstate is None else dstate[number],
                grads[sublayer.params],
                input_gradient,
            )
            before.append(of_state)
            if gradient is not None and total is not None:
                x, last = added(total.x, gradient.x), added(total.last, gradient.last)
                total = Sequence(x, lengths, last)
            elif gradient is not None:
                total = Sequence(gradient.x, lengths, gradient.last)
        return total, tuple(before)

    def _concatenated(self, outs: list[Sequence]) -> Sequence:
        last = None
        if all(out.last is not None for out in outs):
            last = np.concatenate([out.last for out in outs], axis=-1)
        x = np.concatenate([out.zeroed().steps() for out in outs], axis=-1)
        return Sequence(x, outs[0].lengths, last)


def branch_input(seq: Sequence, sublayer: Sublayer) -> Sequence:
    """Return the input of a branch. Only branches that select steps receive ``last``."""
    return seq if seq.last is None or sublayer.layer.selects else Sequence(seq.x, seq.lengths)
