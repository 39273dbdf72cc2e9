"""scikit-learn's callbacks: one task per epoch, the current estimator, requested stops."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from fusedlstm import LSTMClassifier, LSTMRegressor, SequenceScaler

pytestmark = pytest.mark.usefixtures("one_thread")

BOTH = [LSTMClassifier, LSTMRegressor]
X = np.random.default_rng(0).standard_normal((60, 6, 2))
TOTAL = X.sum(axis=(1, 2))
RAGGED = [x[: 2 + i % 5] for i, x in enumerate(X)]

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="came with scikit-learn 1.9")


def targets(estimator):
    return np.where(TOTAL > 0, "plus", "minus") if estimator is LSTMClassifier else TOTAL


def quick(estimator, **options):
    return estimator(**{"hidden_size": 8, "max_iter": 4, "random_state": 0, **options})


class Recorder:
    """Records each call and the predictions of the estimator at the end of each task."""

    def __init__(self, stop_at=None, fail_at=None):
        self.calls, self.predicted = [], []
        self.stop_at, self.fail_at = stop_at, fail_at

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name, context.max_subtasks))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name, context.max_subtasks))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(("begin", context.task_name, context.task_id))
        self.given = X, y, metadata

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.calls.append(("end", context.task_name, context.task_id))
        if self.fail_at is not None and context.task_id == self.fail_at:
            raise RuntimeError("no more")
        if context.task_name == "epoch":
            predicted = fitted_estimator.predict(X)
            self.predicted.append((fitted_estimator, predicted))
            return context.task_id == self.stop_at
        return False


def test_fit_works_with_versions_of_scikit_learn_without_callbacks():
    model = quick(LSTMRegressor).fit(X, TOTAL)
    assert hasattr(model, "set_callbacks") == HAS_CALLBACKS
    assert model.n_iter_ == 4


@needs_callbacks
def test_each_epoch_is_one_task_of_the_callbacks():
    recorder = Recorder()
    weights = np.ones(60)
    quick(LSTMRegressor).set_callbacks(recorder).fit(X, TOTAL, weights)
    tasks = [(hook, "epoch", i) for i in range(4) for hook in ("begin", "end")]
    assert recorder.calls == [
        ("setup", "fit", 4),
        ("begin", "fit", 0),
        *tasks,
        ("end", "fit", 0),
        ("teardown", "fit", 4),
    ]
    assert recorder.given[0] is X
    assert recorder.given[1] is TOTAL
    assert recorder.given[2]["sample_weight"] is weights


@needs_callbacks
@pytest.mark.parametrize("estimator", BOTH)
@pytest.mark.parametrize("data", [X, RAGGED], ids=["3d", "ragged"])
def test_callbacks_get_the_estimator_of_each_epoch(estimator, data):
    recorder = Recorder()
    model = quick(estimator).set_callbacks(recorder).fit(data, targets(estimator))
    assert len(recorder.predicted) == 4
    for epoch, (then, predicted) in enumerate(recorder.predicted, 1):
        expected = quick(estimator, max_iter=epoch).fit(data, targets(estimator))
        np.testing.assert_array_equal(predicted, expected.predict(data))
        np.testing.assert_array_equal(predicted, then.predict(data))  # later epochs change nothing
        assert then.loss_curve_ == expected.loss_curve_
        assert then.n_iter_ == epoch
    np.testing.assert_array_equal(model.predict(data), predicted)


@needs_callbacks
@pytest.mark.parametrize("estimator", BOTH)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_callback_can_stop_the_fit(estimator, early_stopping):
    recorder = Recorder(stop_at=5)
    model = quick(estimator, max_iter=50, early_stopping=early_stopping, learning_rate=0.1)
    model.set_callbacks(recorder).fit(X, targets(estimator))
    assert model.n_iter_ == 6
    assert recorder.calls[-3:] == [("end", "epoch", 5), ("end", "fit", 0), ("teardown", "fit", 50)]
    # The fit ends with the weights that the callback got, also with early stopping.
    np.testing.assert_array_equal(model.predict(X), recorder.predicted[-1][1])
    assert model.best_iter_ == recorder.predicted[-1][0].best_iter_


@needs_callbacks
def test_callbacks_are_torn_down_after_an_error():
    recorder = Recorder(fail_at=2)
    model = quick(LSTMRegressor).set_callbacks(recorder)
    with pytest.raises(RuntimeError, match="no more"):
        model.fit(X, TOTAL)
    assert recorder.calls[-1][0] == "teardown"
    assert model.set_callbacks().fit(X, TOTAL).n_iter_ == 4


@needs_callbacks
def test_no_callback_is_called_for_invalid_data():
    recorder = Recorder()
    model = quick(LSTMRegressor).set_callbacks(recorder)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X * np.nan, TOTAL)
    assert recorder.calls == []
    assert vars(model) == before


@needs_callbacks
def test_partial_fit_calls_no_callback():
    recorder = Recorder()
    quick(LSTMRegressor).set_callbacks(recorder).partial_fit(X, TOTAL)
    assert recorder.calls == []


@needs_callbacks
@pytest.mark.parametrize("data", [X, RAGGED], ids=["3d", "ragged"])
def test_scoring_monitor_records_each_epoch(data):
    from sklearn.callback import ScoringMonitor

    y, weights = targets(LSTMClassifier), np.arange(60.0)
    monitor = ScoringMonitor(scoring="accuracy")
    model = quick(LSTMClassifier).set_callbacks(monitor).fit(data, y, sample_weight=weights)
    rows = monitor.get_logs().data
    assert [row["task_name"] for row in rows] == ["fit", *["epoch"] * 4]
    scores = [row["accuracy"] for row in rows]
    expected = accuracy_score(y, model.predict(data), sample_weight=weights)
    assert scores[0] == scores[-1] == pytest.approx(expected)


@needs_callbacks
def test_callbacks_of_a_pipeline_get_the_epochs():
    class Propagated(Recorder):
        max_propagation_depth = None

        def on_fit_task_end(self, estimator, context):
            self.calls.append((context.estimator_name, context.task_name, context.task_id))

    recorder = Propagated()
    make_pipeline(SequenceScaler(), quick(LSTMRegressor)).set_callbacks(recorder).fit(X, TOTAL)
    ends = [call for call in recorder.calls if call[0][0].isupper()]
    assert ends == [
        ("SequenceScaler", "fit", 0),
        *[("LSTMRegressor", "epoch", i) for i in range(4)],
        ("LSTMRegressor", "fit", 1),
        ("Pipeline", "fit", 0),
    ]


@needs_callbacks
def test_callbacks_of_a_grid_search_in_two_processes():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="r2")
    model = quick(LSTMRegressor).set_callbacks(monitor)
    GridSearchCV(model, {"hidden_size": [3, 4]}, cv=2, n_jobs=2).fit(X, TOTAL)
    rows = monitor.get_logs().data
    assert sum(row["task_name"] == "epoch" for row in rows) == (2 * 2 + 1) * 4
    assert all(np.isfinite(row["r2"]) for row in rows)
