"""The epochs of a fit: batches of the training data and steps of the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from fusedlstm._utils import validation as check
from fusedlstm.data.reading import Data
from fusedlstm.data.standardization import StandardizedSequences, Standardizer
from fusedlstm.estimators.fitting.state import TrainingState
from fusedlstm.estimators.parameters import Parameters, is_auto
from fusedlstm.estimators.tasks import Task
from fusedlstm.layers.requirements import require_deterministic
from fusedlstm.models.sequential import Sequential
from fusedlstm.optimizers import LBFGS, AnyOptimizer
from fusedlstm.schedules import as_schedule
from fusedlstm.training import full_batch
from fusedlstm.training.batches import SequenceBatches
from fusedlstm.training.epochs import Epoch, epochs

MIN_BATCH_SIZE, MAX_BATCH_SIZE = 4, 32
"""Bounds of ``batch_size="auto"``."""

UPDATES_PER_EPOCH = 10
"""Number of updates per epoch with ``batch_size="auto"``, if the bounds allow it."""

FULL_BATCH_CHUNK = 256
"""Number of sequences per chunk with L-BFGS, which sums the gradients of all chunks."""

MAX_WEIGHT_DECAY = 0.02
"""Upper bound of ``weight_decay="auto"``."""


def fit_epochs(
    parameters: Parameters,
    model: Sequential,
    task: Task,
    data: Data,
    standardizer: Standardizer | None,
    state: TrainingState,
) -> Iterator[Epoch]:
    """Return an iterator. Each iteration trains the model for one epoch.

    Parameters
    ----------
    parameters : Parameters
        The estimator. The optimizer is taken from ``state``.
    model : Sequential
    task : Task
    data : Data
        The training data.
    standardizer : Standardizer or None
    state : TrainingState

    Returns
    -------
    iterator of Epoch
    """
    if isinstance(state.optimizer, LBFGS):
        require_deterministic(model.layer)
    sequences = data.sequences
    if standardizer is not None:
        sequences = StandardizedSequences(sequences, standardizer)
    source = SequenceBatches(
        sequences,
        data.y,
        weights=data.weights,
        batch_size=batch_size(parameters.batch_size, data, state.optimizer),
        dtype=parameters.dtype,
        shuffle=parameters.shuffle,
    )
    decay = weight_decay(parameters.weight_decay, data, state.optimizer)
    if isinstance(state.optimizer, LBFGS):
        return full_batch.full_batch_epochs(
            model,
            source,
            task.training_loss,
            state.optimizer,
            weight_decay=decay,
            state=state.state,
            tbptt_steps=parameters.tbptt_steps,
        )
    schedule = as_schedule(parameters.schedule)
    return epochs(
        model,
        source,
        task.training_loss,
        state.optimizer,
        learning_rate=float(parameters.learning_rate),
        schedule=None if schedule is None else schedule.for_epochs(parameters.max_iter),
        rng=state.rng,
        clip_norm=parameters.clip_norm,
        weight_decay=decay,
        state=state.state,
        tbptt_steps=parameters.tbptt_steps,
        schedule_state=state.schedule,
    )


def batch_size(given: int | str, data: Data, optimizer: AnyOptimizer) -> int:
    """Return the number of sequences per batch.

    For small data sets, "auto" is so small that an epoch has several updates. L-BFGS sums the
    gradients of all batches, because it needs the gradient of all sequences.
    """
    n_sequences = len(data.sequences)
    if isinstance(optimizer, LBFGS):
        if not is_auto(given) and cast(int, given) < n_sequences:
            needed = f"'auto' or at least {n_sequences}, all sequences, for L-BFGS"
            raise ValueError(check.needs("batch_size", needed, given))
        return min(FULL_BATCH_CHUNK, n_sequences) if is_auto(given) else cast(int, given)
    if is_auto(given):
        return min(max(n_sequences // UPDATES_PER_EPOCH, MIN_BATCH_SIZE), MAX_BATCH_SIZE)
    return cast(int, given)


def weight_decay(given: float | str, data: Data, optimizer: AnyOptimizer) -> float:
    """Return the weight decay. "auto" depends on the number of sequences, or of their steps."""
    if not is_auto(given):
        return float(given)
    return 0.0 if isinstance(optimizer, LBFGS) else min(1 / data.n_targets(), MAX_WEIGHT_DECAY)
