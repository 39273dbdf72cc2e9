"""Every cell on the grid, beside the plain LSTM of the same size and PyTorch where it has the cell.

    python bench/cells.py [--grid small|full] [--rounds N] [--threads N]

All are timed in turn in every round; figures are medians of the ratios within a round.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import numpy as np

import fusedlstm
from fusedlstm import Sequential, to_torch_state_dict
from fusedlstm._core import core
from fusedlstm.layers import (
    CIFGLSTM,
    GRU,
    LSTM,
    RNN,
    LayerNormLSTM,
    PeepholeLSTM,
    Recurrent,
)
from peers import Call, installed
from shapes import GRIDS, Shape


def layers(h: int) -> dict[str, Recurrent]:
    return {
        "LSTM": LSTM(h),
        "GRU": GRU(h),
        "RNN tanh": RNN(h),
        "RNN relu": RNN(h, activation="relu"),
        "peepholes": PeepholeLSTM(h),
        "CIFG": CIFGLSTM(h),
        "CIFG, peepholes": CIFGLSTM(h, peepholes=True),
        "no input gate": LSTM(h, input_gate=False),
        "no forget gate": LSTM(h, forget_gate=False),
        "no output gate": LSTM(h, output_gate=False),
        "linear candidate": LSTM(h, activation="linear", output_activation="tanh"),
        "linear output": LSTM(h, output_activation="linear"),
        "recurrent dropout": LSTM(h, recurrent_dropout=0.25),
        "candidate dropout": LSTM(h, candidate_dropout=0.25),
        "zoneout": LSTM(h, zoneout=0.1, zoneout_cell=0.1),
        "DropConnect": LSTM(h, weight_dropout=0.5),
        "GRU, reset before": GRU(h, reset_after=False),
        "relu": LSTM(h, activation="relu"),
        "cell clip": LSTM(h, cell_clip=3.0),
        "layer norm": LayerNormLSTM(h),
        "projection to H / 2": LSTM(h, projection_size=max(1, h // 2)),
        "full gate recurrence": LSTM(h, full_gate_recurrence=True),
    }


TORCH = {"LSTM": "LSTM", "GRU": "GRU", "RNN tanh": "RNN", "projection to H / 2": "LSTM"}


def calls_of(layer: Recurrent, shape: Shape, x: np.ndarray) -> tuple[Sequential, Call, Call]:
    """A model, its inference and its training."""
    model = Sequential([layer], shape.inputs, random_state=0)
    grads = np.zeros_like(model.params)
    dy = np.ones((shape.batch, shape.steps, model.output_size), np.float32)
    rng = np.random.default_rng(0)

    def train() -> None:
        _, saved = model.forward(x, rng=rng)
        grads[:] = 0
        model.backward(saved, dy, grads)

    return model, lambda: model.predict(x), train


def torch_calls(
    module: str, model: Sequential, shape: Shape, x: np.ndarray, threads: int
) -> tuple[Call, Call]:
    import torch

    warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
    torch.set_num_threads(threads)
    layer = model.layers[0]
    options = {"proj_size": layer.projection_size} if getattr(layer, "projection_size", 0) else {}
    theirs = getattr(torch.nn, module)(shape.inputs, shape.hidden, batch_first=True, **options)
    theirs.load_state_dict({k[2:]: v for k, v in to_torch_state_dict(model).items()})
    given, wanted = torch.from_numpy(x), torch.from_numpy(x).requires_grad_()
    dy = torch.ones(shape.batch, shape.steps, model.output_size)

    def infer() -> object:
        with torch.inference_mode():
            return theirs(given)[0]

    def train() -> None:
        theirs.zero_grad(set_to_none=True)
        wanted.grad = None
        theirs(wanted)[0].backward(dy)

    return infer, train


def flops(model: Sequential, shape: Shape) -> int:
    """Of a forward pass: the products of the recurrence, padding not counted."""
    weights = sum(v.size for k, v in model.named_params().items() if v.ndim == 2)
    return 2 * shape.batch * shape.steps * weights


def measure(calls: dict[str, Call], rounds: int, repeats: int, threads: int):
    """Times of each call and the ceiling, by round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    peaks = []
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            times[name].append((time.perf_counter() - start) / repeats)
        peaks.append(core.multiply_add_peak("float32", 0.002, threads))
    return times, peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", choices=GRIDS, default="full")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    fusedlstm.set_num_threads(options.threads)

    # By pass and cell: (time over the LSTM's, share of the ceiling, PyTorch's time over ours)
    table: dict[tuple[str, str], list[tuple[float, float, float | None]]] = {}
    for shape in GRIDS[options.grid]:
        size = (shape.batch, shape.steps, shape.inputs)
        x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
        models, infer, train = {}, {}, {}
        for name, layer in layers(shape.hidden).items():
            models[name], infer[name], train[name] = calls_of(layer, shape, x)
            if name in TORCH and installed("torch"):
                theirs = torch_calls(TORCH[name], models[name], shape, x, options.threads)
                infer["torch " + name], train["torch " + name] = theirs
        for what, calls, work in (("inference", infer, 1), ("training", train, 3)):
            times, peaks = measure(calls, options.rounds, shape.calls, options.threads)
            for name, model in models.items():
                ours = times[name]

                def over(others, ours=ours):
                    pairs = zip(others, ours, strict=True)
                    return statistics.median(other / own for other, own in pairs)

                shares = (
                    work * flops(model, shape) / seconds / peak
                    for seconds, peak in zip(ours, peaks, strict=True)
                )
                torch = times.get("torch " + name)
                row = (1 / over(times["LSTM"]), statistics.median(shares), torch and over(torch))
                table.setdefault((what, name), []).append(row)

    print(f"variant {core.variant}, {options.threads} thread(s), {options.rounds} rounds")
    print("Each entry: time over the plain LSTM's, share of the multiply-add loop, and where")
    print("PyTorch has the cell, how many times as long it takes.")
    for what in ("inference", "training"):
        print(f"\n{what}\n{'':<22}" + "".join(f"{shape!s:>20}" for shape in GRIDS[options.grid]))
        for name in layers(1):
            line = f"{name:<22}"
            for ratio, share, torch in table[what, name]:
                entry = f"{ratio:.2f} {share:4.0%}" + (f" x{torch:.1f}" if torch else "")
                line += f"{entry:>20}"
            print(line)


if __name__ == "__main__":
    main()
