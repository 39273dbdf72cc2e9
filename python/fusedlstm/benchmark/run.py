"""The benchmark that ``python -m fusedlstm bench`` runs and prints."""

from __future__ import annotations

import datetime
import importlib
import json
import platform
import statistics
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fusedlstm._core import core
from fusedlstm._core.threads import set_num_threads
from fusedlstm.benchmark import cells, ratios, table
from fusedlstm.benchmark.problems import Problem
from fusedlstm.benchmark.shapes import GRIDS, SMALL
from fusedlstm.benchmark.timing import DType, Rounds, Row

FULL_WIDTH = 6
"""Multiply-adds in the latency of one, above which the units are as wide as a register."""


class Options(NamedTuple):
    """Options of the benchmark.

    Attributes
    ----------
    grid : str
        Key of `GRIDS`: the shapes.
    cells : collection of str
        Names from `cells.layers`. If empty, the benchmark compares the LSTM with the peers.
    threads : int
        Number of threads of each library.
    dtype : {"float32", "float64"}
        The dtype of weights and inputs.
    peers : sequence of str
        Libraries to compare with. They must be installed.
    rounds : int
        Number of rounds per shape.
    table : {"lengths", "threads", "calls"} or None
        One of the tables of `ratios` instead of the comparison with the peers.
    """

    grid: str = "full"
    cells: Collection[str] = ()
    threads: int = 1
    dtype: DType = "float32"
    peers: Sequence[str] = ()
    rounds: int = 20
    table: str | None = None


def run(options: Options, file: Path | None = None) -> None:
    """Run the benchmark and print the figures. If ``file`` is given, also write them as JSON."""
    set_num_threads(options.threads)
    about = _about(options)
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    results = _results(options)
    if file is not None:
        file.write_text(json.dumps({**about, **results}, indent=1) + "\n")


def _results(options: Options) -> dict[str, Any]:
    shapes = GRIDS[options.grid]
    if options.table == "lengths":
        return ratios.lengths(shapes, options.dtype, options.threads, options.rounds)
    if options.table == "threads":
        return ratios.threads(shapes, options.dtype, options.threads, options.rounds)
    if options.table == "calls":
        return ratios.small_calls(options.dtype, options.rounds)
    return _cells(options) if options.cells else _lstm(options)


def _about(options: Options) -> dict[str, Any]:
    peaks = [core.multiply_add_peak(options.dtype, 0.02, options.threads) for _ in range(15)]
    overlap = core.multiply_add_overlap(0.01)
    register = {"x86_64_v4": 512, "x86_64_v3": 256}.get(core.variant, 128)
    return {
        "machine": f"{_processor()}, {platform.system()} {platform.machine()}",
        "date": datetime.date.today().isoformat(),
        "versions": ", ".join(
            f"{name} {importlib.import_module(name).__version__.partition('-')[0]}"
            for name in ("fusedlstm", "numpy", *options.peers)
        ),
        "variant": f"{core.variant}, {core.compiler}",
        "threads": options.threads,
        "dtype": options.dtype,
        "rounds": options.rounds,
        "multiply-add units, bits": register if overlap > FULL_WIDTH else register // 2,
        "multiply-add loop, GFLOP/s": round(statistics.median(peaks) / 1e9, 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")


def problems(options: Options) -> Iterator[Problem]:
    """Yield the problems of the grid, then one with padding and one with subnormal numbers."""
    arguments: tuple[DType, int, Sequence[str]] = (options.dtype, options.threads, options.peers)
    for shape in GRIDS[options.grid]:
        yield Problem(shape, *arguments)
    yield Problem(SMALL[-1], *arguments, ragged=True)
    yield Problem(SMALL[-1], *arguments, subnormal=True)


def _lstm(options: Options) -> dict[str, Any]:
    print(f"\n{table.LEGEND}")
    results = {}
    for title, peers in (
        ("inference", options.peers),
        ("training", [name for name in options.peers if name == "torch"]),
    ):
        print(f"\n{title}: {_EXPLAINED[title]}\n\n{table.heading(peers)}", flush=True)
        rows: list[Row] = []
        for problem in problems(options):
            calls, work = getattr(problem, title)(), problem.work(title)
            rounds = Rounds(calls, work, options.dtype, options.threads)
            rows.append(rounds.run(options.rounds).row(problem.name))
            print(table.row_line(rows[-1], peers), flush=True)
        grid_rows = rows[: len(GRIDS[options.grid])]
        print("", *table.means(grid_rows, peers), sep="\n")
        results[title] = [row.as_dict() for row in rows]
    return results


_EXPLAINED = {
    "inference": "the outputs of all steps of one LSTM layer",
    "training": "forward and backward pass, with the gradients of weights and input",
}


def _cells(options: Options) -> dict[str, Any]:
    shapes = GRIDS[options.grid]
    measured = {
        str(shape): cells.measure(
            options.cells, shape, options.dtype, options.threads, options.rounds, options.peers
        )
        for shape in shapes
    }
    print(f"\n{_CELLS_LEGEND}")
    for title in _EXPLAINED:
        print(f"\n{title}\n{'':<22}" + "".join(f"{shape!s:>22}" for shape in shapes))
        columns = (measured[str(shape)][title] for shape in shapes)
        for entries in zip(*columns, strict=True):
            print(f"{entries[0].cell:<22}" + "".join(f"{entry!s:>22}" for entry in entries))
    return {
        shape: {title: [entry.as_dict() for entry in entries] for title, entries in result.items()}
        for shape, result in measured.items()
    }


_CELLS_LEGEND = """\
Each entry has these figures:
1. the time divided by the time of the plain LSTM
2. the time per floating-point operation of the matrix products, divided by that of the plain LSTM
3. the floating-point operations per second, in percent of a loop of multiply-adds on registers that
   is measured in the same round; "noisy" if other processes slowed down this loop
4. after x, for cells that PyTorch has, the time of PyTorch divided by the time of fusedlstm"""
