"""Names and parameters of activation functions."""

from __future__ import annotations

from typing import TypeAlias

from fusedlstm._utils import validation as check

__all__ = ["ACTIVATIONS", "as_activation"]

Activation: TypeAlias = "str | tuple[str, float] | tuple[str, float, float]"
"""A name, or a name with its parameters."""

# The defaults of the parameters alpha and beta, as in ONNX. Some activations have fewer parameters.
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

# The core computes the slope of an activation from its output. This requires that the activation is
# monotonic, which these are only if alpha is not negative.
_MONOTONIC = ("leaky_relu", "elu")

Resolved: TypeAlias = "tuple[str, float, float]"
"""A name with alpha and beta."""

LINEAR: Resolved = ("linear", 0.0, 0.0)
SIGMOID: Resolved = ("sigmoid", 0.0, 0.0)
TANH: Resolved = ("tanh", 0.0, 0.0)
RELU: Resolved = ("relu", 0.0, 0.0)


def as_activation(name: str, value: object) -> Resolved:
    """Return an activation in the form that the core accepts: its name, alpha and beta.

    Parameters
    ----------
    name : str
        Name of the argument in errors.
    value : str or tuple
        A name, or a tuple of a name, alpha and optionally beta.

    Returns
    -------
    tuple of str, float, float

    Raises
    ------
    ValueError, TypeError
        If the activation does not exist, has fewer parameters than given, or if a parameter is not
        a finite number. If alpha is negative and the activation would not be monotonic.

    Examples
    --------
    >>> from fusedlstm.layers.activations import as_activation
    >>> as_activation("activation", ("leaky_relu", 0.1))
    ('leaky_relu', 0.1, 0.0)
    """
    if isinstance(value, list):  # a layer with a list could not be hashed
        needed = "a name, or a tuple of a name and its parameters"
        raise TypeError(check.needs(name, needed, value))
    function, *given = value if isinstance(value, tuple) and value else (value,)
    defaults = ACTIVATIONS[check.choice(name, function, ACTIVATIONS)]
    if len(given) > len(defaults):
        needed = f"{function!r} with at most {len(defaults)} parameters"
        raise ValueError(check.needs(name, needed, value))
    if function in _MONOTONIC and given:
        check.not_negative(f"{name}'s parameter", given[0])
    parameters = [
        *(check.real_in(f"{name}'s parameter", number, "a finite number") for number in given),
        *defaults[len(given) :],
        *[0.0] * (2 - len(defaults)),
    ]
    return function, parameters[0], parameters[1]


def __dir__() -> list[str]:
    return sorted(__all__)
