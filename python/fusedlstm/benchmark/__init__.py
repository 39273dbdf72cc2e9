"""Benchmark of this package, PyTorch and onnxruntime on this machine.

``python -m fusedlstm bench`` runs the benchmark. A problem is the computation of one layer. Clock
speeds and the load of other processes change over time. Therefore each round times every library
and measures the peak, which is the speed of a loop of multiply-adds on registers. Only times of the
same round are compared.
"""

from fusedlstm.benchmark.peers import PEERS, installed
from fusedlstm.benchmark.problems import Problem
from fusedlstm.benchmark.shapes import GRIDS, Shape
from fusedlstm.benchmark.timing import OURS, Call, Rounds, Row, Spread

__all__ = [
    "GRIDS",
    "OURS",
    "PEERS",
    "Call",
    "Problem",
    "Rounds",
    "Row",
    "Shape",
    "Spread",
    "installed",
]


def __dir__() -> list[str]:
    return sorted(__all__)
