"""Small real data that ship with the package."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from fusedlstm._core import Array

__all__ = ["load_sunspots"]


def load_sunspots() -> tuple[Array, Array]:
    """Return the yearly mean sunspot numbers, 1700 to 2008.

    Public domain, from the National Geophysical Data Center.

    Returns
    -------
    years : int array (309,)
    sunspots : float array (309,)

    Examples
    --------
    >>> from fusedlstm.datasets import load_sunspots
    >>> years, sunspots = load_sunspots()
    >>> int(years[0]), float(sunspots[0])
    (1700, 5.0)
    """
    with (files("fusedlstm.datasets") / "sunspots.csv").open() as file:
        table = np.loadtxt(file, delimiter=",", skiprows=1)
    return table[:, 0].astype(int), table[:, 1]


def __dir__() -> list[str]:
    return sorted(__all__)
