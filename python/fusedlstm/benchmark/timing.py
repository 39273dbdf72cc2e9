"""Interleaved rounds of timed calls, and their medians and percentiles."""

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
"""Name of the calls of this package."""

PEAK_SECONDS = 0.002
"""Duration of one measurement of the peak. The parts of the ceiling take a quarter each."""

REST_SECONDS = 0.06
"""Time after which the threads of other libraries no longer spin (onnxruntime: about 50 ms)."""

WAKING_SECONDS = 0.01
"""Time after which the sleeping threads of a library run at full speed."""


class Spread(NamedTuple):
    """The median of the rounds, and their 10th and 90th percentile."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the median and percentiles of values."""
        ordered = sorted(values)
        tenth = len(ordered) // 10
        return cls(statistics.median(ordered), ordered[tenth], ordered[-1 - tenth])


class Work(NamedTuple):
    """Work of one call.

    Attributes
    ----------
    flops : float
        Floating-point operations of the matrix products, without padding.
    forward, saving, backward : float
        Hidden units, summed over the steps of all sequences, in the equations of the LSTM: forward,
        forward with saved activations, and backward.
    """

    flops: float
    forward: float = 0
    saving: float = 0
    backward: float = 0

    def leastseconds_of(self, rates: tuple[float, ...]) -> float:
        """Return the seconds of this work at the rates of `core.tile_rates`."""
        return sum(amount / rate for amount, rate in zip(self, rates, strict=True))


class Row(NamedTuple):
    """Figures of one problem.

    Attributes
    ----------
    name : str
        Name of the problem.
    first : float
        Seconds of the first call, which also allocates memory.
    seconds : Spread
        Seconds per later call.
    gflops : float
        10^9 floating-point operations per second, at the median time.
    share : Spread
        Floating-point operations per second divided by the peak of the same round.
    ceiling : Spread
        Least time of the products and equations in the L1 cache, measured in the same round,
        divided by the time.
    ratios : dict of str to Spread
        Time of each other library divided by the time of this package.
    """

    name: str
    first: float
    seconds: Spread
    gflops: float
    share: Spread
    ceiling: Spread
    ratios: dict[str, Spread]

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers for a JSON file."""
        return {
            **self._asdict(),
            "seconds": self.seconds._asdict(),
            "share": self.share._asdict(),
            "ceiling": self.ceiling._asdict(),
            "ratios": {name: ratio._asdict() for name, ratio in self.ratios.items()},
        }


class Rounds:
    """Rounds that time several calls in turn.

    The first call of each function is timed separately, when the object is created.

    Parameters
    ----------
    calls : mapping of str to function
        The calls by name. ``fusedlstm`` must be one of the names.
    work : Work
        Work of one call of ``fusedlstm``. It determines the number of calls per round, which take
        about a millisecond. The number of calls does not depend on measured times, so that runs can
        be compared.
    dtype : {"float32", "float64"}
        The dtype of the multiply-add loop.
    threads : int
        Number of threads of the multiply-add loop.
    """

    def __init__(self, calls: Mapping[str, Call], work: Work, dtype: DType, threads: int) -> None:
        self._calls, self._work, self._dtype, self._threads = calls, work, dtype, threads
        self._repeats = min(100, math.ceil(1e8 / work.flops))
        self.first = {name: seconds_of(call) for name, call in calls.items()}
        for call in calls.values():
            call()
        self.times: dict[str, list[float]] = {name: [] for name in calls}
        self.peaks: list[float] = []
        self.tile_rates: list[tuple[float, ...]] = []

    def warm(self, name: str) -> None:
        """Call a function without timing, when the threads of other libraries no longer spin."""
        if self._threads > 1:
            time.sleep(REST_SECONDS)
        until = time.perf_counter() + (WAKING_SECONDS if self._threads > 1 else 0)
        self._calls[name]()
        while time.perf_counter() < until:
            self._calls[name]()

    def time(self, name: str) -> None:
        """Time the calls of one function in a round. Call `warm` first."""
        self.times[name].append(seconds_of(self._calls[name], self._repeats))

    def time_others(self) -> None:
        """Time the other functions, measure peak and ceiling, and warm up ``fusedlstm``."""
        for name in self._calls:
            if name != OURS:
                self.warm(name)
                self.time(name)
        self.peaks.append(core.multiply_add_peak(self._dtype, PEAK_SECONDS, self._threads))
        self.tile_rates.append(core.tile_rates(self._dtype, PEAK_SECONDS / 4, self._threads))
        self.warm(OURS)

    def run(self, rounds: int) -> Rounds:
        """Run a number of rounds."""
        for _ in range(rounds):
            self.time_others()
            self.time(OURS)
        return self

    def ratio(self, name: str, base: str = OURS) -> Spread:
        """Return the time of a call divided by the time of ``base`` in the same round."""
        pairs = zip(self.times[name], self.times[base], strict=True)
        return Spread.of(a / b for a, b in pairs)

    def share(self, name: str, flops: float) -> Spread:
        """Return the operations per second of a call divided by the peak of the same round."""
        pairs = zip(self.times[name], self.peaks, strict=True)
        return Spread.of(flops / seconds / peak for seconds, peak in pairs)

    def ceiling(self) -> Spread:
        """Return the least time of the work in the L1 cache divided by the time of a call."""
        pairs = zip(self.times[OURS], self.tile_rates, strict=True)
        return Spread.of(self._work.leastseconds_of(rates) / seconds for seconds, rates in pairs)

    def row(self, name: str) -> Row:
        """Return the figures of ``fusedlstm``."""
        seconds = Spread.of(self.times[OURS])
        return Row(
            name,
            self.first[OURS],
            seconds,
            self._work.flops / seconds.median / 1e9,
            self.share(OURS, self._work.flops),
            self.ceiling(),
            {other: self.ratio(other) for other in self._calls if other != OURS},
        )


def seconds_of(call: Call, repeats: int = 1) -> float:
    """Return the seconds per call."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
