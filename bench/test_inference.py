"""Time ``Sequential.predict`` of one LSTM layer with outputs at each step, and its peers."""

import numpy as np
import pytest

from fusedlstm.benchmark.peers import ONNX_PEERS


def test_inference(problem, compare):
    calls = problem.inference()
    outputs = {name: np.asarray(call()) for name, call in calls.items()}
    for name in outputs.keys() & set(ONNX_PEERS):  # (T, D, B, H)
        outputs[name] = outputs[name][:, 0].transpose(1, 0, 2)
    for name, y in outputs.items():
        assert y == pytest.approx(outputs["fusedlstm"], abs=1e-5), name
    compare("inference", problem.name, calls, problem.work("inference"))
