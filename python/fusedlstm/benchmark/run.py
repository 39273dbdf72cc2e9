"""What ``python -m fusedlstm bench`` measures and prints."""

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
from fusedlstm.benchmark import cells, table
from fusedlstm.benchmark.peers import Problem
from fusedlstm.benchmark.shapes import GRIDS, SMALL
from fusedlstm.benchmark.timing import DType, Rounds, Row


class Options(NamedTuple):
    """What to measure."""

    grid: str = "full"
    cells: Collection[str] = ()
    """Names of `cells.layers`; none: the LSTM alone, beside all peers."""
    threads: int = 1
    dtype: DType = "float32"
    peers: Sequence[str] = ()
    """Those that are installed."""
    rounds: int = 20


def run(options: Options, file: Path | None = None) -> None:
    """Measure, print, and write a JSON file if one is named."""
    set_num_threads(options.threads)
    about = _about(options)
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    results = _cells(options) if options.cells else _lstm(options)
    if file is not None:
        file.write_text(json.dumps({**about, **results}, indent=1) + "\n")


def _about(options: Options) -> dict[str, Any]:
    ceilings = [core.multiply_add_peak(options.dtype, 0.02, options.threads) for _ in range(15)]
    return {
        "machine": f"{_processor()}, {platform.system()} {platform.machine()}",
        "date": datetime.date.today().isoformat(),
        "versions": ", ".join(
            f"{name} {importlib.import_module(name).__version__}"
            for name in ("fusedlstm", "numpy", *options.peers)
        ),
        "variant": f"{core.variant}, {core.compiler}",
        "threads": options.threads,
        "dtype": options.dtype,
        "rounds": options.rounds,
        "multiply-add loop, GFLOP/s": round(statistics.median(ceilings) / 1e9, 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")


def problems(options: Options) -> Iterator[Problem]:
    """Yield the grid, then one of its shapes ragged and subnormal."""
    arguments: tuple[DType, int, Sequence[str]] = (options.dtype, options.threads, options.peers)
    for shape in GRIDS[options.grid]:
        yield Problem(shape, *arguments)
    yield Problem(SMALL[-1], *arguments, ragged=True)
    yield Problem(SMALL[-1], *arguments, subnormal=True)


def _lstm(options: Options) -> dict[str, Any]:
    results = {}
    for title, peers in (
        ("inference", options.peers),
        ("training", [name for name in options.peers if name == "torch"]),
    ):
        print(f"\n{title}: {_EXPLAINED[title]}\n\n{table.heading(peers)}", flush=True)
        rows: list[Row] = []
        for problem in problems(options):
            flops = problem.flops * (1 if title == "inference" else 3)
            rounds = Rounds(getattr(problem, title)(), flops, options.dtype, options.threads)
            rows.append(rounds.run(options.rounds).row(problem.name))
            print(table.row_line(rows[-1], peers), flush=True)
        if any(row.share.median > table.MAX_SHARE for row in rows):
            print("\nnoisy: above the peak measured beside it, since the machine was busy")
        of_grid = rows[: len(GRIDS[options.grid])]
        print("", *table.means(of_grid, peers), sep="\n")
        results[title] = [row.as_dict() for row in rows]
    return results


_EXPLAINED = {
    "inference": "the outputs of all steps of one LSTM layer",
    "training": "forward and backward, with the gradients of weights and input",
}


def _cells(options: Options) -> dict[str, Any]:
    shapes = GRIDS[options.grid]
    measured = {
        str(shape): cells.measure(
            options.cells, shape, options.dtype, options.threads, options.rounds, options.peers
        )
        for shape in shapes
    }
    print("\nEach entry: time over the plain LSTM's, share of the multiply-add loop, and where")
    print("PyTorch has the cell, how many times as long it takes.")
    for what in _EXPLAINED:
        print(f"\n{what}\n{'':<22}" + "".join(f"{shape!s:>20}" for shape in shapes))
        columns = (measured[str(shape)][what] for shape in shapes)
        for entries in zip(*columns, strict=True):
            print(f"{entries[0].cell:<22}" + "".join(f"{entry!s:>20}" for entry in entries))
    return {
        shape: {what: [entry.as_dict() for entry in entries] for what, entries in result.items()}
        for shape, result in measured.items()
    }
