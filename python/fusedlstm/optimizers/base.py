"""What training asks of an optimizer."""

from __future__ import annotations

import abc
import functools
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm._utils.representation import ShortRepr

T = TypeVar("T")


def keyword_only(cls: type[T]) -> type[T]:
    """Let the constructor of an optimizer explain why it refuses a positional argument.

    Other libraries take the learning rate as the first argument of an optimizer.
    """
    init = cls.__init__

    @functools.wraps(init)
    def initialize(self: T, *args: Any, **fields: Any) -> None:
        if args:
            raise TypeError(
                f"{cls.__name__} takes keyword arguments only; got {check.shown(args[0])}. A "
                f"learning rate is set with learning_rate= of the estimator or of training.epochs."
            )
        init(self, **fields)

    cls.__init__ = initialize  # type: ignore[assignment]
    return cls


@dataclass
class OptimizerState:
    """Where an optimizer stands.

    Attributes
    ----------
    t : int
        Steps taken.
    averages : dict of arrays
        What it remembers of them, by name.
    momentum_product : float
        Nadam's: of the momentums of all steps.
    """

    t: int = 0
    averages: dict[str, Array] = field(default_factory=dict)
    momentum_product: float = 1.0


class Step(NamedTuple):
    """What an update is made of, beside the optimizer's own numbers and state."""

    params: Array
    grads: Array
    learning_rate: float
    decay: tuple[Array | None, float]  # where weight decay applies, and how much


@dataclass(frozen=True, kw_only=True, repr=False)
class Optimizer(ShortRepr, abc.ABC):
    """Frozen configuration; ``init`` makes the state for a flat vector, ``step`` updates both.

    Parameters
    ----------
    l1 : float, default 0
        Weight of a penalty on the sum of the weights' absolute values, biases left out.
    clip_value : float or None, default None
        Largest absolute value of an element of the gradient, penalties left out.
    """

    l1: float = 0.0
    clip_value: float | None = None

    def __post_init__(self) -> None:
        check.not_negative("l1", self.l1)
        if self.clip_value is not None:
            check.positive("clip_value", self.clip_value)

    @abc.abstractmethod
    def averages(self) -> tuple[str, ...]:
        """Return the names of the running averages that the state holds."""

    def init(self, params: Array) -> OptimizerState:
        """Return the state before the first step."""
        return OptimizerState(0, {name: np.zeros_like(params) for name in self.averages()})

    def step(
        self,
        params: Array,
        grads: Array,
        state: OptimizerState,
        learning_rate: float,
        weight_decay: float = 0.0,
        decay_mask: Array | None = None,
    ) -> None:
        """Update ``params`` and ``state``.

        Parameters
        ----------
        params, grads : array (n_params,)
        state : OptimizerState
        learning_rate : float
        weight_decay : float
        decay_mask : array (n_params,) or None
            1 where weight decay and ``l1`` apply, 0 elsewhere; None: they apply nowhere.
        """
        check.flat_array("params", params)
        check.flat_array("grads", grads, params)
        check.not_negative("learning_rate", learning_rate)
        self._check_state(state, params)
        if decay_mask is not None:
            check.flat_array("decay_mask", decay_mask, params)
        if self.clip_value is not None:
            grads = np.clip(grads, -self.clip_value, self.clip_value)
        if self.l1 > 0 and decay_mask is not None:
            grads = grads + params.dtype.type(self.l1) * decay_mask * np.sign(params)
        state.t += 1
        mask = decay_mask if weight_decay > 0 else None
        self._update(Step(params, grads, learning_rate, (mask, weight_decay)), state)

    def _check_state(self, state: object, params: Array) -> None:
        needed = f"what init of {type(self).__name__} returned for these params"
        if not isinstance(state, OptimizerState):
            raise TypeError(check.needs("state", needed, state))
        for name in self.averages():
            average = state.averages.get(name)
            if average is None or average.shape != params.shape or average.dtype != params.dtype:
                raise ValueError(check.needs("state", needed, state))

    @abc.abstractmethod
    def _update(self, step: Step, state: OptimizerState) -> None: ...
