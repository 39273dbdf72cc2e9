"""Whole models in one call of the core, and the same models layer by layer."""

from __future__ import annotations

import numpy as np

import reference_cells as cells
from recurrent_problems import SPECS

FEATURES, STEPS = 3, 7
PROGRAMS = {
    **{name: [(name, 17), ("dense", 2)] for name in SPECS},
    "one group": [("lstm", 16)],
    "a narrow last group": [("lstm", 17), ("dense", 4), ("last",)],
    "two recurrent layers": [("rnn", 5), ("lstm", 6)],
    "a cell with h and a cell with c": [("peephole", 16), ("gru", 3)],
    "all options twice": [("everything", 20), ("everything", 9), ("last",)],
    "mean": [("dense", 6), ("lstm", 16), ("mean",), ("dense", 2)],
    "max": [("gru", 70), ("max",)],
    "the mean of x": [("mean",)],
    "the max of dense": [("dense", 5), ("max",), ("dense", 1)],
    "nothing": [],
}


class ProgramProblem:
    """Builds programs with random weights and runs their layers one by one."""

    def __init__(self, core, dtype):
        self.core, self.dtype = core, dtype
        self.rng = np.random.default_rng(0)

    def numbers(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    def program(self, layers):
        """Return a packed model and a function that calls the layers one by one."""
        core, width, calls = self.core, FEATURES, []
        whole = core.Program(self.dtype.name, FEATURES)
        for name, *sizes in layers:
            if name == "last":
                whole.add_last_step()
                calls.append(lambda x, n: x[np.arange(len(x)), n - 1])
            elif name in ("mean", "max"):
                whole.add_pool(name)
                calls.append(lambda x, n, name=name: self.pool(name, x, n))
            elif name == "dense":
                packed = core.pack_dense(self.numbers(sizes[0] * (width + 1)), width, *sizes)
                whole.add_dense(sizes[0], packed, "tanh")
                calls.append(lambda x, n, p=packed, units=sizes[0]: self.dense(p, x, n, units))
                width = sizes[0]
            else:
                spec, cell = SPECS[name], core.Cell(SPECS[name])
                weights = self.numbers(cells.param_count(spec, width, *sizes)) / 4
                packed = core.pack_recurrent(cell, 1, width, *sizes, weights)
                whole.add_recurrent(cell, 1, False, *sizes, packed, None, True, None, None)
                given = (cell, 1, False, *sizes, packed)
                calls.append(
                    lambda x, n, given=given: core.recurrent_forward(
                        *given, x, n, None, True, False, None, 1
                    )[0]
                )
                width = cells.output_size(spec, *sizes)

        def run(x, lengths=None):
            lengths = np.full(len(x), x.shape[1]) if lengths is None else lengths
            for call in calls:
                x = call(x, lengths)
            return x

        return whole, run

    def dense(self, packed, x, lengths, units):
        if x.ndim == 2:
            return self.core.dense_forward(packed, x, units, "tanh", 1)
        real = np.arange(x.shape[1]) < lengths[:, np.newaxis]
        y = np.zeros((*x.shape[:2], units), self.dtype)
        y[real] = self.core.dense_forward(packed, x[real], units, "tanh", 1)
        return y

    def pool(self, kind, x, lengths):
        totals, _ = self.core.pool_forward(kind, x, lengths, None, 1)
        return totals / lengths[:, np.newaxis].astype(self.dtype) if kind == "mean" else totals


def single_thread():
    return 1
