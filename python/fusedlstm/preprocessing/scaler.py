"""Zero mean and unit variance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.data.sequences import Sequences
from fusedlstm.data.statistics import SMALL_SPREAD, is_constant, root_mean_square
from fusedlstm.preprocessing.base import SequenceTransformer, in_form_of, real_steps


class SequenceScaler(SequenceTransformer):
    """Give every feature zero mean and unit variance over all real steps of all sequences.

    Takes X in all forms that the estimators take, and returns it in the same form; padding stays
    padding.

    Attributes
    ----------
    mean_, scale_ : array (n_features,)
        Mean and standard deviation of each feature; the scale of a constant feature is 1.
    n_features_in_ : int
        Features of a step; after a fit on 2-D X, its columns.

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
        """Return X scaled, in the form in which it came.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        like X

        Raises
        ------
        ValueError
            A scaled number is beyond the range of the dtype.
        """
        return self._map(X, lambda x, mean, scale: (x - mean) / scale)

    def inverse_transform(self, X: Any) -> Any:
        """Return scaled X on its own scale.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        like X

        Raises
        ------
        ValueError
            A scaled number is beyond the range of the dtype.
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
                    needed = f"numbers that fit {x.dtype} when scaled"
                    raise ValueError(check.needs("X", needed, x[wrong][0]))
            return changed

        return in_form_of(X, sequences, of_steps)
