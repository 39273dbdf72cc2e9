"""The same computation by others: PyTorch and onnxruntime, where they are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

import numpy as np

from fusedlstm import Sequential
from fusedlstm.layers import LSTM
from shapes import Shape

Call = Callable[[], object]


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


class Problem:
    """One shape's arrays and the calls that compute on them, all with the same numbers."""

    def __init__(self, shape: Shape, threads: int, peers: Sequence[str] = ()) -> None:
        self.shape, self.threads, self.peers = shape, threads, peers
        rng = np.random.default_rng(0)
        self.model = Sequential([LSTM(shape.hidden)], shape.inputs, random_state=0)
        size = (shape.batch, shape.steps)
        self.x = rng.standard_normal((*size, shape.inputs)).astype("float32")
        self.dy = rng.standard_normal((*size, shape.hidden)).astype("float32")

    def inference(self) -> dict[str, Call]:
        """Return a call of each library: the outputs of all steps."""
        calls: dict[str, Call] = {"fusedlstm": lambda: self.model.predict(self.x)}
        if "torch" in self.peers:
            calls["torch"] = self._torch_inference()
        if "onnxruntime" in self.peers:
            calls["onnxruntime"] = self._onnxruntime()
        return calls

    def training(self) -> dict[str, Call]:
        """Return a call of each: forward and backward, gradients of weights and input."""
        grads = np.zeros_like(self.model.params)

        def ours() -> None:
            _, saved = self.model.forward(self.x)
            grads[:] = 0
            self.model.backward(saved, self.dy, grads)

        calls: dict[str, Call] = {"fusedlstm": ours}
        if "torch" in self.peers:
            calls["torch"] = self._torch_training()
        return calls

    def torch_lstm(self):
        """Return PyTorch's layer with the same weights."""
        import torch

        torch.set_num_threads(self.threads)
        lstm = torch.nn.LSTM(self.shape.inputs, self.shape.hidden, batch_first=True)
        named = self.model.named_params()
        with torch.no_grad():
            lstm.weight_ih_l0.copy_(torch.from_numpy(named["0.weight_ih"]))
            lstm.weight_hh_l0.copy_(torch.from_numpy(named["0.weight_hh"]))
            lstm.bias_ih_l0.copy_(torch.from_numpy(named["0.bias"]))
            lstm.bias_hh_l0.zero_()
        return lstm

    def _torch_inference(self) -> Call:
        import torch

        lstm, x = self.torch_lstm(), torch.from_numpy(self.x)

        def call():
            with torch.inference_mode():
                return lstm(x)[0]

        return call

    def _torch_training(self) -> Call:
        import torch

        lstm, x = self.torch_lstm(), torch.from_numpy(self.x).requires_grad_()
        dy = torch.from_numpy(self.dy)

        def call() -> None:
            lstm.zero_grad(set_to_none=True)
            x.grad = None
            lstm(x)[0].backward(dy)

        return call

    def _onnxruntime(self) -> Call:
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        def to_onnx(array):  # gates i, f, g, o as ONNX wants them, i, o, f, c
            i, f, g, o = np.split(array, 4)
            return np.concatenate([i, o, f, g])[np.newaxis]

        named = self.model.named_params()
        bias = to_onnx(named["0.bias"])
        weights = {
            "W": to_onnx(named["0.weight_ih"]),
            "R": to_onnx(named["0.weight_hh"]),
            "B": np.concatenate([bias, np.zeros_like(bias)], axis=1),
        }
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
