"""Names and parameters of activation functions."""

from __future__ import annotations

from typing import TypeAlias

from fusedlstm._utils import validation as check

__all__ = ["ACTIVATIONS", "as_activation"]

Activation: TypeAlias = "str | tuple[str, float] | tuple[str, float, float]"
"""A name, or a tuple of a name, alpha and optionally beta."""

# Default values of the parameters alpha and beta, as in ONNX, for the parameters that exist.
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

# The core computes the derivative of an activation from the output. With a negative alpha, two
# inputs of these activations have the same output, but different derivatives.
_NEED_NONNEGATIVE_ALPHA = ("leaky_relu", "elu")

ResolvedActivation: TypeAlias = "tuple[str, float, float]"
"""A name, alpha and beta. Parameters that the activation does not have are 0."""

LINEAR: ResolvedActivation = ("linear", 0.0, 0.0)
SIGMOID: ResolvedActivation = ("sigmoid", 0.0, 0.0)
TANH: ResolvedActivation = ("tanh", 0.0, 0.0)
RELU: ResolvedActivation = ("relu", 0.0, 0.0)


def as_activation(name: str, value: object) -> ResolvedActivation:
    """Return an activation as the tuple (name, alpha, beta), the form that the core accepts.

    Parameters
    ----------
    name : str
        Name of the argument, for error messages.
    value : str or tuple
        A name from `ACTIVATIONS`, or a tuple of a name, alpha and optionally beta.

    Returns
    -------
    tuple of str, float, float
        Parameters that are not given have their default values. Parameters that the activation does
        not have are 0.

    Raises
    ------
    TypeError
        If the name is not a string, or a parameter is not a number.
    ValueError
        If the activation does not exist, or has fewer parameters than given. If a parameter is not
        finite, or alpha of ``leaky_relu`` or ``elu`` is negative.

    Examples
    --------
    >>> from fusedlstm.layers.activations import as_activation
    >>> as_activation("activation", ("leaky_relu", 0.1))
    ('leaky_relu', 0.1, 0.0)
    """
    if isinstance(value, list):  # a list would make the layer unhashable
        needed = "a name, or a tuple of a name and its parameters"
        raise TypeError(check.needs(name, needed, value))
    function, *given = value if isinstance(value, tuple) and value else (value,)
    defaults = ACTIVATIONS[check.choice(name, function, ACTIVATIONS)]
    if len(given) > len(defaults):
        needed = f"{function!r} with at most {len(defaults)} parameters"
        raise ValueError(check.needs(name, needed, value))
    if function in _NEED_NONNEGATIVE_ALPHA and given:
        check.not_negative(f"{name}'s parameter", given[0])
    parameters = [
        *(check.real_in(f"{name}'s parameter", number, "a finite number") for number in given),
        *defaults[len(given) :],
        *[0.0] * (2 - len(defaults)),
    ]
    return function, parameters[0], parameters[1]


def __dir__() -> list[str]:
    return sorted(__all__)
