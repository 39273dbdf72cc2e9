"""The computations of the benchmark with PyTorch, onnxruntime and OpenVINO."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm.benchmark.timing import Call
from fusedlstm.models.sequential import Sequential

ONNX_PEERS = ("onnxruntime", "openvino")
"""Libraries that run an ONNX model. They have no training, and no LSTM in float64."""

PEERS = ("torch", *ONNX_PEERS)
"""Libraries that the benchmark compares with this package."""

Lengths: TypeAlias = "npt.NDArray[np.int64] | None"


def installed(name: str) -> bool:
    """Return True if a library of `PEERS` is installed."""
    needed = ("onnx", name) if name in ONNX_PEERS else (name,)
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


def onnx_lstm(model: Sequential, x: Array, lengths: Lengths) -> tuple[bytes, Array]:
    """Return an ONNX model of an LSTM and its input, of shape (T, B, I).

    The output has shape (T, 1, B, H).
    """
    import onnx
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
    return onnx_model.SerializeToString(), time_first


def onnxruntime_inference(model: Sequential, x: Array, lengths: Lengths, threads: int) -> Call:
    """Return a call that computes the outputs of all steps of an LSTM with onnxruntime.

    The call returns outputs of shape (T, 1, B, H).
    """
    import onnxruntime

    onnx_model, time_first = onnx_lstm(model, x, lengths)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(onnx_model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"X": time_first})[0]


def openvino_inference(model: Sequential, x: Array, lengths: Lengths, threads: int) -> Call:
    """Return a call that computes the outputs of all steps of an LSTM with OpenVINO in float32.

    The default precision of OpenVINO is bfloat16 if the processor has instructions for it. The call
    returns outputs of shape (T, 1, B, H), always in the same memory.
    """
    import openvino

    onnx_model, time_first = onnx_lstm(model, x, lengths)
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(onnx_model), "CPU", options)
    request = compiled.create_infer_request()
    request.get_input_tensor().data[:] = time_first
    return lambda: request.infer(share_outputs=True)[0]


INFERENCE: dict[str, Callable[[Sequential, Array, Lengths, int], Call]] = {
    "torch": torch_inference,
    "onnxruntime": onnxruntime_inference,
    "openvino": openvino_inference,
}
"""The function that returns the call at inference, for each library of `PEERS`."""
