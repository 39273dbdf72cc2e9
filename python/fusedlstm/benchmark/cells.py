"""Every cell, beside the plain LSTM of the same size and PyTorch where it has the cell."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from fusedlstm._core import Array
from fusedlstm.benchmark.shapes import Shape
from fusedlstm.benchmark.table import share
from fusedlstm.benchmark.timing import OURS, Call, DType, Rounds, Spread
from fusedlstm.layers import (
    CIFGLSTM,
    GRU,
    LSTM,
    RNN,
    LayerNormLSTM,
    PeepholeLSTM,
    Recurrent,
)
from fusedlstm.models.sequential import Sequential


def layers(h: int) -> dict[str, Recurrent]:
    """Return a layer of ``h`` units of each cell."""
    return {
        "LSTM": LSTM(h),
        "GRU": GRU(h),
        "RNN tanh": RNN(h),
        "RNN relu": RNN(h, activation="relu"),
        "peepholes": PeepholeLSTM(h),
        "CIFG": CIFGLSTM(h),
        "CIFG with peepholes": CIFGLSTM(h, peepholes=True),
        "no input gate": LSTM(h, input_gate=False),
        "no forget gate": LSTM(h, forget_gate=False),
        "no output gate": LSTM(h, output_gate=False),
        "linear candidate": LSTM(h, activation="linear", output_activation="tanh"),
        "linear output": LSTM(h, output_activation="linear"),
        "recurrent dropout": LSTM(h, recurrent_dropout=0.25),
        "candidate dropout": LSTM(h, candidate_dropout=0.25),
        "zoneout": LSTM(h, zoneout=0.1, zoneout_cell=0.1),
        "DropConnect": LSTM(h, weight_dropout=0.5),
        "GRU reset before": GRU(h, reset_after=False),
        "relu": LSTM(h, activation="relu"),
        "cell clip": LSTM(h, cell_clip=3.0),
        "layer norm": LayerNormLSTM(h),
        "projection to H / 2": LSTM(h, projection_size=max(1, h // 2)),
        "full gate recurrence": LSTM(h, full_gate_recurrence=True),
    }


TORCH = {"LSTM": "LSTM", "GRU": "GRU", "RNN tanh": "RNN", "projection to H / 2": "LSTM"}


class Entry(NamedTuple):
    """What the rounds say of one cell."""

    cell: str
    over_lstm: Spread
    share: Spread
    torch: Spread | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers for a JSON file."""
        numbers = {
            name: value and value._asdict()
            for name, value in self._asdict().items()
            if name != "cell"
        }
        return {"cell": self.cell, **numbers}

    def __str__(self) -> str:
        """Give the medians, as short as a column is wide."""
        text = f"{self.over_lstm.median:.2f} {share(self.share.median):>4}"
        return text + (f" x{self.torch.median:.1f}" if self.torch else "")


def measure(
    names: Collection[str],
    shape: Shape,
    dtype: DType,
    threads: int,
    rounds: int,
    peers: Sequence[str],
) -> dict[str, list[Entry]]:
    """Return what inference and training of the cells take on one shape."""
    size = (shape.batch, shape.steps, shape.inputs)
    x = np.random.default_rng(0).standard_normal(size).astype(dtype)
    inference: dict[str, Call] = {}
    training: dict[str, Call] = {}
    models = {}
    for name, layer in layers(shape.hidden).items():
        if name not in names and name != "LSTM":
            continue
        # The plain LSTM is what the others are measured against.
        key = OURS if name == "LSTM" else name
        models[name], inference[key], training[key] = _calls(layer, shape, x)
        if name in TORCH and "torch" in peers:
            theirs = _torch_calls(TORCH[name], models[name], shape, x, threads)
            inference["torch " + name], training["torch " + name] = theirs
    results = {}
    for what, calls, work in (("inference", inference, 1), ("training", training, 3)):
        timed = Rounds(calls, work * shape.flops, dtype, threads).run(rounds)
        results[what] = [
            Entry(
                name,
                timed.over(key),
                timed.share(key, work * _flops(model, shape)),
                timed.over("torch " + name, key) if "torch " + name in calls else None,
            )
            for name, model in models.items()
            for key in (OURS if name == "LSTM" else name,)
        ]
    return results


def _calls(layer: Recurrent, shape: Shape, x: Array) -> tuple[Sequential, Call, Call]:
    """A model, its inference and its training."""
    model = Sequential([layer], shape.inputs, x.dtype.name, random_state=0)
    grads = np.zeros_like(model.params)
    dy = np.ones((shape.batch, shape.steps, model.output_size), x.dtype)
    rng = np.random.default_rng(0)

    def train() -> None:
        _, saved = model.forward(x, rng=rng)
        grads[:] = 0
        model.backward(saved, dy, grads)

    predictor = model.predictor()
    return model, lambda: predictor.predict(x), train


def _torch_calls(
    module: str, model: Sequential, shape: Shape, x: Array, threads: int
) -> tuple[Call, Call]:
    import torch

    from fusedlstm.convert.torch import to_torch_state_dict

    warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
    torch.set_num_threads(threads)
    layer = model.layers[0]
    projection = getattr(layer, "projection_size", 0)
    options = {"proj_size": projection} if projection else {}
    theirs = getattr(torch.nn, module)(
        shape.inputs,
        shape.hidden,
        batch_first=True,
        dtype=getattr(torch, x.dtype.name),
        **options,
    )
    theirs.load_state_dict({k[2:]: v for k, v in to_torch_state_dict(model).items()})
    given, wanted = torch.from_numpy(x), torch.from_numpy(x).requires_grad_()
    dy = torch.ones(shape.batch, shape.steps, model.output_size, dtype=given.dtype)

    def infer() -> object:
        with torch.inference_mode():
            return theirs(given)[0]

    def train() -> None:
        theirs.zero_grad(set_to_none=True)
        wanted.grad = None
        theirs(wanted)[0].backward(dy)

    return infer, train


def _flops(model: Sequential, shape: Shape) -> int:
    """Of a forward pass: the products of the recurrence, padding not counted."""
    weights = sum(v.size for v in model.named_params().values() if v.ndim == 2)
    return 2 * shape.batch * shape.steps * weights
