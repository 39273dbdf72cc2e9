"""Benchmark of every cell against the plain LSTM and, if PyTorch has the cell, against PyTorch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from inspect import isabstract
from typing import Any, NamedTuple

import numpy as np

from fusedlstm import layers as all_layers
from fusedlstm.benchmark.peers import torch_inference, torch_training
from fusedlstm.benchmark.problems import inference, training
from fusedlstm.benchmark.shapes import Shape
from fusedlstm.benchmark.table import share
from fusedlstm.benchmark.timing import OURS, Call, DType, Rounds, Spread, Work
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
    """Return a layer with ``h`` hidden units for each cell, by the name of the cell.

    Cells without a name below have the name of their layer.
    """
    named: dict[str, Recurrent] = {
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
    classes = {name: getattr(all_layers, name) for name in all_layers.__all__}
    used = {type(layer) for layer in named.values()}
    others = {
        name: kind(h)
        for name, kind in classes.items()
        if isinstance(kind, type)
        and issubclass(kind, Recurrent)
        and not isabstract(kind)
        and kind not in used
    }
    return named | others


IN_TORCH = ("LSTM", "GRU", "RNN tanh", "projection to H / 2")
"""Cells that PyTorch has."""


class Entry(NamedTuple):
    """Figures of one cell.

    Attributes
    ----------
    cell : str
        Name of the cell.
    over_lstm : Spread
        Time divided by the time of the plain LSTM.
    per_flop : Spread
        Time per floating-point operation divided by that of the plain LSTM.
    share : Spread
        Floating-point operations per second divided by the peak of the same round.
    torch : Spread or None
        Time of PyTorch divided by the time of this package. None if PyTorch was not timed.
    """

    cell: str
    over_lstm: Spread
    per_flop: Spread
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
        """Return the medians as text."""
        text = f"{self.over_lstm.median:.2f} {self.per_flop.median:.2f}"
        text += f" {share(self.share.median):>4}"
        return text + (f" x{self.torch.median:.1f}" if self.torch else "")


def measure(
    names: Collection[str],
    shape: Shape,
    dtype: DType,
    threads: int,
    rounds: int,
    peers: Sequence[str],
) -> dict[str, list[Entry]]:
    """Return the figures of inference and training of the cells for one shape."""
    size = (shape.batch, shape.steps, shape.inputs)
    x = np.random.default_rng(0).standard_normal(size).astype(dtype)
    inference_calls: dict[str, Call] = {}
    training_calls: dict[str, Call] = {}
    models = {}
    for name, layer in layers(shape.hidden).items():
        if name not in names and name != "LSTM":
            continue
        key = OURS if name == "LSTM" else name  # the plain LSTM is the reference
        model = models[name] = Sequential([layer], shape.inputs, dtype, random_state=0)
        dy = np.ones((shape.batch, shape.steps, model.output_size), dtype)
        inference_calls[key] = inference(model, x)
        training_calls[key] = training(model, x, dy, rng=np.random.default_rng(0))
        if name in IN_TORCH and "torch" in peers:
            inference_calls["torch " + name] = torch_inference(model, x, None, threads)
            training_calls["torch " + name] = torch_training(model, x, dy, None, threads)
    results = {}
    for title, calls, passes in (
        ("inference", inference_calls, 1),
        ("training", training_calls, 3),
    ):
        timed = Rounds(calls, Work(passes * shape.flops), dtype, threads).run(rounds)
        results[title] = [
            Entry(
                name,
                timed.ratio(key),
                Spread(*(value * shape.flops / _flops(model, shape) for value in timed.ratio(key))),
                timed.share(key, passes * _flops(model, shape)),
                timed.ratio("torch " + name, key) if "torch " + name in calls else None,
            )
            for name, model in models.items()
            for key in (OURS if name == "LSTM" else name,)
        ]
    return results


def _flops(model: Sequential, shape: Shape) -> int:
    """Return the number of floating-point operations of the matrix products in a forward pass."""
    weights = sum(v.size for v in model.named_params().values() if v.ndim == 2)
    return 2 * shape.batch * shape.steps * weights
