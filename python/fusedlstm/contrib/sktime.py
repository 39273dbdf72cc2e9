"""Classifier and regressor for sktime, for panels of equal or unequal lengths."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

try:
    import pandas as pd
    from sktime.classification.base import BaseClassifier
    from sktime.regression.base import BaseRegressor
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "fusedlstm.contrib.sktime needs sktime: pip install sktime"
    ) from error

from fusedlstm._core import Array
from fusedlstm.contrib.adapter import ClassifierAdapter, RegressorAdapter

__all__ = ["SequenceClassifier", "SequenceRegressor"]

_TAGS = {
    "authors": "fusedlstm developers",
    "maintainers": "fusedlstm developers",
    "X_inner_mtype": ["df-list", "numpy3D"],
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:categorical_in_X": False,
}


class _ListsOfArraysMixin:
    """Mixin that accepts X as a list of arrays (channels, steps_i)."""

    def _internal_convert(self, X: Any, y: Any = None) -> Any:
        if isinstance(X, list) and X and all(isinstance(series, np.ndarray) for series in X):
            X = [pd.DataFrame(np.atleast_2d(series).T) for series in X]
        return super()._internal_convert(X, y)  # type: ignore[misc]


class SequenceClassifier(_ListsOfArraysMixin, ClassifierAdapter, BaseClassifier):  # type: ignore[misc]
    """Wrap an LSTM classifier as an sktime classifier.

    Parameters
    ----------
    estimator : classifier
        A `fusedlstm.LSTMClassifier`, or a pipeline of transformers of sequences that ends in such
        an estimator. Its parameters have the prefix ``estimator__``, as in
        ``set_params(estimator__hidden_size=32)``. Another object raises a TypeError in ``fit``.

    Attributes
    ----------
    estimator_ : classifier
        The fitted clone of ``estimator``. Its methods expect series with the channels last.
    classes_ : array (n_classes,)
        The class labels.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMClassifier
    >>> from fusedlstm.contrib.sktime import SequenceClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((2, rng.integers(5, 20))) for _ in range(100)]
    >>> y = np.array(["up" if x[0].sum() > 0 else "down" for x in X])
    >>> clf = SequenceClassifier(LSTMClassifier(hidden_size=16, random_state=0)).fit(X, y)
    >>> bool(clf.score(X, y) > 0.9)
    True
    """

    _tags: ClassVar[dict[str, Any]] = {**_TAGS, "capability:predict_proba": True}

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return parameters of small estimators, for sktime's checks."""
        return cls._test_parameters()


class SequenceRegressor(_ListsOfArraysMixin, RegressorAdapter, BaseRegressor):  # type: ignore[misc]
    """Wrap an LSTM regressor as an sktime regressor.

    If y has several columns, one network predicts all of them.

    Parameters
    ----------
    estimator : regressor
        A `fusedlstm.LSTMRegressor`, or a pipeline of transformers of sequences that ends in such
        an estimator. Its parameters have the prefix ``estimator__``, as in
        ``set_params(estimator__hidden_size=32)``. Another object raises a TypeError in ``fit``.

    Attributes
    ----------
    estimator_ : regressor
        The fitted clone of ``estimator``. Its methods expect series with the channels last.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMRegressor
    >>> from fusedlstm.contrib.sktime import SequenceRegressor
    >>> X = np.random.default_rng(0).standard_normal((100, 2, 10))
    >>> y = X[:, 0].sum(axis=1)
    >>> reg = SequenceRegressor(LSTMRegressor(hidden_size=16, random_state=0)).fit(X, y)
    >>> bool(reg.score(X, y) > 0.9)
    True
    """

    _tags: ClassVar[dict[str, Any]] = {
        **_TAGS,
        "capability:multioutput": True,
        "y_inner_mtype": "numpy2D",
    }

    def _fit(self, X: Any, y: Array) -> Any:
        return super()._fit(X, y[:, 0] if y.shape[1] == 1 else y)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return parameters of small estimators, for sktime's checks."""
        return cls._test_parameters()
