"""The summary of models and estimators."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fusedlstm import LSTMRegressor, Sequential
from fusedlstm.layers import GRU, LSTM, Dense, LastStep, Residual


def test_summary_shows_shapes_and_parameter_counts():
    model = Sequential([LSTM(8), GRU(4, bidirectional=True), LastStep(), Dense(2)], 3, "float64")
    lines = model.summary().splitlines()
    assert lines[0] == "Sequential, input (B, T, 3), float64"
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines[4:8]]
    assert [cell[2] for cell in cells] == ["(B, T, 8)", "(B, T, 8)", "(B, 8)", "(B, 2)"]
    counts = [int(cell[3].replace(",", "")) for cell in cells]
    assert sum(counts) == len(model.params)
    assert lines[-1].split() == ["total", f"{len(model.params):,}", f"{8 * len(model.params):,}"]
    long = Sequential([LSTM(8, activation="tanh", zoneout=0.125, merge="sum", reverse=True)], 3)
    assert "... " in long.summary()


def test_summary_shows_the_projection_of_a_residual_layer():
    block = Residual(LSTM(4), Residual(GRU(8)))
    lines = Sequential([block, Residual(LSTM(8)), LastStep()], 3).summary().splitlines()
    rows = {line.split()[0]: line for line in lines[4:-2]}
    assert [name for name in rows if "projection" in name] == ["0.1.projection", "0.projection"]
    assert rows["0.projection"].split()[1:] == [
        *["Dense(units=8,", "activation='linear')"],
        *("(B,", "T,", "8)", "32", "128"),
    ]
    count = {name: int(row.split()[-2].replace(",", "")) for name, row in rows.items()}
    assert count["0"] == count["0.0"] + count["0.1"] + count["0.projection"]
    assert count["0.1"] == count["0.1.0"] + count["0.1.projection"]


def test_summary_of_an_estimator_includes_standardization():
    X = np.random.default_rng(0).standard_normal((20, 5, 2))
    model = LSTMRegressor(4, max_iter=1)
    with pytest.raises(NotFittedError):
        model.summary()
    table = model.fit(X, X[:, 0, 0]).summary().splitlines()
    assert table[4].split() == ["standardize", "(B,", "T,", "2)", "0", "0"]
    assert table[:4] + table[5:] == model.model_.summary().splitlines()
    model.set_params(standardize=False)
    assert model.fit(X, X[:, 0, 0]).summary() == model.model_.summary()
