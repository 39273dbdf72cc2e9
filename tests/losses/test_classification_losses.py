"""The classifier with each loss."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fusedlstm import LSTMClassifier
from fusedlstm.losses import CLASSIFICATION_LOSSES, Focal, LogLoss, Poisson

pytestmark = pytest.mark.usefixtures("one_thread")

rng = np.random.default_rng(0)
X = rng.standard_normal((300, 5, 2))
LAST = X[:, -1]
TARGETS = {
    "two classes": np.where(LAST[:, 0] > 0, "plus", "minus"),
    "three classes": np.digitize(LAST[:, 0], [-0.5, 0.5]),
    "labels": (LAST > 0).astype(int),
}


def quick(**options):
    return LSTMClassifier(**{"hidden_size": 8, "max_iter": 30, "random_state": 0, **options})


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("loss", [*CLASSIFICATION_LOSSES, LogLoss(0.1), Focal(0.5)], ids=repr)
def test_classifiers_learn_with_each_loss(loss, task):
    y = TARGETS[task]
    assert quick(loss=loss).fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.8


@pytest.mark.parametrize("task", TARGETS)
def test_label_smoothing_moves_probabilities_towards_one_half(task):
    y = TARGETS[task]
    sure = [
        np.abs(quick(loss=loss).fit(X, y).predict_proba(X) - 0.5).mean()
        for loss in (LogLoss(), LogLoss(0.2))
    ]
    assert sure[1] < sure[0] - 0.02


def test_focal_loss_uses_class_weights():
    y = TARGETS["two classes"]
    shares = [
        np.mean(quick(loss="focal", class_weight=w, max_iter=10).fit(X, y).predict(X) == "plus")
        for w in ({"plus": 20.0, "minus": 1.0}, {"plus": 1.0, "minus": 20.0})
    ]
    assert shares[0] > shares[1] + 0.1


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        ("squared_error", "loss must be one of log_loss, focal; got 'squared_error'"),
        (Poisson(), "loss must be one of log_loss, focal or a ClassificationLoss from fusedlstm."),
        (Focal, "Did you mean Focal()?"),
    ],
)
def test_losses_that_do_not_fit_the_targets_are_an_error(loss, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        quick(loss=loss).fit(X, TARGETS["labels"])
    assert sentence in str(caught.value)


@pytest.mark.parametrize("loss", [LogLoss(), LogLoss(0.1), Focal()], ids=repr)
@pytest.mark.parametrize(
    ("outputs", "y", "sentence"),
    [
        (3, [0, -1], "y must be classes from 0 to 2; got -1"),
        (3, [3, 0], "y must be classes from 0 to 2; got 3"),
        (3, [0.0, 1.0], "y must be integer classes; got an array of shape (2,) and dtype float64"),
        (1, [-1, 1], "y must be classes from 0 to 1; got -1"),
        (1, [2, 1], "y must be classes from 0 to 1; got 2"),
        (2, [[0, -1], [1, 0]], "y must be labels from 0 to 1; got -1"),
        (2, [[0, 1], [1, 2]], "y must be labels from 0 to 1; got 2"),
        (2, [[0, 1], [1, np.nan]], "y must be labels from 0 to 1; got nan"),
    ],
)
def test_classes_out_of_range_are_an_error(loss, outputs, y, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        loss(np.zeros((2, outputs)), np.array(y))


@pytest.mark.parametrize("outputs", [1, 2])
def test_booleans_are_classes(outputs):
    z = np.random.default_rng(0).standard_normal((3, outputs))
    y = np.array([True, False, True])
    value, dy = LogLoss()(z, y)
    expected, expected_dy = LogLoss()(z, y.astype(int))
    assert value == expected
    assert (dy == expected_dy).all()
