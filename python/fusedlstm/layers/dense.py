"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm._core.threads import get_num_threads
from fusedlstm._utils import validation as check
from fusedlstm.layers.activations import Activation, ResolvedActivation, as_activation
from fusedlstm.layers.base import Layer
from fusedlstm.layers.initializers import xavier_uniform
from fusedlstm.layers.sequence import Sequence, rows_of
from fusedlstm.layers.shapes import Shapes
from fusedlstm.layers.states import State


@dataclass(frozen=True)
class DenseSaved:
    """Values that `Dense.forward` keeps for `Dense.backward`."""

    seq: Sequence
    x: Array
    y: Array


@dataclass(frozen=True)
class Dense(Layer[DenseSaved]):
    """Fully connected layer, ``activation(x @ weight.T + bias)``.

    The input is a batch of sequences, (B, T, F), or of vectors, (B, F). The output is (B, T, units)
    or (B, units), and zero after the end of a sequence. The bits of the output of a step do not
    depend on the other steps and sequences.

    Parameters
    ----------
    units : int
        Number of features of the output.
    activation : str or tuple, default "linear"
        A name from `fusedlstm.layers.activations.ACTIVATIONS`, or a tuple of a name and its
        parameters, such as ``("leaky_relu", 0.1)``.

    Notes
    -----
    The parameters are ``weight`` (units, F) and ``bias`` (units,). The initial ``weight`` is
    uniform with mean 0 and variance 2 / (F + units) [1]_. The initial ``bias`` is 0.

    References
    ----------
    .. [1] Glorot and Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural
       Networks", 2010.

    Examples
    --------
    >>> from fusedlstm.layers import Dense
    >>> Dense(3, activation="relu").param_shapes(input_size=8)
    {'weight': (3, 8), 'bias': (3,)}
    """

    units: int
    activation: Activation = "linear"

    pointwise = True
    random = False

    def __post_init__(self) -> None:
        check.positive_int("units", self.units)
        as_activation("activation", self.activation)

    @property
    def core_activation(self) -> str | ResolvedActivation:
        """The activation in the form that the core accepts."""
        name = self.activation
        return name if isinstance(name, str) else as_activation("activation", name)

    def output_size(self, input_size: int) -> int:
        return self.units

    def param_shapes(self, input_size: int) -> Shapes:
        return {"weight": (self.units, input_size), "bias": (self.units,)}

    def init_params(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        return {"weight": xavier_uniform(rng, self.units, input_size)}

    def pack(self, params: Array, input_size: int) -> object:
        return core.pack_dense(params, input_size, self.units)

    def forward(
        self,
        params: Array,
        seq: Sequence,
        state: State = None,
        rng: np.random.Generator | None = None,
        all_steps: bool = True,
    ) -> tuple[tuple[Sequence, State], DenseSaved]:
        x = seq.rows()
        y = core.dense_forward(params, x, self.units, self.core_activation, get_num_threads())
        return (seq.with_rows(y), None), DenseSaved(seq, x, y)

    def backward(
        self,
        params: Array,
        saved: DenseSaved,
        dseq: Sequence,
        dstate: State,
        grads: Array,
        input_gradient: bool = True,
    ) -> tuple[Sequence | None, State]:
        dx = core.dense_backward(
            params,
            saved.x,
            saved.y,
            rows_of(dseq.steps(), saved.seq.mask()),
            self.core_activation,
            input_gradient,
            grads,
            get_num_threads(),
        )
        if dx is None:
            return None, None
        return saved.seq.with_rows(dx), None

    def lower(self, program: Any, params: Any, input_size: int, all_steps: bool) -> bool:
        program.add_dense(self.units, params, self.core_activation)
        return True
