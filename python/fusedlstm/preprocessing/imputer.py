"""Missing values inside sequences."""

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
    """Replace NaN inside sequences.

    Takes X in all forms that the estimators take, with NaN in them, and returns it in the same
    form. Steps at the end of a sequence of a 3-D array that are NaN in every feature are padding,
    and stay.

    Parameters
    ----------
    strategy : {"mean", "median", "constant", "forward_fill"}, default "mean"
        Mean or median of the feature over all steps of all sequences in `fit`, a constant, or the
        feature's last value before; where there is none, its mean.
    fill_value : float, default 0
        The constant.

    Attributes
    ----------
    statistics_ : array (n_features,)
        What is filled in; for ``"forward_fill"`` where no value comes before.
    n_features_in_ : int
        Features of a step; after a fit on 2-D X, its columns.

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
        """Return X without NaN but for padding, in the form in which it came.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        like X
        """
        check_is_fitted(self, "statistics_")
        sequences = self._read(X, reset=False)

        def fill(x: Array) -> Array:
            missing = np.isnan(x)
            if isinstance(sequences, PaddedSequences) and sequences.real_steps is not None:
                padding = np.arange(x.shape[1]) >= sequences.real_steps[:, np.newaxis]
                missing &= ~padding[:, :, np.newaxis]
            filled: Array = np.where(missing, self.statistics_.astype(x.dtype), x)
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
                f"X must have a value of every feature that is not NaN; feature "
                f"{int(np.argmax(empty))} has none. Use strategy='constant'."
            )
        average = np.nanmedian if self.strategy == "median" else np.nanmean
        self.statistics_ = average(steps, axis=0)


def _starts(sequences: Sequences) -> npt.NDArray[np.int64]:
    """Return the row of each row's sequence's first step, where all steps lie end to end."""
    if isinstance(sequences, PackedSequences):
        return np.repeat(sequences.starts[:-1], sequences.lengths())
    steps = sequences.longest()
    return np.repeat(np.arange(len(sequences), dtype=np.int64) * steps, steps)


def _last_known(values: Array, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return the row of the last number up to each, of the same sequence; -1: there is none."""
    rows = np.where(np.isnan(values), -1, np.arange(len(values))[:, np.newaxis])
    latest = np.maximum.accumulate(rows, axis=0)
    return np.where(latest >= starts[:, np.newaxis], latest, -1)
