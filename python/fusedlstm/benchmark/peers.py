"""The computations of the benchmark with PyTorch and onnxruntime."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm.benchmark.timing import Call
from fusedlstm.models.sequential import Sequential

PEERS = ("torch", "onnxruntime")
"""Libraries that the benchmark compares with this package."""

Lengths: TypeAlias = "npt.NDArray[np.int64] | None"


def installed(name: str) -> bool:
    """Return True if a library of `PEERS` is installed."""
    needed = ("onnx", "onnxruntime") if name == "onnxruntime" else (name,)
    return all(importlib.util.find_spec(module) is not None for module in needed)


def torch_module(model: Sequential, threads: int) -> Any:
    """Return the PyTorch module with the weights of a model of one LSTM, GRU or RNN layer."""
    import torch

    from fusedlstm.convert.torch import to_torch_state_dict

    torch.set_num_threads(threads)
    layer: Any = model.layers[0]
    options = {}
    if getattr(layer, "projection_size", 0):
        options["proj_size"] = layer.projection_size
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
    module = getattr(torch.nn, type(layer).__name__)(
        model.input_size,
        layer.hidden_size,
        batch_first=True,
        dtype=getattr(torch, model.dtype.name),
        **options,
    )
    state_dict = to_torch_state_dict(model)
    module.load_state_dict({key.removeprefix("0."): value for key, value in state_dict.items()})
    return module


def torch_inference(model: Sequential, x: Array, lengths: Lengths, threads: int) -> Call:
    """Return a call that computes the outputs of all steps with PyTorch."""
    import torch

    module, inputs = torch_module(model, threads), torch.from_numpy(x)

    def call() -> object:
        with torch.inference_mode():
            return _torch_outputs(module, inputs, lengths)

    return call


def torch_training(model: Sequential, x: Array, dy: Array, lengths: Lengths, threads: int) -> Call:
    """Return a call that computes the gradients of weights and input with PyTorch."""
    import torch

    module, inputs = torch_module(model, threads), torch.from_numpy(x).requires_grad_()
    gradient = torch.from_numpy(dy)

    def call() -> None:
        module.zero_grad(set_to_none=True)
        inputs.grad = None
        _torch_outputs(module, inputs, lengths).backward(gradient)

    return call


def _torch_outputs(module: Any, x: Any, lengths: Lengths) -> Any:
    if lengths is None:
        return module(x)[0]
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(module(packed)[0], True, total_length=x.shape[1])[0]


def onnxruntime_inference(model: Sequential, x: Array, lengths: Lengths, threads: int) -> Call:
    """Return a call that computes the outputs of all steps of an LSTM with onnxruntime.

    The call returns outputs of shape (T, 1, B, H). onnxruntime has no LSTM in float64.
    """
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    def to_onnx(array: Array) -> Array:
        i, f, g, o = np.split(array, 4)
        return np.concatenate([i, o, f, g])[np.newaxis]  # the gate order of ONNX

    layer: Any = model.layers[0]
    named = model.named_params()
    bias = to_onnx(named["0.bias"])
    weights = {
        "W": to_onnx(named["0.weight_ih"]),
        "R": to_onnx(named["0.weight_hh"]),
        "B": np.concatenate([bias, np.zeros_like(bias)], axis=1),
    }
    if lengths is not None:
        weights["lengths"] = lengths.astype(np.int32)
    time_first = np.ascontiguousarray(x.transpose(1, 0, 2))
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["X", *weights], ["Y"], hidden_size=layer.hidden_size)],
        "lstm",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, time_first.shape)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["T", "D", "B", "H"])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(onnx_model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        onnx_model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"X": time_first})[0]
