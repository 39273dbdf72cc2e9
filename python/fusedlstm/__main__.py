"""``python -m fusedlstm bench`` and ``python -m fusedlstm show``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fusedlstm._core.config import show_config
from fusedlstm._core.version import __version__
from fusedlstm.benchmark import cells
from fusedlstm.benchmark.peers import PEERS, installed
from fusedlstm.benchmark.run import Options, run
from fusedlstm.benchmark.shapes import GRIDS


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


_positive.__name__ = "positive integer"  # argparse names the type in its errors


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m fusedlstm", description="Fused LSTM networks.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="print what runs, and why")
    bench = commands.add_parser(
        "bench",
        help="measure this machine",
        description="Time one layer beside its peers, in interleaved rounds; medians, and the "
        "10th and 90th percentile.",
    )
    bench.add_argument("--grid", choices=GRIDS, default="full", help="shapes (default: full)")
    bench.add_argument(
        "--cells",
        nargs="?",
        const=",".join(cells.layers(1)),
        default="",
        metavar="NAMES",
        help="every cell beside the plain LSTM, or those named, with commas between",
    )
    bench.add_argument("--threads", type=_positive, default=1, help="of every library (default: 1)")
    bench.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    bench.add_argument(
        "--peers",
        default=None,
        metavar="NAMES",
        help=f"of {','.join(PEERS)}; default: those that are installed",
    )
    bench.add_argument("--rounds", type=_positive, default=20, help="of each shape (default: 20)")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE too")
    return parser


def _names(
    parser: argparse.ArgumentParser, option: str, text: str, known: Sequence[str]
) -> list[str]:
    names = [name for part in text.split(",") if (name := part.strip())]
    for name in names:
        if name not in known:
            parser.error(f"{option} must be some of {', '.join(known)}; got {name!r}")
    return names


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says."""
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
                parser.error(f"--peers must be installed; got {name!r}, which is not")
    if given.dtype == "float64" and "onnxruntime" in peers:
        print("onnxruntime has no LSTM in float64: left out", file=sys.stderr)
        peers.remove("onnxruntime")
    chosen = _names(parser, "--cells", given.cells, list(cells.layers(1)))
    if given.json is not None and not given.json.absolute().parent.is_dir():
        parser.error(f"--json must be a file in a folder that exists; got '{given.json}'")
    run(Options(given.grid, chosen, given.threads, given.dtype, peers, given.rounds), given.json)


if __name__ == "__main__":
    main()
