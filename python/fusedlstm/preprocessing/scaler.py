"""Standardization of the features of sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.data.deviations import SMALL_SPREAD, is_constant, root_mean_square
from fusedlstm.data.sequences import Sequences
from fusedlstm.preprocessing.base import SequenceTransformer, in_form_of, real_steps


class SequenceScaler(SequenceTransformer):
    """Standardize features to zero mean and unit variance over all steps of all sequences.

    X may have any form that the estimators accept. `transform` returns the same form. Mean and
    variance are computed without padding. Padding is not changed.

    Attributes
    ----------
    mean_ : array (n_features,)
        Mean of each feature.
    scale_ : array (n_features,)
        Standard deviation of each feature, 1 for a constant feature.
    n_features_in_ : int
        Number of features per step. After a fit on a 2-D array, the number of its columns.

    See Also
    --------
    SequenceImputer : Replace missing values in sequences.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import SequenceScaler
    >>> X = [np.array([[0.0], [2.0]]), np.array([[4.0]])]
    >>> scaler = SequenceScaler().fit(X)
    >>> scaler.mean_.tolist(), [x.ravel().round(3).tolist() for x in scaler.transform(X)]
    ([2.0], [[-1.225, 0.0], [1.225]])
    """

    _saved_attributes = (
        "n_features_in_",
        "feature_names_in_",
        "_fitted_on_2d",
        "mean_",
        "scale_",
    )

    def _learn(self, sequences: Sequences) -> None:
        steps = real_steps(sequences).astype(np.float64, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, spread = steps.mean(axis=0), steps.std(axis=0)
        if not (np.isfinite(mean) & np.isfinite(spread)).all():
            raise ValueError(check.needs("X", "numbers with finite squares", np.abs(steps).max()))
        small = spread < SMALL_SPREAD
        if small.any():
            spread[small] = root_mean_square(steps[:, small] - mean[small])
        self.mean_ = mean
        self.scale_ = np.where(is_constant(self.mean_, spread), 1.0, spread)

    def transform(self, X: Any) -> Any:
        """Standardize X.

        Parameters
        ----------
        X : array (n_samples, n_timesteps, n_features), or another form
            Sequences with as many features as in `fit`.

        Returns
        -------
        array or list, like X
            The standardized sequences, in the form of X.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError
            If X is invalid, or a standardized value is too large for the dtype.
        """
        return self._map(X, lambda x, mean, scale: (x - mean) / scale)

    def inverse_transform(self, X: Any) -> Any:
        """Convert standardized sequences back to the original scale.

        Parameters
        ----------
        X : array (n_samples, n_timesteps, n_features), or another form
            Standardized sequences.

        Returns
        -------
        array or list, like X
            The sequences on the original scale, in the form of X.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError
            If X is invalid, or a value on the original scale is too large for the dtype.
        """
        return self._map(X, lambda x, mean, scale: x * scale + mean, named=False)

    def _map(
        self, X: Any, change: Callable[[Array, Array, Array], Array], named: bool = True
    ) -> Any:
        check_is_fitted(self, "scale_")
        sequences = self._read(X, reset=False, named=named)

        def of_steps(x: Array) -> Array:
            with np.errstate(over="ignore", invalid="ignore"):
                changed = change(x, self.mean_.astype(x.dtype), self.scale_.astype(x.dtype))
            if not np.isfinite(changed).all():  # padding is NaN before and after
                wrong = np.isfinite(x) & ~np.isfinite(changed)
                if wrong.any():
                    needed = f"numbers within {x.dtype}'s range after scaling"
                    raise ValueError(check.needs("X", needed, x[wrong][0]))
            return changed

        return in_form_of(X, sequences, of_steps)
