"""Batches with a target at each step."""

from __future__ import annotations

import numpy as np

from fusedlstm.layers import Sequence
from fusedlstm.losses.base import evaluate

B, T = 4, 5
LENGTHS = np.array([5, 1, 3, 4])


def chunk_by_chunk(model, batch, loss, steps):
    """Return loss and gradient, computed for each sequence and chunk from its initial state."""
    n = int(batch.lengths.sum())
    value, grads = 0.0, np.zeros_like(model.params)
    for b, length in enumerate(batch.lengths):
        for start in range(0, length, steps):
            stop = min(start + steps, length)
            state = None
            if start:
                _, state = model.run(batch.x[b : b + 1, :start])
            out, saved = model.forward(batch.x[b : b + 1, start:stop], state=state)
            weights = batch.weights
            if weights is not None:
                row = weights[b] if weights.ndim == 2 else np.full(batch.x.shape[1], weights[b])
                weights = row[np.newaxis, start:stop]
            part = evaluate(loss, Sequence(out), batch.y[b : b + 1, start:stop], weights)
            value += part.loss * (stop - start) / n
            model.add_gradients(saved, part.dout * (stop - start) / n, grads)
    return value, grads
