"""Print the accuracy of the grid in float32 against PyTorch in float64.

The figures are the largest absolute errors over max(1, largest absolute reference) of the outputs,
the gradient of the input and the gradients of the weights.

    python bench/accuracy.py
"""

from __future__ import annotations

import numpy as np
import torch

from fusedlstm.benchmark.peers import torch_module
from fusedlstm.benchmark.problems import Problem
from fusedlstm.benchmark.shapes import GRIDS


def error(value, reference) -> float:
    reference = reference.detach().numpy()
    return float(np.abs(value - reference).max() / max(1.0, np.abs(reference).max()))


def main() -> None:
    print(f"{'shape':>18}{'y':>10}{'dx':>10}{'grads':>10}")
    for shape in GRIDS["full"]:
        problem = Problem(shape, threads=1)
        lstm = torch_module(problem.model, threads=1).double()
        lstm.bias_hh_l0.requires_grad_(False)
        x = torch.from_numpy(problem.x.astype(np.float64)).requires_grad_()
        y_reference, _ = lstm(x)
        y_reference.backward(torch.from_numpy(problem.dy.astype(np.float64)))
        y, saved = problem.model.forward(problem.x)
        grads = np.zeros_like(problem.model.params)
        dx = problem.model.backward(saved, problem.dy, grads)
        named = problem.model.views(grads)
        errors = [
            error(named["0." + ours], getattr(lstm, theirs).grad)
            for ours, theirs in (
                ("weight_ih", "weight_ih_l0"),
                ("weight_hh", "weight_hh_l0"),
                ("bias", "bias_ih_l0"),
            )
        ]
        print(
            f"{shape!s:>18}{error(y, y_reference):>10.1e}{error(dx, x.grad):>10.1e}"
            f"{max(errors):>10.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
