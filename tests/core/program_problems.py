"""Whole models in one call of the core, and the same models layer by layer."""

from __future__ import annotations

import numpy as np

from fusedlstm.layers import GRU, LSTM, RNN, PeepholeLSTM

CELLS = {"lstm": LSTM, "peephole_lstm": PeepholeLSTM, "gru": GRU, "rnn_tanh": RNN}
FEATURES, STEPS = 3, 7
PROGRAMS = {
    "lstm": [("lstm", 16)],
    "a narrow last group": [("lstm", 17), ("dense", 4), ("last",)],
    "gru": [("gru", 16), ("dense", 2)],
    "rnn": [("rnn_tanh", 5), ("lstm", 6)],
    "peepholes": [("peephole_lstm", 16), ("gru", 3)],
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
                shapes = CELLS[name](*sizes).param_shapes(width).values()
                weights = self.numbers(sum(int(np.prod(shape)) for shape in shapes)) / 4
                packed = core.pack_recurrent(name, 1, width, *sizes, weights)
                whole.add_recurrent(name, 1, False, *sizes, packed, None, True, None, None)
                given = (name, 1, False, *sizes, packed)
                calls.append(
                    lambda x, n, given=given: core.recurrent_forward(
                        *given, x, n, None, None, True, False, None, 1
                    )[0]
                )
                width = sizes[0]

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
