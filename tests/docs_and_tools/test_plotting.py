"""Displays, drawn with matplotlib's Agg backend."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from fusedlstm import ForecastDisplay, LossCurveDisplay, LSTMRegressor, SequenceScaler

pytestmark = pytest.mark.usefixtures("one_thread", "figures_closed")

X = np.random.default_rng(0).standard_normal((40, 5, 2))
TOTAL = X.sum(axis=(1, 2))


@pytest.fixture
def figures_closed():
    yield
    pyplot.close("all")


@pytest.mark.parametrize("early_stopping", [False, True])
def test_loss_curve_display_draws_the_curves(early_stopping):
    model = LSTMRegressor(4, max_iter=6, early_stopping=early_stopping).fit(X, TOTAL)
    display = LossCurveDisplay.from_estimator(model, log_scale=True)
    labels = ["training", "validation", "best"] if early_stopping else ["training"]
    assert [line.get_label() for line in display.lines_] == labels
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), range(1, 7))
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), model.loss_curve_)
    if early_stopping:
        np.testing.assert_array_equal(display.lines_[1].get_ydata(), model.validation_loss_curve_)
        assert display.lines_[2].get_xdata()[0] == model.best_iter_
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_title() == "LSTMRegressor"
    display.figure_.canvas.draw()


@pytest.mark.parametrize("log_scale", [False, True])
def test_axis_labels_are_within_the_figure(log_scale):
    display = LossCurveDisplay(loss_curve=[0.00031, 0.00025, 0.00021]).plot(log_scale=log_scale)
    display.figure_.canvas.draw()
    for label in (display.ax_.yaxis, display.ax_.xaxis):
        box = label.get_tightbbox()
        assert box.x0 >= 0
        assert box.y0 >= 0


def test_displays_take_axes_and_pipelines():
    pipeline = make_pipeline(SequenceScaler(), LSTMRegressor(4, max_iter=2)).fit(X, TOTAL)
    figure, axes = pyplot.subplots(2)
    display = LossCurveDisplay.from_estimator(pipeline, ax=axes[1], name="mine")
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert axes[1].get_title() == "mine"
    assert display.plot().ax_ is not axes[1]
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(LSTMRegressor())


def test_a_shorter_validation_curve_ends_with_the_training_curve():
    display = LossCurveDisplay(loss_curve=[3, 2, 1], validation_loss_curve=[2.5, 1.5]).plot()
    np.testing.assert_array_equal(display.lines_[1].get_xdata(), [2, 3])


def test_forecast_display_draws_the_predictions():
    dates = np.arange("2024-01", "2026-01", dtype="datetime64[M]")
    y = np.arange(24.0)
    display = ForecastDisplay.from_predictions(y, y + 1, y_std=np.ones(24), times=dates, name="us")
    assert [line.get_label() for line in display.lines_] == ["actual", "us"]
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), y + 1)
    np.testing.assert_allclose(display.upper - display.lower, 2 * 1.96)
    assert display.band_ is not None
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["actual", "us", "prediction interval"]
    display.figure_.canvas.draw()
    quantiles = y[:, np.newaxis] + [-3, -1, 0.5, 1, 4]
    display = ForecastDisplay.from_predictions(y, quantiles)
    np.testing.assert_array_equal(display.y_pred, y + 0.5)
    np.testing.assert_array_equal(display.lower, y - 3)
    np.testing.assert_array_equal(display.upper, y + 4)
    assert ForecastDisplay.from_predictions(y, y).band_ is None


@pytest.mark.parametrize(("unit", "n"), [("M", 24), ("D", 100), ("h", 72)])
def test_date_labels_do_not_overlap(unit, n):
    times = np.datetime64("2024-01-01", unit) + np.arange(n)
    y = np.arange(float(n))
    display = ForecastDisplay.from_predictions(y, y + 1, times=times)
    display.figure_.canvas.draw()
    boxes = [
        label.get_window_extent()
        for label in display.ax_.get_xticklabels()
        if label.get_visible() and label.get_text()
    ]
    assert len(boxes) > 2
    for left, right in itertools.pairwise(boxes):
        assert left.x1 < right.x0


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (
            (np.ones((3, 2)), np.ones(3)),
            {},
            r"y_true must be of shape \(n_samples,\); got an array",
        ),
        ((np.ones(3), np.ones(4)), {}, r"y_pred must be of shape \(3,\) or \(3, n_quantiles\)"),
        ((np.ones(3), np.ones((3, 0))), {}, "y_pred must be of shape"),
        ((np.ones(3), np.ones(3)), {"y_std": np.ones(2)}, r"y_std must be of shape \(3,\), as"),
        ((np.ones(3), np.ones((3, 2))), {"y_std": np.ones(3)}, "y_std must be None if y_pred"),
        ((np.ones(3), np.ones(3)), {"times": np.ones(2)}, r"times must be of shape \(3,\), as"),
    ],
)
def test_errors_of_forecast_display(args, kwargs, message):
    with pytest.raises(ValueError, match=message):
        ForecastDisplay.from_predictions(*args, **kwargs)


def test_displays_without_matplotlib_raise_import_error():
    script = """if True:
        import sys
        sys.modules["matplotlib"] = None
        from fusedlstm import ForecastDisplay
        try:
            ForecastDisplay.from_predictions([1.0], [1.0])
        except ImportError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == 'ForecastDisplay needs matplotlib: pip install "fusedlstm[plot]"\n'


def test_import_does_not_import_matplotlib():
    script = "import sys, fusedlstm.plotting; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
