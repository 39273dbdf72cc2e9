"""One batch with truncated back-propagation through time.

Sequences are computed in chunks of steps. A chunk starts from the final state of the previous
chunk. Its gradient is not propagated to earlier chunks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm.layers import states
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import State
from fusedlstm.losses.base import (
    Evaluated,
    Loss,
    SequenceLoss,
    evaluate,
    require_step_targets,
)
from fusedlstm.models.model import Model
from fusedlstm.training.batches import Batch
from fusedlstm.training.step import BatchResult

Index = npt.NDArray[np.intp]


def truncated_pass(
    model: Model,
    batch: Batch,
    loss: Loss | SequenceLoss,
    rng: np.random.Generator | None,
    grads: Array,
    steps: int,
    state: State = None,
) -> BatchResult:
    """Add the gradient of a batch to ``grads``, propagated through at most ``steps`` steps.

    With one target per sequence, the gradient is propagated through the last ``steps`` steps of
    each sequence. With one target per step, it is propagated through each chunk of ``steps``
    steps.

    Parameters
    ----------
    model, batch, loss, rng, grads, state
        See `fusedlstm.training.step.whole_pass`.
    steps : int
        Maximum number of steps of a chunk.
    """
    if not model.layer.reduces:
        return _all_chunks(model, batch, loss, rng, grads, steps, state)
    if batch.goes_on:
        raise ValueError(
            "tbptt_steps must be None for a model with one output per sequence if its state is "
            f"carried from batch to batch; got {steps}"
        )
    return _last_chunks(model, batch, loss, rng, grads, steps)


def _all_chunks(
    model: Model,
    batch: Batch,
    loss: Loss | SequenceLoss,
    rng: np.random.Generator | None,
    grads: Array,
    steps: int,
    state: State,
) -> BatchResult:
    """Add the gradients of all chunks, for one target per step."""
    real = _lengths_of(batch)
    y, weights = np.asarray(batch.y), batch.weights
    require_step_targets(y, batch.x.shape[:2])
    if isinstance(loss, SequenceLoss):
        raise ValueError(
            f"loss must not be a SequenceLoss with tbptt_steps, which cuts sequences into chunks; "
            f"got {loss!r}"
        )
    state = states.copied(state)
    parts: list[Evaluated] = []
    own, total = np.zeros_like(grads), np.zeros_like(grads)
    for start in range(0, int(real.max()), steps):
        running = np.flatnonzero(real > start)
        times = np.minimum(real[running] - start, steps)
        chunk = slice(start, start + int(times.max()))
        same = bool((times == times[0]).all())
        before = states.select_rows(state, running)
        _, saved = model.forward(
            batch.x[running, chunk], None if same else times, rng, state=before
        )
        of_rows = None if weights is None else weights[running]
        of_steps = of_rows if of_rows is None or of_rows.ndim == 1 else of_rows[:, chunk]
        part = evaluate(loss, saved.output, y[running, chunk], of_steps)
        own[:] = 0
        model.add_gradients(saved, part.dout, own)
        total += own * grads.dtype.type(part.size)
        parts.append(part)
        if state is None:
            state = saved.state
        else:
            states.update_rows(state, running, saved.state)
    size = sum(part.size for part in parts)
    value = sum(part.loss * part.size for part in parts if part.size) / (size or 1)
    grads += total / grads.dtype.type(size or 1)
    return BatchResult(value, size, state)


def _last_chunks(
    model: Model,
    batch: Batch,
    loss: Loss | SequenceLoss,
    rng: np.random.Generator | None,
    grads: Array,
    steps: int,
) -> BatchResult:
    """Add the gradient of the last chunk of each sequence, for one target per sequence."""
    x, real = batch.x, _lengths_of(batch)
    earlier = np.maximum(real - steps, 0)  # numbers of steps before the last chunk
    y_pred = np.empty((len(x), model.output_size), model.dtype)
    parts = []
    # Sequences of at most `steps` steps are computed separately: they start from the initial state,
    # which may be trainable.
    for rows in (np.flatnonzero(earlier == 0), np.flatnonzero(earlier)):
        if len(rows):
            state = _state_after(model, x, rows, earlier[rows], rng, steps)
            times = np.minimum(real[rows], steps)
            last = earlier[rows, np.newaxis] + np.arange(times.max())
            part = x[rows[:, np.newaxis], np.minimum(last, real[rows, np.newaxis] - 1)]
            same = bool((times == times[0]).all())
            y_pred[rows], saved = model.forward(part, None if same else times, rng, state=state)
            parts.append((rows, saved))
    value, dy, size = evaluate(loss, Sequence(y_pred), batch.y, batch.weights)
    for rows, saved in parts:
        model.add_gradients(saved, dy[rows], grads)
    return BatchResult(value, size, None)


def _lengths_of(batch: Batch) -> npt.NDArray[np.int64]:
    """Return the number of real steps of each sequence, (B,)."""
    if batch.lengths is not None:
        return batch.lengths
    return np.full(len(batch.x), batch.x.shape[1], np.int64)


def _state_after(
    model: Model,
    x: Array,
    rows: Index,
    counts: npt.NDArray[np.int64],
    rng: np.random.Generator | None,
    steps: int,
) -> State:
    """Return the state of the sequences ``rows`` after ``counts`` steps, computed in chunks."""
    state: State = None
    for start in range(0, int(counts.max()), steps):
        running = np.flatnonzero(counts > start)
        times = np.minimum(counts[running] - start, steps)
        part = x[rows[running], start : start + times.max()]
        _, saved = model.forward(part, times, rng, state=states.select_rows(state, running))
        if state is None:
            state = saved.state
        else:
            states.update_rows(state, running, saved.state)
        del saved  # frees its memory before the next chunk
    return state
