"""The same computation by others: PyTorch and onnxruntime, where they are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from fusedlstm._core import Array
from fusedlstm.benchmark.shapes import Shape
from fusedlstm.benchmark.timing import OURS, Call, DType
from fusedlstm.layers import LSTM
from fusedlstm.models.sequential import Sequential

PEERS = ("torch", "onnxruntime")

SUBNORMAL = 1e-40
"""A number that float32 holds only with fewer digits; 1e-310 for float64."""


def installed(name: str) -> bool:
    """Say whether a library is there."""
    needed = ("onnx", "onnxruntime") if name == "onnxruntime" else (name,)
    return all(importlib.util.find_spec(part) is not None for part in needed)


class Problem:
    """One LSTM layer's arrays and the calls that compute on them, all with the same numbers.

    Parameters
    ----------
    shape : Shape
    dtype : {"float32", "float64"}
    threads : int
        Of every library.
    peers : sequence of str
        Of `PEERS`.
    ragged : bool
        Sequences have between a tenth of the steps and all of them.
    subnormal : bool
        Inputs, and with them all states, are too small to be held with all digits.
    """

    def __init__(
        self,
        shape: Shape,
        dtype: DType = "float32",
        threads: int = 1,
        peers: Sequence[str] = (),
        *,
        ragged: bool = False,
        subnormal: bool = False,
    ) -> None:
        self.shape, self.threads = shape, threads
        # onnxruntime has no LSTM in float64.
        self.peers = [name for name in peers if name != "onnxruntime" or dtype == "float32"]
        rng = np.random.default_rng(0)
        self.model = Sequential([LSTM(shape.hidden)], shape.inputs, dtype, random_state=0)
        size = (shape.batch, shape.steps)
        self.x: Array = rng.standard_normal((*size, shape.inputs)).astype(dtype)
        self.dy: Array = rng.standard_normal((*size, shape.hidden)).astype(dtype)
        self.lengths = None
        self.name, self.flops = str(shape), shape.flops
        if ragged:
            shortest = max(1, shape.steps // 10)
            self.lengths = rng.integers(shortest, shape.steps, shape.batch, endpoint=True)
            self.dy *= (np.arange(shape.steps) < self.lengths[:, np.newaxis])[..., np.newaxis]
            self.name += " ragged"
            self.flops = shape.flops_of(int(self.lengths.sum()))
        if subnormal:
            smallest = SUBNORMAL if dtype == "float32" else 1e-310
            self.x[:] = smallest
            self.dy[:] = smallest
            self.model.named_params()["0.bias"][:] = 0
            self.name += " subnormal"

    def inference(self) -> dict[str, Call]:
        """Return a call of each library: the outputs of all steps, of unchanging weights."""
        predictor = self.model.predictor()
        calls: dict[str, Call] = {OURS: lambda: predictor.predict(self.x, self.lengths)}
        if "torch" in self.peers:
            calls["torch"] = self._torch_inference()
        if "onnxruntime" in self.peers:
            calls["onnxruntime"] = self._onnxruntime()
        return calls

    def training(self) -> dict[str, Call]:
        """Return a call of each: forward and backward, gradients of weights and input."""
        grads = np.zeros_like(self.model.params)

        def ours() -> None:
            _, saved = self.model.forward(self.x, self.lengths)
            grads[:] = 0
            self.model.backward(saved, self.dy, grads)

        calls: dict[str, Call] = {OURS: ours}
        if "torch" in self.peers:
            calls["torch"] = self._torch_training()
        return calls

    def torch_lstm(self) -> Any:
        """Return PyTorch's layer with the same weights."""
        import torch

        torch.set_num_threads(self.threads)
        lstm = torch.nn.LSTM(self.shape.inputs, self.shape.hidden, batch_first=True)
        lstm = lstm.to(getattr(torch, self.x.dtype.name))
        named = self.model.named_params()
        with torch.no_grad():
            lstm.weight_ih_l0.copy_(torch.from_numpy(named["0.weight_ih"]))
            lstm.weight_hh_l0.copy_(torch.from_numpy(named["0.weight_hh"]))
            lstm.bias_ih_l0.copy_(torch.from_numpy(named["0.bias"]))
            lstm.bias_hh_l0.zero_()
        return lstm

    def _torch_outputs(self, lstm: Any, x: Any) -> Any:
        if self.lengths is None:
            return lstm(x)[0]
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        packed = pack_padded_sequence(x, self.lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(lstm(packed)[0], True, total_length=self.shape.steps)[0]

    def _torch_inference(self) -> Call:
        import torch

        lstm, x = self.torch_lstm(), torch.from_numpy(self.x)

        def call() -> object:
            with torch.inference_mode():
                return self._torch_outputs(lstm, x)

        return call

    def _torch_training(self) -> Call:
        import torch

        lstm, x = self.torch_lstm(), torch.from_numpy(self.x).requires_grad_()
        dy = torch.from_numpy(self.dy)

        def call() -> None:
            lstm.zero_grad(set_to_none=True)
            x.grad = None
            self._torch_outputs(lstm, x).backward(dy)

        return call

    def _onnxruntime(self) -> Call:
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        def to_onnx(array: Array) -> Array:  # gates i, f, g, o as ONNX wants them, i, o, f, c
            i, f, g, o = np.split(array, 4)
            return np.concatenate([i, o, f, g])[np.newaxis]

        named = self.model.named_params()
        bias = to_onnx(named["0.bias"])
        weights = {
            "W": to_onnx(named["0.weight_ih"]),
            "R": to_onnx(named["0.weight_hh"]),
            "B": np.concatenate([bias, np.zeros_like(bias)], axis=1),
        }
        if self.lengths is not None:
            weights["lengths"] = self.lengths.astype(np.int32)
        time_first = np.ascontiguousarray(self.x.transpose(1, 0, 2))
        graph = helper.make_graph(
            [helper.make_node("LSTM", ["X", *weights], ["Y"], hidden_size=self.shape.hidden)],
            "lstm",
            [helper.make_tensor_value_info("X", TensorProto.FLOAT, time_first.shape)],
            [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["T", "D", "B", "H"])],
            [numpy_helper.from_array(array, name) for name, array in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return lambda: session.run(None, {"X": time_first})[0]
