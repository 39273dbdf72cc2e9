"""Tables of figures, as aligned Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from fusedlstm.benchmark.timing import Row, Spread

NAME, SHORT, SPREAD, RATIO = 23, 10, 28, 26  # widths of columns

MAX_SHARE = 1.05
"""Largest share of the peak that can result from an error of measurement."""

LEGEND = f"""\
B x T x I - H: B sequences of T steps with I features, and H hidden units
first, ms: time of the first call, which also allocates memory
then, ms:  median time of later calls [10th to 90th percentile]
GFLOP/s:   10^9 floating-point operations per second of the matrix products, without padding
of peak:   GFLOP/s divided by the peak, which is the GFLOP/s of a loop of multiply-adds on
           registers, measured in the same round; "noisy" above {MAX_SHARE:.0%}, because other
           processes then slowed down the measurement of the peak
of ceiling: least time divided by the time. The least time is the time of the products at the
           speed of register tiles in the L1 cache plus the time of the equations in the L1 cache,
           both measured in the same round
x NAME:    time of library NAME divided by the time of fusedlstm; above 1 fusedlstm is faster"""
"""Explanation of the columns."""


def share(value: float) -> str:
    """Return a share of the peak as text, "noisy" above `MAX_SHARE`."""
    return "noisy" if value > MAX_SHARE else f"{value:.0%}"


def _line(name: str, rest: Iterable[tuple[str, int]]) -> str:
    cells = (f"{name:<{NAME}}", *(f"{text:>{width}}" for text, width in rest))
    return f"| {' | '.join(cells)} |"


def _spread(value: Spread | None, form: str) -> str:
    if value is None:
        return "-"
    median, low, high = (format(number, form) for number in value)
    return f"{median} [{low} to {high}]"


def row_line(row: Row, peers: Sequence[str]) -> str:
    """Return the row of a problem."""
    milliseconds = Spread(*(1e3 * seconds for seconds in row.seconds))
    return _line(
        row.name,
        [
            (f"{1e3 * row.first:.3f}", SHORT),
            (_spread(milliseconds, ".4g"), SPREAD),
            (f"{row.gflops:.1f}", SHORT),
            (share(row.share.median), SHORT),
            (share(row.ceiling.median), SHORT),
            *((_spread(row.ratios.get(peer), ".2f"), RATIO) for peer in peers),
        ],
    )


def heading(peers: Sequence[str]) -> str:
    """Return the names of the columns and the line below the names."""
    columns = [("first, ms", SHORT), ("then, ms", SPREAD), ("GFLOP/s", SHORT), ("of peak", SHORT)]
    columns += [("of ceiling", SHORT), *((f"x {peer}", RATIO) for peer in peers)]
    rules = (f"{'-' * (width + 1)}:" for _, width in columns)
    return f"{_line('B x T x I - H', columns)}\n|:{'-' * (NAME + 1)}|{'|'.join(rules)}|"


def means(rows: Sequence[Row], peers: Sequence[str]) -> list[str]:
    """Return one line per peer with the geometric mean of its column."""
    lines = []
    for peer in peers:
        ratios = [row.ratios[peer].median for row in rows if peer in row.ratios]
        if ratios:
            lines.append(f"geometric mean of x {peer}: {statistics.geometric_mean(ratios):.2f}")
    if len(lines) > 1:
        best = (min(ratio.median for ratio in row.ratios.values()) for row in rows)
        lines.append(f"geometric mean of x the fastest peer: {statistics.geometric_mean(best):.2f}")
    return lines
