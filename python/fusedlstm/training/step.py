"""One batch: the forward pass, the loss and the backward pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fusedlstm._core import Array
from fusedlstm.layers.states import State
from fusedlstm.losses.base import Loss, SequenceLoss, evaluate
from fusedlstm.models.model import Model
from fusedlstm.training.batches import Batch


class Passed(NamedTuple):
    """Results of a batch.

    Attributes
    ----------
    loss : float
    size : float
        Number of outputs that the loss is the mean over.
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
) -> Passed:
    """Add the gradient of a batch to ``grads``, propagated through all its steps.

    Parameters
    ----------
    model : Model
    batch : Batch
    loss : callable
    rng : numpy Generator or None
        Source of the dropout masks; None: no dropout.
    grads : array (n_params,)
    state : tuple or None
        Initial state. No gradient is propagated to the batch from which it comes.
    """
    _, saved = model.forward(batch.x, batch.lengths, rng, state=state)
    value, dy, size = evaluate(loss, saved.output, batch.y, batch.weights)
    model.add_gradients(saved, dy, grads)
    return Passed(value, size, saved.state)
