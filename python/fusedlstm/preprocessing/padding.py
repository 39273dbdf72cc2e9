"""Padding of sequences with unequal lengths."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.data.sequences import Sequences
from fusedlstm.preprocessing.base import SequenceTransformer


class PadSequences(SequenceTransformer):
    """Convert sequences of any lengths to one padded array (n_samples, width, n_features).

    Padding is added at the end of a sequence. The estimators and transformers of this package
    recognize padding with NaN, the default value. They treat padding with other values as data.

    Parameters
    ----------
    width : positive int, optional
        Number of steps of the array. If None, the length of the longest sequence in `fit`.
    value : float, default nan
        Value of the padding.

    Attributes
    ----------
    width_ : int
        Number of steps of the array.
    n_features_in_ : int
        Number of features per step. After a fit on a 2-D array, the number of its columns.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import PadSequences
    >>> X = [np.array([[1.0], [2.0]]), np.array([[3.0]])]
    >>> pad = PadSequences(width=3).fit(X)
    >>> pad.transform(X)[:, :, 0].tolist()
    [[1.0, 2.0, nan], [3.0, nan, nan]]
    >>> [x.tolist() for x in pad.inverse_transform(pad.transform(X))]
    [[[1.0], [2.0]], [[3.0]]]
    """

    _saved_attributes = ("n_features_in_", "feature_names_in_", "_fitted_on_2d", "width_")

    def __init__(self, *, width: int | None = None, value: float = np.nan) -> None:
        self.width = width
        self.value = value

    def transform(self, X: Any) -> Array:
        """Convert sequences to one padded array.

        Parameters
        ----------
        X : list of array (n_timesteps_i, n_features), or another form
            Sequences of at most ``width_`` steps.

        Returns
        -------
        array (n_samples, n_timesteps, n_features)
            The padded sequences, with ``width_`` steps.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError
            If a sequence is longer than ``width_``, or X is invalid.
        """
        check_is_fitted(self, "width_")
        sequences = self._read(X, reset=False)
        self._check_width(sequences)
        x, lengths = sequences.take(slice(None), sequences.numbers().dtype)
        steps = min(x.shape[1], self.width_)
        padded = np.full((len(x), self.width_, x.shape[2]), self.value, x.dtype)
        padded[:, :steps] = x[:, :steps]
        if lengths is not None:
            padded[np.arange(self.width_) >= lengths[:, np.newaxis]] = self.value
        return padded

    def inverse_transform(self, X: Any) -> list[Array]:
        """Remove the padding: steps at the end that equal ``value`` in every feature.

        Parameters
        ----------
        X : array (n_samples, n_timesteps, n_features)
            Padded sequences.

        Returns
        -------
        list of array (n_timesteps_i, n_features)
            The sequences. Each sequence has at least one step.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError
            If X is not a 3-D array, or is empty.
        """
        check_is_fitted(self, "width_")
        array = np.asarray(X)
        if array.dtype.kind != "f":
            array = check.real_array("X", array, np.float64)
        if array.ndim != 3 or 0 in array.shape:
            needed = "an array of shape (n_samples, n_timesteps, n_features)"
            raise ValueError(check.needs("X", needed, array))
        same = np.isnan(array) if np.isnan(self.value) else np.equal(array, self.value)
        backward = np.asarray(same.all(axis=2))[:, ::-1]
        lengths = np.where(backward.all(axis=1), 1, array.shape[1] - np.argmin(backward, axis=1))
        return [x[:length].copy() for x, length in zip(array, lengths, strict=True)]

    def _check_params(self) -> None:
        if self.width is not None:
            check.positive_int("width", self.width)
        if not (isinstance(cast(object, self.value), float) and np.isnan(self.value)):
            check.real_in("value", self.value, "a number or nan")

    def _learn(self, sequences: Sequences) -> None:
        self.width_ = int(sequences.lengths().max()) if self.width is None else int(self.width)
        self._check_width(sequences)

    def _check_width(self, sequences: Sequences) -> None:
        lengths = sequences.lengths()
        if lengths.max() > self.width_:
            i = int(np.argmax(lengths > self.width_))
            raise ValueError(
                f"X[{i}] must have at most width = {self.width_} steps; got {lengths[i]}"
            )
