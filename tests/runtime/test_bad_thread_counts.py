"""Errors for wrong arguments of set_num_threads."""

from __future__ import annotations

import fusedlstm
from bad_calls import check, rows

BAD_THREADS = {
    "no threads": (
        lambda fitted: fusedlstm.set_num_threads(0),
        "n must be a positive integer; got 0",
    ),
    "a string for threads": (
        lambda fitted: fusedlstm.set_num_threads("2"),
        "n must be a positive integer; ",
    ),
    "half a thread": (
        lambda fitted: fusedlstm.set_num_threads(1.5),
        "n must be a positive integer; go",
    ),
    "True threads": (
        lambda fitted: fusedlstm.set_num_threads(True),
        "n must be a positive integer; go",
    ),
    "huge threads": (
        lambda fitted: fusedlstm.set_num_threads(10**30),
        "n must be at most 2147483647; ",
    ),
}


@rows(BAD_THREADS)
def test_errors_of_set_num_threads(fitted, call, sentence):
    check(fitted, call, sentence)
