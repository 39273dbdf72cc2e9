"""Errors for wrong arguments of make_windows."""

from __future__ import annotations

import numpy as np

from bad_calls import check, rows
from fusedlstm import (
    make_windows,
)

SERIES = "series must be numbers of shape (n_timesteps,) or (n_timesteps, n_features); got"

BAD_WINDOWS = {
    "a short series": (
        lambda fitted: make_windows([1, 2, 3], 3),
        "series must have at least width + horizon = 4 steps; got 3",
    ),
    "no series": (lambda fitted: make_windows(None, 3), f"{SERIES} None"),
    "a string for series": (lambda fitted: make_windows(["a", "b"], 1), f"{SERIES} ['a', 'b']"),
    "a 3D series": (lambda fitted: make_windows(np.ones((2, 2, 2)), 1), SERIES),
    "a complex series": (lambda fitted: make_windows([1j, 2, 3], 1), SERIES),
    "an uneven series": (lambda fitted: make_windows([[1, 2], [3]], 1), f"{SERIES} [[1, 2], [3]]"),
    "no width": (
        lambda fitted: make_windows([1, 2, 3], 0),
        "width must be a positive integer; got 0",
    ),
    "a string for width": (
        lambda fitted: make_windows([1, 2], "1"),
        "width must be a positive integer; g",
    ),
    "a huge width": (
        lambda fitted: make_windows([1, 2, 3], 10**30),
        "width must be at most 2147483647",
    ),
    "no horizon": (
        lambda fitted: make_windows([1, 2, 3], 1, 0),
        "horizon must be a positive integer; ",
    ),
    "a real stride": (
        lambda fitted: make_windows([1, 2, 3], 1, 1, 1.5),
        "stride must be a positive in",
    ),
}


@rows(BAD_WINDOWS)
def test_errors_of_make_windows(fitted, call, sentence):
    check(fitted, call, sentence)
