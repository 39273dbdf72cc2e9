"""The estimators read tslearn's data sets without an adapter."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip(
    "tslearn", reason="tslearn is not installed; `bash tests/contrib/run tslearn` installs it"
)

from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from tslearn.utils import to_time_series_dataset

from fusedlstm import LSTMClassifier, SequenceScaler
from problems import run_example, series

LSTM = {"hidden_size": 8, "max_iter": 20, "learning_rate": 0.01, "random_state": 0}


@pytest.mark.parametrize("channels", [1, 3])
def test_padded_data_sets_are_read_as_lists_of_sequences(channels):
    X, y = series(channels=channels)
    X = [x.T for x in X]
    padded = to_time_series_dataset(X)
    assert np.isnan(padded).any()
    from_padded = LSTMClassifier(**LSTM).fit(padded, y)
    from_list = LSTMClassifier(**LSTM).fit(X, y)
    assert np.array_equal(from_padded.predict_proba(padded), from_list.predict_proba(X))
    longer = to_time_series_dataset([*X, np.zeros((30, channels))])[:-1]  # more padding
    assert np.array_equal(from_list.predict_proba(longer), from_list.predict_proba(X))


@pytest.mark.filterwarnings("ignore:h5py not installed")
def test_estimators_work_in_pipelines_on_tslearn_data():
    from tslearn.preprocessing import TimeSeriesScalerMeanVariance

    X, y = series()
    padded = to_time_series_dataset([x.T for x in X])
    steps = TimeSeriesScalerMeanVariance(), SequenceScaler(), LSTMClassifier(**LSTM)
    assert cross_val_score(make_pipeline(*steps[1:]), padded, y, cv=3).mean() > 0.7
    assert make_pipeline(*steps).fit(padded, y).predict(padded).shape == (60,)


def test_the_example_in_the_docs_runs():
    assert run_example("tslearn")["accuracy"] > 0.9
