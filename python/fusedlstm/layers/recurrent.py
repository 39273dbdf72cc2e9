"""The base class of recurrent layers: directions, states and regularization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm._utils.representation import ShortRepr
from fusedlstm.layers.base import Layer
from fusedlstm.layers.cell import Cell
from fusedlstm.layers.directions import MERGES, merged, unmerged, unmerged_last
from fusedlstm.layers.recurrent_core import RecurrentCore
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.shapes import Shapes, views_of
from fusedlstm.layers.states import State
from fusedlstm.layers.weight_dropout import drop_weights


class RecurrentSaved(NamedTuple):
    """Values that `Recurrent.forward` keeps for `Recurrent.backward`."""

    x: Array
    lengths: Any
    core: object
    params: Array  # the parameters of the model, or a copy if weights were dropped
    weight_masks: Mapping[str, Array]
    from_own_state: bool  # the sequences started from the initial state, not from a given state


@dataclass(frozen=True, repr=False)
class Recurrent(ShortRepr, Cell, Layer[RecurrentSaved]):
    """Base class of recurrent layers.

    The output is the hidden state h of all steps, (B, T, D * H), and zero after the end of each
    sequence. D is the number of directions.

    Parameters
    ----------
    hidden_size : int
        Number of hidden units H of each direction.
    bidirectional : bool, default False
        Add a second direction with separate weights, which reads each sequence from its last step
        to its first. The names of its parameters end with ``_reverse``.
    merge : {"concat", "sum", "average"}, default "concat"
        Concatenate the outputs of the two directions along the features, add or average them. The
        output of "sum" and "average" is (B, T, H).
    reverse : bool, default False
        Read each sequence from its last step to its first. Not allowed with ``bidirectional``.
    trainable_state : bool, default False
        Train the initial state as parameters ``initial_h`` and, for an LSTM, ``initial_c``, each of
        length D times the size of the state. Their initial values are zero. They are not used in
        calls with a given state.
    recurrent_dropout : float in [0, 1), default 0
        Dropout rate of the hidden state of the previous step. The mask of a sequence is the same at
        all steps [1]_.
    zoneout : float in [0, 1), default 0
        Probability that a unit keeps its hidden state of the previous step [2]_. In prediction the
        hidden state is ``zoneout`` times the previous state plus ``1 - zoneout`` times the new
        state.
    weight_dropout : float in [0, 1), default 0
        Dropout rate of the elements of ``weight_hh`` (DropConnect), with one mask per batch [3]_.

    References
    ----------
    .. [1] Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
       Networks", 2016.
    .. [2] Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations",
       2017.
    .. [3] Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", 2018.
    """

    hidden_size: int
    bidirectional: bool = False
    _: KW_ONLY
    merge: str = "concat"
    reverse: bool = False
    trainable_state: bool = False
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    weight_dropout: float = 0.0

    def __post_init__(self) -> None:
        check.positive_int("hidden_size", self.hidden_size)
        check.choice("merge", self.merge, MERGES)
        for name in ("bidirectional", "reverse", "trainable_state"):
            check.true_or_false(name, getattr(self, name))
        for name in ("recurrent_dropout", "zoneout", "weight_dropout"):
            check.fraction(name, getattr(self, name))
        if self.reverse and self.bidirectional:
            raise ValueError("reverse must be False with bidirectional=True; got True")

    maskable = True

    @property
    def directions(self) -> tuple[str, ...]:
        """Suffixes of the parameters' names, one per direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def causal(self) -> bool:
        return not self.reads_backward

    @property
    def random(self) -> bool:
        return self._core.is_random or self.weight_dropout > 0

    @property
    def reads_backward(self) -> bool:
        return self.bidirectional or self.reverse

    def gives_last(self, given: bool) -> bool:
        return True

    def output_size(self, input_size: int) -> int:
        joined = len(self.directions) if self.merge == "concat" else 1
        return joined * self.state_sizes()[0]

    def state_shapes(self, batch: int, input_size: int = 1) -> tuple[tuple[int, ...], ...]:
        return tuple((len(self.directions), batch, size) for size in self.state_sizes())

    def _weight_shapes(self, input_size: int) -> Shapes:
        """Return the shapes of the parameters without the initial state."""
        of_cell = self.cell_shapes(input_size)
        return {
            name + direction: shape
            for direction in self.directions
            for name, shape in of_cell.items()
        }

    def param_shapes(self, input_size: int) -> Shapes:
        shapes = self._weight_shapes(input_size)
        if self.trainable_state:
            for name, size in zip(self.trainable_states, self.state_sizes(), strict=False):
                shapes[f"initial_{name}"] = (len(self.directions) * size,)
        return shapes

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        return {
            name + direction: values
            for direction in self.directions
            for name, values in self.cell_init(input_size, rng).items()
        }

    @cached_property
    def _core(self) -> RecurrentCore:
        candidate, zoneout_c = self.candidate_rates()
        return RecurrentCore(
            self.core_cell(),
            len(self.directions),
            self.reverse,
            self.hidden_size,
            self.state_sizes(),
            len(self.trainable_states) if self.trainable_state else 0,
            (self.recurrent_dropout, candidate, self.zoneout, zoneout_c),
        )

    def __getstate__(self) -> dict[str, Any]:
        # The cached `_core` cannot be pickled. It is made again when it is needed.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def pack(self, params: Array, input_size: int) -> object | None:
        return self._core.pack(params, input_size)

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        core = self._core
        y, after, _ = core.forward(params, seq, state, all_steps, False, core.at_inference)
        return merged(self.merge, y, after[0], seq.lengths), after

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], RecurrentSaved]:
        core = self._core
        regularizers = core.at_inference
        masks: dict[str, Array] = {}
        used = params
        if rng is not None and core.is_random:
            regularizers = (rng.bit_generator.random_raw() >> 1, *core.rates)
        if rng is not None and self.weight_dropout > 0:
            used = params.copy()
            views = views_of(used, self._weight_shapes(seq.steps().shape[2]))
            masks = drop_weights(views, self.weight_dropout, rng)
        y, after, kept = core.forward(used, seq, state, all_steps, True, regularizers)
        saved = RecurrentSaved(seq.steps(), seq.lengths, kept, used, masks, state is None)
        return (merged(self.merge, y, after[0], seq.lengths), after), saved

    def backward(
        self,
        params: Array,
        saved: RecurrentSaved,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        core, merge, directions = self._core, self.merge, len(self.directions)
        if dseq.last is not None:
            dlast = unmerged_last(merge, directions, dseq.last)
            dh, *rest = dstate if dstate is not None else (None,) * len(self.state_sizes())
            dstate = (dlast if dh is None else dh + dlast, *rest)
        count = core.weight_count(grads)
        weight_grads = np.zeros_like(grads[:count]) if saved.weight_masks else grads[:count]
        trains_state = saved.from_own_state and self.trainable_state
        dx, before = core.backward(
            saved.core,
            saved.params[:count],
            saved.x,
            unmerged(merge, directions, dseq.x),
            dstate,
            input_gradient,
            trains_state or not saved.from_own_state,
            weight_grads,
        )
        if saved.weight_masks:
            views = views_of(weight_grads, self._weight_shapes(saved.x.shape[2]))
            for name, mask in saved.weight_masks.items():
                views[name] *= mask
            grads[:count] += weight_grads
        if trains_state:
            trained = before[: len(self.trainable_states)]
            grads[count:] += np.concatenate([np.ravel(d.sum(axis=1)) for d in trained])
        return (Sequence(dx, saved.lengths) if input_gradient else None), before

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        if self.bidirectional and self.merge != "concat":
            return False
        return self._core.lower(program, params, all_steps)
