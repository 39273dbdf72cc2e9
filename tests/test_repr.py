"""Configurations are shown as the calls that make them, without what has its default."""

from __future__ import annotations

import pytest

from fusedlstm import layers, losses, optimizers, schedules

SHOWN = [
    "Adam()",
    "Adam(beta1=0.8, amsgrad=True)",
    "Lion(clip_value=1.0, beta2=0.9)",
    "SGD(l1=0.1, momentum=0.5)",
    "LBFGS(history=3)",
    "Cosine(warm_up=5)",
    "ReduceOnPlateau()",
    "SquaredError()",
    "Pinball(quantiles=(0.1, 0.9))",
    "LogLoss(label_smoothing=0.1)",
    "LSTM(hidden_size=8)",
    "GRU(hidden_size=8, bidirectional=True, reset_after=False)",
]
NAMES = {**vars(layers), **vars(losses), **vars(optimizers), **vars(schedules)}


@pytest.mark.parametrize("shown", SHOWN)
def test_what_is_shown_makes_it(shown):
    assert repr(eval(shown, NAMES)) == shown
