"""The repr of a configuration is the call that creates it, without default values."""

from __future__ import annotations

import pytest

from fusedlstm import LSTMRegressor, Sequential, layers, losses, optimizers, schedules
from fusedlstm.layers import GRU, LSTM, Dense, Dropout, LastStep

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
def test_evaluating_the_repr_gives_an_equal_object(shown):
    assert repr(eval(shown, NAMES)) == shown


SHORT = Sequential([LSTM(8), LastStep()], input_size=3)
LONG = Sequential([LSTM(8, bidirectional=True), Dropout(0.5), GRU(8), LastStep(), Dense(2)], 3)


def test_the_repr_of_a_long_model_has_one_line_per_layer():
    assert repr(SHORT).count("\n") == 0
    lines = repr(LONG).split("\n")
    assert lines[:3] == ["Sequential(", "    [", "        LSTM(hidden_size=8, bidirectional=True),"]
    assert lines[-4:] == ["    ],", "    input_size=3,", "    dtype='float32',", ")"]
    for model in (SHORT, LONG):
        assert eval(repr(model), {"Sequential": Sequential, **vars(layers)}).layers == model.layers


def test_the_repr_of_a_summary_is_its_text():
    text = SHORT.summary()
    assert isinstance(text, str)
    assert repr(text) == str(text)
    assert repr(text).startswith("Sequential, input (B, T, 3), float32\n---")
    fitted = LSTMRegressor(2, max_iter=1).fit([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0])
    assert repr(fitted.summary()) == str(fitted.summary())
    assert (
        repr(fitted.stream()) == "EstimatorStream(n_sequences=None, input_size=1, dtype='float32')"
    )


def test_repr_of_streams_and_predictors():
    assert repr(SHORT.predictor()) == f"Predictor({SHORT!r})"
    expected = "Stream(n_sequences={}, input_size=3, output_size=8, dtype='float32')"
    assert repr(SHORT.stream()) == expected.format(None)
    assert repr(SHORT.predictor().stream(4)) == expected.format(4)
