"""Interleaved rounds, and the table at the end.

Clocks drift and neighbours make noise, so every round times each library once and then a burst of
the multiply-add loop, and only ratios of the same round are compared. pytest-benchmark records our
own times, for comparison with a saved run (``--benchmark-autosave``, ``--benchmark-compare``).
"""

from __future__ import annotations

import statistics
import time

import pytest

import fusedlstm
from fusedlstm._core import core
from peers import Call, Problem, installed
from shapes import GRIDS, Shape

TABLES = pytest.StashKey[dict[str, list[dict]]]()


def pytest_addoption(parser):
    group = parser.getgroup("fusedlstm benchmarks")
    group.addoption("--grid", choices=GRIDS, default="full", help="shapes to run")
    group.addoption("--rounds", type=int, default=20, help="interleaved rounds of each shape")
    group.addoption("--threads", type=int, default=1, help="threads of every library")
    group.addoption("--peers", default="torch,onnxruntime", help="of these, those installed")


def pytest_configure(config):
    config.stash[TABLES] = {}


def pytest_generate_tests(metafunc):
    if "shape" in metafunc.fixturenames:
        metafunc.parametrize("shape", GRIDS[metafunc.config.getoption("--grid")], ids=str)


@pytest.fixture
def problem(shape, request):
    threads = request.config.getoption("--threads")
    fusedlstm.set_num_threads(threads)
    peers = request.config.getoption("--peers").split(",")
    yield Problem(shape, threads, [name for name in peers if installed(name)])
    fusedlstm.set_num_threads(None)


@pytest.fixture
def compare(benchmark, request, shape):
    """Time calls side by side and add a row to a table."""

    def run(title: str, calls: dict[str, Call], flops: int) -> None:
        threads = request.config.getoption("--threads")
        rounds = request.config.getoption("--rounds")
        times: dict[str, list[float]] = {name: [] for name in calls}
        peaks: list[float] = []

        def timed(name: str) -> None:
            start = time.perf_counter()
            for _ in range(shape.calls):
                calls[name]()
            times[name].append((time.perf_counter() - start) / shape.calls)

        def others() -> None:
            for name in calls:
                if name != "fusedlstm":
                    timed(name)
            peaks.append(core.multiply_add_peak("float32", 0.002, threads))

        for call in calls.values():  # the first call of each pays for memory and planning
            call()
            call()
        benchmark.group = title
        benchmark.pedantic(lambda: timed("fusedlstm"), setup=others, rounds=rounds)
        row = row_of(shape, times, peaks, flops)
        benchmark.extra_info.update({k: v for k, v in row.items() if isinstance(v, float)})
        request.config.stash[TABLES].setdefault(title, []).append(row)

    return run


def row_of(shape: Shape, times: dict[str, list[float]], peaks: list[float], flops: int) -> dict:
    ours = times["fusedlstm"]
    row: dict = {"shape": shape, "ms": statistics.median(ours) * 1e3}
    row["gflops"] = flops / statistics.median(ours) / 1e9
    row["share"] = statistics.median(
        flops / seconds / peak for seconds, peak in zip(ours, peaks, strict=True)
    )
    for name, theirs in times.items():
        if name == "fusedlstm":
            continue
        ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
        row[name] = statistics.median(ratios)
        tenth = len(ratios) // 10
        row[name + " spread"] = (ratios[tenth], ratios[-1 - tenth])
    return row


def pytest_terminal_summary(terminalreporter, config):
    write = terminalreporter.write_line
    for title, rows in config.stash[TABLES].items():
        peers = [name for name in ("torch", "onnxruntime") if name in rows[0]]
        terminalreporter.section(f"{title}, {config.getoption('--threads')} thread(s)")
        write(f"Variant {core.variant}. x name: how many times the other library takes as long,")
        write("median of the rounds [10th to 90th percentile]. peak: the multiply-add loop.")
        write(
            f"{'B':>5}{'T':>6}{'I':>5}{'H':>5}{'ms':>10}{'GFLOP/s':>9}{'of peak':>9}"
            + "".join(f"{'x ' + name:>24}" for name in peers)
        )
        for row in rows:
            shape = row["shape"]
            line = f"{shape.batch:>5}{shape.steps:>6}{shape.inputs:>5}{shape.hidden:>5}"
            line += f"{row['ms']:>10.4f}{row['gflops']:>9.0f}{row['share']:>9.0%}"
            for name in peers:
                low, high = row[name + " spread"]
                line += f"{f'{row[name]:.2f} [{low:.2f} to {high:.2f}]':>24}"
            write(line)
        for name in peers:
            mean = statistics.geometric_mean(row[name] for row in rows)
            write(f"geometric mean over {name}: {mean:.2f}")
        if len(peers) > 1:
            mean = statistics.geometric_mean(min(row[name] for name in peers) for row in rows)
            write(f"geometric mean over the better of the two: {mean:.2f}")
