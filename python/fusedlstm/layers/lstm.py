"""Long short-term memory and its variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.activations import SIGMOID, Activation, as_activation
from fusedlstm.layers.initializers import (
    lecun_uniform,
    orthogonal,
    spread_gate_bias,
    xavier_uniform,
)
from fusedlstm.layers.recurrent import Recurrent
from fusedlstm.layers.shapes import Shapes


@dataclass(frozen=True, repr=False)
class LSTM(Recurrent):
    """Long short-term memory [1]_ with a forget gate [2]_.

    The gates are ``i, f, o = sigmoid(W x + U h' + b)``. The candidate is
    ``g = tanh(W x + U h' + b)``. The states are ``c = f c' + i g`` and ``h = o tanh(c)``. A prime
    denotes the previous step. W, U and b are the parts of ``weight_ih``, ``weight_hh`` and ``bias``
    in the order i, f, g, o, as in PyTorch. The options select published variants.

    The output is h of all steps, (B, T, D * R), and zero after the end of a sequence. D is the
    number of directions. R is ``projection_size`` or, without a projection, ``hidden_size``.

    Parameters
    ----------
    hidden_size : int
        Number of hidden units H of each direction.
    bidirectional : bool, default False
        Add a second direction, which reads each sequence from its last step to its first.
    merge, reverse, trainable_state, recurrent_dropout, zoneout, weight_dropout
        Options of all recurrent layers, see `Recurrent`.
    candidate_dropout : float in [0, 1), default 0
        Dropout rate of the candidate g, with a new mask at each step [4]_.
    zoneout_cell : float in [0, 1), default 0
        Probability that a unit keeps its cell state c of the previous step.
    peepholes : bool, default False
        Add the cell state to the inputs of the gates: the previous cell state to ``i`` and ``f``,
        the new cell state to ``o`` [5]_.
    coupled_gates : bool, default False
        Compute the input gate as ``i = 1 - f`` (CIFG) [6]_.
    input_gate, forget_gate, output_gate : bool, default True
        False: the gate is always 1.
    full_gate_recurrence : bool, default False
        Add the gates of the previous step, times ``weight_gates``, to the inputs of the gates [6]_.
        The state then consists of h, c and the gates i, f and o, side by side. The gates before the
        first step are zero, also with ``trainable_state``.
    activation : str or tuple, default "tanh"
        Activation of the candidate g: the name of an activation of ONNX in snake case, or a
        tuple of a name and its parameters, such as ``("leaky_relu", 0.1)``.
    recurrent_activation : str or tuple, default "sigmoid"
        Activation of the gates.
    output_activation : str or tuple, optional
        Activation of c in the equation of h. None: the same as ``activation``.
    cell_clip : float, optional
        Clip c to the range from -cell_clip to cell_clip. None: no clipping.
    layer_norm : bool, default False
        Apply layer normalization to the product of ``weight_ih`` and the input, to the product of
        ``weight_hh`` and the hidden state, and to c in the equation of h [7]_.
    projection_size : int, optional
        Project the output of the cell linearly to this size (LSTMP) [8]_. The projection is h.
        None: no projection.
    projection_bias : bool, default False
        Add a bias to the projection.

    Notes
    -----
    Each direction has the parameters ``weight_ih`` (NH, I), ``weight_hh`` (NH, R) and ``bias``
    (NH,). I is the input size. N is 4 (three gates and the candidate), less 1 for each gate that is
    coupled or left out. There is only one bias, unlike in PyTorch. Options add ``peephole_i``,
    ``peephole_f`` and ``peephole_o`` (H,), ``weight_gates`` (3H, 3H), ``gain_ih`` and ``gain_hh``
    (NH,), ``gain_c`` and ``bias_c`` (H,), ``weight_hr`` (R, H) and ``bias_hr`` (R,).

    The initial ``weight_ih`` is uniform with variance 1 / I [9]_. The initial ``weight_hh`` has one
    orthogonal matrix for each gate and the candidate. For unit k = 0, ..., H - 1 the initial bias
    of the forget gate is b = 5 ((k + 1/2) / H)^2, and the initial bias of the input gate is 1 - b.
    So the units keep a memory for 2 to about 150 steps [3]_. Without an input gate, or if the
    activation of the gates is not sigmoid, the bias is 1 for the forget gate [10]_ and 0 for the
    input gate. Without a forget gate, the bias is 0 for the input gate. All other biases and the
    peepholes are 0, and all gains are 1.

    References
    ----------
    .. [1] Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997.
    .. [2] Gers, Schmidhuber and Cummins, "Learning to Forget", 2000.
    .. [3] Tallec and Ollivier, "Can Recurrent Neural Networks Warp Time?", 2018.
    .. [4] Semeniuta, Severyn and Barth, "Recurrent Dropout without Memory Loss", 2016.
    .. [5] Gers, Schraudolph and Schmidhuber, "Learning Precise Timing with LSTM Recurrent
       Networks", 2002.
    .. [6] Greff et al., "LSTM: A Search Space Odyssey", 2015.
    .. [7] Ba, Kiros and Hinton, "Layer Normalization", 2016.
    .. [8] Sak, Senior and Beaufays, "Long Short-Term Memory Based Recurrent Neural Network
       Architectures for Large Vocabulary Speech Recognition", 2014.
    .. [9] LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
    .. [10] Jozefowicz, Zaremba and Sutskever, "An Empirical Exploration of Recurrent Network
       Architectures", 2015.

    Examples
    --------
    >>> from fusedlstm.layers import LSTM
    >>> LSTM(64, bidirectional=True).param_shapes(input_size=8)["weight_ih_reverse"]
    (256, 8)
    >>> LSTM(64, projection_size=16).output_size(input_size=8)
    16
    """

    _: KW_ONLY
    candidate_dropout: float = 0.0
    zoneout_cell: float = 0.0
    peepholes: bool = False
    coupled_gates: bool = False
    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    full_gate_recurrence: bool = False
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None
    cell_clip: float | None = None
    layer_norm: bool = False
    projection_size: int | None = None
    projection_bias: bool = False

    trainable_states: ClassVar[tuple[str, ...]] = ("h", "c")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("candidate_dropout", "zoneout_cell"):
            check.fraction(name, getattr(self, name))
        for name in (
            "peepholes",
            "coupled_gates",
            "input_gate",
            "forget_gate",
            "output_gate",
            "full_gate_recurrence",
            "layer_norm",
            "projection_bias",
        ):
            check.true_or_false(name, getattr(self, name))
        self._activations()
        if self.cell_clip is not None:
            check.positive("cell_clip", self.cell_clip)
        if self.projection_size is not None:
            check.positive_int("projection_size", self.projection_size)
        elif self.projection_bias:
            raise ValueError("projection_bias must be False without projection_size; got True")
        if self.coupled_gates and not (self.input_gate and self.forget_gate):
            raise ValueError(
                "coupled_gates must be False without input_gate and forget_gate; got True"
            )
        if self.full_gate_recurrence and len(self.blocks) < 4:
            raise ValueError("full_gate_recurrence must be False without all gates; got True")

    @property
    def blocks(self) -> str:
        """Letters of the gates with weights and of the candidate, such as "ifgo"."""
        present = {
            "i": self.input_gate and not self.coupled_gates,
            "f": self.forget_gate,
            "g": True,
            "o": self.output_gate,
        }
        return "".join(block for block, there in present.items() if there)

    def _activations(self) -> tuple[tuple[str, float, float], ...]:
        """Return the activations of the gates, the candidate and the output."""
        candidate = as_activation("activation", self.activation)
        output = candidate
        if self.output_activation is not None:
            output = as_activation("output_activation", self.output_activation)
        return as_activation("recurrent_activation", self.recurrent_activation), candidate, output

    def core_cell(self) -> dict[str, Any]:
        return {
            "family": "lstm",
            "activations": self._activations(),
            "peepholes": self.peepholes,
            "coupled": self.coupled_gates,
            "input_gate": self.input_gate,
            "forget_gate": self.forget_gate,
            "output_gate": self.output_gate,
            "full_gate_recurrence": self.full_gate_recurrence,
            "layer_norm": self.layer_norm,
            "cell_clip": self.cell_clip,
            "projection": self.projection_size or 0,
            "projection_bias": self.projection_bias,
        }

    def state_sizes(self) -> tuple[int, ...]:
        sizes = (self.projection_size or self.hidden_size, self.hidden_size)
        return (*sizes, 3 * self.hidden_size) if self.full_gate_recurrence else sizes

    def candidate_rates(self) -> tuple[float, float]:
        return self.candidate_dropout, self.zoneout_cell

    def cell_shapes(self, input_size: int) -> Shapes:
        hidden, recurrent = self.hidden_size, self.state_sizes()[0]
        rows = len(self.blocks) * hidden
        shapes: Shapes = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, recurrent),
            "bias": (rows,),
        }
        if self.peepholes:
            shapes |= {f"peephole_{gate}": (hidden,) for gate in self.blocks.replace("g", "")}
        if self.full_gate_recurrence:
            shapes["weight_gates"] = (3 * hidden, 3 * hidden)
        if self.layer_norm:
            shapes |= {"gain_ih": (rows,), "gain_hh": (rows,)}
            shapes |= {"gain_c": (hidden,), "bias_c": (hidden,)}
        if self.projection_size is not None:
            shapes["weight_hr"] = (self.projection_size, hidden)
        if self.projection_bias:
            shapes["bias_hr"] = (recurrent,)
        return shapes

    def cell_init(self, input_size: int, rng: np.random.Generator) -> Mapping[str, Array]:
        hidden, recurrent = self.hidden_size, self.state_sizes()[0]
        values = {
            "weight_ih": lecun_uniform(rng, len(self.blocks) * hidden, input_size),
            "weight_hh": np.concatenate([orthogonal(rng, hidden, recurrent) for _ in self.blocks]),
            "bias": self._initial_bias(),
        }
        if self.full_gate_recurrence:
            gates = range(3)
            values["weight_gates"] = np.block(
                [[xavier_uniform(rng, hidden, hidden) / 3 for _ in gates] for _ in gates]
            )
        if self.layer_norm:
            values |= {name: np.ones(len(self.blocks) * hidden) for name in ("gain_ih", "gain_hh")}
            values["gain_c"] = np.ones(hidden)
        if self.projection_size is not None:
            values["weight_hr"] = xavier_uniform(rng, self.projection_size, hidden)
        return values

    def _initial_bias(self) -> Array:
        forget: Array = np.ones(self.hidden_size)
        bias = dict.fromkeys(self.blocks, np.zeros(self.hidden_size))
        # With a large forget gate and a large input gate, c would saturate. Activations other than
        # sigmoid may have no gradient at a large bias.
        if (self.input_gate or self.coupled_gates) and self._activations()[0] == SIGMOID:
            forget = spread_gate_bias(self.hidden_size)
            if "i" in bias and "f" in bias:
                bias["i"] = 1 - forget
        if "f" in bias:
            bias["f"] = forget
        return np.concatenate(list(bias.values()))


@dataclass(frozen=True, repr=False)
class PeepholeLSTM(LSTM):
    """LSTM with peephole connections: `LSTM` with ``peepholes=True``.

    References
    ----------
    .. [1] Gers, Schraudolph and Schmidhuber, "Learning Precise Timing with LSTM Recurrent
       Networks", 2002.

    Examples
    --------
    >>> from fusedlstm.layers import PeepholeLSTM
    >>> PeepholeLSTM(4).param_shapes(input_size=1)["peephole_o"]
    (4,)
    """

    _: KW_ONLY
    peepholes: bool = True


@dataclass(frozen=True, repr=False)
class CIFGLSTM(LSTM):
    """LSTM with coupled input and forget gates: `LSTM` with ``coupled_gates=True``.

    References
    ----------
    .. [1] Greff et al., "LSTM: A Search Space Odyssey", 2015.

    Examples
    --------
    >>> from fusedlstm.layers import CIFGLSTM
    >>> CIFGLSTM(4).param_shapes(input_size=1)["weight_ih"]
    (12, 1)
    """

    _: KW_ONLY
    coupled_gates: bool = True


@dataclass(frozen=True, repr=False)
class LayerNormLSTM(LSTM):
    """LSTM with layer normalization: `LSTM` with ``layer_norm=True``.

    References
    ----------
    .. [1] Ba, Kiros and Hinton, "Layer Normalization", 2016.

    Examples
    --------
    >>> from fusedlstm.layers import LayerNormLSTM
    >>> LayerNormLSTM(4).param_shapes(input_size=1)["gain_c"]
    (4,)
    """

    _: KW_ONLY
    layer_norm: bool = True
