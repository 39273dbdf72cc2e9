"""Gated recurrent units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.activations import SIGMOID, Activation, as_activation
from fusedlstm.layers.initializers import lecun_uniform, orthogonal, spread_gate_bias
from fusedlstm.layers.recurrent import Recurrent
from fusedlstm.layers.shapes import Shapes


@dataclass(frozen=True, repr=False)
class GRU(Recurrent):
    """Gated recurrent unit [1]_.

    The gates are ``r, z = sigmoid(W x + U h' + b)``. The candidate is
    ``n = tanh(W x + b + r (U h' + b_hn))``. The hidden state is ``h = (1 - z) n + z h'``. A prime
    denotes the previous step. W, U and b are the parts of ``weight_ih``, ``weight_hh`` and ``bias``
    in the order r, z, n, as in PyTorch.

    The output is h of all steps, (B, T, D * hidden_size), and zero after the end of a sequence. D
    is the number of directions.

    Parameters
    ----------
    hidden_size : int
        Number of hidden units H of each direction.
    bidirectional : bool, default False
        Add a second direction, which reads each sequence from its last step to its first.
    merge, reverse, trainable_state, recurrent_dropout, zoneout, weight_dropout
        Options of all recurrent layers, see `Recurrent`.
    candidate_dropout : float in [0, 1), default 0
        Dropout rate of the candidate n, with a new mask at each step [2]_.
    reset_after : bool, default True
        Apply the reset gate after the product with ``weight_hh``, as PyTorch, Keras and cuDNN do.
        False: the original equation ``n = tanh(W x + U (r h') + b)`` [1]_.
    activation : str or tuple, default "tanh"
        Activation of the candidate n, see `LSTM`.
    recurrent_activation : str or tuple, default "sigmoid"
        Activation of the gates.

    Notes
    -----
    Each direction has the parameters ``weight_ih`` (3H, I), ``weight_hh`` (3H, H), ``bias`` (3H,)
    and, with ``reset_after``, ``bias_hn`` (H,). I is the input size.

    The initial ``weight_ih`` is uniform with variance 1 / I [4]_. The initial ``weight_hh`` has one
    orthogonal matrix for each gate and the candidate. The initial bias of the update gate is
    5 ((k + 1/2) / H)^2 for unit k = 0, ..., H - 1. So the units keep a memory for 2 to about 150
    steps [3]_. The bias is 0 if the activation of the gates is not sigmoid. All other biases are 0.

    References
    ----------
    .. [1] Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
       Machine Translation", 2014.
    .. [2] Semeniuta, Severyn and Barth, "Recurrent Dropout without Memory Loss", 2016.
    .. [3] Tallec and Ollivier, "Can Recurrent Neural Networks Warp Time?", 2018.
    .. [4] LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.

    Examples
    --------
    >>> from fusedlstm.layers import GRU
    >>> GRU(64).param_shapes(input_size=8)["weight_hh"]
    (192, 64)
    """

    _: KW_ONLY
    candidate_dropout: float = 0.0
    reset_after: bool = True
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        check.fraction("candidate_dropout", self.candidate_dropout)
        check.true_or_false("reset_after", self.reset_after)
        self._activations()

    def _activations(self) -> tuple[tuple[str, float, float], ...]:
        """Return the activations of the gates and the candidate."""
        return (
            as_activation("recurrent_activation", self.recurrent_activation),
            as_activation("activation", self.activation),
        )

    def core_cell(self) -> dict[str, Any]:
        return {
            "family": "gru",
            "activations": self._activations(),
            "reset_after": self.reset_after,
        }

    def candidate_rates(self) -> tuple[float, float]:
        return self.candidate_dropout, 0.0

    def cell_shapes(self, input_size: int) -> Shapes:
        rows = 3 * self.hidden_size
        shapes: Shapes = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, self.hidden_size),
            "bias": (rows,),
        }
        if self.reset_after:
            shapes["bias_hn"] = (self.hidden_size,)
        return shapes

    def cell_init(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        hidden = self.hidden_size
        bias = np.zeros(3 * hidden)
        if self._activations()[0] == SIGMOID:
            bias[hidden : 2 * hidden] = spread_gate_bias(hidden)
        return {
            "weight_ih": lecun_uniform(rng, 3 * hidden, input_size),
            "weight_hh": np.concatenate([orthogonal(rng, hidden) for _ in range(3)]),
            "bias": bias,
        }
