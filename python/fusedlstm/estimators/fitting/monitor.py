"""The loss and the score on validation data after each epoch of a fit."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from fusedlstm._utils.user_warnings import warn
from fusedlstm.data.reading import Data
from fusedlstm.estimators.snapshot import Snapshot
from fusedlstm.estimators.tasks import Task


class Monitor:
    """Computes the loss and the score on validation data while an estimator is trained.

    Parameters
    ----------
    estimator : SequenceEstimator
        Its ``scoring`` is the name of a scorer, a callable or None.
    snapshot : Snapshot
        Predictions of the model in training.
    task : Task
    data : Data
        The validation data.
    """

    def __init__(self, estimator: Any, snapshot: Snapshot, task: Task, data: Data) -> None:
        self.estimator, self.snapshot, self.task, self.data = estimator, snapshot, task, data
        self.X: Any = None  # X and y as the user passed them, for a callable scoring
        self.y: Any = None
        self.score_was_nan = False

    def loss(self) -> float:
        """Return the loss of the model."""
        return self.task.evaluate(self.snapshot, self.data)

    def score(self, epoch: int) -> float | None:
        """Return the score, or None if ``scoring`` is None.

        A callable gets X and y as the user passed them. A scorer that is given by its name gets the
        `Sequences` that `fit` has read, because reading X in every epoch would take time.
        """
        scoring = self.estimator.scoring
        if scoring is None:
            return None
        if callable(scoring):
            return self._score_of_callable(scoring, epoch)
        return self._score_of_name(scoring)

    def _score_of_callable(self, scoring: Any, epoch: int) -> float:
        if self.X is None:
            self.X, self.y = self.data.given_X(), self.data.given_targets()
        score = float(scoring(self.estimator, self.X, self.y))
        if np.isnan(score) and not self.score_was_nan:
            self.score_was_nan = True
            warn(
                f"scoring returned nan in epoch {epoch}. Epochs with this score do not count as an "
                f"improvement.",
                RuntimeWarning,
            )
        return score

    def _score_of_name(self, scoring: str) -> float:
        data, scorer = self.data, self.task.scorer(scoring)
        weights = {}
        if data.sample_weight is not None and takes_weights(scorer):
            weights["sample_weight"] = data.sample_weight
        score = float(scorer(self.estimator, data.sequences, data.targets, **weights))
        if not np.isfinite(score):
            raise ValueError(
                f"scoring={scoring!r} must be finite for the validation data; got {score} for "
                f"{len(data.targets)} sequences. Some scores are undefined if a class is missing "
                f"or if there is only one sequence."
            )
        return score


def takes_weights(scorer: Any) -> bool:
    """Return True if the metric of a scorer has a parameter ``sample_weight``.

    scikit-learn's scorers have no public attribute for their metric.
    """
    metric = vars(scorer)["_score_func"]
    return "sample_weight" in inspect.signature(metric).parameters


def check_validation(X: Any, y: Any, sample_weight: Any) -> None:
    """Check that X_val and y_val are given together."""
    if X is None and (y is not None or sample_weight is not None):
        raise ValueError("X_val must be given with y_val and sample_weight_val; got None")
    if X is not None and y is None:
        raise ValueError("y_val must be given with X_val; got None")
