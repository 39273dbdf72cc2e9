"""Training in batches: a generator that trains one epoch per iteration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.requirements import require_carried_state, require_truncation
from fusedlstm.layers.states import State
from fusedlstm.losses import Loss
from fusedlstm.models.model import Model
from fusedlstm.optimizers import LBFGS, Optimizer, OptimizerState, clip_by_norm
from fusedlstm.schedules import Schedule, ScheduleState
from fusedlstm.training.batches import BatchSource
from fusedlstm.training.requirements import require_loss, require_targets_of
from fusedlstm.training.step import whole_pass
from fusedlstm.training.truncated import truncated_pass

__all__ = ["Epoch", "epochs", "weight_mask"]


@dataclass(frozen=True)
class Epoch:
    """Results of an epoch.

    Attributes
    ----------
    number : int
        Number of the epoch, counted from 1.
    loss : float
        Mean loss over the outputs of the epoch. The loss of a batch is computed before its update.
        For L-BFGS, the loss is computed after the iteration.
    size : float
        Number of outputs in the mean: sequences, or real steps if the model has an output at every
        step. Missing targets reduce the number.
    converged : bool, default False
        True if the line search of L-BFGS found no decrease. Further epochs would not change the
        model.
    """

    number: int
    loss: float
    size: float
    converged: bool = False


def epochs(
    model: Model,
    source: BatchSource,
    loss: Loss,
    optimizer: Optimizer,
    *,
    learning_rate: float,
    schedule: Schedule | None = None,
    rng: np.random.Generator,
    clip_norm: float | None = None,
    weight_decay: float = 0.0,
    state: OptimizerState | None = None,
    tbptt_steps: int | None = None,
    schedule_state: ScheduleState | None = None,
) -> Iterator[Epoch]:
    """Train a model. The generator is infinite: each iteration trains one epoch.

    Parameters
    ----------
    model : Model
        Its parameters are updated in place.
    source : BatchSource
    loss : callable
        From `fusedlstm.losses`.
    optimizer : Optimizer
        From `fusedlstm.optimizers`. For `LBFGS` use `fusedlstm.training.full_batch_epochs`.
    learning_rate : float
    schedule : Schedule or None, default None
        From `fusedlstm.schedules`. None: the learning rate is constant. `ReduceOnPlateau` monitors
        the loss of the epochs, or the value that the caller assigns to ``schedule_state.watched``
        after an epoch.
    rng : numpy Generator
        Random numbers for the order of the batches, dropout and zoneout.
    clip_norm : positive float or None, default None
        Maximum Euclidean norm of the gradient of a batch. A gradient with a larger norm is scaled
        down. None: no clipping.
    weight_decay : float, default 0
        Factor of the weight decay. It applies to weight matrices, not to biases and other vectors.
    state : OptimizerState or None, default None
        State from which the optimizer continues. None: a new state.
    tbptt_steps : int or None, default None
        Number of steps for truncated back-propagation through time. It limits the memory for
        activations. With one target per sequence, the gradient is propagated through the last
        ``tbptt_steps`` steps of each sequence. With one target per step, it is propagated through
        every chunk of ``tbptt_steps`` steps. None: it is propagated through all steps.
    schedule_state : ScheduleState or None, default None
        State from which the schedule continues. None: a new state.

    Yields
    ------
    Epoch

    Raises
    ------
    TypeError
        If the loss or the optimizer has the wrong type.
    ValueError
        If the targets do not match the model, or a layer does not support ``tbptt_steps`` or states
        that are carried between batches.

    Examples
    --------
    >>> import numpy as np
    >>> from itertools import islice
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense, LastStep
    >>> from fusedlstm.losses import squared_error
    >>> from fusedlstm.optimizers import Adam
    >>> from fusedlstm.training import SequenceBatches, epochs
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((64, 10, 1)).astype("float32")
    >>> source = SequenceBatches(x, x.mean(axis=1), batch_size=16)
    >>> model = Sequential([LSTM(8), LastStep(), Dense(1)], input_size=1, random_state=0)
    >>> run = epochs(model, source, squared_error, Adam(), learning_rate=0.01, rng=rng)
    >>> losses = [epoch.loss for epoch in islice(run, 20)]
    >>> losses[-1] < losses[0]
    True
    """
    if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
        needed, hint = "an optimizer from fusedlstm.optimizers, such as Adam()", ""
        if isinstance(optimizer, type):
            hint = f"Did you mean {optimizer.__name__}(...)?"
        elif isinstance(optimizer, LBFGS):
            hint = "For L-BFGS use fusedlstm.training.full_batch_epochs."
        raise TypeError(check.needs("optimizer", needed, optimizer, hint))
    require_loss(loss)
    grads = np.zeros_like(model.params)
    state = optimizer.init(model.params) if state is None else state
    schedule_state = ScheduleState() if schedule_state is None else schedule_state
    decay_mask = weight_mask(model) if weight_decay > 0 or optimizer.l1 > 0 else None
    if tbptt_steps is not None:
        check.positive_int("tbptt_steps", tbptt_steps)
        require_truncation(model.layer)
    if getattr(source, "carries_states", False) and len(source) > 1:
        require_carried_state(model.layer, "if states are carried from batch to batch")
    require_targets_of(model.layer, getattr(source, "y", None))
    number = 0
    while True:
        number += 1
        if schedule is not None:
            schedule.update(schedule_state)
        order = source.order(rng)
        total = 0.0
        size: float = 0
        model_state: State = None
        for i in range(len(source)):
            batch = source.batch(order, i)
            grads.fill(0)
            before = model_state if batch.goes_on else None
            if tbptt_steps is None:
                result = whole_pass(model, batch, loss, rng, grads, before)
            else:
                result = truncated_pass(model, batch, loss, rng, grads, tbptt_steps, before)
            model_state = result.state
            if clip_norm is not None:
                clip_by_norm(grads, clip_norm)
            rate = learning_rate
            if schedule is not None:
                rate *= schedule.multiplier(schedule_state, i, len(source))
            optimizer.step(model.params, grads, state, rate, weight_decay, decay_mask)
            total += result.loss * result.size
            size += result.size
        schedule_state.epoch, schedule_state.watched = schedule_state.epoch + 1, total / size
        yield Epoch(number, total / size, size)


def weight_mask(model: Model) -> Array:
    """Return an array (n_params,), 1 for elements of weight matrices and 0 for other elements.

    Weight decay and the L1 penalty apply to weight matrices only.
    """
    mask = np.zeros_like(model.params)
    for values in model.views(mask).values():
        values[...] = values.ndim > 1
    return mask


def __dir__() -> list[str]:
    return sorted(__all__)
