"""A batch forward through model and loss, and back.

Gradients never cross from one call of the model to the one before it: states do. With targets for
whole sequences, truncation to k steps therefore means that the state before a sequence's last k
steps is taken as given.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm.layers.base import State
from fusedlstm.losses import Loss
from fusedlstm.model import Sequential

if TYPE_CHECKING:
    from fusedlstm.training import Batch

States = tuple[State, ...]
Index = npt.NDArray[np.intp]


class Passed(NamedTuple):
    """What a pass came to: the loss, of how many outputs, and the final states."""

    loss: float
    size: int
    states: States | None


def whole_pass(
    model: Sequential,
    batch: Batch,
    loss: Loss,
    rng: np.random.Generator | None,
    grads: Array,
    states: States | None,
) -> Passed:
    """Add the gradient of a batch to ``grads``."""
    y_pred, saved = model.forward(batch.x, batch.lengths, rng, state=states)
    value, dy = _evaluate(loss, y_pred, batch.y, batch.weights)
    model.add_gradients(saved, dy, grads)
    return Passed(value, math.prod(y_pred.shape[:-1]), saved.state)


def truncated_pass(
    model: Sequential,
    batch: Batch,
    loss: Loss,
    rng: np.random.Generator | None,
    grads: Array,
    steps: int,
) -> Passed:
    """Add the gradient of a batch through each sequence's last ``steps`` steps to ``grads``."""
    x = batch.x
    real = np.full(len(x), x.shape[1]) if batch.lengths is None else batch.lengths
    before = np.maximum(real - steps, 0)
    y_pred = np.empty((len(x), model.output_size), model.dtype)
    parts = []
    # Sequences that fit start from the initial state, whose gradient may be wanted.
    for rows in (np.flatnonzero(before == 0), np.flatnonzero(before)):
        if len(rows):
            states = _states_after(model, x, rows, before[rows], rng, steps)
            times = np.minimum(real[rows], steps)
            last = before[rows, np.newaxis] + np.arange(times.max())
            part = x[rows[:, np.newaxis], np.minimum(last, real[rows, np.newaxis] - 1)]
            same = bool((times == times[0]).all())
            y_pred[rows], saved = model.forward(part, None if same else times, rng, state=states)
            parts.append((rows, saved))
    value, dy = _evaluate(loss, y_pred, batch.y, batch.weights)
    for rows, saved in parts:
        model.add_gradients(saved, dy[rows], grads)
    return Passed(value, len(x), None)


def _states_after(
    model: Sequential,
    x: Array,
    rows: Index,
    counts: npt.NDArray[np.int64],
    rng: np.random.Generator | None,
    steps: int,
) -> States | None:
    """Run ``counts`` steps of the sequences ``rows``, so many at a time; return their states."""
    states: States | None = None
    for start in range(0, int(counts.max()), steps):
        running = np.flatnonzero(counts > start)
        times = np.minimum(counts[running] - start, steps)
        part = x[rows[running], start : start + times.max()]
        _, saved = model.forward(part, times, rng, state=_select(states, running))
        states = saved.state if states is None else _updated(states, running, saved.state)
        del saved  # before the next one is made
    return states


def _select(states: States | None, rows: Index) -> States | None:
    if states is None:
        return None
    return tuple(s if s is None else tuple(a[:, rows] for a in s) for s in states)


def _updated(states: States, rows: Index, new: States) -> States:
    for old, values in zip(states, new, strict=True):
        for array, part in zip(old or (), values or (), strict=True):
            array[:, rows] = part
    return states


def _evaluate(loss: Loss, y_pred: Array, y: Array, weights: Array | None) -> tuple[float, Array]:
    with np.errstate(over="ignore", invalid="ignore"):  # the caller sees it in the loss
        return loss(y_pred, y, weights)
