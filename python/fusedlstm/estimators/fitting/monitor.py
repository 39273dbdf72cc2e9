"""The validation data of a fit: their loss and score after each epoch."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from fusedlstm._utils.warnings import warn
from fusedlstm.data.reading import Data


class Monitor:
    """Loss and score of an estimator in training on validation data.

    Parameters
    ----------
    estimator : SequenceEstimator
        Its ``scoring`` is the name of a scorer, a callable or None.
    data : Data
    """

    def __init__(self, estimator: Any, data: Data) -> None:
        self.estimator, self.data = estimator, data
        self.X: Any = None  # as the user gave them, for a callable scoring
        self.y: Any = None
        self.score_was_nan = False

    def loss(self) -> float:
        """Return the loss of the model."""
        return float(self.estimator._evaluate_loss(self.data))

    def score(self, epoch: int) -> float | None:
        """Return the value of ``scoring``, with the targets that the user gave; None without it.

        A callable gets X as the user gave it; scorers with a name read it once, as `fit` does.
        """
        scoring = self.estimator.scoring
        if scoring is None:
            return None
        return self._of_callable(scoring, epoch) if callable(scoring) else self._of_name(scoring)

    def _of_callable(self, scoring: Any, epoch: int) -> float:
        if self.X is None:
            self.X, self.y = self.data.given_X(), self.data.given_targets()
        score = float(scoring(self.estimator, self.X, self.y))
        if np.isnan(score) and not self.score_was_nan:
            self.score_was_nan = True
            warn(
                f"scoring returned nan in epoch {epoch}: such an epoch does not count as an "
                f"improvement.",
                RuntimeWarning,
            )
        return score

    def _of_name(self, scoring: str) -> float:
        data, scorer = self.data, self.estimator._scorer(scoring)
        takes_weights = "sample_weight" in inspect.signature(scorer._score_func).parameters
        weights = {}
        if takes_weights and data.sample_weight is not None:
            weights["sample_weight"] = data.sample_weight
        score = float(scorer(self.estimator, data.sequences, data.targets, **weights))
        if not np.isfinite(score):
            raise ValueError(
                f"scoring={scoring!r} must be finite for the validation data; got {score} for "
                f"{len(data.targets)} sequences. Scores may be undefined if a class is missing or "
                f"if there is one sequence only."
            )
        return score
