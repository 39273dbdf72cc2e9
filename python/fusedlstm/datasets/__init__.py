"""Small data sets that are included in the package."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from fusedlstm._core import Array

__all__ = ["load_sunspots"]


def load_sunspots() -> tuple[Array, Array]:
    """Load the yearly mean sunspot numbers from 1700 to 2008.

    The data are in the public domain. The source is the National Geophysical Data Center.

    Returns
    -------
    years : int array (309,)
        The years, in increasing order.
    sunspots : float array (309,)
        Mean sunspot number of each year.

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
