"""Classifier and regressor for aeon, for series of equal or unequal lengths."""

from __future__ import annotations

from typing import Any, ClassVar

try:
    from aeon.classification import BaseClassifier
    from aeon.regression import BaseRegressor
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("fusedlstm.contrib.aeon needs aeon: pip install aeon") from error

from fusedlstm.contrib.adapter import ClassifierAdapter, RegressorAdapter

__all__ = ["SequenceClassifier", "SequenceRegressor"]

_TAGS = {
    "X_inner_type": ["numpy3D", "np-list"],
    "algorithm_type": "deeplearning",
    "capability:multivariate": True,
    "capability:unequal_length": True,
}


class SequenceClassifier(ClassifierAdapter, BaseClassifier):  # type: ignore[misc]
    """Wrap an LSTM classifier as an aeon classifier.

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
    >>> from fusedlstm.contrib.aeon import SequenceClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((2, rng.integers(5, 20))) for _ in range(100)]
    >>> y = np.array(["up" if x[0].sum() > 0 else "down" for x in X])
    >>> clf = SequenceClassifier(LSTMClassifier(hidden_size=16, random_state=0)).fit(X, y)
    >>> bool(clf.score(X, y) > 0.9)
    True
    """

    _tags: ClassVar[dict[str, Any]] = _TAGS

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        return cls._test_parameters()


class SequenceRegressor(RegressorAdapter, BaseRegressor):  # type: ignore[misc]
    """Wrap an LSTM regressor as an aeon regressor.

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
    >>> from fusedlstm.contrib.aeon import SequenceRegressor
    >>> X = np.random.default_rng(0).standard_normal((100, 2, 10))
    >>> y = X[:, 0].sum(axis=1)
    >>> reg = SequenceRegressor(LSTMRegressor(hidden_size=16, random_state=0)).fit(X, y)
    >>> bool(reg.score(X, y) > 0.9)
    True
    """

    _tags: ClassVar[dict[str, Any]] = _TAGS

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        return cls._test_parameters()
