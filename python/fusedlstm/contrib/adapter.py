"""Base classes of the adapters, which wrap a scikit-learn estimator for another library.

The base class of the other library checks and converts the arguments, then calls ``_fit`` and
``_predict``. Its series have the channels on the first axis. The estimators of this package expect
the channels on the last axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.estimators import LSTMClassifier, LSTMRegressor
from fusedlstm.preprocessing import SequenceScaler


def channels_last(X: Any) -> Any:
    """Return X with the channels on the last axis.

    Parameters
    ----------
    X : array (n, channels, steps), or list
        The items of a list are arrays (channels, steps_i) or data frames (steps_i, channels).

    Returns
    -------
    array (n, steps, channels), or list of array (steps_i, channels)
        The series.
    """
    if isinstance(X, np.ndarray):
        return X.swapaxes(1, 2)
    return [series.T if isinstance(series, np.ndarray) else series.to_numpy() for series in X]


class Adapter:
    """Mixin that fits ``estimator_``, a clone of ``estimator``.

    The mixin must precede the base class of the other library in the list of base classes.
    """

    _ours: type[LSTMClassifier] | type[LSTMRegressor]
    _kind: str

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        super().__init__()

    def _fit(self, X: Any, y: Array) -> Any:
        tags = getattr(self.estimator, "__sklearn_tags__", None)
        is_class = isinstance(self.estimator, type)
        if is_class or tags is None or tags().estimator_type != self._kind:
            needed = f"a {self._kind}, such as {self._ours.__name__}()"
            raise TypeError(check.needs("estimator", needed, self.estimator))
        self.estimator_ = clone(self.estimator).fit(channels_last(X), y)
        return self

    def _predict(self, X: Any) -> Array:
        predicted: Array = self.estimator_.predict(channels_last(X))
        return predicted

    @classmethod
    def _test_parameters(cls) -> list[dict[str, Any]]:
        """Return parameters of small estimators, for the checks of the other library."""
        lstm = cls._ours(4, max_iter=5, random_state=0)
        deep = cls._ours(3, num_layers=2, bidirectional=True, max_iter=5, random_state=0)
        return [{"estimator": lstm}, {"estimator": make_pipeline(SequenceScaler(), deep)}]


class ClassifierAdapter(Adapter):
    """Mixin of the adapters of classifiers."""

    _ours = LSTMClassifier
    _kind = "classifier"

    def _predict_proba(self, X: Any) -> Array:
        probabilities: Array = self.estimator_.predict_proba(channels_last(X))
        return probabilities


class RegressorAdapter(Adapter):
    """Mixin of the adapters of regressors."""

    _ours = LSTMRegressor
    _kind = "regressor"
