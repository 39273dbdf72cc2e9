"""Training: sources of batches, and generators that train one epoch per iteration."""

from fusedlstm.training.batches import (
    Batch,
    BatchSource,
    Order,
    SequenceBatches,
    SeriesBatches,
)
from fusedlstm.training.epochs import Epoch, epochs, weight_mask
from fusedlstm.training.full_batch import full_batch_epochs

__all__ = [
    "Batch",
    "BatchSource",
    "Epoch",
    "Order",
    "SequenceBatches",
    "SeriesBatches",
    "epochs",
    "full_batch_epochs",
    "weight_mask",
]


def __dir__() -> list[str]:
    return sorted(__all__)
