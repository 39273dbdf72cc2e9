"""Calls of the functions of the core that compute recurrent layers."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm._core.threads import get_num_threads
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State

Rates: TypeAlias = "tuple[float, float, float, float]"
"""Rates of recurrent dropout, candidate dropout, zoneout of h and zoneout of c."""

Regularizers: TypeAlias = "tuple[int | None, float, float, float, float]"
"""The key of the random numbers, and `Rates`.

In prediction the key is None. Zoneout then averages the previous and the new state.
"""


class PackedRecurrent(NamedTuple):
    """Packed parameters of a recurrent layer."""

    weights: object  # of the core
    initial_state: Array  # the trainable initial state, flat


class RecurrentCore:
    """The configuration of a recurrent layer in the form that the core accepts.

    Parameters
    ----------
    spec : dict
        The result of `Cell.core_cell`.
    directions : int
        Number of directions.
    reverse : bool
    hidden_size : int
    state_sizes : tuple of int
        Size of each state.
    n_trainable_states : int
        Number of the first states that the initial state in the parameters contains.
    rates : tuple of float
        See `Rates`.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        directions: int,
        reverse: bool,
        hidden_size: int,
        state_sizes: tuple[int, ...],
        n_trainable_states: int,
        rates: Rates,
    ) -> None:
        self.config: tuple[Any, int, bool, int] = (
            core.Cell(spec),
            directions,
            reverse,
            hidden_size,
        )
        self.state_sizes = state_sizes
        self.trainable_sizes = state_sizes[:n_trainable_states]
        self.n_initial = directions * sum(self.trainable_sizes)
        self.rates, self.is_random = rates, any(rates)
        self.at_inference: Regularizers | None = (None, *rates) if any(rates[2:]) else None

    backward: Any = staticmethod(core.recurrent_backward)

    def weight_count(self, flat: Array) -> int:
        """Return the number of parameters without the initial state, which comes after them."""
        return len(flat) - self.n_initial

    def pack(self, params: Array, input_size: int) -> PackedRecurrent:
        """Return packed parameters."""
        cell, directions, _, hidden_size = self.config
        count = self.weight_count(params)
        packed = core.pack_recurrent(cell, directions, input_size, hidden_size, params[:count])
        return PackedRecurrent(packed, params[count:].copy())

    def forward(
        self,
        params: Any,
        seq: Sequence,
        state: State,
        all_steps: bool,
        training: bool,
        regularizers: Regularizers | None,
    ) -> tuple[Array | None, tuple[Array, ...], object]:
        """Return the outputs of the directions side by side, the final state and saved values."""
        x = seq.steps()
        if isinstance(params, PackedRecurrent):
            weights, initial = params
        elif self.n_initial:
            count = self.weight_count(params)
            weights, initial = params[:count], params[count:]
        else:
            weights = params
        if self.n_initial and state is None:
            state = self._initial_state(initial, len(x))
        return core.recurrent_forward(
            *self.config,
            weights,
            x,
            seq.lengths,
            state,
            all_steps,
            training,
            regularizers,
            get_num_threads(),
        )

    def _initial_state(self, values: Array, batch: int) -> tuple[Array | None, ...]:
        directions = self.config[1]
        states: list[Array | None] = [None] * len(self.state_sizes)
        start = 0
        for k, size in enumerate(self.trainable_sizes):
            stop = start + directions * size
            rows = values[start:stop].reshape(-1, 1, size)
            states[k] = np.repeat(rows, batch, axis=1)
            start = stop
        return tuple(states)

    def lower(self, program: Any, params: Any, all_steps: bool) -> bool:
        """Add the layer to a program of the core. Return False if the core cannot compute it."""
        packed = params if isinstance(params, PackedRecurrent) else None
        # A program copies the initial state, so it cannot follow later changes of the parameters.
        if packed is None and self.n_initial:
            return False
        initial: list[Array | None] = [None, None]
        if packed is not None and self.n_initial:
            sizes = self.config[1] * np.array(self.trainable_sizes)
            initial[: len(sizes)] = np.split(packed.initial_state, np.cumsum(sizes)[:-1])
        program.add_recurrent(
            *self.config,
            params if packed is None else packed.weights,
            self.at_inference,
            all_steps,
            *initial,
        )
        return True
