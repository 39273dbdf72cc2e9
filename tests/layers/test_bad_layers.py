"""Errors for wrong options of layers."""

from __future__ import annotations

import numpy as np

from bad_calls import check, rows
from fusedlstm.layers import CIFGLSTM, GRU, LSTM, RNN, Dense, Dropout, PeepholeLSTM

BAD_LAYERS = {
    "LSTM(0)": (lambda fitted: LSTM(0), "hidden_size must be a positive integer; got 0"),
    "LSTM(2.5)": (lambda fitted: LSTM(2.5), "hidden_size must be a positive integer; got 2.5"),
    "LSTM(True)": (lambda fitted: LSTM(True), "hidden_size must be a positive integer; got True"),
    "LSTM(3, 1)": (lambda fitted: LSTM(3, 1), "bidirectional must be True or False; got 1"),
    "LSTM('3')": (lambda fitted: LSTM("3"), "hidden_size must be a positive integer; got '3'"),
    "GRU(0)": (lambda fitted: GRU(0), "hidden_size must be a positive integer; got 0"),
    "RNN(None)": (lambda fitted: RNN(None), "hidden_size must be a positive integer; got None"),
    "a mean": (
        lambda fitted: GRU(3, True, merge="mean"),
        "merge must be one of concat, sum, average; got 'mean'",
    ),
    "None for merge": (
        lambda fitted: RNN(3, merge=None),
        "merge must be one of concat, sum, average",
    ),
    "a string for reverse": (
        lambda fitted: GRU(3, reverse="yes"),
        "reverse must be True or False; got 'yes'",
    ),
    "reverse of both directions": (
        lambda fitted: LSTM(3, True, reverse=True),
        "reverse must be False with bidirectional=True; got True",
    ),
    "a trainable state of 1": (
        lambda fitted: RNN(3, trainable_state=1),
        "trainable_state must be True or False; got 1",
    ),
    "all dropped": (
        lambda fitted: LSTM(3, recurrent_dropout=1.0),
        "recurrent_dropout must be a number in [0, 1); got 1.0",
    ),
    "a string for weight_dropout": (
        lambda fitted: GRU(3, weight_dropout="0.5"),
        "weight_dropout must be a number in [0, 1); got '0.5'",
    ),
    "zoneout below 0": (
        lambda fitted: RNN(3, zoneout=-0.1),
        "zoneout must be a number in [0, 1); got -0.1",
    ),
    "NaN for zoneout": (
        lambda fitted: LSTM(3, zoneout_cell=np.nan),
        "zoneout_cell must be a number in [0",
    ),
    "a pair of zoneouts": (
        lambda fitted: LSTM(3, zoneout=(0.1, 0.2)),
        "zoneout must be a number in [0, ",
    ),
    "candidates dropped": (
        lambda fitted: GRU(3, candidate_dropout=1),
        "candidate_dropout must be a number in [0, 1); got 1",
    ),
    "candidates of None": (
        lambda fitted: LSTM(3, candidate_dropout=None),
        "candidate_dropout must be a number in [0, 1); got None",
    ),
    "a string for peepholes": (
        lambda fitted: LSTM(3, peepholes="io"),
        "peepholes must be True or False; got ",
    ),
    "an output gate of 0": (
        lambda fitted: LSTM(3, output_gate=0),
        "output_gate must be True or False; ",
    ),
    "layer_norm of None": (
        lambda fitted: LSTM(3, layer_norm=None),
        "layer_norm must be True or False; g",
    ),
    "reset_after of 1": (
        lambda fitted: GRU(3, reset_after=1),
        "reset_after must be True or False; got 1",
    ),
    "one gate coupled": (
        lambda fitted: LSTM(3, coupled_gates=True, input_gate=False),
        "coupled_gates must be False without input_gate and forget_gate; got True",
    ),
    "a gate coupled with none": (
        lambda fitted: CIFGLSTM(3, forget_gate=False),
        "coupled_gates must be False without input_gate and forget_gate; got True",
    ),
    "three gates in full recurrence": (
        lambda fitted: PeepholeLSTM(3, full_gate_recurrence=True, output_gate=False),
        "full_gate_recurrence must be False without all gates; got True",
    ),
    "no clip": (lambda fitted: LSTM(3, cell_clip=0), "cell_clip must be a positive number; got 0"),
    "an infinite clip": (
        lambda fitted: LSTM(3, cell_clip=np.inf),
        "cell_clip must be a positive number",
    ),
    "a projection to 0": (
        lambda fitted: LSTM(3, projection_size=0),
        "projection_size must be a positive integer; got 0",
    ),
    "a projection of True": (
        lambda fitted: LSTM(3, projection_size=True),
        "projection_size must be a positive integer; got True",
    ),
    "a bias of no projection": (
        lambda fitted: LSTM(3, projection_bias=True),
        "projection_bias must be False without projection_size; got True",
    ),
    "RNN('Relu')": (lambda fitted: RNN(3, activation="Relu"), "got 'Relu'. Did you mean 'relu'?"),
    "gates of 'hard sigmoid'": (
        lambda fitted: GRU(3, recurrent_activation="hard sigmoid"),
        "got 'hard sigmoid'. Did you mean 'hard_sigmoid'?",
    ),
    "an output of 3": (
        lambda fitted: LSTM(3, output_activation=3),
        "output_activation must be one of linear, sigmoid, tanh, relu, leaky_relu, ",
    ),
    "an activation of None": (
        lambda fitted: LSTM(3, activation=None),
        "activation must be one of linear",
    ),
    "an empty activation": (
        lambda fitted: GRU(3, activation=()),
        "activation must be one of linear, sig",
    ),
    "a list for an activation": (
        lambda fitted: RNN(3, activation=["leaky_relu", 0.1]),
        "activation must be a name, or a tuple of a name and its parameters; got ['leaky_relu', ",
    ),
    "a parameter too many": (
        lambda fitted: RNN(3, activation=("relu", 1)),
        "activation must be 'relu' with at most 0 parameters; got ('relu', 1)",
    ),
    "a string for parameter": (
        lambda fitted: LSTM(3, activation=("affine", 1, "0")),
        "activation's parameter must be a finite number; got '0'",
    ),
    "an infinite parameter": (
        lambda fitted: LSTM(3, recurrent_activation=("hard_sigmoid", np.inf)),
        "recurrent_activation's parameter must be a finite number; got inf",
    ),
    "a negative slope of leaky_relu": (
        lambda fitted: RNN(3, activation=("leaky_relu", -0.1)),
        "activation's parameter must be a number of at least 0; got -0.1",
    ),
    "a negative alpha of elu": (
        lambda fitted: LSTM(3, output_activation=("elu", -1.0)),
        "output_activation's parameter must be a number of at least 0; got -1.0",
    ),
    "Dense(-1)": (lambda fitted: Dense(-1), "units must be a positive integer; got -1"),
    "Dense(3, 'tahn')": (
        lambda fitted: Dense(3, "tahn"),
        "activation must be one of linear, sigmoid, tanh, relu, leaky_relu, thresholded_relu, "
        "scaled_tanh, hard_sigmoid, elu, softsign, softplus, affine; got 'tahn'. Did you mean "
        "'tanh'?",
    ),
    "Dense(3, None)": (
        lambda fitted: Dense(3, None),
        "activation must be one of linear, sigmoid, tanh",
    ),
    "Dropout(1.0)": (lambda fitted: Dropout(1.0), "rate must be a number in [0, 1); got 1.0"),
    "Dropout(-0.1)": (lambda fitted: Dropout(-0.1), "rate must be a number in [0, 1); got -0.1"),
    "Dropout('half')": (
        lambda fitted: Dropout("half"),
        "rate must be a number in [0, 1); got 'half'",
    ),
    "Dropout(nan)": (lambda fitted: Dropout(np.nan), "rate must be a number in [0, 1); got nan"),
}


@rows(BAD_LAYERS)
def test_errors_of_layers(fitted, call, sentence):
    check(fitted, call, sentence)
