"""Full-batch training with L-BFGS: a generator that trains one epoch per iteration."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers.requirements import require_truncation
from fusedlstm.layers.states import State
from fusedlstm.losses import Loss
from fusedlstm.models.model import Model
from fusedlstm.optimizers import LBFGS, OptimizerState
from fusedlstm.training.batches import BatchSource
from fusedlstm.training.epochs import Epoch, weight_mask
from fusedlstm.training.requirements import require_loss, require_targets_of
from fusedlstm.training.step import whole_pass
from fusedlstm.training.truncated import truncated_pass

__all__ = ["Objective", "full_batch_epochs"]

Point = npt.NDArray[np.float64]


class Objective:
    """The loss of all data plus an L2 penalty, and its gradient, as functions of the parameters.

    The functions write the parameters at which they are evaluated into the model.

    Parameters
    ----------
    model : Model
    source : BatchSource
        Losses and gradients are accumulated over its batches.
    loss : callable
    weight_decay : float, default 0
        Factor of the penalty, which is half the sum of the squares of the weights. The biases do
        not contribute to it.
    tbptt_steps : int or None, default None
        See `fusedlstm.training.epochs`.

    Attributes
    ----------
    size : float
        Number of outputs over which the loss is averaged.
    """

    def __init__(
        self,
        model: Model,
        source: BatchSource,
        loss: Loss,
        weight_decay: float = 0.0,
        tbptt_steps: int | None = None,
    ) -> None:
        self._model, self._source, self._loss = model, source, loss
        self._tbptt_steps = tbptt_steps
        self._decay = weight_decay * weight_mask(model).astype(np.float64)
        self._order = source.order(np.random.default_rng(0))
        self._params: Array = np.empty(0)
        self._value, self._gradient = np.nan, np.empty(0)
        self.size: float = 0

    def value(self, point: Point) -> float:
        """Return the sum of the loss and the penalty, for parameters (n_params,)."""
        self._evaluate(point)
        return self._value + self.penalty(point)

    def gradient(self, point: Point) -> Point:
        """Return the gradient of `value`."""
        self._evaluate(point)
        return self._gradient + self._decay * point

    def penalty(self, point: Point) -> float:
        """Return the penalty, without the loss."""
        return float(0.5 * (self._decay @ point**2))

    def _evaluate(self, point: Point) -> None:
        """Copy ``point`` into the model, and compute the loss and its gradient."""
        model = self._model
        params = point.astype(model.dtype)
        if np.array_equal(params, self._params):
            return
        model.params[:] = params
        grads = np.zeros_like(model.params)
        gradient = np.zeros(point.size)
        total = 0.0
        size: float = 0
        state: State = None
        for i in range(len(self._source)):
            batch, steps = self._source.batch(self._order, i), self._tbptt_steps
            grads[:] = 0
            before = state if batch.goes_on else None
            if steps is None:
                result = whole_pass(model, batch, self._loss, None, grads, before)
            else:
                result = truncated_pass(model, batch, self._loss, None, grads, steps, before)
            state = result.state
            gradient += grads.astype(np.float64) * result.size
            total += result.loss * result.size
            size += result.size
        self._params, self._value, self._gradient = params, total / size, gradient / size
        self.size = size


def full_batch_epochs(
    model: Model,
    source: BatchSource,
    loss: Loss,
    optimizer: LBFGS,
    *,
    weight_decay: float = 0.0,
    state: OptimizerState | None = None,
    tbptt_steps: int | None = None,
) -> Iterator[Epoch]:
    """Train a model with L-BFGS.

    The generator is infinite: each iteration runs one iteration of L-BFGS on all data.
    If the line search finds no decrease, the model does not change and `Epoch.converged` is True.

    Parameters
    ----------
    model : Model
        Its parameters are updated in place. Dropout is not applied.
    source : BatchSource
        Gradients are accumulated over all batches. The batch size affects only the memory use.
    loss : callable
        From `fusedlstm.losses`.
    optimizer : LBFGS
    weight_decay : float, default 0
        Factor of an L2 penalty, half the sum of the squares of the elements of weight matrices.
    state : OptimizerState or None, default None
        State from which the optimizer continues. None: a new state.
    tbptt_steps : int or None, default None
        See `fusedlstm.training.epochs`.

    Yields
    ------
    Epoch
        ``loss`` is the loss after the iteration, without the penalty.

    Raises
    ------
    TypeError
        If the loss or the optimizer has the wrong type.
    ValueError
        If the targets do not match the model, or a layer does not support ``tbptt_steps``.

    Examples
    --------
    >>> import numpy as np
    >>> from itertools import islice
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.layers import LSTM, Dense, LastStep
    >>> from fusedlstm.losses import squared_error
    >>> from fusedlstm.optimizers import LBFGS
    >>> from fusedlstm.training import SequenceBatches, full_batch_epochs
    >>> x = np.random.default_rng(0).standard_normal((64, 10, 1))
    >>> source = SequenceBatches(x, x.mean(axis=1), batch_size=64, dtype="float64")
    >>> model = Sequential([LSTM(8), LastStep(), Dense(1)], 1, "float64", random_state=0)
    >>> run = full_batch_epochs(model, source, squared_error, LBFGS())
    >>> losses = [epoch.loss for epoch in islice(run, 20)]
    >>> losses[-1] < 0.1 * losses[0]
    True
    """
    from scipy.optimize import line_search

    if not isinstance(optimizer, LBFGS):
        hint = "For other optimizers use fusedlstm.training.epochs."
        raise TypeError(check.needs("optimizer", "an LBFGS object", optimizer, hint))
    require_loss(loss)
    if tbptt_steps is not None:
        check.positive_int("tbptt_steps", tbptt_steps)
        require_truncation(model.layer)
    require_targets_of(model.layer, getattr(source, "y", None))
    state = optimizer.init(model.params) if state is None else state
    objective = Objective(model, source, loss, weight_decay, tbptt_steps)
    point = model.params.astype(np.float64)
    number = 0
    while True:
        number += 1
        value, gradient = objective.value(point), objective.gradient(point)
        direction = optimizer.direction(gradient, state)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # `converged` reports a failed line search
            length, *_, new_value, _, _ = line_search(
                objective.value,
                objective.gradient,
                point,
                direction,
                gradient,
                value,
                maxiter=optimizer.max_line_search,
            )
        found = length is not None and bool(np.isfinite(new_value))
        if found:
            # Rounded to the dtype of the model, so that training resumed from the parameters of
            # the model gives the same result.
            new = (point + length * direction).astype(model.dtype).astype(np.float64)
            optimizer.remember(new - point, objective.gradient(new) - gradient, state)
            point, value = new, objective.value(new)
        model.params[:] = point
        yield Epoch(number, value - objective.penalty(point), objective.size, converged=not found)


def __dir__() -> list[str]:
    return sorted(__all__)
