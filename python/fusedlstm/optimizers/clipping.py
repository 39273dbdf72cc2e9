"""Gradient clipping."""

from __future__ import annotations

import numpy as np

from fusedlstm._core import Array, core
from fusedlstm._utils import validation as check


def clip_by_norm(grads: Array, max_norm: float) -> float:
    """Scale a flat gradient down to a Euclidean norm of at most ``max_norm``, in place.

    Parameters
    ----------
    grads : array (n_params,)
        Gradient of all parameters.
    max_norm : positive float
        Largest Euclidean norm.

    Returns
    -------
    float
        The norm before clipping.

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


def clip_by_value(grads: Array, max_value: float) -> None:
    """Clip every element of a flat gradient to ``[-max_value, max_value]``, in place.

    Parameters
    ----------
    grads : array (n_params,)
        Gradient of all parameters.
    max_value : positive float
        Largest absolute value of an element.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm.optimizers import clip_by_value
    >>> grads = np.array([3.0, -0.5])
    >>> clip_by_value(grads, 1.0)
    >>> grads.tolist()
    [1.0, -0.5]
    """
    check.flat_array("grads", grads)
    limit = check.positive("max_value", max_value)
    np.clip(grads, -limit, limit, out=grads)
