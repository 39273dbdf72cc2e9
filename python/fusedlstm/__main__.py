"""The commands ``python -m fusedlstm bench`` and ``python -m fusedlstm show``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fusedlstm._core.config import show_config
from fusedlstm._core.version import __version__
from fusedlstm.benchmark import GRIDS, PEERS, cells, installed
from fusedlstm.benchmark.peers import ONNX_PEERS
from fusedlstm.benchmark.run import Options, run


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


_positive.__name__ = "positive integer"  # argparse shows this name in its errors


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m fusedlstm", description="Commands of fusedlstm, a library of LSTM networks."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="print the version, the variant and the number of threads")
    bench = commands.add_parser(
        "bench",
        help="compare the speed with PyTorch, onnxruntime and OpenVINO",
        description="Time one layer with fusedlstm and with other libraries, in interleaved "
        "rounds. The output contains medians and the 10th and 90th percentiles.",
    )
    bench.add_argument(
        "--grid", choices=GRIDS, default="full", help="shapes to measure (default: full)"
    )
    bench.add_argument(
        "--cells",
        nargs="?",
        const=",".join(cells.layers(1)),
        default="",
        metavar="NAMES",
        help="compare cells with the plain LSTM: a comma-separated list, or no value for all cells",
    )
    bench.add_argument(
        "--table",
        choices=("lengths", "threads", "calls"),
        help="other figures of fusedlstm alone: unequal lengths, the speedup by threads, or calls "
        "with one short sequence",
    )
    bench.add_argument(
        "--threads",
        type=_positive,
        default=1,
        help="number of threads of each library (default: 1)",
    )
    bench.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float32",
        help="data type of weights and inputs (default: float32)",
    )
    bench.add_argument(
        "--peers",
        default=None,
        metavar="NAMES",
        help=f"libraries to compare with, a comma-separated list of {', '.join(PEERS)} "
        "(default: all that are installed)",
    )
    bench.add_argument(
        "--rounds", type=_positive, default=20, help="number of rounds per shape (default: 20)"
    )
    bench.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to a JSON file"
    )
    return parser


def _names(
    parser: argparse.ArgumentParser, option: str, text: str, known: Sequence[str]
) -> list[str]:
    names = [name for part in text.split(",") if (name := part.strip())]
    for name in names:
        if name not in known:
            parser.error(f"{option} must be names from {', '.join(known)}; got {name!r}")
    return names


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command of the command line. With None, the arguments are ``sys.argv[1:]``."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "show":
        show_config()
        return
    if given.peers is None:
        peers = [name for name in PEERS if installed(name)]
    else:
        peers = _names(parser, "--peers", given.peers, PEERS)
        for name in peers:
            if not installed(name):
                parser.error(f"--peers must be installed libraries; got {name!r}")
    if given.dtype == "float64":
        for name in set(peers).intersection(ONNX_PEERS):
            print(f"{name} is skipped: it has no LSTM in float64", file=sys.stderr)
            peers.remove(name)
    chosen = _names(parser, "--cells", given.cells, list(cells.layers(1)))
    if given.json is not None and not given.json.absolute().parent.is_dir():
        parser.error(f"--json must be a file in an existing folder; got '{given.json}'")
    if given.table == "threads" and given.threads == 1:
        given.threads = 2
    run(
        Options(given.grid, chosen, given.threads, given.dtype, peers, given.rounds, given.table),
        given.json,
    )


if __name__ == "__main__":
    main()
