"""Layers side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer
from fusedlstm.layers.composite import Composite, Place, added, params_of
from fusedlstm.layers.rng import Draws
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State


class Parallel(Composite):
    """Layers side by side, whose outputs are joined along the features.

    Parameters
    ----------
    *branches : layers
        All keep the steps, or all reduce them. A branch of several layers is a `Chain`.

    Examples
    --------
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import GRU, LSTM, Dense, LastStep, Parallel
    >>> model = Sequential([Parallel(LSTM(8), GRU(4)), LastStep(), Dense(2)], input_size=3)
    >>> list(model.named_params())[3]
    '0.1.weight_ih'
    """

    in_a_row = False

    def __init__(self, *branches: Layer[Any]) -> None:
        super().__init__(*branches)
        kinds = {branch.reduces for branch in self.layers}
        if len(kinds) > 1:
            needed = "layers that all keep the steps or all reduce them"
            raise ValueError(check.needs("branches", needed, self.layers))
        if any(branch.shares_params_of is not None for branch in self.layers):
            needed = "layers with parameters of their own"
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
        for place in self.places(seq.size):
            before = None if state is None else state[place.number]
            own = params_of(params, place)
            out, of_branch = place.layer.run(own, readable(seq, place), before)
            outs.append(out)
            after.append(of_branch)
        return self._joined(outs), tuple(after)

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Any]:
        outs, after, saved = [], [], []
        draws = None if rng is None else Draws(rng)
        places = self.places(seq.size)
        for place in places:
            generator = None
            if draws is not None and place.layer.random:
                generator = draws.of_layer(place.number)
            before = None if state is None else state[place.number]
            (out, of_branch), kept = place.layer.forward(
                params[place.params], readable(seq, place), before, generator
            )
            outs.append(out)
            after.append(of_branch)
            saved.append(kept)
        if draws is not None:
            draws.end()
        widths = [out.size for out in outs]
        return (self._joined(outs), tuple(after)), (places, saved, widths, seq.lengths)

    def backward(
        self,
        params: Array,
        saved: Any,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        places, kept, widths, lengths = saved
        stops = np.cumsum(widths)[:-1]
        dx = None if dseq.x is None else np.split(dseq.x, stops, axis=-1)
        dlast = None if dseq.last is None else np.split(dseq.last, stops, axis=-1)
        before: list[State] = []
        total: Sequence | None = None
        for place in places:
            number = place.number
            of_branch = Sequence(
                None if dx is None else check.contiguous(dx[number]),
                dseq.lengths,
                None if dlast is None else check.contiguous(dlast[number]),
            )
            gradient, of_state = place.layer.backward(
                params[place.params],
                kept[number],
                of_branch,
                None if dstate is None else dstate[number],
                grads[place.params],
                input_gradient,
            )
            before.append(of_state)
            if gradient is not None and total is not None:
                x, last = added(total.x, gradient.x), added(total.last, gradient.last)
                total = Sequence(x, lengths, last)
            elif gradient is not None:
                total = Sequence(gradient.x, lengths, gradient.last)
        return total, tuple(before)

    def _joined(self, outs: list[Sequence]) -> Sequence:
        last = None
        if all(out.last is not None for out in outs):
            last = np.concatenate([out.last for out in outs], axis=-1)
        x = np.concatenate([out.zeroed().steps() for out in outs], axis=-1)
        return Sequence(x, outs[0].lengths, last)


def readable(seq: Sequence, place: Place) -> Sequence:
    """Return the input of a branch, without the final outputs unless it selects them."""
    return seq if seq.last is None or place.layer.selects else Sequence(seq.x, seq.lengths)
