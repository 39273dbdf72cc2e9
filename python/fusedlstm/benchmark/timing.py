"""Interleaved rounds, and what they say: medians with their spread."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from fusedlstm._core import core

Call = Callable[[], object]
DType = Literal["float32", "float64"]

OURS = "fusedlstm"
CEILING_SECONDS = 0.002
# So long the threads of other libraries go on spinning after a call (onnxruntime's about 50 ms);
# and so long a library's own threads may take to be awake again.
REST_SECONDS, WAKING_SECONDS = 0.06, 0.01


class Spread(NamedTuple):
    """The median of the rounds, and their 10th and 90th percentile."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Summarize the rounds."""
        ordered = sorted(values)
        tenth = len(ordered) // 10
        return cls(statistics.median(ordered), ordered[tenth], ordered[-1 - tenth])


class Row(NamedTuple):
    """What one problem's rounds say."""

    name: str
    first: float
    """Seconds of our first call, which pays for memory."""
    seconds: Spread
    gflops: float
    share: Spread
    """Of the multiply-add loop of the same round."""
    ratios: dict[str, Spread]
    """How many times as long each other library takes."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers for a JSON file."""
        return {
            **self._asdict(),
            "seconds": self.seconds._asdict(),
            "share": self.share._asdict(),
            "ratios": {name: ratio._asdict() for name, ratio in self.ratios.items()},
        }


class Rounds:
    """Calls that are timed in turn, the first of each apart.

    Parameters
    ----------
    calls : mapping of name to function
        ``fusedlstm`` among them.
    flops : int
        Of one of our calls. With it the calls of a round are as many as take a millisecond or so;
        the number does not depend on the clock, so that runs can be compared.
    dtype, threads
        Of the multiply-add loop.
    """

    def __init__(self, calls: Mapping[str, Call], flops: int, dtype: DType, threads: int) -> None:
        self._calls, self._flops, self._dtype, self._threads = calls, flops, dtype, threads
        self._repeats = min(100, math.ceil(1e8 / flops))
        self.first = {name: _seconds(call) for name, call in calls.items()}
        for call in calls.values():
            call()
        self.times: dict[str, list[float]] = {name: [] for name in calls}
        self.ceilings: list[float] = []

    def warm(self, name: str) -> None:
        """Call without timing, once no other library's threads are in the way."""
        if self._threads > 1:
            time.sleep(REST_SECONDS)
        until = time.perf_counter() + (WAKING_SECONDS if self._threads > 1 else 0)
        self._calls[name]()
        while time.perf_counter() < until:
            self._calls[name]()

    def time(self, name: str) -> None:
        """Time a call that is warm."""
        self.times[name].append(_seconds(self._calls[name], self._repeats))

    def time_others(self) -> None:
        """Time all calls but ours, and the multiply-add loop; ours is warm then."""
        for name in self._calls:
            if name != OURS:
                self.warm(name)
                self.time(name)
        self.ceilings.append(core.multiply_add_peak(self._dtype, CEILING_SECONDS, self._threads))
        self.warm(OURS)

    def run(self, rounds: int) -> Rounds:
        """Time everything this many times."""
        for _ in range(rounds):
            self.time_others()
            self.time(OURS)
        return self

    def over(self, name: str, base: str = OURS) -> Spread:
        """Return how many times as long a call takes as another."""
        pairs = zip(self.times[name], self.times[base], strict=True)
        return Spread.of(a / b for a, b in pairs)

    def share(self, name: str, flops: int) -> Spread:
        """Return the share of the multiply-add loop that a call reaches."""
        pairs = zip(self.times[name], self.ceilings, strict=True)
        return Spread.of(flops / seconds / ceiling for seconds, ceiling in pairs)

    def row(self, name: str) -> Row:
        """Return what the rounds say of us."""
        seconds = Spread.of(self.times[OURS])
        return Row(
            name,
            self.first[OURS],
            seconds,
            self._flops / seconds.median / 1e9,
            self.share(OURS, self._flops),
            {other: self.over(other) for other in self._calls if other != OURS},
        )


def _seconds(call: Call, repeats: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
