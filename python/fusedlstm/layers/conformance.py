"""Checks of the results of custom layers, with errors that name the layer."""

from __future__ import annotations

from typing import Any

from fusedlstm._utils import validation as check
from fusedlstm.layers.base import Layer
from fusedlstm.layers.sequence import Sequence
from fusedlstm.layers.states import StateShapes, mapped


def is_custom(layer: Layer[Any]) -> bool:
    """Return True if the class of the layer is defined outside of this package."""
    return type(layer).__module__.partition(".")[0] != "fusedlstm"


def checked_forward(number: int, layer: Layer[Any], seq: Sequence, result: Any) -> Any:
    """Check and return the result of `Layer.forward` of a custom layer.

    Parameters
    ----------
    number : int
        Number of the layer in its `Chain`.
    layer : Layer
    seq : Sequence
        The input of the layer.
    result : object

    Raises
    ------
    TypeError
        If the result does not have the structure ``((Sequence, state), saved)``.
    ValueError
        If the output does not have the shape that `Layer.output_size` gives or the dtype of the
        input, or if the state does not have the shapes of `Layer.state_shapes`.
    """
    name = f"forward of layers[{number}]"
    needed = f"((Sequence, state), saved) from {layer!r}"
    try:
        (out, state), _ = result
    except (TypeError, ValueError):
        raise TypeError(check.needs(name, needed, type(result))) from None
    if not isinstance(out, Sequence):
        raise TypeError(check.needs(name, needed, type(out)))
    x, size = seq.steps(), layer.output_size(seq.size)
    shape = (len(x), size) if layer.reduces else (*x.shape[:-1], size)
    _check_array(f"the output of layers[{number}]", layer, out.x, shape, x.dtype)
    _check_state(number, layer, state, layer.state_shapes(len(x), seq.size))
    return (out._replace(x=check.contiguous(out.steps())), state), result[1]


def checked_backward(number: int, layer: Layer[Any], like: Any, result: Any) -> Any:
    """Check and return the result of `Layer.backward` of a custom layer.

    Parameters
    ----------
    number : int
        Number of the layer in its `Chain`.
    layer : Layer
    like : array
        The input of the layer.
    result : object

    Raises
    ------
    TypeError
        If the result does not have the structure ``(Sequence or None, state)``.
    ValueError
        If the gradient of the input does not have the shape and dtype of the input.
    """
    name = f"backward of layers[{number}]"
    needed = f"(Sequence or None, state) from {layer!r}"
    try:
        dseq, _ = result
    except (TypeError, ValueError):
        raise TypeError(check.needs(name, needed, type(result))) from None
    if dseq is not None and not isinstance(dseq, Sequence):
        raise TypeError(check.needs(name, needed, type(dseq)))
    if dseq is not None and dseq.x is not None:
        gradient = f"the gradient from layers[{number}]"
        _check_array(gradient, layer, dseq.x, like.shape, like.dtype)
        return dseq._replace(x=check.contiguous(dseq.x)), result[1]
    return result


def _check_array(name: str, layer: Layer[Any], array: Any, shape: Any, dtype: Any) -> None:
    if getattr(array, "shape", None) != shape or array.dtype != dtype:
        hint = f"The layer is {layer!r}."
        raise ValueError(check.needs(name, f"a {dtype} array of shape {shape}", array, hint))


def _check_state(number: int, layer: Layer[Any], state: Any, shapes: StateShapes) -> None:
    try:
        found = mapped(lambda array: array.shape, state)
    except AttributeError:
        found = type(state)
    if found != shapes:
        raise ValueError(
            f"the state from forward of layers[{number}] must have the shapes {shapes} that "
            f"state_shapes returns; got {found} from {layer!r}"
        )
