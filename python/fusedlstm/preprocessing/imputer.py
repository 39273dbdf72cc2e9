"""Imputation of missing values in sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.data.sequences import PackedSequences, PaddedSequences, Sequences
from fusedlstm.preprocessing.base import SequenceTransformer, in_form_of, real_steps

STRATEGIES = ("mean", "median", "constant", "forward_fill")


class SequenceImputer(SequenceTransformer):
    """Replace missing values (NaN) in sequences.

    X may have any form that the estimators accept, and may contain NaN. `transform` returns the
    same form. In a 3-D array, steps at the end of a sequence that are NaN in every feature are
    padding. Padding is not replaced.

    Parameters
    ----------
    strategy : {"mean", "median", "constant", "forward_fill"}, default "mean"
        The replacement of a missing value:

        - ``"mean"``, ``"median"``: mean or median of the feature over all steps of all sequences in
          `fit`
        - ``"constant"``: ``fill_value``
        - ``"forward_fill"``: the last value of the feature in the same sequence. If there is no
          earlier value, the mean of the feature in `fit`
    fill_value : float, default 0
        The replacement with ``strategy="constant"``.

    Attributes
    ----------
    statistics_ : array (n_features,)
        Replacement for each feature. With ``"forward_fill"``, the replacement of missing values
        without an earlier value in the sequence.
    n_features_in_ : int
        Number of features per step. After a fit on a 2-D array, the number of its columns.

    See Also
    --------
    SequenceScaler : Standardize the features of sequences.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import SequenceImputer
    >>> X = [np.array([[1.0], [np.nan], [5.0]]), np.array([[np.nan], [3.0]])]
    >>> [x.ravel().tolist() for x in SequenceImputer().fit_transform(X)]
    [[1.0, 3.0, 5.0], [3.0, 3.0]]
    >>> [x.ravel().tolist() for x in SequenceImputer(strategy="forward_fill").fit_transform(X)]
    [[1.0, 1.0, 5.0], [3.0, 3.0]]
    """

    _allows_nan = True
    _saved_attributes = ("n_features_in_", "feature_names_in_", "_fitted_on_2d", "statistics_")

    def __init__(self, *, strategy: str = "mean", fill_value: float = 0.0) -> None:
        self.strategy = strategy
        self.fill_value = fill_value

    def transform(self, X: Any) -> Any:
        """Replace the missing values of X.

        Parameters
        ----------
        X : array (n_samples, n_timesteps, n_features), or another form
            Sequences with as many features as in `fit`.

        Returns
        -------
        array or list, like X
            The sequences without missing values, in the form of X.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError
            If the number of features of X differs from `fit`, or X contains infinity.
        """
        check_is_fitted(self, "statistics_")
        sequences = self._read(X, reset=False)

        def fill(x: Array) -> Array:
            missing = np.isnan(x)
            if isinstance(sequences, PaddedSequences) and sequences.real_steps is not None:
                padding = np.arange(x.shape[1]) >= sequences.real_steps[:, np.newaxis]
                missing &= ~padding[:, :, np.newaxis]
            # Contiguous, so that `flat` below is a view of it.
            filled: Array = np.ascontiguousarray(
                np.where(missing, self.statistics_.astype(x.dtype), x)
            )
            if self.strategy == "forward_fill":
                rows, columns = np.nonzero(missing.reshape(-1, x.shape[-1]))
                before = _last_known(x.reshape(-1, x.shape[-1]), _starts(sequences))[rows, columns]
                known = before >= 0
                flat, values = filled.reshape(-1, x.shape[-1]), x.reshape(-1, x.shape[-1])
                flat[rows[known], columns[known]] = values[before[known], columns[known]]
            return filled

        return in_form_of(X, sequences, fill)

    def _check_params(self) -> None:
        check.choice("strategy", self.strategy, STRATEGIES)
        check.real_in("fill_value", self.fill_value, "a number")

    def _learn(self, sequences: Sequences) -> None:
        if self.strategy == "constant":
            self.statistics_ = np.full(sequences.n_features, float(self.fill_value))
            return
        steps = real_steps(sequences).astype(np.float64, copy=False)
        empty = np.isnan(steps).all(axis=0)
        if empty.any():
            raise ValueError(
                f"X must have a value that is not NaN for every feature; got only NaN for feature "
                f"{int(np.argmax(empty))}. Use strategy='constant'."
            )
        average = np.nanmedian if self.strategy == "median" else np.nanmean
        self.statistics_ = average(steps, axis=0)


def _starts(sequences: Sequences) -> npt.NDArray[np.int64]:
    """Return, for each row of the concatenated steps, the first row of its sequence."""
    if isinstance(sequences, PackedSequences):
        return np.repeat(sequences.starts[:-1], sequences.lengths())
    steps = sequences.longest()
    return np.repeat(np.arange(len(sequences), dtype=np.int64) * steps, steps)


def _last_known(values: Array, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return, for each row and feature, the last row of the sequence up to it that is not NaN.

    -1 stands for no such row.
    """
    rows = np.where(np.isnan(values), -1, np.arange(len(values))[:, np.newaxis])
    latest = np.maximum.accumulate(rows, axis=0)
    return np.where(latest >= starts[:, np.newaxis], latest, -1)
