"""Time ``Sequential.predict`` of one LSTM layer with outputs at each step, and its peers."""

import numpy as np
import pytest


def test_inference(problem, compare):
    calls = problem.inference()
    outputs = {name: np.asarray(call()) for name, call in calls.items()}
    if "onnxruntime" in outputs:  # (T, D, B, H)
        outputs["onnxruntime"] = outputs["onnxruntime"][:, 0].transpose(1, 0, 2)
    for name, y in outputs.items():
        assert y == pytest.approx(outputs["fusedlstm"], abs=1e-5), name
    compare("inference", problem.name, calls, problem.flops)
