"""Models of several layers, with input, for tests of streams and predictors."""

from __future__ import annotations

import numpy as np

from fusedlstm import Sequential
from fusedlstm.layers import (
    CIFGLSTM,
    GRU,
    LSTM,
    RNN,
    Dense,
    Dropout,
    LastStep,
    LayerNormLSTM,
    PeepholeLSTM,
)

MODELS = {
    "lstm": [LSTM(32)],
    "a narrow last group": [LSTM(33), LastStep(), Dense(3)],
    "stacked": [GRU(16), Dropout(0.1), RNN(7), Dense(2, ("elu", 0.5))],
    "zoneout and an initial state": [PeepholeLSTM(20, trainable_state=True, zoneout=0.2)],
    "gru with an initial state": [GRU(5, trainable_state=True)],
    "layer norm": [LayerNormLSTM(5), CIFGLSTM(6), LastStep()],
    "projection": [LSTM(8, projection_size=3, trainable_state=True)],
    "all options": [
        LSTM(
            7,
            peepholes=True,
            full_gate_recurrence=True,
            layer_norm=True,
            cell_clip=1.0,
            projection_size=5,
            projection_bias=True,
            activation="softsign",
            zoneout=0.1,
            zoneout_cell=0.2,
            trainable_state=True,
        ),
        GRU(6, reset_after=False, recurrent_activation="hard_sigmoid"),
        RNN(4, activation=("elu", 0.5)),
    ],
}


def model_of(layers, dtype="float32"):
    model = Sequential(layers, 4, dtype, 0)
    rng = np.random.default_rng(1)
    model.params += 0.1 * rng.standard_normal(model.params.shape).astype(dtype)
    return model, rng.standard_normal((3, 9, 4)).astype(dtype)
