"""Optimizers: frozen configuration and an explicit state.

``init`` makes the state for a flat vector of parameters, ``step`` updates both in place. The
learning rate is the caller's. Weight decay applies where ``decay_mask`` is 1.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fusedlstm import _validation as check
from fusedlstm._core import Array, core


@dataclass
class OptimizerState:
    """How many steps were taken, and the running averages, by name."""

    t: int = 0
    averages: dict[str, Array] = field(default_factory=dict)


class Optimizer(abc.ABC):
    """What training asks of an optimizer."""

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
            1 where weight decay applies, 0 elsewhere; None: it applies nowhere.
        """
        check.flat_array("params", params)
        check.flat_array("grads", grads, params)
        check.not_negative("learning_rate", learning_rate)
        self._check_state(state, params)
        if decay_mask is not None:
            check.flat_array("decay_mask", decay_mask, params)
        state.t += 1
        mask = decay_mask if weight_decay > 0 else None
        self._update(params, grads, state, learning_rate, weight_decay, mask)

    def _check_state(self, state: object, params: Array) -> None:
        needed = f"what init of {type(self).__name__} returned for these params"
        if not isinstance(state, OptimizerState):
            raise TypeError(check.needs("state", needed, state))
        for name in self.averages():
            average = state.averages.get(name)
            if average is None or average.shape != params.shape or average.dtype != params.dtype:
                raise ValueError(check.needs("state", needed, state))

    @abc.abstractmethod
    def _update(
        self,
        params: Array,
        grads: Array,
        state: OptimizerState,
        learning_rate: float,
        weight_decay: float,
        decay_mask: Array | None,
    ) -> None: ...


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    ``v = momentum v + g``, ``p -= learning_rate v``; with Nesterov's momentum
    ``p -= learning_rate (g + momentum v)``.

    Parameters
    ----------
    momentum : float in [0, 1), default 0
    nesterov : bool, default False

    References
    ----------
    .. [1] Sutskever et al., "On the Importance of Initialization and Momentum in Deep Learning",
       2013.

    Examples
    --------
    >>> from fusedlstm.optimizers import SGD
    >>> SGD(momentum=0.9, nesterov=True)
    SGD(momentum=0.9, nesterov=True)
    """

    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        check.fraction("momentum", self.momentum)
        if check.true_or_false("nesterov", self.nesterov) and self.momentum == 0:
            raise ValueError("momentum must be positive with nesterov=True; got 0.0")

    def averages(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum > 0 else ()

    def _update(
        self,
        params: Array,
        grads: Array,
        state: OptimizerState,
        learning_rate: float,
        weight_decay: float,
        decay_mask: Array | None,
    ) -> None:
        core.sgd_step(
            params,
            grads,
            state.averages.get("velocity"),
            learning_rate,
            self.momentum,
            self.nesterov,
            decay_mask,
            weight_decay,
        )


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Gradients divided by a running root mean square of their own.

    Parameters
    ----------
    rho : float in [0, 1), default 0.99
        Weight of the past in the average.
    epsilon : float, default 1e-8

    References
    ----------
    .. [1] Tieleman and Hinton, "Lecture 6.5: RMSprop", 2012.

    Examples
    --------
    >>> from fusedlstm.optimizers import RMSprop
    >>> RMSprop(rho=0.9)
    RMSprop(rho=0.9, epsilon=1e-08)
    """

    rho: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check.fraction("rho", self.rho)
        check.positive("epsilon", self.epsilon)

    def averages(self) -> tuple[str, ...]:
        return ("squares",)

    def _update(
        self,
        params: Array,
        grads: Array,
        state: OptimizerState,
        learning_rate: float,
        weight_decay: float,
        decay_mask: Array | None,
    ) -> None:
        core.rmsprop_step(
            params,
            grads,
            state.averages["squares"],
            learning_rate,
            self.rho,
            self.epsilon,
            decay_mask,
            weight_decay,
        )


@dataclass(frozen=True)
class Adam(Optimizer):
    """Running mean of the gradient over the root of that of its square.

    Weight decay is added to the gradient; `AdamW` decouples it.

    Parameters
    ----------
    beta1, beta2 : float in [0, 1), default 0.9 and 0.999
        Weights of the past in the two averages.
    epsilon : float, default 1e-8

    References
    ----------
    .. [1] Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.

    Examples
    --------
    >>> from fusedlstm.optimizers import Adam
    >>> Adam(beta2=0.99)
    Adam(beta1=0.9, beta2=0.99, epsilon=1e-08)
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    _decoupled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check.fraction("beta1", self.beta1)
        check.fraction("beta2", self.beta2)
        check.positive("epsilon", self.epsilon)

    def averages(self) -> tuple[str, ...]:
        return ("mean", "squares")

    def _update(
        self,
        params: Array,
        grads: Array,
        state: OptimizerState,
        learning_rate: float,
        weight_decay: float,
        decay_mask: Array | None,
    ) -> None:
        core.adam_step(
            params,
            grads,
            state.averages["mean"],
            state.averages["squares"],
            state.t,
            learning_rate,
            self.beta1,
            self.beta2,
            self.epsilon,
            decay_mask,
            weight_decay,
            self._decoupled,
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay that shrinks the parameters themselves.

    Parameters
    ----------
    beta1, beta2, epsilon : float
        As in `Adam`.

    References
    ----------
    .. [1] Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.

    Examples
    --------
    >>> from fusedlstm.optimizers import AdamW
    >>> AdamW()
    AdamW(beta1=0.9, beta2=0.999, epsilon=1e-08)
    """

    _decoupled: ClassVar[bool] = True


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def as_optimizer(value: object) -> Optimizer:
    """Return an optimizer given by name or as an object."""
    if isinstance(value, Optimizer):
        return value
    if isinstance(value, str):
        return OPTIMIZERS[check.choice("optimizer", value, OPTIMIZERS)]()
    hint = f"Did you mean {value.__name__}()?" if isinstance(value, type) else ""
    needed = "an optimizer from fusedlstm.optimizers or one of " + ", ".join(OPTIMIZERS)
    raise TypeError(check.needs("optimizer", needed, value, hint))


def clip_by_norm(grads: Array, max_norm: float) -> float:
    """Scale a flat gradient down to a Euclidean norm of at most ``max_norm``, in place.

    Parameters
    ----------
    grads : array (n_params,)
    max_norm : float

    Returns
    -------
    float
        The norm before.

    References
    ----------
    .. [1] Pascanu, Mikolov and Bengio, "On the Difficulty of Training Recurrent Neural Networks",
       2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.optimizers import clip_by_norm
    >>> grads = np.array([3.0, 4.0])
    >>> clip_by_norm(grads, 1.0), grads.round(4).tolist()
    (5.0, [0.6, 0.8])
    """
    return core.clip_norm(check.flat_array("grads", grads), check.positive("max_norm", max_norm))
