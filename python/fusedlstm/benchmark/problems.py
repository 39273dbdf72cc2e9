"""The problems of the benchmark: one layer, its input, and one call per library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusedlstm._core import Array
from fusedlstm.benchmark.peers import (
    INFERENCE,
    ONNX_PEERS,
    Lengths,
    torch_training,
)
from fusedlstm.benchmark.shapes import Shape
from fusedlstm.benchmark.timing import OURS, Call, DType, Work
from fusedlstm.layers import LSTM
from fusedlstm.models.sequential import Sequential

SUBNORMAL = {"float32": 1e-40, "float64": 1e-310}
"""A subnormal number of each dtype."""


def inference(model: Sequential, x: Array, lengths: Lengths = None) -> Call:
    """Return a call that computes the outputs of all steps with packed weights."""
    predictor = model.predictor()
    return lambda: predictor.predict(x, lengths)


def training(
    model: Sequential,
    x: Array,
    dy: Array,
    lengths: Lengths = None,
    rng: np.random.Generator | None = None,
) -> Call:
    """Return a call that computes forward and backward, with gradients of weights and input."""
    grads = np.zeros_like(model.params)

    def call() -> None:
        _, saved = model.forward(x, lengths, rng=rng)
        grads[:] = 0
        model.backward(saved, dy, grads)

    return call


class Problem:
    """One LSTM layer with random weights and input, for all libraries.

    Parameters
    ----------
    shape : Shape
        Sizes of the batch and the layer.
    dtype : {"float32", "float64"}, default "float32"
        The dtype of weights and input.
    threads : int, default 1
        Number of threads of each library.
    peers : sequence of str, default ()
        Libraries of `PEERS` to compare with. They must be installed.
    ragged : bool, default False
        If True, the sequences have random lengths between 10 % and 100 % of the steps.
    subnormal : bool, default False
        If True, the inputs are subnormal numbers. Then all states are subnormal, too.
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
        # These peers have no LSTM in float64.
        self.peers = [name for name in peers if name not in ONNX_PEERS or dtype == "float32"]
        rng = np.random.default_rng(0)
        self.model = Sequential([LSTM(shape.hidden)], shape.inputs, dtype, random_state=0)
        size = (shape.batch, shape.steps)
        self.x: Array = rng.standard_normal((*size, shape.inputs)).astype(dtype)
        self.dy: Array = rng.standard_normal((*size, shape.hidden)).astype(dtype)
        self.lengths: Lengths = None
        self.name, self.real_steps = str(shape), shape.batch * shape.steps
        if ragged:
            shortest = max(1, shape.steps // 10)
            self.lengths = rng.integers(shortest, shape.steps, shape.batch, endpoint=True)
            self.dy *= (np.arange(shape.steps) < self.lengths[:, np.newaxis])[..., np.newaxis]
            self.name += " ragged"
            self.real_steps = int(self.lengths.sum())
        if subnormal:
            self.x[:] = SUBNORMAL[dtype]
            self.dy[:] = SUBNORMAL[dtype]
            self.model.named_params()["0.bias"][:] = 0
            self.name += " subnormal"

    def inference(self) -> dict[str, Call]:
        """Return one call per library that computes the outputs of all steps."""
        calls = {OURS: inference(self.model, self.x, self.lengths)}
        for name in self.peers:
            calls[name] = INFERENCE[name](self.model, self.x, self.lengths, self.threads)
        return calls

    def training(self) -> dict[str, Call]:
        """Return one call per library that computes the gradients of weights and input."""
        calls = {OURS: training(self.model, self.x, self.dy, self.lengths)}
        if "torch" in self.peers:
            calls["torch"] = torch_training(self.model, self.x, self.dy, self.lengths, self.threads)
        return calls

    def work(self, title: str) -> Work:
        """Return the work of the calls of `inference` or `training`."""
        flops, units = self.shape.flops_of(self.real_steps), self.real_steps * self.shape.hidden
        if title == "inference":
            return Work(flops, forward=units)
        return Work(3 * flops, saving=units, backward=units)
