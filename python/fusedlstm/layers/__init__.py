"""Layers: frozen configuration and pure functions.

A layer holds sizes and options, but no parameters or results. So several threads can use the same
layer. Two layers are equal if their options are equal, and a copy or pickle of a layer contains
only its options. A model owns the parameters and passes each layer its slice of them.
"""

from fusedlstm.layers.base import Layer
from fusedlstm.layers.chain import Chain
from fusedlstm.layers.composite import Composite
from fusedlstm.layers.dense import Dense
from fusedlstm.layers.dropout import Dropout
from fusedlstm.layers.gru import GRU
from fusedlstm.layers.last_step import LastStep
from fusedlstm.layers.lstm import CIFGLSTM, LSTM, LayerNormLSTM, PeepholeLSTM
from fusedlstm.layers.parallel import Parallel
from fusedlstm.layers.pool import Pool
from fusedlstm.layers.recurrent import Recurrent
from fusedlstm.layers.residual import Residual
from fusedlstm.layers.rnn import RNN
from fusedlstm.layers.sequence import Sequence, rows_of
from fusedlstm.layers.tied import Tied

__all__ = [
    "CIFGLSTM",
    "GRU",
    "LSTM",
    "RNN",
    "Chain",
    "Composite",
    "Dense",
    "Dropout",
    "LastStep",
    "Layer",
    "LayerNormLSTM",
    "Parallel",
    "PeepholeLSTM",
    "Pool",
    "Recurrent",
    "Residual",
    "Sequence",
    "Tied",
    "rows_of",
]


def __dir__() -> list[str]:
    return sorted(__all__)
