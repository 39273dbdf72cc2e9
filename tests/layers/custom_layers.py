"""Layers that a user might define."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusedlstm.layers import (
    Layer,
    Sequence,
)

X = np.random.default_rng(0).standard_normal((30, 6, 2))


@dataclass(frozen=True)
class MeanStep(Layer):
    """The mean over the steps; the layer declares that it reduces."""

    reduces = True

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        x = seq.zeroed().x
        n = np.full(len(x), x.shape[1]) if seq.lengths is None else seq.lengths
        n = n[:, np.newaxis].astype(x.dtype)
        return (Sequence(x.sum(axis=1) / n), None), (seq, n)

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        seq, n = saved
        dx = np.broadcast_to((dseq.x / n)[:, np.newaxis], seq.x.shape)
        return Sequence(dx, seq.lengths).zeroed(), None
