"""Transformers of sequences, and functions that make sequences from series and data frames."""

from fusedlstm.preprocessing.from_frame import sequences_from_frame
from fusedlstm.preprocessing.imputer import SequenceImputer
from fusedlstm.preprocessing.padding import PadSequences
from fusedlstm.preprocessing.scaler import SequenceScaler
from fusedlstm.preprocessing.windows import last_window, make_windows

__all__ = [
    "PadSequences",
    "SequenceImputer",
    "SequenceScaler",
    "last_window",
    "make_windows",
    "sequences_from_frame",
]


def __dir__() -> list[str]:
    return sorted(__all__)
