"""Layers: frozen configuration and pure functions.

A layer holds sizes and options, never parameters or results, so that prediction from several
threads is safe and clone, pickle and ``==`` come free. A model owns the parameters and hands each
layer its slice of them.
"""

from fusedlstm.layers.base import Layer
from fusedlstm.layers.dense import Dense
from fusedlstm.layers.dropout import Dropout
from fusedlstm.layers.last_step import LastStep
from fusedlstm.layers.recurrent import LSTM

__all__ = ["LSTM", "Dense", "Dropout", "LastStep", "Layer"]
