"""Time the update of each optimizer, in microseconds and as a share of a training step.

    python bench/updates.py [--rounds N]

The updates run on one thread in float32 with weight decay. The figures are medians over the rounds.
The script fails if an update takes more than 3 % of a training step of 32 sequences at hidden sizes
of 64 and above, or more than 10 us at smaller sizes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import fusedlstm
from fusedlstm import Sequential
from fusedlstm.layers import LSTM, Dense, LastStep
from fusedlstm.losses import squared_error
from fusedlstm.optimizers import OPTIMIZERS, Adam, Optimizer, clip_by_norm

SHAPES = [(32, 100, 8, 16), (32, 100, 8, 32), (32, 100, 16, 64), (32, 100, 64, 128)]
SHARE, MICROSECONDS = 0.03, 10.0


def microseconds(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    fusedlstm.set_num_threads(1)
    optimizers = {name: o for name, o in OPTIMIZERS.items() if isinstance(o, Optimizer)}
    optimizers["adam, l1, clip_value"] = Adam(l1=1e-4, clip_value=1.0)
    print("| B | T | I | H | parameters | step, us |", " | ".join(optimizers), "|")
    print("|--:" * (6 + len(optimizers)) + "|")
    slow = []
    for batch, steps, inputs, hidden in SHAPES:
        model = Sequential([LSTM(hidden), LastStep(), Dense(1)], inputs, random_state=0)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((batch, steps, inputs)).astype("float32")
        y = np.zeros((batch, 1), "float32")
        grads, mask = np.zeros_like(model.params), np.ones_like(model.params)

        def step(model=model, x=x, y=y, grads=grads) -> None:
            y_pred, saved = model.forward(x)
            grads[:] = 0
            model.add_gradients(saved, squared_error(y_pred, y)[1], grads)
            clip_by_norm(grads, 1.0)

        whole = microseconds(step, rounds)
        cells = []
        for name, optimizer in optimizers.items():
            params = model.params.copy()
            state = optimizer.init(params)
            args = (params, grads, state, 1e-3, 1e-4, mask)
            cost = microseconds(lambda o=optimizer, a=args: o.step(*a), 10 * rounds)
            cells.append(f"{cost:.1f}, {cost / whole:.2%}")
            plain = name in OPTIMIZERS
            if plain and (cost > SHARE * whole if hidden >= 64 else cost > MICROSECONDS):
                slow.append(f"{name} at hidden size {hidden}: {cells[-1]}")
        row = [batch, steps, inputs, hidden, model.params.size, f"{whole:.0f}", *cells]
        print("|", " | ".join(map(str, row)), "|", flush=True)
    if slow:
        raise SystemExit("too slow: " + "; ".join(slow))


if __name__ == "__main__":
    main()
