"""Data frames of the tests."""

from __future__ import annotations

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")


def tidy_frame(rng):
    """Return rows of twelve sequences of 3 to 8 steps, shuffled."""
    lengths = rng.integers(3, 9, 12)
    frame = pandas.DataFrame(
        {
            "id": np.repeat(rng.permutation(12), lengths),
            "time": np.concatenate([np.arange(n) * 10 for n in lengths]),
            "a": rng.standard_normal(lengths.sum()),
            "b": rng.standard_normal(lengths.sum()) * 5,
        }
    )
    frame["failed"] = frame["id"] % 3 == 0
    return frame.sample(frac=1, random_state=0)


class LikePolars:
    """Has the attributes of a polars data frame that are used."""

    def __init__(self, frame):
        self._frame = frame
        self.columns = list(frame.columns)

    def get_column(self, name):
        return self._frame[name]
