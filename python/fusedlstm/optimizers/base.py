"""Base class of the optimizers, and their state."""

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
    """Replace the error for positional arguments of an optimizer by one that names the remedy.

    Users of other libraries pass the learning rate as the first argument of an optimizer.
    """
    init = cls.__init__

    @functools.wraps(init)
    def initialize(self: T, *args: Any, **fields: Any) -> None:
        if args:
            raise TypeError(
                f"{cls.__name__} takes keyword arguments only; got {check.shown(args[0])}. Set the "
                f"learning rate with learning_rate= of the estimator or of training.epochs."
            )
        init(self, **fields)

    cls.__init__ = initialize  # type: ignore[assignment]
    return cls


@dataclass
class OptimizerState:
    """State of an optimizer between steps.

    Attributes
    ----------
    t : int
        Number of steps taken.
    averages : dict of str to array
        Arrays of the optimizer by name, such as running means of the gradient.
    momentum_product : float
        Product of the momentum coefficients of all steps. Only `Nadam` uses it.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.optimizers import Adam
    >>> params = np.array([1.0, 2.0])
    >>> optimizer = Adam()
    >>> state = optimizer.init(params)
    >>> optimizer.step(params, np.ones(2), state, learning_rate=0.1)
    >>> state.t, sorted(state.averages)
    (1, ['mean', 'squares'])
    """

    t: int = 0
    averages: dict[str, Array] = field(default_factory=dict)
    momentum_product: float = 1.0


class StepArguments(NamedTuple):
    """Arguments of one step, for ``_update`` of an optimizer.

    Attributes
    ----------
    params, grads : array (n_params,)
        Parameters and their gradient. The parameters are updated in place.
    learning_rate : float
        Step size.
    decay : tuple of (array (n_params,) or None, float)
        The mask of the weight decay, 1 where it applies and 0 elsewhere, and its factor. The mask
        is None without weight decay.
    """

    params: Array
    grads: Array
    learning_rate: float
    decay: tuple[Array | None, float]


@dataclass(frozen=True, kw_only=True, repr=False)
class Optimizer(ShortRepr, abc.ABC):
    """Base class of optimizers that update the parameters after each batch.

    A subclass implements `averages` and ``_update``.

    Parameters
    ----------
    l1 : float of at least 0, default 0
        Weight of an L1 penalty on the weights. Biases are excluded, as in weight decay.
    clip_value : positive float or None, default None
        Elements of the gradient are clipped to [-clip_value, clip_value], before the L1 penalty is
        added. None means no clipping.

    Examples
    --------
    Gradient descent with the sign of the gradient:

    >>> import numpy as np
    >>> from fusedlstm.optimizers import Optimizer
    >>> class SignSGD(Optimizer):
    ...     def averages(self):
    ...         return ()
    ...
    ...     def _update(self, step, state):
    ...         step.params[:] -= step.learning_rate * np.sign(step.grads)
    >>> params = np.array([1.0, 2.0])
    >>> optimizer = SignSGD()
    >>> optimizer.step(params, np.array([3.0, -4.0]), optimizer.init(params), learning_rate=0.5)
    >>> params.tolist()
    [0.5, 2.5]
    """

    l1: float = 0.0
    clip_value: float | None = None

    def __post_init__(self) -> None:
        check.not_negative("l1", self.l1)
        if self.clip_value is not None:
            check.positive("clip_value", self.clip_value)

    @abc.abstractmethod
    def averages(self) -> tuple[str, ...]:
        """Return the names of the arrays in `OptimizerState.averages`."""

    def init(self, params: Array) -> OptimizerState:
        """Return the state before the first step.

        Parameters
        ----------
        params : array (n_params,)
            Parameters of the model, in a flat array.

        Returns
        -------
        OptimizerState
            A state whose arrays are zero.
        """
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
        """Update ``params`` and ``state`` in place.

        Parameters
        ----------
        params, grads : array (n_params,)
            Parameters of the model and their gradient, in flat arrays of the same dtype.
        state : OptimizerState
            The state from `init`, after any number of steps.
        learning_rate : float of at least 0
            Step size.
        weight_decay : float, default 0
            Factor of the weight decay.
        decay_mask : array (n_params,), optional
            1 where weight decay and ``l1`` apply, 0 elsewhere. None: they are not applied.

        Raises
        ------
        ValueError
            If the shapes or dtypes of the arrays do not match.
        """
        check.flat_array("params", params)
        check.flat_array("grads", grads, params)
        check.not_negative("learning_rate", learning_rate)
        self.check_state(state, params)
        if decay_mask is not None:
            check.flat_array("decay_mask", decay_mask, params)
        if self.clip_value is not None:
            grads = np.clip(grads, -self.clip_value, self.clip_value)
        if self.l1 > 0 and decay_mask is not None:
            grads = grads + params.dtype.type(self.l1) * decay_mask * np.sign(params)
        state.t += 1
        mask = decay_mask if weight_decay > 0 else None
        self._update(StepArguments(params, grads, learning_rate, (mask, weight_decay)), state)

    def check_state(self, state: object, params: Array) -> None:
        """Raise an error if ``state`` is not a state of this optimizer for ``params``.

        Parameters
        ----------
        state : OptimizerState
            The state to check.
        params : array (n_params,)
            Parameters of the model.

        Raises
        ------
        TypeError
            If ``state`` is not an `OptimizerState`.
        ValueError
            If an array is missing or has another shape or dtype than ``params``.
        """
        if isinstance(state, OptimizerState):
            shape, dtype = params.shape, params.dtype
            arrays = map(state.averages.get, self.averages())
            if all(a is not None and a.shape == shape and a.dtype == dtype for a in arrays):
                return
        needed = f"a state from init of {type(self).__name__} for params of this shape and dtype"
        error = ValueError if isinstance(state, OptimizerState) else TypeError
        raise error(check.needs("state", needed, state))

    @abc.abstractmethod
    def _update(self, step: StepArguments, state: OptimizerState) -> None:
        """Update ``step.params`` and the arrays of the state in place."""
