"""Scorers for estimators that predict at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer
from sklearn.utils import check_consistent_length
from sklearn.utils.metaestimators import available_if

from fusedlstm._utils import validation as check
from fusedlstm.data.forms import is_frame, read_sequences
from fusedlstm.data.sequences import Sequences, all_steps
from fusedlstm.data.targets import has_length

__all__ = ["StepScorer", "step_scorer"]


def step_scorer(scoring: str) -> StepScorer:
    """Return a scorer that compares the targets and predictions of all steps.

    Parameters
    ----------
    scoring : str
        A name from `sklearn.metrics.get_scorer_names`, such as ``"f1_macro"``.

    Returns
    -------
    StepScorer
        A callable ``scorer(estimator, X, y, sample_weight=None)``. The estimator must predict at
        every step, and ``y`` must have one target per step. The score is computed over all real
        steps with targets that are not NaN. ``sample_weight`` has one weight per sequence.

    Raises
    ------
    ValueError
        If scikit-learn has no scorer of this name.

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
    """Scorer of the predictions at all steps, returned by `step_scorer`.

    Parameters
    ----------
    scoring : str
        A name from `sklearn.metrics.get_scorer_names`.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMStepRegressor
    >>> from fusedlstm.metrics import step_scorer
    >>> X = np.random.default_rng(0).standard_normal((30, 8, 1))
    >>> y = 2 * X[:, :, 0]
    >>> model = LSTMStepRegressor(8, max_iter=60, random_state=0).fit(X, y)
    >>> bool(step_scorer("r2")(model, X, y) > 0.8)
    True
    """

    def __init__(self, scoring: str) -> None:
        self.scoring = scoring
        self._scorer = get_scorer(scoring)
        self._score_func = self._scorer._score_func

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score of the predictions for X.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator that predicts at every step.
        X : array (n_samples, n_timesteps, n_features), or another form
            Sequences.
        y : array (n_samples, n_timesteps), or list of arrays
            One target per step.
        sample_weight : array (n_samples,), optional
            Weights of the sequences.

        Returns
        -------
        float
            The score over all real steps with targets that are not NaN.

        Raises
        ------
        ValueError
            If y or the predictions do not have one value per step, or all targets are NaN.
        """
        if not isinstance(y, Sequences) and not _are_of_steps(y):
            raise ValueError(
                f"y must have one target per step; got one target per sequence. For predictions of "
                f"whole sequences use scoring={self.scoring!r}"
            )
        lengths = _lengths(X, y)
        rows, options = _rows(y, lengths, "y"), {}
        if sample_weight is not None:
            options["sample_weight"] = np.repeat(sample_weight, lengths)
        present = np.ones(len(rows), bool)
        if rows.dtype.kind == "f":
            present = ~np.isnan(rows.reshape(len(rows), -1)).any(axis=1)
            options = {name: weights[present] for name, weights in options.items()}
        if not present.any():
            raise ValueError("y must have a step at which no target is NaN; got none")
        kind = _Classifier if hasattr(estimator, "classes_") else _Regressor
        flat = kind(estimator, None if isinstance(X, Sequences) else lengths, present)
        return float(self._scorer(flat, X, rows[present], **options))

    def __repr__(self) -> str:
        """Return the call that makes the scorer."""
        return f"step_scorer({self.scoring!r})"


def _has(method: str) -> Callable[[Any], bool]:
    return lambda flat: hasattr(flat.estimator, method)


class _Flat(BaseEstimator):  # type: ignore[misc]
    """Estimator whose predictions have one row per step.

    ``lengths`` is None if the predictions of the wrapped estimator have one row per step.
    """

    def __init__(self, estimator: Any, lengths: Any, present: Any) -> None:
        self.estimator, self.present = estimator, present
        self.lengths = lengths

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> Any:
        return self.estimator.classes_

    def predict(self, X: Any) -> Any:
        return self._present(self.estimator.predict(X))

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        return self._present(self.estimator.predict_proba(X))

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        logits = self._present(self.estimator.decision_function(X))
        return logits[:, 1] - logits[:, 0] if logits.shape[1:] == (2,) else logits

    def _present(self, predicted: Any) -> Any:
        shape = np.shape(predicted) if _is_array_of_steps(predicted) else None
        too_short = shape is not None and self.lengths is not None and shape[1] < max(self.lengths)
        if self.lengths is not None and (too_short or not _are_of_steps(predicted)):
            raise ValueError(
                f"estimator must predict at every step for step_scorer; got one prediction per "
                f"sequence from {self.estimator!r}"
            )
        return _rows(predicted, self.lengths, "predictions")[self.present]


class _Classifier(ClassifierMixin, _Flat):  # type: ignore[misc]
    pass


class _Regressor(RegressorMixin, _Flat):  # type: ignore[misc]
    pass


def _lengths(X: Any, y: Any) -> Any:
    """Return the number of steps of each sequence."""
    if isinstance(y, Sequences):
        return y.lengths()
    check_consistent_length(X, y)
    if _is_array_of_steps(X):  # X may have padding
        return read_sequences(X, allow_nan=True).lengths()
    return np.array([len(part) for part in (X if _is_array_of_steps(y) else y)])


def _are_of_steps(values: Any) -> bool:
    """Return True if there is one value per step, and False if there is one per sequence."""
    return _is_array_of_steps(values) or all(map(has_length, values))


def _is_array_of_steps(values: Any) -> bool:
    return is_frame(values) or (isinstance(values, np.ndarray) and values.ndim > 1)


def _rows(values: Any, lengths: Any, name: str) -> Any:
    """Return targets or predictions with one row per step, without padding.

    If ``lengths`` is None, ``values`` already has one row per step.
    """
    if lengths is None:
        return values
    if isinstance(values, Sequences):
        return all_steps(values)
    if _is_array_of_steps(values):
        array = np.asarray(values)
        if array.shape[1] < lengths.max():
            raise ValueError(check.needs(name, f"of {lengths.max()} steps, like X", array))
        return array[np.arange(array.shape[1]) < lengths[:, np.newaxis]]
    parts = [np.asarray(part) for part in values]
    for i, (part, n) in enumerate(zip(parts, lengths.tolist(), strict=True)):
        if len(part) != n:
            raise ValueError(
                f"y must have one target per step of X; got the lengths {n} and {len(part)} for "
                f"sequence {i}"
            )
    return np.concatenate(parts)


def __dir__() -> list[str]:
    return sorted(__all__)
