"""Dropout of the hidden weights of recurrent layers (DropConnect).

Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fusedlstm._core import Array


def drop_weights(
    views: Mapping[str, Array], rate: float, rng: np.random.Generator
) -> dict[str, Array]:
    """Draw masks of the hidden weights, multiply the weights by them, and return the masks.

    Parameters
    ----------
    views : dict of str to array
        Parameters of a recurrent layer by name. ``weight_hh`` of each direction is changed in
        place.
    rate : float in [0, 1)
        Probability that a weight is set to zero.
    rng : numpy Generator

    Returns
    -------
    dict of str to array
        A mask for each changed array: 0 or ``1 / (1 - rate)``.
    """
    masks = {}
    for name, view in views.items():
        if name.startswith("weight_hh"):
            kept = rng.random(view.shape, dtype=np.float32) >= rate
            masks[name] = kept / view.dtype.type(1 - rate)
            view *= masks[name]
    return masks
