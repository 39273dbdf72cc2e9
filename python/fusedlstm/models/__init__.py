"""Models: layers with their parameters, snapshots for predictions, and streams."""

from fusedlstm.layers.states import select_rows
from fusedlstm.models.model import Model, Saved
from fusedlstm.models.predictor import Predictor
from fusedlstm.models.sequential import Sequential
from fusedlstm.models.stream import Stream

__all__ = ["Model", "Predictor", "Saved", "Sequential", "Stream", "select_rows"]


def __dir__() -> list[str]:
    return sorted(__all__)
