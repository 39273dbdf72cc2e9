"""The names of the nonlinearities, and their parameters."""

from __future__ import annotations

from typing import TypeAlias

from fusedlstm._utils import validation as check

__all__ = ["ACTIVATIONS", "as_activation"]

Activation: TypeAlias = "str | tuple[str, float] | tuple[str, float, float]"
"""A name, or a name with its parameters."""

# The defaults of alpha and beta, ONNX's. Where there are none, the parameter does nothing.
ACTIVATIONS: dict[str, tuple[float, ...]] = {
    "linear": (),
    "sigmoid": (),
    "tanh": (),
    "relu": (),
    "leaky_relu": (0.01,),
    "thresholded_relu": (1.0,),
    "scaled_tanh": (1.0, 1.0),
    "hard_sigmoid": (0.2, 0.5),
    "elu": (1.0,),
    "softsign": (),
    "softplus": (),
    "affine": (1.0, 0.0),
}

# Gradients come from the output, which tells the slope only where these do not fall and rise.
_RISING = ("leaky_relu", "elu")

Resolved: TypeAlias = "tuple[str, float, float]"

LINEAR: Resolved = ("linear", 0.0, 0.0)
SIGMOID: Resolved = ("sigmoid", 0.0, 0.0)
TANH: Resolved = ("tanh", 0.0, 0.0)
RELU: Resolved = ("relu", 0.0, 0.0)


def as_activation(name: str, value: object) -> Resolved:
    """Return an activation as the core takes it: its name, alpha and beta.

    Parameters
    ----------
    name : str
        What errors call it.
    value : str or tuple
        A name, or a name followed by alpha and perhaps beta.

    Returns
    -------
    tuple of str, float, float

    Raises
    ------
    ValueError, TypeError
        No such activation, too many parameters or one that is no finite number; a negative alpha
        where the activation would then fall and rise, so that its output does not tell its slope.

    Examples
    --------
    >>> from fusedlstm.layers.activations import as_activation
    >>> as_activation("activation", ("leaky_relu", 0.1))
    ('leaky_relu', 0.1, 0.0)
    """
    if isinstance(value, list):  # it would leave a layer without a hash
        needed = "a name, or a tuple of a name and its parameters"
        raise TypeError(check.needs(name, needed, value))
    called, *given = value if isinstance(value, tuple) and value else (value,)
    defaults = ACTIVATIONS[check.choice(name, called, ACTIVATIONS)]
    if len(given) > len(defaults):
        needed = f"{called!r} with at most {len(defaults)} parameters"
        raise ValueError(check.needs(name, needed, value))
    if called in _RISING and given:
        check.not_negative(f"{name}'s parameter", given[0])
    parameters = [
        *(check.real_in(f"{name}'s parameter", number, "a finite number") for number in given),
        *defaults[len(given) :],
        *[0.0] * (2 - len(defaults)),
    ]
    return called, parameters[0], parameters[1]


def __dir__() -> list[str]:
    return sorted(__all__)
