"""Transformers for sequences, and windows of a series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fusedlstm import _validation as check
from fusedlstm._callbacks import CallbackSupportMixin, with_callbacks
from fusedlstm._core import Array
from fusedlstm._reading import is_constant, read_X
from fusedlstm._saving import Savable
from fusedlstm._sequences import PackedSequences, PaddedSequences, Sequences


class SequenceScaler(
    CallbackSupportMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    Savable,
    BaseEstimator,  # type: ignore[misc]
):
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

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None) -> SequenceScaler:
        """Compute mean and scale.

        Parameters
        ----------
        X : array (n_samples, n_timesteps, n_features), or another form
        y : ignored

        Returns
        -------
        self
        """
        sequences = read_X(self, X, np.float64, reset=True)
        task = self._init_callback_context()
        task.call_on_fit_task_begin(estimator=self, X=X, y=y)
        steps = real_steps(sequences).astype(np.float64, copy=False)
        self.mean_ = steps.mean(axis=0)
        spread = steps.std(axis=0)
        self.scale_ = np.where(is_constant(self.mean_, spread), 1.0, spread)
        task.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    def transform(self, X: Any) -> Any:
        """Return X scaled, in the form in which it came.

        Parameters
        ----------
        X : like X of `fit`

        Returns
        -------
        like X
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
        """
        return self._map(X, lambda x, mean, scale: x * scale + mean)

    def _map(self, X: Any, change: Callable[[Array, Array, Array], Array]) -> Any:
        check_is_fitted(self, "scale_")
        sequences = read_X(self, X, np.float64, reset=False)

        def of_steps(x: Array) -> Array:
            return change(x, self.mean_.astype(x.dtype), self.scale_.astype(x.dtype))

        return in_form_of(X, sequences, of_steps)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def real_steps(sequences: Sequences) -> Array:
    """Return all real steps, (n_steps, n_features)."""
    if isinstance(sequences, PackedSequences):
        return sequences.values
    assert isinstance(sequences, PaddedSequences)
    if sequences.real_steps is None:
        return sequences.x.reshape(-1, sequences.n_features)
    mask = np.arange(sequences.x.shape[1]) < sequences.real_steps[:, np.newaxis]
    return sequences.x[mask]


def in_form_of(X: Any, sequences: Sequences, change: Any) -> Any:
    """Return X in the form in which it came, its steps (…, n_features) changed."""
    if isinstance(sequences, PaddedSequences):
        changed = change(sequences.x)
        return changed[:, :, 0] if sequences.form == "2d" else changed
    assert isinstance(sequences, PackedSequences)
    parts = np.split(change(sequences.values), sequences.starts[1:-1])
    arrays = [part.reshape(np.shape(x)) for part, x in zip(parts, X, strict=True)]
    if isinstance(X, np.ndarray):
        ragged = np.empty(len(arrays), object)
        ragged[:] = arrays
        return ragged
    return tuple(arrays) if isinstance(X, tuple) else arrays


def make_windows(
    series: npt.ArrayLike, width: int, horizon: int = 1, stride: int = 1
) -> tuple[Array, Array]:
    """Cut a series into windows and what follows them.

    A function, since a transformer may not change the number of samples.

    Parameters
    ----------
    series : array (n_timesteps,) or (n_timesteps, n_features)
    width : int
        Steps of a window.
    horizon : int, default 1
        Steps after it to predict.
    stride : int, default 1
        Steps from one window's start to the next one's.

    Returns
    -------
    X : array (n_windows, width) or (n_windows, width, n_features)
    y : array (n_windows, horizon) or (n_windows, horizon, n_features)
        Without the axis of the horizon if that is 1.

    Examples
    --------
    >>> from fusedlstm import make_windows
    >>> X, y = make_windows([1, 2, 3, 4, 5], width=3)
    >>> X.tolist(), y.tolist()
    ([[1, 2, 3], [2, 3, 4]], [4, 5])
    """
    needed = "numbers of shape (n_timesteps,) or (n_timesteps, n_features)"
    try:
        array = np.asarray(series)
    except ValueError:  # nested lists of unequal lengths
        raise ValueError(check.needs("series", needed, series)) from None
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise ValueError(check.needs("series", needed, series))
    width = check.positive_int("width", width)
    horizon = check.positive_int("horizon", horizon)
    stride = check.positive_int("stride", stride)
    if len(array) < width + horizon:
        raise ValueError(
            f"series must have at least width + horizon = {width + horizon} steps; got {len(array)}"
        )
    spans = np.lib.stride_tricks.sliding_window_view(array, width + horizon, axis=0)[::stride]
    spans = np.moveaxis(spans, -1, 1)  # the window's axis after that of the windows
    X, y = spans[:, :width].copy(), spans[:, width:].copy()
    return X, y[:, 0] if horizon == 1 else y
