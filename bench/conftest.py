"""The benchmark problems as tests, with a table at the end.

pytest-benchmark records the times of fusedlstm, so that they can be compared with a saved run. Each
round also times the other libraries and the multiply-add loop, as ``python -m fusedlstm bench``
does.
"""

from __future__ import annotations

import pytest

import fusedlstm
from fusedlstm._core import core
from fusedlstm.benchmark import table
from fusedlstm.benchmark.peers import PEERS, installed
from fusedlstm.benchmark.problems import Problem
from fusedlstm.benchmark.shapes import GRIDS
from fusedlstm.benchmark.timing import OURS, Call, Rounds, Row, Work

TABLES = pytest.StashKey[dict[str, list[Row]]]()


def pytest_addoption(parser):
    group = parser.getgroup("fusedlstm benchmarks")
    group.addoption("--grid", choices=GRIDS, default="full", help="shapes to run")
    group.addoption("--rounds", type=int, default=20, help="interleaved rounds of each shape")
    group.addoption("--threads", type=int, default=1, help="threads of each library")
    group.addoption("--dtype", choices=("float32", "float64"), default="float32")
    group.addoption("--peers", default=",".join(PEERS), help="libraries to compare with")


def pytest_configure(config):
    config.stash[TABLES] = {}


def pytest_generate_tests(metafunc):
    if "shape" in metafunc.fixturenames:
        metafunc.parametrize("shape", GRIDS[metafunc.config.getoption("--grid")], ids=str)


@pytest.fixture
def problem(shape, request):
    option = request.config.getoption
    fusedlstm.set_num_threads(option("--threads"))
    peers = [name for name in option("--peers").split(",") if installed(name)]
    yield Problem(shape, option("--dtype"), option("--threads"), peers)
    fusedlstm.set_num_threads(None)


@pytest.fixture
def compare(benchmark, request):
    """Time calls side by side and add a row to a table."""

    def run(title: str, name: str, calls: dict[str, Call], work: Work) -> None:
        option = request.config.getoption
        rounds = Rounds(calls, work, option("--dtype"), option("--threads"))
        benchmark.group = title
        benchmark.pedantic(
            lambda: rounds.time(OURS), setup=rounds.time_others, rounds=option("--rounds")
        )
        row = rounds.row(name)
        benchmark.extra_info.update(row.as_dict())
        request.config.stash[TABLES].setdefault(title, []).append(row)

    return run


def pytest_terminal_summary(terminalreporter, config):
    write = terminalreporter.write_line
    for title, rows in config.stash[TABLES].items():
        peers = list(rows[0].ratios)
        threads, dtype = config.getoption("--threads"), config.getoption("--dtype")
        terminalreporter.section(f"{title}, {threads} thread(s), {dtype}, {core.variant}")
        for line in (
            *table.heading(peers).splitlines(),
            *(table.row_line(row, peers) for row in rows),
            *table.means(rows, peers),
        ):
            write(line)
