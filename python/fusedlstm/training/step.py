"""One batch: the forward pass, the loss and the backward pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fusedlstm._core import Array
from fusedlstm.layers.states import State
from fusedlstm.losses.base import Loss, SequenceLoss, evaluate
from fusedlstm.models.model import Model
from fusedlstm.training.batches import Batch


class BatchResult(NamedTuple):
    """Results of a batch.

    Attributes
    ----------
    loss : float
        Mean loss of the batch.
    size : float
        Number of outputs over which the loss is averaged.
    state : tuple or None
        Final state of the model.
    """

    loss: float
    size: float
    state: State


def whole_pass(
    model: Model,
    batch: Batch,
    loss: Loss | SequenceLoss,
    rng: np.random.Generator | None,
    grads: Array,
    state: State,
) -> BatchResult:
    """Add the gradient of a batch to ``grads``, propagated through all its steps.

    Parameters
    ----------
    model : Model
    batch : Batch
    loss : callable
    rng : numpy Generator or None
        Random numbers for dropout and zoneout. None: compute the output as in prediction.
    grads : array (n_params,)
    state : tuple or None
        Initial state. No gradient is propagated to the previous batch.
    """
    _, saved = model.forward(batch.x, batch.lengths, rng, state=state)
    value, dy, size = evaluate(loss, saved.output, batch.y, batch.weights)
    model.add_gradients(saved, dy, grads)
    return BatchResult(value, size, saved.state)
