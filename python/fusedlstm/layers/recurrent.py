"""What all recurrent layers share: directions, states, regularisers and the way to the core."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm._core.threads import get_num_threads
from fusedlstm._utils import validation as check
from fusedlstm._utils.representation import ShortRepr
from fusedlstm.layers.base import Layer, Shapes
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State

MERGES = ("concat", "sum", "average")

Regularisers = tuple["int | None", float, float, float, float]
"""As the core takes them: key, recurrent dropout, candidate dropout, zoneout of h and of c."""


class Saved(NamedTuple):
    """What forward keeps for backward."""

    x: Array
    lengths: Any
    core: object
    params: Array  # a view of the model's, or with weight dropout a copy
    weight_masks: Mapping[str, Array]
    own_state: bool  # it started from the layer's own initial state


class _Packed(NamedTuple):
    """What `pack` makes of parameters."""

    weights: object  # the core's
    state: Array  # the trainable initial state


@dataclass(frozen=True, repr=False)
class Recurrent(ShortRepr, Layer[Saved], abc.ABC):
    """A layer that reads a sequence step by step. Returns h of all steps, zero past the end.

    Parameters
    ----------
    hidden_size : int
        Units H, of each direction.
    bidirectional : bool, default False
        Run a second set of weights from each sequence's last step to its first. Its parameters end
        in ``_reverse``.
    merge : {"concat", "sum", "average"}, default "concat"
        What becomes of the two directions' outputs.
    reverse : bool, default False
        The only direction goes from each sequence's last step to its first.
    trainable_state : bool, default False
        The initial state is a parameter, ``initial_h`` and, for an LSTM, ``initial_c``; it starts
        at zero. A state that is passed in takes its place.
    recurrent_dropout : float in [0, 1), default 0
        Of the hidden state on its way into the next step, one mask a sequence [1]_.
    zoneout : float in [0, 1), default 0
        Probability that a unit keeps its hidden state of the step before [2]_; at inference the
        two are mixed in this proportion.
    weight_dropout : float in [0, 1), default 0
        Of the elements of ``weight_hh``, one mask a batch [3]_.

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

    state_names: ClassVar[tuple[str, ...]] = ("h",)

    def __post_init__(self) -> None:
        check.positive_int("hidden_size", self.hidden_size)
        check.choice("merge", self.merge, MERGES)
        for name in ("bidirectional", "reverse", "trainable_state"):
            check.true_or_false(name, getattr(self, name))
        for name in ("recurrent_dropout", "zoneout", "weight_dropout"):
            check.fraction(name, getattr(self, name))
        if self.reverse and self.bidirectional:
            raise ValueError("reverse must be False with bidirectional=True; got True")

    # What a kind of cell says of itself.

    @abc.abstractmethod
    def core_cell(self) -> str | dict[str, Any]:
        """Return the name of a fused cell, or what the staged driver is to compute."""

    @abc.abstractmethod
    def cell_shapes(self, input_size: int) -> Shapes:
        """Return the shapes of the parameters of one direction, as the core wants them."""

    @abc.abstractmethod
    def cell_init(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        """Return initial values of one direction's parameters; those left out are zero."""

    def state_sizes(self) -> tuple[int, ...]:
        """Return the size of each state; that of h is also the output's."""
        return (self.hidden_size,)

    def candidate_rates(self) -> tuple[float, float]:
        """Return the dropout of the candidate and the zoneout of c."""
        return 0.0, 0.0

    # What follows for all.

    @property
    def directions(self) -> tuple[str, ...]:
        """The suffixes of the parameters' names, one a direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def causal(self) -> bool:
        return not self.reads_backward

    @property
    def random(self) -> bool:
        return any(self._rates) or self.weight_dropout > 0

    @property
    def maskable(self) -> bool:
        return True

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

    def param_shapes(self, input_size: int) -> Shapes:
        of_cell = self.cell_shapes(input_size)
        shapes = {
            name + direction: shape
            for direction in self.directions
            for name, shape in of_cell.items()
        }
        if self.trainable_state:
            for name, size in zip(self.state_names, self.state_sizes(), strict=True):
                shapes[f"initial_{name}"] = (len(self.directions) * size,)
        return shapes

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        return {
            name + direction: values
            for direction in self.directions
            for name, values in self.cell_init(input_size, rng).items()
        }

    def pack(self, params: Array, input_size: int) -> object | None:
        if not isinstance(self._cell, str):
            return None
        count = self._core_count(params)
        packed = core.pack_recurrent(
            self._cell, len(self.directions), input_size, self.hidden_size, params[:count]
        )
        return _Packed(packed, params[count:].copy())

    def run(
        self, params: Any, seq: Sequence, state: State = None, all_steps: bool = True
    ) -> tuple[Sequence, State]:
        expected = (None, *self._rates) if self._zones_out else None
        y, state, _ = self._call(params, seq, state, all_steps, False, expected)
        return self._output(y, state[0], seq), state

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], Saved]:
        regularisers: Regularisers | None = (None, *self._rates) if self._zones_out else None
        masks: dict[str, Array] = {}
        used = params
        if rng is not None and any(self._rates):
            regularisers = (rng.bit_generator.random_raw() >> 1, *self._rates)
        if rng is not None and self.weight_dropout > 0:
            used = params.copy()
            masks = self._weight_masks(used, seq.steps().shape[2], rng)
        y, after, kept = self._call(used, seq, state, all_steps, True, regularisers)
        saved = Saved(seq.steps(), seq.lengths, kept, used, masks, state is None)
        return (self._output(y, after[0], seq), after), saved

    def backward(
        self,
        params: Array,
        saved: Saved,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        dh, *rest = dstate if dstate is not None else (None,)
        dc = rest[0] if rest else None
        if dseq.last is not None:
            dlast = self._split_directions(dseq.last)
            dh = dlast if dh is None else dh + dlast
        count = self._core_count(grads)
        into = np.zeros_like(grads[:count]) if saved.weight_masks else grads[:count]
        trains_state = saved.own_state and self.trainable_state
        dx, dh0, dc0 = self._backward_function(
            saved.core,
            saved.params[:count],
            saved.x,
            self._unmerged(dseq.x),
            dh,
            dc,
            input_gradient,
            trains_state or not saved.own_state,
            into,
        )
        if saved.weight_masks:
            for name, view in self._views(into, saved.x.shape[2]).items():
                if name in saved.weight_masks:
                    view *= saved.weight_masks[name]
            grads[:count] += into
        before = tuple(d for d in (dh0, dc0) if d is not None)
        if trains_state:
            grads[count:] += np.concatenate([np.ravel(d.sum(axis=1)) for d in before])
        return (Sequence(dx, saved.lengths) if input_gradient else None), before or None

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        # A trainable state has to be packed.
        packed = params if isinstance(params, _Packed) else None
        if self.bidirectional and self.merge != "concat":
            return False
        if not isinstance(self._cell, str) or (packed is None and self.trainable_state):
            return False
        first: list[Array | None] = [None, None]
        if packed is not None and self.trainable_state:
            sizes = len(self.directions) * np.array(self.state_sizes())
            first[: len(sizes)] = np.split(packed.state, np.cumsum(sizes)[:-1])
        program.add_recurrent(
            self._cell,
            len(self.directions),
            self.reverse,
            self.hidden_size,
            params if packed is None else packed.weights,
            (None, *self._rates) if self._zones_out else None,
            all_steps,
            *first,
        )
        return True

    @cached_property
    def _rates(self) -> tuple[float, float, float, float]:
        candidate, zoneout_c = self.candidate_rates()
        return (self.recurrent_dropout, candidate, self.zoneout, zoneout_c)

    @cached_property
    def _zones_out(self) -> bool:
        return any(self._rates[2:])

    @cached_property
    def _cell(self) -> str | dict[str, Any]:
        return self.core_cell()

    @cached_property
    def _forward_function(self) -> Any:
        return core.recurrent_forward if isinstance(self._cell, str) else core.staged_forward

    @cached_property
    def _backward_function(self) -> Any:
        return core.recurrent_backward if isinstance(self._cell, str) else core.staged_backward

    def __getstate__(self) -> dict[str, Any]:
        # Functions of the core, cached beside the fields, stay behind.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _core_count(self, flat: Array) -> int:
        """How many of the numbers are the core's; the trainable states come after them."""
        own = sum(self.state_sizes()) if self.trainable_state else 0
        return len(flat) - len(self.directions) * own

    def _views(self, flat: Array, input_size: int) -> dict[str, Array]:
        """The parts of an array laid out like the parameters, without the initial state."""
        views, start = {}, 0
        of_cell = self.cell_shapes(input_size)
        for direction in self.directions:
            for name, shape in of_cell.items():
                stop = start + math.prod(shape)
                views[name + direction] = flat[start:stop].reshape(shape)
                start = stop
        return views

    def _weight_masks(
        self, params: Array, input_size: int, rng: np.random.Generator
    ) -> dict[str, Array]:
        """Draw masks of the hidden weights and multiply ``params`` with them."""
        masks = {}
        for name, view in self._views(params, input_size).items():
            if name.startswith("weight_hh"):
                kept = rng.random(view.shape, dtype=np.float32) >= self.weight_dropout
                masks[name] = kept / params.dtype.type(1 - self.weight_dropout)
                view *= masks[name]
        return masks

    def _call(
        self,
        params: Array,
        seq: Sequence,
        state: State,
        all_steps: bool,
        training: bool,
        regularisers: Regularisers | None,
    ) -> tuple[Array | None, tuple[Array, ...], object]:
        x = seq.steps()
        if isinstance(params, _Packed):
            weights, first = params
        elif self.trainable_state:
            count = self._core_count(params)
            weights, first = params[:count], params[count:]
        else:
            weights = params
        if self.trainable_state and state is None:
            state = self._initial_state(first, len(x))
        h, *rest = state if state is not None else (None,)
        y, h, c, kept = self._forward_function(
            self._cell,
            len(self.directions),
            self.reverse,
            self.hidden_size,
            weights,
            x,
            seq.lengths,
            h,
            rest[0] if rest else None,
            all_steps,
            training,
            regularisers,
            get_num_threads(),
        )
        return y, ((h,) if c is None else (h, c)), kept

    def _initial_state(self, values: Array, batch: int) -> tuple[Array, ...]:
        states, start = [], 0
        for size in self.state_sizes():
            stop = start + len(self.directions) * size
            rows = values[start:stop].reshape(-1, 1, size)
            states.append(np.repeat(rows, batch, axis=1))
            start = stop
        return tuple(states)

    def _output(self, y: Array | None, h: Array, seq: Sequence) -> Sequence:
        if len(h) == 1:
            return Sequence(y, seq.lengths, h[0])
        if self.merge == "concat":
            return Sequence(y, seq.lengths, np.concatenate(h, axis=1))
        factor = h.dtype.type(1 if self.merge == "sum" else 0.5)
        if y is not None:
            size = h.shape[2]
            y = factor * (y[..., :size] + y[..., size:])
        return Sequence(y, seq.lengths, factor * (h[0] + h[1]))

    def _unmerged(self, dy: Array | None) -> Array | None:
        """The gradient of the directions' outputs side by side."""
        if dy is None or self.merge == "concat" or not self.bidirectional:
            return dy
        factor = dy.dtype.type(1 if self.merge == "sum" else 0.5)
        of_directions: Array = factor * np.concatenate([dy, dy], axis=-1)
        return of_directions

    def _split_directions(self, dlast: Array) -> Array:
        """Turn the gradient of the merged last outputs into (D, B, H)."""
        if not self.bidirectional:
            return check.contiguous(dlast)[np.newaxis]
        of_directions = self._unmerged(dlast)
        assert of_directions is not None
        shape = (len(dlast), len(self.directions), self.state_sizes()[0])
        return np.ascontiguousarray(of_directions.reshape(shape).transpose(1, 0, 2))
