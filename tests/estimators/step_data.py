"""Sequences of unequal lengths with a target at each step, and forms of them."""

from __future__ import annotations

import numpy as np

LENGTHS = [3, 1, 4, 2, 5, 3, 1, 6, 2, 4, 5, 3]


def objects(parts):
    array = np.empty(len(parts), object)
    array[:] = parts
    return array


def padded(parts, fill=np.nan):
    shape = (len(parts), max(map(len, parts)), *np.shape(parts[0])[1:])
    array = np.full(shape, fill, object if isinstance(fill, str) else None)
    for row, part in zip(array, parts, strict=True):
        row[: len(part)] = part
    return array.astype(str) if isinstance(fill, str) else array


def equal(a, b):
    return len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def weights_of(fitted):
    return fitted.model_.params.copy()
