"""Conversion of weights from and to PyTorch state dictionaries.

The order of the gates is the same. A recurrent module of PyTorch can have several layers, each with
two biases. In this package each layer is one object, and the two biases are replaced by their sum.
Only the candidate of the GRU needs a second bias.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.layers import GRU, LSTM, RNN, Dense, Layer, Recurrent
from fusedlstm.layers.activations import RELU, TANH, as_activation
from fusedlstm.models.sequential import Sequential

if TYPE_CHECKING:
    from fusedlstm.estimators.base import SequenceEstimator

__all__ = ["load_torch_state_dict", "to_torch_state_dict"]

_RECURRENT = re.compile(
    r"(?P<module>.*?)(?P<name>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)"
    r"_l(?P<number>\d+)(?P<direction>_reverse)?$"
)
_LINEAR = re.compile(r"(?P<module>.*?)(?P<name>weight|bias)$")


def load_torch_state_dict(
    model: Sequential | SequenceEstimator, state_dict: Mapping[str, Any]
) -> None:
    """Copy the weights of a PyTorch module into a model with the same layers.

    Layers are matched by their order. The recurrent layers of the model are matched with the layers
    of ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN``; a module with ``num_layers=2`` counts as two layers.
    `Dense` is matched with ``nn.Linear``. If a layer or a shape differs, the model is not changed.

    Parameters
    ----------
    model : Sequential or fitted estimator
        The model to change. Its layers with parameters must be layers that PyTorch has: `LSTM`
        (with or without ``projection_size``), `GRU`, `RNN` and `Dense`. In an estimator, the
        weights of ``model_`` are replaced, and predictions use the new weights. See Notes for the
        scales of X and y.
    state_dict : mapping of str to tensor or array
        The result of ``module.state_dict()``, or the contents of a safetensors file with this
        dictionary. The module must register its submodules in the order of the forward pass.

    Raises
    ------
    TypeError
        If ``model`` or ``state_dict`` has a wrong type, or a value is not an array of numbers.
    ValueError
        If layers or shapes differ. The message names the first difference.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    ``model_`` of an estimator reads standardized X, and ``model_`` of a regressor predicts
    normalized y. ``predict`` multiplies the outputs by the standard deviation of y in `fit` and
    adds the mean of y. If the weights were trained on the original scales of X and y, fit a
    classifier with ``standardize=False`` and a regressor with ``standardize=False,
    normalize_y=False``.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.convert.torch import load_torch_state_dict
    >>> from fusedlstm.layers import RNN
    >>> state_dict = {
    ...     "weight_ih_l0": np.ones((4, 3)),
    ...     "weight_hh_l0": np.zeros((4, 4)),
    ...     "bias_ih_l0": np.full(4, 2.0),
    ...     "bias_hh_l0": np.full(4, 3.0),
    ... }
    >>> model = Sequential([RNN(4)], input_size=3)
    >>> load_torch_state_dict(model, state_dict)
    >>> model.named_params()["0.bias"].tolist()
    [5.0, 5.0, 5.0, 5.0]
    """
    network = _as_model(model)
    if not isinstance(state_dict, Mapping):
        hint = "Pass module.state_dict()." if hasattr(state_dict, "state_dict") else ""
        needed = "a mapping of names to tensors or arrays"
        raise TypeError(check.needs("state_dict", needed, state_dict, hint))
    torch_layers = list(_torch_layers(state_dict))
    ours = [(n, layer) for n, layer in enumerate(network.layers) if layer.param_shapes(1)]
    if len(torch_layers) != len(ours):
        raise ValueError(
            f"state_dict must have {len(ours)} layers with parameters, like the model; "
            f"got {len(torch_layers)}"
        )
    values = np.zeros_like(network.params)
    views = network.views(values)
    for (number, layer), theirs in zip(ours, torch_layers, strict=True):
        arrays = _from_torch(layer, theirs)
        for name in layer.param_shapes(1):
            if name.startswith("weight") and name not in arrays:
                module = f" of {theirs.name}" if theirs.name else ""
                raise ValueError(f"state_dict must have {name}{module}; got none")
        for name, array in arrays.items():
            view = views.get(f"{number}.{name}")
            if view is None or view.shape != array.shape:
                needed = "absent" if view is None else f"of shape {view.shape}"
                raise ValueError(
                    f"{name} of {theirs.name or 'state_dict'} must be {needed}, as in {layer!r}; "
                    f"got {array.shape}"
                )
            view[...] = array
    network.params = values


def to_torch_state_dict(model: Sequential | SequenceEstimator) -> dict[str, Any]:
    """Return the weights of a model as a PyTorch state dictionary.

    Parameters
    ----------
    model : Sequential or fitted estimator
        The model. Its layers must be layers that PyTorch has, as for `load_torch_state_dict`.

    Returns
    -------
    dict of str to tensor
        State dictionary of an ``nn.ModuleList`` or ``nn.Sequential`` whose modules have the same
        indices as the layers. Each recurrent layer is a module with one layer, with keys such as
        ``"0.weight_ih_l0"``. For modules with other names, rename the keys. The second bias,
        ``bias_hh``, is zero, except for the candidate of the GRU.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError
        If ``model`` is not a `Sequential` or an estimator.
    ValueError
        If PyTorch does not have a layer of the model.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    The dictionary does not contain the scales of X and y. A module with the weights of an estimator
    expects ``(X - X_mean_) / X_scale_``, unless ``standardize=False``. A module with the weights of
    a regressor predicts normalized y, unless ``normalize_y=False``.

    Examples
    --------
    >>> import torch
    >>> from fusedlstm import Sequential
    >>> from fusedlstm.convert.torch import to_torch_state_dict
    >>> from fusedlstm.layers import GRU
    >>> model = Sequential([GRU(8)], input_size=3, random_state=0)
    >>> theirs = torch.nn.ModuleList([torch.nn.GRU(3, 8)])
    >>> theirs.load_state_dict(to_torch_state_dict(model))
    <All keys matched successfully>
    """
    try:
        import torch  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise ImportError(
            "to_torch_state_dict needs PyTorch, which is not installed: pip install torch"
        ) from None
    network = _as_model(model)
    named = network.named_params()
    arrays: dict[str, Array] = {}
    for number, layer in enumerate(network.layers):
        prefix = f"{number}."
        own = {name[len(prefix) :]: a for name, a in named.items() if name.startswith(prefix)}
        if own:
            arrays |= {prefix + name: array for name, array in _to_torch(layer, own).items()}
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def _as_model(model: Any) -> Sequential:
    """Return a model, or the model of a fitted estimator."""
    if isinstance(model, Sequential):
        return model
    if hasattr(type(model), "fit"):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(model, "model_")
    own = getattr(model, "model_", None)
    if not isinstance(own, Sequential):
        raise TypeError(check.needs("model", "a Sequential or a fitted estimator", model))
    return own


@dataclass
class _TorchLayer:
    """One layer of a recurrent PyTorch module, or one linear module."""

    name: str
    recurrent: bool
    arrays: dict[str, Array] = field(default_factory=dict)


def _torch_layers(state_dict: Mapping[str, Any]) -> Iterator[_TorchLayer]:
    """Yield the layers of a state dictionary in their order."""
    layers: dict[tuple[str, int], _TorchLayer] = {}
    order: list[str] = []
    for key, value in state_dict.items():
        found = _RECURRENT.match(key) or _LINEAR.match(key)
        if found is None:
            needed = "the parameters of LSTM, GRU, RNN and Linear modules"
            raise ValueError(check.needs("state_dict", needed, key))
        groups = found.groupdict()
        module = groups["module"]
        if module not in order:
            order.append(module)
        number = int(groups.get("number") or 0)
        layer = layers.setdefault(
            (module, number), _TorchLayer(module.rstrip("."), "number" in groups)
        )
        name = groups["name"] + (groups.get("direction") or "")
        layer.arrays[name] = _array(key, value)
    for module, number in sorted(layers, key=lambda key: (order.index(key[0]), key[1])):
        yield layers[module, number]


def _array(key: str, value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    return check.real_array(f"state_dict[{key!r}]", value, np.float64)


_OPTIONS: dict[type[Recurrent], tuple[str, ...]] = {
    LSTM: ("projection_size",),
    GRU: (),
    RNN: ("activation",),
}
"""Options that the layers have in this package and in PyTorch."""


def _torch_kind(layer: Layer[Any]) -> type[Layer[Any]]:
    """Return LSTM, GRU, RNN or Dense; raise ValueError if PyTorch does not have the layer."""
    if isinstance(layer, Dense):
        return Dense
    for kind, options in _OPTIONS.items():
        if isinstance(layer, kind):
            own = {name: getattr(layer, name) for name in options}
            plain = kind(layer.hidden_size, layer.bidirectional, **own)
            if (
                layer.core_cell() == plain.core_cell()
                and layer.param_shapes(1) == plain.param_shapes(1)
                and layer.merge == plain.merge
                and layer.reverse == plain.reverse
                and (
                    kind is not RNN
                    or as_activation("activation", own["activation"]) in (TANH, RELU)
                )
            ):
                return kind
    raise ValueError(
        check.needs("model", "of layers that PyTorch has: LSTM, GRU, RNN, Dense", layer)
    )


def _from_torch(layer: Layer[Any], theirs: _TorchLayer) -> dict[str, Array]:
    """Return the parameters of a PyTorch layer, by their names in this package."""
    kind = _torch_kind(layer)
    if theirs.recurrent != (kind is not Dense):
        raise ValueError(
            f"{theirs.name or 'state_dict'} must be a "
            f"{'linear' if kind is Dense else 'recurrent'} module, as {layer!r}; "
            f"got parameters {', '.join(theirs.arrays)}"
        )
    if kind is Dense:
        return theirs.arrays
    arrays = {}
    for name, array in theirs.arrays.items():
        if name.startswith("weight"):
            arrays[name] = array
        elif name.startswith("bias_ih"):
            direction = name.removeprefix("bias_ih")
            hidden = theirs.arrays.get("bias_hh" + direction, np.zeros_like(array))
            if kind is GRU:
                size = len(hidden) // 3
                arrays["bias_hn" + direction] = hidden[2 * size :]
                hidden = np.concatenate([hidden[: 2 * size], np.zeros(size)])
            arrays["bias" + direction] = array + hidden
    return arrays


def _to_torch(layer: Layer[Any], own: dict[str, Array]) -> dict[str, Array]:
    """Return the parameters of a layer, by their names in PyTorch."""
    kind = _torch_kind(layer)
    if kind is Dense:
        return own
    arrays = {}
    for name, array in own.items():
        base, reverse, _ = name.partition("_reverse")
        suffix = "_l0" + reverse
        if base == "bias":
            arrays["bias_ih" + suffix] = array
            second = np.zeros_like(array)
            if kind is GRU:
                second[-(len(array) // 3) :] = own["bias_hn" + reverse]
            arrays["bias_hh" + suffix] = second
        elif base != "bias_hn":
            arrays[base + suffix] = array
    return arrays


def __dir__() -> list[str]:
    return sorted(__all__)
