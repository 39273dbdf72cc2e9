"""Scores of predictions at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer
from sklearn.utils.metaestimators import available_if

from fusedlstm._sequences import Sequences, all_steps

__all__ = ["StepScorer", "step_scorer"]


def step_scorer(scoring: str) -> StepScorer:
    """Return a scorer that compares targets and predictions of all steps.

    Parameters
    ----------
    scoring : str
        A name of `sklearn.metrics.get_scorer_names`, such as ``"f1_macro"``.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)`` for an estimator that predicts at every
        step, and y of one target per step. It is the score of all real steps whose target is not
        NaN; weights are those of the sequences.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from fusedlstm import LSTMTagger
    >>> from fusedlstm.metrics import step_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((n, 1)) for n in rng.integers(3, 9, 60)]
    >>> y = [np.where(x[:, 0] > 0, "up", "down") for x in X]
    >>> model = LSTMTagger(8, max_iter=20, random_state=0)
    >>> scores = cross_val_score(model, X, y, cv=3, scoring=step_scorer("f1_macro"))
    >>> bool(scores.min() > 0.9)
    True
    """
    return StepScorer(scoring)


class StepScorer:
    """A scorer of steps. From `step_scorer`."""

    def __init__(self, scoring: str) -> None:
        self.scoring = scoring
        self._scorer = get_scorer(scoring)
        self._score_func = self._scorer._score_func

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score."""
        rows, options = _rows(y), {}
        if sample_weight is not None:
            lengths = y.lengths() if isinstance(y, Sequences) else [len(part) for part in y]
            options["sample_weight"] = np.repeat(sample_weight, lengths)
        present = np.ones(len(rows), bool)
        if rows.dtype.kind == "f":
            present = ~np.isnan(rows.reshape(len(rows), -1)).any(axis=1)
            options = {name: weights[present] for name, weights in options.items()}
        kind = _Classifier if hasattr(estimator, "classes_") else _Regressor
        return float(self._scorer(kind(estimator, present), X, rows[present], **options))

    def __repr__(self) -> str:
        """Return the call that makes the scorer."""
        return f"step_scorer({self.scoring!r})"


def _has(method: str) -> Callable[[Any], bool]:
    return lambda flat: hasattr(flat.estimator, method)


class _Flat(BaseEstimator):  # type: ignore[misc]
    """An estimator whose predictions of all steps are rows."""

    def __init__(self, estimator: Any, present: Any) -> None:
        self.estimator, self.present = estimator, present

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> Any:
        return self.estimator.classes_

    def predict(self, X: Any) -> Any:
        return _rows(self.estimator.predict(X))[self.present]

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        return _rows(self.estimator.predict_proba(X))[self.present]

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        return _rows(self.estimator.decision_function(X))[self.present]


class _Classifier(ClassifierMixin, _Flat):  # type: ignore[misc]
    pass


class _Regressor(RegressorMixin, _Flat):  # type: ignore[misc]
    pass


def _rows(values: Any) -> Any:
    """Return targets or predictions of all steps as rows."""
    if isinstance(values, Sequences):
        return all_steps(values)
    if isinstance(values, (list, tuple)):
        return np.concatenate([np.asarray(part) for part in values])
    array = np.asarray(values)
    return array if array.ndim < 2 else array.reshape(-1, *array.shape[2:])


def __dir__() -> list[str]:
    return sorted(__all__)
