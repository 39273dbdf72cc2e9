"""Vanilla recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm.layers.activations import Activation, as_activation
from fusedlstm.layers.initializers import lecun_uniform, orthogonal
from fusedlstm.layers.recurrent import Recurrent
from fusedlstm.layers.shapes import Shapes


@dataclass(frozen=True, repr=False)
class RNN(Recurrent):
    """Vanilla recurrent network [1]_, ``h = tanh(W x + U h' + b)``.

    ``h'`` is the hidden state of the previous step. W, U and b are ``weight_ih``, ``weight_hh`` and
    ``bias``. The output is h of all steps, (B, T, D * hidden_size), and zero after the end of a
    sequence. D is the number of directions.

    Parameters
    ----------
    hidden_size : int
        Number of hidden units H of each direction.
    bidirectional : bool, default False
        Add a second direction, which reads each sequence from its last step to its first.
    merge, reverse, trainable_state, recurrent_dropout, zoneout, weight_dropout
        Options of all recurrent layers, see `Recurrent`.
    activation : str or tuple, default "tanh"
        ``"relu"`` or another activation, see `LSTM`.

    Notes
    -----
    Each direction has the parameters ``weight_ih`` (H, I), ``weight_hh`` (H, H) and ``bias`` (H,).
    I is the input size.

    The initial ``weight_ih`` is uniform with variance 1 / I [2]_. The initial ``weight_hh`` is an
    orthogonal matrix [3]_. The initial bias is 0.

    References
    ----------
    .. [1] Elman, "Finding Structure in Time", 1990.
    .. [2] LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
    .. [3] Saxe, McClelland and Ganguli, "Exact Solutions to the Nonlinear Dynamics of Learning in
       Deep Linear Neural Networks", 2014.

    Examples
    --------
    >>> from fusedlstm.layers import RNN
    >>> RNN(64, activation="relu").param_shapes(input_size=8)["weight_ih"]
    (64, 8)
    """

    _: KW_ONLY
    activation: Activation = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        as_activation("activation", self.activation)

    def core_cell(self) -> dict[str, Any]:
        return {"family": "rnn", "activations": (as_activation("activation", self.activation),)}

    def cell_shapes(self, input_size: int) -> Shapes:
        return {
            "weight_ih": (self.hidden_size, input_size),
            "weight_hh": (self.hidden_size, self.hidden_size),
            "bias": (self.hidden_size,),
        }

    def cell_init(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        return {
            "weight_ih": lecun_uniform(rng, self.hidden_size, input_size),
            "weight_hh": orthogonal(rng, self.hidden_size),
        }
